"""A damaged log is one clear line or an answer: no other exception, whatever the bytes."""

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest

from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.log import read_log
from jaxsgd.diagnosis.report import diagnosis_lines, diagnosis_report
from jaxsgd.error import InputError
from tests.diagnosis.damage import damaged
from tests.diagnosis.trainer_lines import FORMATS, text

pytestmark = pytest.mark.usefixtures("unchecked")

FOLDER = Path(__file__).parent / "logs"

LARGEST = 20_000
"""Number of bytes of a log that are kept, so that many can be tried."""


def whole_logs():
    files = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".events")
    return [path.read_bytes()[:LARGEST] for path in files] + [text(form).encode() for form in FORMATS.values()]


def check_damaged(seeds, folder):
    """Check that each damaged log is answered or refused in one line."""
    answered = 0
    for seed, content in zip(seeds, itertools.cycle(whole_logs()), strict=False):
        (folder / "log").write_bytes(damaged(content, np.random.default_rng(seed)))
        diagnosis, refusal = None, ""
        try:
            diagnosis = diagnose(folder / "log")
        except InputError as error:
            refusal = str(error)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        if diagnosis is None:
            assert refusal.strip()
            assert "\n" not in refusal, f"seed {seed}"
            continue
        assert diagnosis_lines(diagnosis, "log")
        assert diagnosis_report(diagnosis)["finding"]
        answered += 1
    return answered


def test_damaged_logs_are_answered_or_refused_in_one_line(tmp_path):
    # A warning of numpy would be a number that is not one: it is an error here.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answered = check_damaged(range(400), tmp_path)
    # Most damage is local, so most logs still tell something.
    assert 200 < answered < 400


@pytest.mark.slow
def test_many_damaged_logs_are_answered_or_refused_in_one_line(tmp_path):
    assert check_damaged(range(10_000, 30_000), tmp_path) > 10_000


def test_a_number_of_400_digits_among_the_counts_is_no_count(tmp_path):
    lines = [f"epoch {1 + k // 6} step {k} loss {1 + k % 6}\n" for k in range(60)]
    lines[30] = f"epoch {'9' * 400} step {'9' * 400} loss 1\n"
    (tmp_path / "log").write_text("".join(lines))
    diagnosis = diagnose(tmp_path / "log")
    assert len(diagnosis.log.loss) == 59
    assert diagnosis.period.batch_count == 6


MILLION = 1_000_000


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("loss" + " " * MILLION + "1.5", 2),
        ("loss of " * 100_000 + "1.5", 2),
        ("x" * MILLION + " 1.5", 0),
        ("1/2 " * 200_000, 0),
    ],
)
def test_a_line_of_a_million_letters_is_read_or_refused(line, count, tmp_path):
    # Matching that grows with the square of the length would take hours.
    (tmp_path / "log").write_text((line + "\n") * 2)
    if count:
        assert len(read_log(tmp_path / "log").loss) == count
    else:
        with pytest.raises(InputError, match="no number stands beside a name that contains 'loss'"):
            read_log(tmp_path / "log")
