"""Samples that are set aside: which they are, that no step sees them, and what a sweep keeps of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.problem import check_held_out
from tests import probe

KEY = jax.random.key(3)


@pytest.mark.parametrize(("share", "size"), [(0.2, 4), (0.01, 1), (0.99, 19), (0.26, 5)])
def test_held_out_arrays_and_the_rest_are_all_samples_once(share, size):
    whole = probe.numbered(20)
    apart = jaxsgd.hold_out(whole, share)
    rest, out = np.asarray(apart.data), np.asarray(apart.held_out)
    assert len(out) == size
    assert sorted([*rest, *out]) == list(range(20))
    # The others keep their order, for a file's order is what `fixed` shows.
    assert (np.diff(rest) > 0).all()


def test_arrays_are_drawn_by_the_seed_alone():
    of = [jaxsgd.hold_out(probe.numbered(20), 0.25, seed).held_out for seed in (0, 0, 1)]
    np.testing.assert_array_equal(of[0], of[1])
    assert not np.array_equal(of[0], of[2])
    # Not the file's last samples, which may be all of one kind.
    assert not np.array_equal(of[0], np.arange(15, 20))


def test_drawn_data_are_held_out_of_the_same_draw():
    whole = jaxsgd.problems.least_squares(20, 3)
    apart = jaxsgd.hold_out(whole, 0.25)
    draws = jax.jit(lambda key: (whole.sample_data(key), apart.sample_data(key), apart.sample_held_out(key)))(KEY)
    for every, rest, out in zip(*draws, strict=True):
        np.testing.assert_array_equal(np.concatenate([rest, out]), every)
        assert len(out) == 5
    run = jaxsgd.simulate(apart, KEY, optimizer=optax.sgd(0.1), epochs=1, batch_count=3)
    assert run.size.sum() == 15


LINE = {"num_samples": 20, "num_inputs": 3}
FIELDS = {"batch_counts": [3, 4], "learning_rates": [0.1], "epochs": 3, "orders": ["reshuffle"]}


@pytest.mark.parametrize(
    ("name", "args", "path"),
    [
        pytest.param("least_squares", {"num_samples": 20, "num_inputs": 3}, "one_program", marks=pytest.mark.slow),
        ("least_squares", {"num_samples": 20, "num_inputs": 3}, "grouped"),
        ("digits", {"num_samples": 90, "num_hidden": 4}, "one_program"),
        pytest.param("digits", {"num_samples": 90, "num_hidden": 4}, "grouped", marks=pytest.mark.slow),
    ],
)
def test_a_sweep_keeps_the_loss_and_accuracy_of_what_was_held_out(name, args, path):
    # Where each batch count has a program of its own, a second one says no more.
    fields = FIELDS | {"batch_counts": [4] if path == "grouped" else FIELDS["batch_counts"]}
    study = jaxsgd.Study(problem=name, problem_args=args, held_out=0.3, seeds=[0, 1], **fields)
    ds = jaxsgd.sweep(study, vectorize=path)
    apart = jaxsgd.hold_out(jaxsgd.problems.PROBLEMS[name](**args), 0.3)

    @jax.jit
    def run(key):
        """The parameters after each epoch, the samples that are held out, and their mean loss after each epoch."""
        keys = jaxsgd.streams(key)
        out = jax.tree.map(jnp.asarray, apart.sample_held_out(keys.data))
        how = {"optimizer": optax.sgd(0.1), "batch_count": 4, "order": "reshuffle", "epochs": 3}
        weights = jaxsgd.simulate(apart, keys, observe=lambda params, context: params, **how).observed
        return weights, out, jax.vmap(lambda params: jnp.mean(apart.loss(params, out)))(weights)

    for seed in (0, 1):
        weights, out, losses = jax.tree.map(np.asarray, run(jax.random.key(seed)))
        cell = ds.sel(seed=seed, batch_count=4).squeeze()
        for epoch in range(3):
            then = jax.tree.map(lambda leaf, epoch=epoch: leaf[epoch], weights)
            np.testing.assert_allclose(cell.validation_loss[epoch], losses[epoch], rtol=1e-4)
            if name == "digits":
                (w1, b1), (w2, b2) = then
                images, labels = out
                guess = (np.maximum(images @ w1 + b1, 0) @ w2 + b2).argmax(axis=1)
                assert cell.validation_accuracy[epoch] == pytest.approx(np.mean(guess == labels))
    assert ("validation_accuracy" in ds) == (name == "digits")
    assert ds.validation_loss.attrs["units"] == "loss"


def test_without_held_out_samples_there_is_nothing_to_validate_on():
    ds = jaxsgd.sweep(jaxsgd.Study(problem="least_squares", problem_args=LINE, **FIELDS))
    assert not {"validation_loss", "validation_accuracy"} & set(ds)


def test_other_samples_are_held_out_in_another_study_and_another_result():
    fields = {"problem": "least_squares", "problem_args": LINE, **FIELDS}
    identities = {jaxsgd.Study(**fields, held_out=share).identity for share in (0, 0.1, 0.2)}
    assert len(identities) == 3


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), "0.2"])
@pytest.mark.usefixtures("unchecked")
def test_a_share_that_is_none(share):
    with pytest.raises(jaxsgd.InputError, match=r"^the share to hold out must be above 0 and below 1, such as 0.2, got "):
        jaxsgd.hold_out(probe.numbered(20), share)


def test_what_cannot_be_held_out():
    apart = jaxsgd.hold_out(probe.numbered(20), 0.2)
    with pytest.raises(jaxsgd.InputError, match=r"^problem 'problem' has held-out samples already$"):
        jaxsgd.hold_out(apart, 0.2)
    with pytest.raises(jaxsgd.InputError, match=r"^to hold out samples, a problem must have at least 2, got 1$"):
        jaxsgd.hold_out(probe.numbered(1), 0.2)
    with pytest.raises(jaxsgd.InputError, match="batch_counts: must be at most 14, the number of samples that held_out leaves"):
        jaxsgd.Study(
            problem="least_squares", problem_args={"num_samples": 20}, held_out=0.3, **{**FIELDS, "batch_counts": [15]}
        )
    with pytest.raises(jaxsgd.InputError, match="held_out"):
        jaxsgd.Study(problem="least_squares", held_out=1.0, **FIELDS)


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (jnp.ones((4, 2)), r"a held-out sample of 'problem' must be like a sample of its data, float32\[\], got float32\[2\]"),
        (lambda key: jnp.ones(4), "data and held_out of 'problem' must both be arrays, or both be functions of a key"),
    ],
)
def test_held_out_samples_of_another_kind(held_out, message):
    problem = dataclasses.replace(probe.numbered(20), held_out=held_out)
    with pytest.raises(jaxsgd.InputError, match=f"^{message}$"):
        check_held_out(problem, problem.data)
