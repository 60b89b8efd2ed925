"""Logs that the frameworks themselves wrote (`make_logs.py`), and the article's, are told for what they are."""

from pathlib import Path

import numpy as np
import pytest

from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.report import diagnosis_lines
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
    assert {path.name for path in FOLDER.iterdir()} == set(CAUSES)


@pytest.mark.parametrize("name", CAUSES)
def test_a_framework_s_log_is_told_for_what_its_training_did(name):
    if name.endswith(".events"):
        pytest.importorskip("tensorboard", reason="tensorboard is not installed: no event files are read")
    found = diagnose(FOLDER / name)
    assert set(found.causes) == CAUSES[name], str(found)
    # All trainings had 20 batches an epoch, but for the ragged one's 17.
    expected = 17 if "ragged" in name else 20
    assert found.period.batch_count == expected


def test_the_article_has_a_fixed_order_two_stripes_and_ten_batches():
    found = diagnose(Path(__file__).parents[2] / "jaxsgd/article/printed_log.txt")
    assert found.causes == ("fixed_order",)
    assert (found.period.stripe_count, found.period.batch_count, found.period.interval) == (2, 10, 5)
    assert found.remedy.hiding_interval == 10
    # The averaged curve only falls, as in the article's third figure.
    assert (found.remedy.averaged[1:] < found.remedy.averaged[:-1]).all()


@pytest.mark.parametrize(("name", "interval"), [("huggingface_in_order.json", 20), ("huggingface_shuffled.json", 5)])
def test_a_first_epoch_that_falls_as_no_other_hides_no_stripes(name, interval):
    """Of 20 batches in order, printed every 5, the mean of three prints still has stripes: later epochs show nothing else."""
    found = diagnose(FOLDER / name)
    settled = stripes(found.log.loss[16:].reshape(-1, 4), 3)
    assert (settled.readable_index > 0.99) == (interval == 20)
    assert found.remedy.hiding_interval == interval


def test_an_interval_that_slides_over_the_epoch_is_hidden_by_an_epoch_s_batches():
    # Printed every 7 of 20 batches, prints come back to their places after 20 of them, which are 7 epochs; one epoch is enough.
    remedy = diagnose(FOLDER / "torch_shuffle_false_every_7.txt").remedy
    assert (remedy.prints, remedy.hiding_interval) == (20, 20)


def test_a_log_of_few_epochs_does_not_say_what_hides_its_stripes():
    loss = 1 - 0.01 * np.arange(20).reshape(5, 4) + [0.0, 0.1, 0.0, 0.2]
    found = diagnose(loss)
    # Half an epoch at either end is lost with the trend: four whole ones are left, and five are needed.
    assert not found.remedy.is_telling
    assert "too short to say which print interval hides its stripes" in "\n".join(diagnosis_lines(found, "log"))
    assert diagnose(np.tile(loss, (2, 1))).remedy.is_telling
