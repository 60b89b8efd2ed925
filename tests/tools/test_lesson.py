"""The lesson: what is taught and what is held out, and a small one from runs to the files that it leaves."""

import json

import numpy as np
import pytest

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.model import MEASURES
from tools.diagnosis_model import lesson
from tools.diagnosis_model.lesson import COURSES, SHARES, STEPS, Share, Subject, main, recorded_runs, studies


def test_what_is_held_out_has_no_seed_batch_count_or_problem_setting_in_common_with_what_is_taught():
    taught, held_out = SHARES["taught"], SHARES["held_out"]
    for name in ("seeds", "counts", "last_shares"):
        assert not set(getattr(taught, name)) & set(getattr(held_out, name))
    settings = [{json.dumps(subject[:2], sort_keys=True) for subject in share.subjects} for share in (taught, held_out)]
    assert not settings[0] & settings[1]


@pytest.mark.parametrize("side", SHARES)
def test_each_side_has_every_course_and_ragged_splits_of_each_problem(side):
    share = SHARES[side]
    made = dict(studies(share))
    of_each = [len(STEPS) + 1 if subject.steps_only else 2 + len(COURSES) for subject in share.subjects]
    assert len(made) == sum(of_each)
    for name, study in made.items():
        assert study.schedule == next(
            (f"tools.diagnosis_model.rate_course:{each}" for each in COURSES if name.endswith(each)), "constant"
        )
        if not name.endswith("ragged"):
            assert study.batch_counts == share.counts
            continue
        samples = study.problem_args["num_samples"]
        found = sorted(samples % size / size for size in study.batch_sizes)
        assert found == pytest.approx(sorted(share.last_shares), abs=0.05)


@pytest.mark.slow
def test_a_small_lesson_leaves_a_model_a_report_and_a_figure(tmp_path, monkeypatch, capsys):
    subject = Subject("noisy_quadratic", {"num_samples": 96, "num_inputs": 8}, (0.1, 0.05))
    shares = {
        "taught": Share((subject,), tuple(range(4)), (4, 12), (0.2,), logs=20),
        "held_out": Share((subject,), tuple(range(10, 14)), (6,), (0.3,), logs=20),
    }
    monkeypatch.setattr(lesson, "SHARES", shares)
    main(["--out", str(tmp_path)])
    stored = json.loads((tmp_path / "model.json").read_text())
    assert tuple(stored["causes"]) == CAUSE_NAMES
    for name, model in stored["causes"].items():
        assert tuple(model["weights"]) == MEASURES[name]
        assert np.isfinite([model["intercept"], *model["weights"].values()]).all()
    assert (tmp_path / "report.md").read_text() == capsys.readouterr().out
    assert all((tmp_path / f"reliability.{kind}").stat().st_size > 1000 for kind in ("png", "svg"))
    # Again from the runs that are there: the same model.
    before = (tmp_path / "model.json").read_bytes()
    main(["--out", str(tmp_path)])
    assert (tmp_path / "model.json").read_bytes() == before


@pytest.mark.slow
def test_of_a_subject_with_steps_only_the_other_runs_are_partners_and_no_logs(tmp_path):
    subject = Subject("noisy_quadratic", {"num_samples": 96, "num_inputs": 8}, (0.1, 0.05), steps_only=True)
    share = Share((subject,), tuple(range(4)), (4,), (0.2,), logs=1)
    runs = list(recorded_runs(share, tmp_path, lambda name: None))
    assert {each.setting.split(" ")[0] for each in runs} == {f"0_noisy_quadratic_{course}" for course in STEPS}
    assert all(each.plain is not None and each.plain.shape == each.loss.shape for each in runs)
