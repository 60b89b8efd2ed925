"""The recorded runs of both sides."""

import json

import pytest

from tools.diagnosis_model.recordings import COURSES, SIDES, STEPS, Side, TrainedProblem, recordings, studies


def test_what_is_held_out_has_no_seed_batch_count_or_problem_setting_in_common_with_what_is_taught():
    taught, held_out = SIDES["taught"], SIDES["held_out"]
    for name in ("seeds", "counts", "last_shares"):
        assert not set(getattr(taught, name)) & set(getattr(held_out, name))
    settings = [{json.dumps(problem[:2], sort_keys=True) for problem in side.problems} for side in (taught, held_out)]
    assert not settings[0] & settings[1]


@pytest.mark.parametrize("side", SIDES)
def test_each_side_has_every_course_and_ragged_splits_of_each_problem(side):
    side = SIDES[side]
    by_folder = dict(studies(side))
    counts = [len(STEPS) + 1 if problem.steps_only else 2 + len(COURSES) for problem in side.problems]
    assert len(by_folder) == sum(counts)
    for name, study in by_folder.items():
        course = next((course for course in COURSES if name.endswith(course)), None)
        assert study.schedule == (f"tools.diagnosis_model.rate_course:{course}" if course else "constant")
        if not name.endswith("ragged"):
            assert study.batch_counts == side.counts
            continue
        samples = study.problem_args["num_samples"]
        last_shares = sorted(samples % size / size for size in study.batch_sizes)
        assert last_shares == pytest.approx(sorted(side.last_shares), abs=0.05)


@pytest.mark.slow
def test_of_a_problem_with_steps_only_the_other_runs_are_partners_and_no_logs(tmp_path):
    problem = TrainedProblem("noisy_quadratic", {"num_samples": 96, "num_inputs": 8}, (0.1, 0.05), steps_only=True)
    side = Side((problem,), tuple(range(4)), (4,), (0.2,), logs=1)
    runs = list(recordings(side, tmp_path, lambda name: None))
    assert {recording.setting.split(" ")[0] for recording in runs} == {f"0_noisy_quadratic_{course}" for course in STEPS}
    assert all(recording.plain is not None and recording.plain.shape == recording.loss.shape for recording in runs)
