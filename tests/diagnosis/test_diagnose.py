"""Logs that the frameworks themselves wrote (`make_logs.py`), the article's, and arrays are diagnosed rightly."""

from pathlib import Path

import numpy as np
import pytest

from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.report import diagnosis_lines
from jaxsgd.error import InputError
from jaxsgd.measure.stripes import stripes

FOLDER = Path(__file__).parent / "logs"

# What each training did is in make_logs.py: the order, the habit and the rate are known, not read off the log.
CAUSES = {
    "torch_shuffle_false.txt": {"fixed_order"},
    "torch_shuffle_false_every_7.txt": {"fixed_order", "aliasing"},
    "torch_shuffle_true.txt": set(),
    "torch_replacement.txt": set(),
    "torch_distributed_no_set_epoch.txt": {"fixed_order"},
    "torch_distributed_set_epoch.txt": set(),
    "torch_adam_memorizes.txt": {"re_exposure"},
    "torch_ragged_sum.txt": {"ragged_batch"},
    "torch_step_lr.jsonl": {"schedule"},
    "torch_step_lr_silent.txt": {"schedule"},
    "torch_warm_restarts_silent.txt": {"schedule"},
    "torch_staircase.txt": {"re_exposure"},
    "torch_three_epochs.txt": {"re_exposure"},
    "torch_shuffle_buffer.txt": {"fixed_order"},
    "torch_metric_never_reset.txt": set(),
    "torch_rounded_running_mean.txt": {"running_mean"},
    "torch_mnist_in_order.txt": {"fixed_order"},
    "torch_mnist_shuffled.txt": set(),
    "torch_two_losses.txt": {"fixed_order"},
    "torch_test_lines_between.txt": set(),
    "tensorboard_shuffle_false.events": {"fixed_order"},
    "mlflow_shuffle_false": {"fixed_order"},
    "lightning_shuffle_false.csv": {"fixed_order"},
    "lightning_shuffle_true.csv": set(),
    "huggingface_in_order.json": {"fixed_order"},
    "huggingface_shuffled.json": set(),
    "keras_progress.txt": {"running_mean"},
    "keras_batches_in_order.jsonl": {"running_mean", "fixed_order"},
}


def test_every_log_of_the_folder_has_a_case():
    assert {path.name for path in FOLDER.iterdir()} - {"shapes", "misread"} == set(CAUSES)


@pytest.mark.parametrize("name", CAUSES)
def test_a_framework_s_log_is_told_for_what_its_training_did(name):
    if name.endswith(".events"):
        pytest.importorskip("tensorboard", reason="tensorboard is not installed: no event files are read")
    diagnosis = diagnose(FOLDER / name)
    assert set(diagnosis.causes) == CAUSES[name], str(diagnosis)
    # All trainings had 20 batches an epoch, but for the ragged one's 17. Three logs do not contain it: two count samples, one
    # has its epochs as shares only. These are known by their 10 values an epoch.
    if name.startswith(("torch_mnist", "torch_three_epochs")):
        assert np.isnan(diagnosis.period.batch_count)
        assert diagnosis.period.per_epoch == pytest.approx(10)
    else:
        assert diagnosis.period.batch_count == (17 if "ragged" in name else 20)


@pytest.mark.parametrize(
    ("name", "column", "others"),
    [
        ("torch_mnist_shuffled.txt", "Loss", ("Average loss (in lines with 'test set'): 14 values",)),
        ("torch_two_losses.txt", "total_loss", ("ce_loss: 100 values", "penalty_loss: 100 values")),
        ("torch_test_lines_between.txt", "loss", ("test loss (in lines with 'test'): 40 values",)),
    ],
)
def test_of_several_losses_the_training_s_total_is_read_and_the_others_are_listed(name, column, others):
    log = diagnose(FOLDER / name).log
    assert (log.column, log.left_out) == (column, others)


def test_samples_behind_a_shuffle_buffer_are_a_fixed_order_that_says_so():
    lines = "\n".join(diagnosis_lines(diagnose(FOLDER / "torch_shuffle_buffer.txt"), "log"))
    # The buffer held 5 % of the samples, which were sorted by class, so that neighbouring levels resemble each other further.
    assert "shuffle buffer" in lines


def test_the_article_has_a_fixed_order_two_stripes_and_ten_batches():
    diagnosis = diagnose(Path(__file__).parents[2] / "jaxsgd/article/printed_log.txt")
    assert diagnosis.causes == ("fixed_order",)
    assert (diagnosis.period.stripe_count, diagnosis.period.batch_count, diagnosis.period.interval) == (2, 10, 5)
    assert diagnosis.remedy.hiding_interval == 10
    # The averaged curve only falls, as in the article's third figure.
    assert (diagnosis.remedy.averaged[1:] < diagnosis.remedy.averaged[:-1]).all()


@pytest.mark.parametrize(("name", "interval"), [("huggingface_in_order.json", 20), ("huggingface_shuffled.json", 5)])
def test_a_first_epoch_that_falls_as_no_other_hides_no_stripes(name, interval):
    """With 20 batches in order, printed every 5, the mean of three prints still has stripes: later epochs show nothing else."""
    diagnosis = diagnose(FOLDER / name)
    settled = stripes(diagnosis.log.loss[16:].reshape(-1, 4), 3)
    assert (settled.readable_index > 0.99) == (interval == 20)
    assert diagnosis.remedy.hiding_interval == interval


def test_an_interval_that_slides_over_the_epoch_is_hidden_by_an_epoch_s_batches():
    # Printed every 7 of 20 batches, prints come back to their places after 20 of them, which are 7 epochs; one epoch is enough.
    remedy = diagnose(FOLDER / "torch_shuffle_false_every_7.txt").remedy
    assert (remedy.prints, remedy.hiding_interval) == (20, 20)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2])
@pytest.mark.parametrize(
    ("batches", "causes", "interval"), [(20, ("fixed_order",), 20), (100, ("fixed_order",), 100), (20, (), 1)]
)
def test_losses_that_are_missing_here_and_there_change_neither_the_causes_nor_the_remedy(share, batches, causes, interval):
    rng = np.random.default_rng(1)
    # The scatter is that of the positions, or without a pattern anew at each print.
    levels = rng.normal(0, 0.1, (1 if causes else 10, batches))
    loss = (
        2 * np.exp(-np.arange(10 * batches).reshape(10, batches) / (5 * batches)) + levels + rng.normal(0, 0.01, (10, batches))
    )
    complete = diagnose(loss)
    loss[rng.random(loss.shape) < share] = np.nan
    diagnosis = diagnose(loss)
    assert diagnosis.causes == complete.causes == causes
    assert not diagnosis.period.slides
    assert diagnosis.remedy[2:] == complete.remedy[2:]
    # Where the last loss is missing, the last epoch is not whole, and where the first is, epochs are counted from the second.
    cycles = len(diagnosis.remedy.time)
    assert cycles >= 9
    np.testing.assert_allclose(diagnosis.remedy.averaged, complete.remedy.averaged[:cycles], atol=0.03)
    np.testing.assert_allclose(diagnosis.remedy.time, complete.remedy.time[:cycles], atol=1.01 / batches)


def test_a_log_of_few_epochs_does_not_say_what_hides_its_stripes():
    loss = 1 - 0.01 * np.arange(20).reshape(5, 4) + [0.0, 0.1, 0.0, 0.2]
    diagnosis = diagnose(loss)
    # Half an epoch at either end is lost with the trend: four whole ones are left, and five are needed.
    assert not diagnosis.remedy.is_telling
    assert "too short to show which print interval hides its stripes" in "\n".join(diagnosis_lines(diagnosis, "log"))
    assert diagnose(np.tile(loss, (2, 1))).remedy.is_telling


@pytest.mark.parametrize("value", [0.0, 0.6931])
def test_losses_that_never_change_are_no_sign_that_all_is_well(value):
    answer, remedy, *_ = diagnosis_lines(diagnose(np.full((6, 40), value)), "log")
    assert answer.startswith(f"All 240 losses are {value:g}, which shows no pattern: ")
    assert remedy.startswith("What to do: Print the loss of each batch")


def test_where_nothing_is_periodic_no_interval_is_said_to_hide_stripes():
    noise = np.random.default_rng(38).standard_normal((8, 5))
    diagnosis = diagnose(2 + 0.1 * noise)
    assert not diagnosis.causes
    assert diagnosis.remedy.hiding_prints > 1
    text = "\n".join(diagnosis_lines(diagnosis, "log"))
    assert "Averaged over each whole epoch" in text
    assert "hides its stripes" not in text


def test_one_print_an_epoch_is_too_coarse(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,loss\n" + "".join(f"{k},{1 / (k + 1)}\n" for k in range(30)))
    assert "one loss an epoch" in str(diagnose(tmp_path / "log.csv"))


def test_of_a_log_that_does_not_show_its_epochs_no_means_over_epochs_are_given(tmp_path):
    # As TensorFlow's object detection prints: each line a second time in another shape, and never an epoch.
    loss = 1.4 + 0.2 * np.random.default_rng(0).standard_normal(60)
    text = "".join(
        f"INFO:tensorflow:Step {step} per-step time 0.813s loss={value:.3f}\n"
        f"I0912 11:40:27.956218 139735407601536 model_lib_v2.py:652] Step {step} per-step time 0.813s loss={value:.3f}\n"
        for step, value in zip(range(100, 6001, 100), loss, strict=True)
    )
    (tmp_path / "log").write_text(text)
    diagnosis = diagnose(tmp_path / "log")
    np.testing.assert_allclose(diagnosis.log.loss, loss, atol=0.0006)
    first, remedy, read, *rest = diagnosis_lines(diagnosis, "log")
    assert first == "No pattern stands out, and the log does not say where epochs begin."
    assert "--batches-per-epoch" in remedy
    assert "60 losses in column 'loss'; its losses suggest " in read
    assert read.endswith(" % sure.")
    assert not any("Averaged" in line or "stripes" in line for line in rest)


def test_a_period_that_nothing_shows_is_not_stated():
    read = diagnosis_lines(diagnose(3 - np.arange(30) / 50), "log")[2]
    assert read == "Read: log: array, 30 losses in column 'loss'; neither the log nor its losses show where epochs begin."


def test_losses_that_alternate_without_any_counter_may_be_two_series(tmp_path):
    """Training and validation losses in lines of one shape, in turn; with steps it is one series, of two batches an epoch."""
    rng = np.random.default_rng(1)
    loss = np.where(np.arange(40) % 2, 1.5, 1.0 - np.arange(40) / 80) + 0.02 * rng.standard_normal(40)
    (tmp_path / "bare").write_text("".join(f"{{'loss': {value:.4f}, 'acc': 0.5}}\n" for value in loss))
    (tmp_path / "steps").write_text("".join(f"step {step} loss {value:.4f}\n" for step, value in enumerate(loss, 1)))
    first, remedy, read, *_ = diagnosis_lines(diagnose(tmp_path / "bare"), "log")
    assert first.startswith("Two series in turn, or two values an epoch: ")
    assert "--batches-per-epoch 2" in remedy
    assert read.endswith("the log does not say where epochs begin.")
    assert "fixed_order" in diagnose(tmp_path / "steps").causes
    assert "fixed_order" in diagnose(tmp_path / "bare", batches_per_epoch=2).causes


def test_with_no_likely_cause_and_no_likely_nothing_the_answer_is_not_sure():
    rng = np.random.default_rng(4)
    noise, levels = rng.standard_normal((20, 8)), rng.standard_normal(8)
    sizes = np.linspace(0, 0.6, 61)
    doubtful = [answer for answer in (diagnose(noise + size * levels) for size in sizes) if answer.is_doubtful]
    # Between no levels and clear ones the probability of a fixed order passes from 0 to 1.
    assert diagnose(noise + levels).causes == ("fixed_order",)
    for diagnosis in doubtful:
        assert str(diagnosis).startswith("Not sure: most like ")
        lines = diagnosis_lines(diagnosis, "log")
        assert lines[0].startswith("Not sure: most like ")
        assert not any("Nothing periodic" in line for line in lines)


def buffered(count, size, rng):
    """Numbers from 0 in the order that a shuffle buffer of a size gives them out."""
    waiting, order = list(range(size)), []
    for new in range(size, count):
        place = rng.integers(size)
        order.append(waiting[place])
        waiting[place] = new
    return np.array([*order, *rng.permutation(waiting)])


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1])
def test_a_fixed_order_says_how_much_of_the_data_a_shuffle_buffer_may_hold(share):
    rng = np.random.default_rng(1)
    count, batches = 1200, 40
    losses = rng.standard_normal(count)
    size = max(1, round(share * count))
    epochs = [losses[buffered(count, size, rng)].reshape(batches, -1).mean(axis=1) for _ in range(20)]
    diagnosis = diagnose(3 + np.array(epochs))
    assert diagnosis.causes == ("fixed_order",)
    text = "\n".join(diagnosis_lines(diagnosis, "log"))
    if share:
        assert diagnosis.features["level_length"] == pytest.approx(share, rel=0.6)
        assert "a buffer of up to about" in text
    else:
        assert diagnosis.features["level_length"] == 0
        assert "holds less than 2.5 % of the data" in text


def test_losses_by_epoch_and_batch_are_told_from_an_array():
    rng = np.random.default_rng(0)
    fixed = rng.standard_normal(8) + 0.1 * rng.standard_normal((20, 8))
    assert diagnose(fixed).causes == ("fixed_order",)
    assert diagnose(rng.standard_normal((20, 8))).causes == ()
    # The same through a flat array and the batch count.
    assert diagnose(fixed.reshape(-1), batches_per_epoch=8).causes == ("fixed_order",)
    with pytest.raises(InputError, match=r"shape \[prints\] or \[epochs, batches\], got \[2, 3, 4\]"):
        diagnose(np.zeros((2, 3, 4)))


@pytest.mark.parametrize("seed", range(5))
def test_a_verdict_does_not_depend_on_the_units_of_the_loss(seed):
    rng = np.random.default_rng(seed)
    loss = np.exp(-np.arange(30) / 10)[:, None] + 0.1 * rng.standard_normal(6) + 0.05 * rng.standard_normal((30, 6))
    plain = diagnose(loss)
    # Steps are those of the log of a positive loss, which a shift by 5 changes a little.
    for other, error in ((diagnose(1000 * loss), 1e-6), (diagnose(1000 * loss + 5), 1e-4)):
        probability = {verdict.cause: verdict.probability for verdict in other.verdicts}
        assert probability == {verdict.cause: pytest.approx(verdict.probability, abs=error) for verdict in plain.verdicts}
