"""Small logs of the kinds that were misread (`logs/misread`) are diagnosed rightly, or it is said what they lack."""

import numpy as np
import pytest

from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.report import diagnosis_lines
from tests.diagnosis.test_diagnose import FOLDER

CAUSES = {
    "F03_staircase_fitting.json": {"re_exposure"},
    "F03_staircase_sliding.json": {"re_exposure"},
    "F05_two_candidates.csv": {"re_exposure"},
    "F15_rounded_running_mean.txt": {"running_mean"},
    "F16_mean_never_reset.txt": set(),
    "F16b_smooth.txt": set(),
    "F26_ragged_not_printed.txt": set(),
    "axon_long.txt": {"aliasing"},
}


def misread(name):
    return diagnose(FOLDER / "misread" / name)


@pytest.mark.parametrize("name", CAUSES)
def test_a_log_that_was_misread_has_its_causes(name):
    diagnosis = misread(name)
    assert set(diagnosis.causes) == CAUSES[name], str(diagnosis)
    assert not diagnosis.is_doubtful


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("F04_one_epoch.csv", "One epoch only: the log has 40 losses of one epoch."),
        ("F21_total_changes.txt", "One print an epoch: the log has one loss an epoch"),
        ("F27_total_known.txt", "One epoch only: the log has 30 losses of one epoch, 12 % of its 24,681 batches."),
    ],
)
def test_a_log_that_cannot_show_a_pattern_is_answered_with_the_reason(name, answer):
    diagnosis = misread(name)
    assert diagnosis.causes == ()
    assert diagnosis_lines(diagnosis, name)[0].startswith(answer)


def test_a_last_batch_that_is_never_printed_is_unknown():
    diagnosis = misread("F26_ragged_not_printed.txt")
    (verdict,) = (verdict for verdict in diagnosis.verdicts if verdict.cause.name == "ragged_batch")
    assert np.isnan(verdict.probability)
    assert any("the last batch of an epoch is never printed" in line for line in diagnosis_lines(diagnosis, "log"))


def test_batch_counts_that_give_the_same_answer_are_one_answer():
    diagnosis = misread("F05_two_candidates.csv")
    counts = {diagnosis.period.batch_count, *(other.batch_count for other in diagnosis.period.others)}
    assert len(counts) > 1
    assert diagnosis.period.confidence == 1
    for count in counts:
        again = diagnose(FOLDER / "misread" / "F05_two_candidates.csv", batches_per_epoch=count)
        assert again.causes == diagnosis.causes
