"""Logs in the shapes of lines that trainers print are read: the training losses in order, and m and w where they are told."""

import math
from pathlib import Path

import numpy as np
import pytest

from jaxsgd.diagnosis.log import log_notes, read_log
from jaxsgd.diagnosis.period import find_period
from jaxsgd.error import InputError
from tests.diagnosis.trainer_lines import FORMATS, PRINTS, text

FOLDER = Path(__file__).parent / "logs"


def same(value, expected):
    return expected is None or value == expected or (math.isnan(expected) and math.isnan(value))


@pytest.mark.parametrize("name", FORMATS)
def test_a_trainer_s_lines_give_its_training_losses(name, tmp_path):
    form = FORMATS[name]
    (tmp_path / "log").write_text(text(form), newline="")
    log = read_log(tmp_path / "log")
    assert log.column == form.column
    # Trainers round: the coarsest of these formats prints two decimals.
    np.testing.assert_allclose(log.loss, [p.v for p in PRINTS], atol=0.0051)
    period = find_period(log)
    assert same(period.batch_count, form.batches)
    assert same(period.interval, form.interval)


SHAPES = {
    # name: column, m and w (None where the text does not tell them), other losses
    "ansi.txt": ("loss", 60, 10, 0),
    "axolotl.txt": ("loss", None, None, 0),
    "comma_step.txt": ("loss", None, 1000, 0),
    "coqui.txt": ("loss", 60, 10, 0),
    "darknet.txt": ("avg loss", None, 10, 0),
    "espnet.txt": ("loss", 60, 10, 2),
    "imagenet.txt": ("Loss", 60, 10, 0),
    "keras3.txt": ("loss", 60, 10, 0),
    "keras_bs.txt": ("loss", 60, 10, 1),
    "kohya.txt": ("avr_loss", None, 10, 0),
    "mmengine.txt": ("loss", 60, 10, 2),
    "sb3.txt": ("loss", None, 10, 0),
    "swin.txt": ("loss", 60, 10, 1),
    "tensor_repr.txt": ("loss", 60, 10, 0),
    "timm.txt": ("Loss", 60, 10, 1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_gives_its_36_losses_that_fall_by_epoch(name):
    column, batches, interval, others = SHAPES[name]
    log = read_log(FOLDER / "shapes" / name)
    assert (log.column, len(log.loss), len(log.left_out)) == (column, 36, others)
    # The files were made with levels of 0.8 + 1.2 / (1 + e)^1.3 and a scatter of 0.01 or so: 2, 1.54, 1.3, ...
    level = log.loss.reshape(6, 6).mean(axis=1)
    np.testing.assert_allclose(level[:2], [2.0, 1.54], atol=0.02)
    assert (np.diff(level) < 0).all()
    period = find_period(log)
    assert same(period.batch_count, batches)
    assert same(period.interval, interval)


def test_of_two_parts_in_a_table_one_must_be_chosen():
    path = FOLDER / "shapes" / "spacy.txt"
    with pytest.raises(InputError, match=r"2 loss columns: 'LOSS TOK2VEC' \(36 values\), 'LOSS NER' \(36 values\); choose one"):
        read_log(path)
    log = read_log(path, "LOSS NER")
    assert (len(log.loss), log.loss[0], log.epoch[6], log.step[6]) == (36, 198.91, 1, 70)


NAN = math.nan
MISREAD = {
    # name: column, losses, first and last loss, first and last epoch, first and last step, m, w, other losses
    "F01_mnist_test_line.txt": ("Loss", 16, 2.364409, 0.6019, 1, 4, 0, 300, NAN, NAN, 1),
    "F02_current_steps.jsonl": ("loss", 18, 1.8032, 0.6775, 10 / 45, 4, 10, 180, 45, 10, 0),
    "F02_one_more.jsonl": ("loss", 105, 2.0, 0.96, 4 / 105, 4, 4, 420, 105, 4, 0),
    "F06a_val_lines.txt": ("loss", 15, 1.97587, 0.31198, 1, 5, 0, 100, 150, 50, 1),
    "F06b_eval_lines.txt": ("loss", 12, 0.9791, 0.2257, 1, 4, 10, 30, 30, 10, 1),
    "F07_iteration_step.txt": ("NER loss", 12, 9.057986, 2.240972, 1, 4, 100, 300, 350, 100, 0),
    "F09_loss_scale.jsonl": ("mlm_loss", 12, 2.95, 2.4, NAN, NAN, 1, 12, None, 1, 0),
    "F10_name_beats_count.txt": ("Batch Loss", 30, 1.9457, 0.3868, 1, 5, NAN, NAN, NAN, NAN, 1),
    "F11_placeless.txt": ("Loss", 45, 3.0, 0.53, 1, 5, NAN, NAN, NAN, NAN, 0),
    "F12a_llmc.txt": ("trl", 30, 5.0769, 2.0843, NAN, NAN, 0, 29, None, 1, 0),
    "F12c_table.txt": ("TrainingLoss", 30, 2.0, 0.55, NAN, NAN, 0, 2900, None, 100, 0),
    "F12d_bare.txt": ("column 1", 30, 2.0, 0.55, NAN, NAN, NAN, NAN, NAN, NAN, 0),
    "F12e_train_word.txt": ("train", 30, 5.0, 2.1, NAN, NAN, 0, 29, None, 1, 0),
    "F13_total_loss.jsonl": ("total_loss", 12, 1.5, 0.125, NAN, NAN, 19, 239, None, 20, 2),
    "F14_glued.txt": ("d_loss", 20, 2.0, 0.43, 0, 4, 0, 3, 4, 1, 0),
    "F23_step_line.txt": ("batch loss", 30, 2.99, 2.7, NAN, NAN, 1, 30, None, 1, 0),
    "F23b_olmo.txt": ("train/loss", 30, 2.95, 1.5, 0, 3, 1, 30, 10, 1, 0),
    "F24_losses_list.txt": ("total", 20, 9.0, 2.1, 0, 4, 0, 3, 4, 1, 3),
    "F25_rounded_epoch.txt": ("loss", 11, 2.0, 1.5, 0.01, 0.06, NAN, NAN, NAN, NAN, 0),
    "F27_total_known.txt": ("loss", 30, 8.0, 0.267, 0, 0, 0, 2900, 24681, 100, 0),
    "F29_unequal_counts.txt": ("loss", 25, 1.0025, 0.2181, 1, 5, NAN, NAN, NAN, NAN, 0),
}


@pytest.mark.parametrize("name", MISREAD)
def test_what_was_misread_is_read_rightly(name):
    column, count, first, last, first_epoch, last_epoch, first_step, last_step, batches, interval, others = MISREAD[name]
    log = read_log(FOLDER / "misread" / name)
    assert (log.column, len(log.loss), len(log.left_out)) == (column, count, others)
    read = [log.loss[0], log.loss[-1], log.epoch[0], log.epoch[-1], log.step[0], log.step[-1]]
    np.testing.assert_allclose(read, [first, last, first_epoch, last_epoch, first_step, last_step])
    period = find_period(log)
    assert same(period.batch_count, batches)
    assert same(period.interval, interval)
    assert not [note for note in log_notes(log) if note.name not in ("columns",)]


def test_a_file_s_name_and_a_loss_scale_are_no_loss():
    with pytest.raises(
        InputError, match="no number stands beside a name that contains 'loss'; its named numbers are 'Attempted"
    ):
        read_log(FOLDER / "misread" / "F08_loss_scaler.txt")


def test_known_losses_without_the_word_are_listed_and_can_be_chosen():
    path = FOLDER / "misread" / "F12b_cyclegan.txt"
    with pytest.raises(InputError, match=r"'D_A' \(15 values\), 'G_A' \(15 values\), 'cycle_A' \(15 values\); choose one with"):
        read_log(path)
    log = read_log(path, "D_A")
    assert (len(log.loss), log.loss[0], log.loss[3]) == (15, 0.5, 0.25)
    assert find_period(log).interval == 100
    # Any named number can be chosen, not only losses.
    np.testing.assert_array_equal(read_log(path, "time").loss, 1.2)


def test_two_losses_of_a_line_are_listed_by_their_own_names():
    path = FOLDER / "misread" / "F22_task_kd.txt"
    with pytest.raises(
        InputError, match=r"'Task Loss' \(40 values\), 'KD Loss' \(40 values\).* Read so: line 1: step 10 of 400"
    ):
        read_log(path)
    assert read_log(path, "KD Loss").loss[0] == 0.69


def test_runs_of_one_print_an_epoch_are_told_apart():
    path = FOLDER / "misread" / "F20_restarts.txt"
    with pytest.raises(InputError, match=r"contains 3 runs \(losses 1-[48], .*Read so: line 2: epoch 1, loss 1; line"):
        read_log(path)
    log = read_log(path, run=3)
    assert log.epoch[0] == 1
    assert (np.diff(log.epoch) == 1).all()


def test_time_never_goes_back_in_epochs_of_unequal_numbers_of_prints():
    period = find_period(read_log(FOLDER / "misread" / "F29_unequal_counts.txt"))
    time = period.epoch * period.length + period.position
    assert (np.diff(time) > 0).all()
    # 5, 4, 5, 6, 5 prints: each epoch begins at its beginning.
    np.testing.assert_array_equal(period.epoch, np.repeat(range(5), [5, 4, 5, 6, 5]))
    np.testing.assert_array_equal(period.position[[0, 5, 9, 14, 20]], 0)
