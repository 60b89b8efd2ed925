"""Measurements before each step of chosen epochs: at the parameters before the step, with its batch and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.error import InputError
from jaxsgd.results.export import table as table_of
from jaxsgd.results.metric import metrics
from tests import probe, reference

PROBLEM = probe.line()
KEYS = jaxsgd.streams(jax.random.key(0))
OPTIMIZER = optax.sgd(0.01, momentum=0.5)
HOW = {"optimizer": OPTIMIZER, "order": "fixed", "epochs": 5, "observe_every": 2}
LOOKS = (1, 3, 4)
"""The epochs, 0-based, that are observed: every second one and the last."""


def step_facts(params, context):
    return {"weights": params, "gradient": context.gradient, "update": context.update, "target": context.batch[1][0]}


step_facts.dims = ["weight"]


def loop(batch_count):
    """By epoch and position: parameters, batch gradient, and last change before each step of a NumPy loop."""
    x, target = PROBLEM.data
    params = earlier = np.asarray(PROBLEM.init(KEYS.init))
    change, rows = reference.momentum(0.01, 0.5), []
    for _ in range(HOW["epochs"]):
        for batch in np.array_split(np.arange(60), batch_count):
            gradient = x[batch].T @ (x[batch] @ params - target[batch]) / len(batch)
            rows.append((params, gradient, params - earlier, target[batch[0]]))
            earlier, params = params, params + change(gradient)
    names = ("weights", "gradient", "update", "target")
    return {
        name: np.stack(column).reshape(5, batch_count, -1) for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


@pytest.mark.parametrize("batch_count", [4, 7])
def test_values_are_those_of_a_plain_loop_also_for_batches_of_unequal_sizes(batch_count):
    run = jaxsgd.simulate(PROBLEM, KEYS, batch_count=batch_count, observe_batches=[step_facts], **HOW)
    expected = loop(batch_count)
    assert run.observed is None
    for name, values in expected.items():
        seen = run.observed_batches[f"step_facts_{name}"].reshape(3, batch_count, -1)
        np.testing.assert_allclose(seen, values[[*LOOKS]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_count", [4, 7])
def test_the_gradient_norm_of_the_step_is_that_of_its_own_batch_and_the_other_that_of_all_samples(batch_count):
    names = ["batch_gradient_norm", "gradient_norm"]
    run = jaxsgd.simulate(PROBLEM, KEYS, batch_count=batch_count, observe_batches=names, **HOW)
    rows = loop(batch_count)
    own = np.linalg.norm(rows["gradient"], axis=2)[[*LOOKS]]
    x, target = PROBLEM.data
    weights = rows["weights"][[*LOOKS]]
    full = np.linalg.norm((weights @ x.T - target) @ x / 60, axis=2)
    np.testing.assert_allclose(run.observed_batches["batch_gradient_norm"], own, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run.observed_batches["gradient_norm"], full, rtol=1e-4, atol=1e-5)
    assert np.abs(own - full).min() > 1e-4


def test_the_change_before_the_first_step_is_not_known():
    run = jaxsgd.simulate(
        PROBLEM, KEYS, batch_count=4, observe="update_norm", observe_batches=True, **{**HOW, "observe_every": 1}
    )
    assert np.isnan(run.observed_batches[0, 0])
    assert np.isfinite(run.observed_batches.reshape(-1)[1:]).all()
    # The change by the last step of an epoch is that before the first step of the next.
    np.testing.assert_array_equal(run.observed[:-1], run.observed_batches[1:, 0])


def test_measuring_changes_no_loss_and_other_epochs_cost_nothing():
    seen = jaxsgd.simulate(PROBLEM, KEYS, batch_count=4, observe_batches="sharpness", **HOW)
    plain = jaxsgd.simulate(PROBLEM, KEYS, batch_count=4, **{name: HOW[name] for name in ("optimizer", "order", "epochs")})
    np.testing.assert_array_equal(seen.loss, plain.loss)
    np.testing.assert_array_equal(seen.params, plain.params)
    assert seen.observed_batches.shape == (3, 4)


def count_calls(observe_every):
    """Number of measurements that two mapped runs really make: a measurement that is not due is a branch not taken."""
    calls = []

    def counted(params, context):
        jax.debug.callback(lambda: calls.append(1))
        return jnp.sum(params)

    def run(rate):
        how = {"batch_count": 4, "epochs": 5, "optimizer": optax.sgd(rate)}
        return jaxsgd.simulate(PROBLEM, KEYS, observe_batches=counted, observe_every=observe_every, **how).observed_batches

    jax.block_until_ready(jax.vmap(run)(jnp.asarray([0.01, 0.02])))
    jax.effects_barrier()
    return len(calls)


def test_only_the_chosen_epochs_are_measured_under_vmap():
    calls = count_calls(1)
    assert count_calls(2) * 5 == calls * 3


STUDY = {
    "problem": "least_squares", "problem_args": {"num_samples": 40, "num_inputs": 4}, "seeds": [0, 1], "batch_counts": [2, 5],
    "learning_rates": [0.01, 0.02], "epochs": 4, "observe_every": 2,
}  # fmt: skip


def test_a_study_has_them_by_batch_and_reads_and_exports_them(tmp_path):
    study = jaxsgd.Study(**STUDY, observe=["parameter_norm"], observe_batches=["gradient_norm", "parameter_norm"])
    ds = jaxsgd.sweep(study, tmp_path / "result")
    own = ds["gradient_norm_batch"]
    assert own.dims[-2:] == ("observation", "batch")
    assert own.sizes["observation"] == 2
    assert own.sizes["batch"] == 5
    assert np.isnan(own.sel(batch_count=2).isel(batch=slice(2, None))).all()
    assert np.isfinite(own.sel(batch_count=5)).all()
    problem = jaxsgd.problems.least_squares(num_samples=40, num_inputs=4)
    how = {"batch_count": 2, "epochs": 4, "optimizer": optax.sgd(0.02), "observe_every": 2, "order": "fixed"}
    run = jaxsgd.simulate(problem, jax.random.key(1), observe_batches=["gradient_norm"], **how)
    chosen = own.sel(batch_count=2, learning_rate=0.02, seed=1).isel(batch=slice(2)).squeeze()
    np.testing.assert_allclose(chosen, run.observed_batches["gradient_norm"], rtol=1e-5)
    loaded = jaxsgd.load(tmp_path / "result")
    np.testing.assert_array_equal(loaded["parameter_norm_batch"], ds["parameter_norm_batch"])
    assert "gradient_norm_batch" not in metrics(ds)
    table = table_of(ds)
    rows = table[table["gradient_norm_batch"].notna()]
    assert len(rows) == 2 * 2 * 2 * (2 + 5)
    assert set(rows["observation"]) == {0, 1}
    assert len(table[table["parameter_norm"].notna()]) == 8 * 2
    assert jaxsgd.verify(tmp_path / "result").differences == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"observe_batches": True}, "observe_batches: True needs observe"),
        ({"observe_batches": ["sharpnes"]}, "sharpness"),
        ({"observe_batches": ["gradient_norm"], "observe_every": None}, "observe_every: observe_batches needs it"),
        ({"observe_batches": ["gradient_norm"], "stop": {"train_loss": 0.1}, "evaluate_every": 0.5}, "stop"),
    ],
)
def test_mistakes_in_a_study_are_one_line(fields, message):
    with pytest.raises(InputError, match=message):
        jaxsgd.Study(**{**STUDY, **fields})


def test_one_program_for_all_batch_counts_measures_the_same():
    study = jaxsgd.Study(
        **{**STUDY, "batch_counts": [2, 7]}, observe_batches=["gradient_norm", "tests.test_observe_batches:facts"]
    )
    one_program, own = (jaxsgd.sweep(study, vectorize=path) for path in ("one_program", "grouped"))
    for name in ("gradient_norm_batch", "facts_size_batch", "facts_gradient_batch", "facts_sum_batch"):
        np.testing.assert_allclose(one_program[name], own[name], rtol=1e-4, err_msg=name)


def facts(params, context):
    _, target = context.batch
    own = jnp.arange(len(target)) < context.batch_size
    return {"size": context.batch_size, "gradient": context.gradient, "sum": jnp.sum(jnp.where(own, target, 0))}


def test_a_random_loss_measures_before_steps_in_programs_of_their_own():
    problem = jaxsgd.Problem(PROBLEM.init, lambda params, batch, key: PROBLEM.loss(params, batch), PROBLEM.data)
    fields = {"problem": problem, "batch_counts": [2, 5], "learning_rates": [0.01], "seeds": [0], "epochs": 2}
    study = jaxsgd.Study(**fields, observe_batches=["gradient_norm"], observe_every=1)
    with pytest.raises(InputError, match="observe_batches measures would have other random numbers than the steps"):
        jaxsgd.sweep(study, vectorize="one_program")


def test_simulate_says_what_is_missing():
    how = {"optimizer": OPTIMIZER, "epochs": 1, "batch_count": 2}
    with pytest.raises(InputError, match="observe_batches needs observe_every"):
        jaxsgd.simulate(PROBLEM, KEYS, observe_batches="gradient_norm", **how)
    with pytest.raises(InputError, match="observe_batches=True needs observe"):
        jaxsgd.simulate(PROBLEM, KEYS, observe_batches=True, observe_every=1, **how)


@pytest.mark.parametrize("name", ["batch", "batch_size", "gradient"])
def test_what_only_a_step_has_is_refused_after_an_epoch(name):
    # Without the refusal the norm of a missing gradient is 0: None is a tree without leaves.
    def norm(params, context):
        return optax.tree.norm(getattr(context, name))

    norm.__name__ = "norm"
    how = {"optimizer": OPTIMIZER, "epochs": 1, "batch_count": 2}
    with pytest.raises(InputError, match=rf"context.{name} is only known before a step: .* observe_batches=\[...\]"):
        jaxsgd.simulate(PROBLEM, KEYS, observe=norm, **how)
    run = jaxsgd.simulate(PROBLEM, KEYS, observe_batches=[norm], observe_every=1, **how)
    assert np.all(np.asarray(run.observed_batches["norm"]) > 0)


def test_a_context_without_a_step_has_a_repr():
    shown = []

    def look(params, context):
        shown.append((context.is_before_step, repr(context)))
        return 0.0

    jaxsgd.simulate(PROBLEM, KEYS, observe=look, optimizer=OPTIMIZER, epochs=1, batch_count=2)
    assert shown[0][0] is False
    assert shown[0][1].startswith("Context(")
