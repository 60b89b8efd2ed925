"""The numbers of a line of text have the names that a reader would give them."""

import pytest

from jaxsgd.diagnosis.readers.line_shape import NUMBERS, line_shape

LINES = {
    # line: the numbers by name; a total as a pair
    "Epoch: [3][ 10/500]\tTime 0.10 (0.20)\tLoss 2.5 (2.6)\tAcc@1 0.30": {"Epoch": 3, "Time": 0.1, "Loss": 2.5, "Acc@1": 0.3},
    "Step 1,000 | loss: 1.5": {"Step": 1000, "loss": 1.5},
    "loss: tensor(0.6931, device='cuda:0', grad_fn=<NllLossBackward0>)": {"loss": 0.6931},
    "[INFO] [loss_scaler.py:181:update_scale] loss scale: 65536": {"loss scale": 65536},
    "train_loss=-1.5e-03, lr=.5": {"train_loss": -0.0015, "lr": 0.5},
    "epoch3 batch12: loss -> 0.5": {"epoch": 3, "batch": 12, "loss": 0.5},
    "2022-01-01 10:20:30,123 (main.py 240) resnet50 v1.2 loss1: 0.5": {"loss1": 0.5},
    "2.5, 2.25 avg loss, 0.001 rate, 640 images": {"avg loss": 2.25, "rate": 0.001, "images": 640},
    "Loss after iteration 100: 0.65": {"iteration": 100, "Loss": 0.65},
    "Training loss (for 1 batch) at step 20: 131.5": {"batch": 1, "step": 20, "Training loss": 131.5},
    "Train loss 100 0.523 Grad Norm 1.5": {"Train loss": 0.523, "Grad Norm": 1.5},
    "steps:  45%|####5     | 90/200 [05:23<06:39,  1.38it/s, avr_loss=0.1]": {"steps": 90, "avr_loss": 0.1},
    "3epoch:train:11-20batch: loss_ctc=2.5, loss=2.25": {"epoch": 3, "batch": 20, "loss_ctc": 2.5, "loss": 2.25},
    "[Losses: x 0.25, total 9.5, recall: 0.5]": {"x": 0.25, "total": 9.5, "recall": 0.5},
    "Ep. 1 : Up. 200 : Sen. 6,400 : Cost 10.5 : L.r. 1e-5": {"Ep": 1, "Up": 200, "Sen": 6400, "Cost": 10.5, "L.r": 1e-5},
    "In epoch 2 after 10 batches, the loss is 0.5.": {"epoch": 2, "batches": 10, "loss": 0.5},
    "rank 0, pid 1234, line: 5, loss 0.5": {"rank": 0, "loss": 0.5},
    "[rank3] step 2 loss 0.5": {"rank": 3, "step": 2, "loss": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_number_has_the_name_that_stands_beside_it(line):
    pieces = NUMBERS.split(line)
    named = {
        field.name: float(field.prefix + pieces[2 * field.place + 1].replace(",", ""))
        for field in line_shape(pieces).fields
        if field.name and field.name != "Time"
    }
    assert named == {name: value for name, value in LINES[line].items() if name != "Time"}


def test_the_number_behind_a_stroke_is_what_the_first_counts_up_to():
    for line in ("step 10/60 loss 1.5", "[10/ 60] loss 1.5", "10 of 60: loss 1.5", "step: 10 / 60, loss 1.5"):
        (step, loss) = line_shape(NUMBERS.split(line)).fields
        assert (step.place, step.total, loss.name) == (0, 1, "loss")
    # Not in a path, nor in tokens a second.
    assert all(field.total < 0 for field in line_shape(NUMBERS.split("0.5/1.5 tok/s, loss 1.5")).fields)


def test_lists_of_losses_end_with_their_bracket():
    shape = line_shape(NUMBERS.split("Losses {'ner': 1.5, 'tagger': 2.5} words 100"))
    assert [(field.name, field.is_listed_loss) for field in shape.fields] == [("ner", True), ("tagger", True), ("words", False)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2021 INFO Train: [0/300][10/60] loss 1.5", "train"),
        ("INFO Test: [0/10] Time 1.0 Loss 1.5", "test"),
        ("Epoch 1 val step:0 loss: 1.5", "val"),
        ("Epoch 1 Batch 3 loss 1.5 val_loss 2.5", ""),
        ("/home/test/run.py Epoch 1 loss 1.5", ""),
    ],
)
def test_the_words_before_the_loss_tell_lines_apart(line, words):
    assert line_shape(NUMBERS.split(line)).words == words
