"""The recorded runs of both sides."""

import json

import numpy as np
import pytest

from jaxsgd.optimizer import optimizer_named
from tools.diagnosis_model import rate_course
from tools.diagnosis_model.rate_course import COURSES, constant, course_factor, restarts, restarts_each_epoch, steps
from tools.diagnosis_model.recordings import SIDES, STEPPED, Side, TrainedProblem, recordings, studies


def test_what_is_held_out_has_no_seed_batch_count_or_problem_setting_in_common_with_what_is_taught():
    taught, held_out = SIDES["taught"], SIDES["held_out"]
    for name in ("seeds", "counts", "last_shares"):
        assert not set(getattr(taught, name)) & set(getattr(held_out, name))
    settings = [{json.dumps(problem[:2], sort_keys=True) for problem in side.problems} for side in (taught, held_out)]
    assert not settings[0] & settings[1]


@pytest.mark.parametrize("side", SIDES)
def test_each_side_has_every_course_replacement_and_ragged_splits_of_each_problem(side):
    side = SIDES[side]
    by_folder = dict(studies(side))
    assert len(by_folder) == sum(1 if problem.steps_only else 3 for problem in side.problems)
    for name, study in by_folder.items():
        if name.endswith("ragged"):
            samples = study.problem_args["num_samples"]
            last_shares = sorted(samples % size / size for size in study.batch_sizes)
            assert last_shares == pytest.approx(sorted(side.last_shares), abs=0.05)
            continue
        assert study.batch_counts == side.counts
        if name.endswith("replacement"):
            assert (study.orders, study.hyper) == (("replacement",), {})
            continue
        problem = side.problems[int(name.partition("_")[0])]
        courses = STEPPED if problem.steps_only else COURSES
        assert [COURSES[int(number)] for number in study.hyper["course"]] == list(courses)
        # The steps of the whole training at each batch count.
        assert study.hyper["num_steps"] == tuple(study.epochs * count for count in side.counts)


def test_a_rate_on_a_course_steps_where_epochs_begin():
    # In 60 epochs of 5 batches a third is 100 steps, a restart of twelve is 25, and one of sixty is 5.
    progress = np.arange(300) / 300
    assert np.asarray(steps(progress)) == pytest.approx(np.repeat([1, 0.1, 0.01], 100))
    for course, every in ((restarts, 25), (restarts_each_epoch, 5)):
        rate = np.asarray(course(progress))
        assert set(np.flatnonzero(np.diff(rate) > 0) + 1) == set(range(every, 300, every))
    for number, course in enumerate(COURSES):
        assert float(course_factor(number, 0.4)) == pytest.approx(float(course(0.4)))


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_an_optimizer_on_a_course_is_that_of_its_name_with_the_rate_of_the_course(name):
    # Two steps of three: of the course that divides the rate by ten at a third, the second has a tenth.
    number = COURSES.index(steps)
    gradient = np.array([1.0, -2.0], np.float32)
    own = getattr(rate_course, name)(0.5, course=number, num_steps=3)
    state, moves = own.init(gradient), []
    for _ in range(2):
        move, state = own.update(gradient, state)
        moves.append(np.asarray(move))
    plain = optimizer_named(name)(0.5)
    state, expected = plain.init(gradient), []
    for factor in (1.0, 0.1):
        move, state = plain.update(gradient, state)
        expected.append(factor * np.asarray(move))
    np.testing.assert_allclose(moves, expected, rtol=1e-6)


@pytest.mark.slow
def test_of_a_problem_with_steps_only_the_other_runs_are_partners_and_no_logs(tmp_path):
    problem = TrainedProblem("noisy_quadratic", {"num_samples": 96, "num_inputs": 8}, (0.1, 0.05), steps_only=True)
    side = Side((problem,), tuple(range(4)), (4,), (0.2,), logs=1)
    runs = list(recordings(side, tmp_path, lambda name: None))
    names = {course.__name__ for course in STEPPED if course is not constant}
    assert {recording.setting.split(" ")[1] for recording in runs} == names
    assert all(recording.plain is not None and recording.plain.shape == recording.loss.shape for recording in runs)
