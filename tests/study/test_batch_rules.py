"""Batch rules: the values that they give, where they start, and where they lead outside a range."""

import numpy as np
import pytest

import jaxsgd
from jaxsgd.schedule import SCHEDULES
from jaxsgd.study.batch_rules import BATCH_RULES, RULE_FAMILIES, BatchRule, batch_rule_named, named_rules
from jaxsgd.study.cells import cells

LEFT_OUT = None


def study(**fields):
    """60 samples; batch counts of 1, 4 and 16 are 4, 1 and 1/4 of the batch size at the reference of 4."""
    fields = {"batch_counts": [1, 4, 16], "reference_batch_count": 4, "learning_rates": [0.8], "seeds": [0]} | fields
    args = {"num_samples": 60, "num_inputs": 3}
    return jaxsgd.Study(problem="least_squares", problem_args=args, epochs=1, **fields)


@pytest.mark.parametrize(
    ("rule", "start", "values"),
    [
        ("constant", 0.8, [0.8, 0.8, 0.8]),
        ("linear", 0.8, [3.2, 0.8, 0.2]),
        ("sqrt", 0.8, [1.6, 0.8, 0.4]),
        ("inverse_sqrt", 0.8, [0.4, 0.8, 1.6]),
        ("power(-1)", 0.8, [0.2, 0.8, 3.2]),
        # 0.9 ** 4, and its fourth root by two square roots.
        ("half_life", 0.9, [0.6561, 0.9, 0.9740037464252967]),
        # 1 - 4 * 0.1, and 1 - 0.1 / 4.
        ("complement", 0.9, [0.6, 0.9, 0.975]),
    ],
)
def test_rules_by_hand(rule, start, values):
    np.testing.assert_allclose(batch_rule_named(rule).value(np.full(3, start), np.asarray([4, 1, 0.25])), values, rtol=1e-14)


def test_all_rules_are_under_test_and_change_nothing_at_the_reference():
    for name in [*BATCH_RULES, *(f"{family}(0.3)" for family in RULE_FAMILIES)]:
        start = np.asarray([0.0, 0.5, 0.9])
        np.testing.assert_allclose(batch_rule_named(name).value(start, np.ones(3)), start, rtol=0, atol=1e-16, err_msg=name)


def test_half_life_keeps_the_samples_after_which_half_is_forgotten():
    # Half of a memory is forgotten after log(1/2) / log(b2) steps of 60 / m samples.
    ruled = cells(study(optimizer="adam", hyper={"b2": [0.99]}, batch_rules={"b2": "half_life"}), 60)
    samples = np.log(0.5) / np.log(ruled.used("b2")) * 60 / ruled.batch_count
    np.testing.assert_allclose(samples, np.log(0.5) / np.log(0.99) * 15, rtol=1e-12)


@pytest.mark.parametrize(("rate_rule", "same"), [("sqrt", "sqrt"), ("linear", "constant"), ("constant", "linear")])
def test_timescale_keeps_rate_times_decay_times_steps(rate_rule, same):
    rules = {"weight_decay": "timescale", "learning_rate": rate_rule}
    ruled = cells(study(optimizer="adamw", hyper={"weight_decay": [0.01]}, batch_rules=rules), 60)
    np.testing.assert_allclose(ruled.rate * ruled.used("weight_decay") * ruled.batch_count, 0.8 * 0.01 * 4, rtol=1e-12)
    other = cells(study(optimizer="adamw", hyper={"weight_decay": [0.01]}, batch_rules=rules | {"weight_decay": same}), 60)
    np.testing.assert_allclose(ruled.used("weight_decay"), other.used("weight_decay"), rtol=1e-12)


def test_the_reference_may_be_a_batch_count_or_a_batch_size():
    rules = {"learning_rate": "linear"}
    by_count = cells(study(batch_rules=rules), 60)
    np.testing.assert_allclose(by_count.rate, [3.2, 0.8, 0.2], rtol=1e-15)
    by_size = cells(study(batch_rules=rules, reference_batch_count=LEFT_OUT, reference_batch_size=15), 60)
    np.testing.assert_allclose(by_size.rate, [3.2, 0.8, 0.2], rtol=1e-15)
    # Batches of 60, 15 and 8 samples are 1, 4 and 8 to an epoch: a size is 4, 1 and 8/15 of 15, a count is 4, 1 and 4/8 of 4.
    sizes = {"batch_counts": LEFT_OUT, "batch_sizes": [60, 15, 8]}
    np.testing.assert_allclose(cells(study(batch_rules=rules, **sizes), 60).rate, [3.2, 0.8, 0.4], rtol=1e-15)
    sizes |= {"reference_batch_count": LEFT_OUT, "reference_batch_size": 15}
    np.testing.assert_allclose(cells(study(batch_rules=rules, **sizes), 60).rate, [3.2, 0.8, 0.8 * 8 / 15], rtol=1e-15)


def test_a_rule_starts_from_an_axis_an_argument_or_the_optimizers_default():
    rules = {"b1": "half_life", "b2": "half_life", "eps": "inverse_sqrt"}
    ruled = cells(study(optimizer="adam", hyper={"b1": [0.5, 0.8]}, optimizer_args={"b2": 0.99}, batch_rules=rules), 60)
    used = {name: ruled.used(name).reshape(2, 3) for name in rules}
    np.testing.assert_allclose(used["b1"], [[0.5**4, 0.5, 0.5**0.25], [0.8**4, 0.8, 0.8**0.25]], rtol=1e-12)
    np.testing.assert_allclose(used["b2"], [[0.99**4, 0.99, 0.99**0.25]] * 2, rtol=1e-12)
    np.testing.assert_allclose(used["eps"], [[5e-9, 1e-8, 2e-8]] * 2, rtol=1e-12)  # optax's default is 1e-8
    # Two optimizers each start from their own default: rmsprop's decay is 0.9, and there is none for a pointer.
    ruled = cells(study(optimizers=["momentum", "nesterov"], batch_rules={"momentum": "half_life"}), 60)
    np.testing.assert_allclose(ruled.used("momentum"), [0.9**4, 0.9, 0.9**0.25] * 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"optimizer": "adam", "hyper": {"b2": [0.9, 0.5]}, "batch_rules": {"b2": "complement"}},
            "batch_rules: 'complement' makes b2 -1 from 0.5, where it must be from 0 to below 1, in the cell seed=0, "
            "optimizer=adam, order=fixed, batch_rule=b2 complement, b2=0.5, learning_rate=0.8, batch_count=1; ",
        ),
        (
            {"optimizer": "adam", "batch_rules": {"b2": "linear"}},
            "batch_rules: 'linear' makes b2 3.996 from 0.999, where it must be from 0 to below 1, in the cell ",
        ),
        (
            {"optimizer": "sgd", "batch_rules": {"momentum": "half_life"}},
            "batch_rules: momentum of optimizer 'sgd' has no value for a rule to start from; give one in hyper, such as "
            "hyper={'momentum': [0.9]}, or in optimizer_args",
        ),
        (
            {"optimizer": "optax:adam", "batch_rules": {"b2": "half_life"}},
            "batch_rules: b2 of optimizer 'optax:adam' has no value for a rule to start from; ",
        ),
    ],
)
def test_a_rule_that_leads_outside_a_range_names_the_cell(fields, words):
    with pytest.raises(jaxsgd.InputError) as caught:
        study(**fields)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_sets_of_rules_are_one_a_list_or_by_name():
    sqrt, linear = {"learning_rate": "sqrt", "momentum": "half_life"}, {"learning_rate": "linear"}
    assert named_rules(sqrt) == (("learning_rate sqrt, momentum half_life", sqrt),)
    assert named_rules([{}, linear]) == (("none", {}), ("learning_rate linear", linear))
    assert named_rules({"Goyal": linear, "own": sqrt}) == (("Goyal", linear), ("own", sqrt))
    assert named_rules(named_rules({"Goyal": linear})) == (("Goyal", linear),)


def test_a_cell_of_one_set_of_rules_is_not_changed_by_the_others():
    rules = {"none": {}, "own": {"learning_rate": "sqrt", "momentum": "half_life"}}
    ruled = cells(study(hyper={"momentum": [0.9]}, batch_rules=rules), 60)
    np.testing.assert_allclose(ruled.rate, [0.8, 0.8, 0.8, 1.6, 0.8, 0.4], rtol=1e-15)
    np.testing.assert_allclose(ruled.used("momentum"), [0.9, 0.9, 0.9, 0.9**4, 0.9, 0.9**0.25], rtol=1e-12)


def test_keys_follow_the_rules_and_not_their_names():
    plain = cells(study(reference_batch_count=LEFT_OUT), 60).keys()
    named = {"a": {"learning_rate": "sqrt"}, "b": {}}
    first = cells(study(batch_rules=named, schedules=["constant", "linear"]), 60).keys()
    again = cells(study(batch_rules={"x": {}, "y": {"learning_rate": "sqrt"}}), 60).keys()
    # Without rules, and with a constant schedule, a cell is that of a study without these axes. Batch counts are innermost.
    assert first[3:6] == plain
    assert again == [*plain, *first[:3]]
    assert len(set(first)) == 12
    # Another reference is another run, and the same rules in another order are the same run.
    assert not set(cells(study(batch_rules=named, reference_batch_count=2), 60).keys()[:3]) & set(first)
    both = {"learning_rate": "sqrt", "momentum": "half_life"}
    keys = [cells(study(hyper={"momentum": [0.9]}, batch_rules=own), 60).keys() for own in (both, dict(reversed(both.items())))]
    assert keys[0] == keys[1]


def test_a_schedule_and_a_batch_rule_are_one_entry_each(monkeypatch):
    monkeypatch.setitem(SCHEDULES, "square", lambda progress: (1 - progress) ** 2)
    monkeypatch.setitem(BATCH_RULES, "cube_root", BatchRule(lambda value, kappa: value * np.cbrt(kappa), "v k ** (1/3)"))
    ruled = study(batch_rules={"learning_rate": "cube_root"}, schedules=["constant", "square"], batch_counts=[4, 32])
    # 32 batches an epoch are an eighth of the batch size: half of the rate.
    np.testing.assert_allclose(cells(ruled, 60).rate, [0.8, 0.4] * 2, rtol=1e-12)
    with pytest.raises(jaxsgd.InputError, match="valid: complement, constant, cube_root, half_life"):
        study(batch_rules={"learning_rate": "cube"})


def test_a_result_has_the_values_used_and_no_metric_of_them():
    ruled = study(
        optimizer="momentum", batch_rules=[{}, {"learning_rate": "sqrt", "momentum": "half_life"}], batch_counts=[1, 4]
    )
    ds = jaxsgd.sweep(ruled)
    np.testing.assert_allclose(ds["rate"].squeeze(), [[0.8, 0.8], [1.6, 0.8]])
    np.testing.assert_allclose(ds["momentum_used"].squeeze(), [[0.9, 0.9], [0.9**4, 0.9]])
    assert ds["momentum_used"].attrs["long_name"] == "momentum after the batch rules"
    best = jaxsgd.best(ds, "loss_epoch")
    assert best["median_value"].sizes["batch_rule"] == 2  # a best setting for each set of rules
