"""False alarms are counted on logs in which nothing is periodic, of runs that the model was not trained or tried on."""

import numpy as np

from tools.diagnosis_model.false_alarms import COUNTS, PROBLEMS, SEEDS, alarm_text, alarms, plain_studies
from tools.diagnosis_model.lasting import lasting_examples, lasting_log, unmarked_habit
from tools.diagnosis_model.recordings import SIDES


def test_the_runs_have_no_problem_or_seed_in_common_with_those_of_either_side():
    for side in SIDES.values():
        assert not {problem.name for problem in side.problems} & {problem.name for problem in PROBLEMS}
        assert not set(side.seeds) & set(SEEDS)
        assert not set(side.counts) & set(COUNTS)


def test_the_runs_have_a_new_order_in_each_epoch_a_constant_rate():
    for _, study in plain_studies():
        assert set(study.orders) == {"reshuffle", "replacement"}
        assert study.schedules is None
        assert not study.hyper


def test_a_habit_that_leaves_no_mark_prints_no_running_mean_and_counts_each_batch_once():
    habits = [unmarked_habit(12, np.random.default_rng(seed)) for seed in range(200)]
    assert {habit.form for habit in habits} == {"window", "batch", "smooth"}
    assert {habit.last_factor for habit in habits} == {1.0}
    assert {habit.restarts for habit in habits} == {False, True}


def test_losses_drawn_at_random_are_of_many_lengths_and_of_the_same_random_numbers_the_same():
    logs = [lasting_log(np.random.default_rng(seed)) for seed in range(60)]
    epochs = [int(log.epoch[-1]) for log in logs if len(log.loss)]
    assert min(epochs) < 10 < 100 < max(epochs)
    np.testing.assert_array_equal(logs[7].loss, lasting_log(np.random.default_rng(7)).loss)


def test_the_text_has_the_share_with_its_wilson_interval_and_the_causes():
    examples = lasting_examples(40, 0)
    assert all((example.truth == 0).all() for example in examples)
    # Of none in n, Wilson's interval ends at z^2 / (n + z^2).
    quiet = [example for example in examples if not alarms([example])]
    end = 1.959964**2 / (len(quiet) + 1.959964**2)
    assert alarm_text("drawn", quiet) == f"drawn: 0 of {len(quiet)} logs (0.00%, 95 % interval 0.00% to {end:.2%})\n"
    numbers = {**quiet[0].features, "rate_steps": 1.0}
    loud = [quiet[0]._replace(features=numbers), *quiet[1:]]
    assert alarms(loud) == {"schedule": 1, "any": 1}
    assert alarm_text("drawn", loud).endswith("): schedule 1\n")
