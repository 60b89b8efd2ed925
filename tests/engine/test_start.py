"""Forks: studies whose runs begin at the parameters that another result kept."""

import functools
import json
import shutil

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.order import as_order, split, visits
from tests.single_run import NETWORK, SIZES, drawn, single_run

FIELDS = {"problem": "square_regression", "problem_args": SIZES, "orders": ["reshuffle"], "batch_counts": [2, 5], "epochs": 2}
PARENT = Study(**FIELDS, seeds=[0, 1], learning_rates=[0.1, 0.5], keep="final")


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "parent"
    jaxsgd.sweep(PARENT, folder, chunk_width=2)
    return folder


def fork(parent, **fields):
    return Study(**FIELDS | {"seeds": [0, 1], "learning_rates": [0.1, 0.5], "start": str(parent)} | fields)


@functools.cache
def kept_by(parent, read=jaxsgd.parameters, **chosen):
    """The parameters, or with `jaxsgd.state` the optimizer's state, of a cell of the parent, read once."""
    return read(parent, **chosen)


def continued(parent, order_seed, count, rate, *, seed, parent_count=None, parent_rate=None):
    """The losses of a single run from the parent's parameters."""
    chosen = {"seed": seed, "batch_count": parent_count or count, "learning_rate": parent_rate or rate}
    params = kept_by(parent, **chosen, order="reshuffle", optimizer="sgd")
    how = {"seed": seed, "order_seed": order_seed, "batch_count": count, "epochs": 2}
    return single_run(optax.sgd, rate, params=params, **how).loss


@pytest.mark.parametrize("vectorize", ["one_program", "grouped"])
def test_every_cell_begins_at_the_parents_cell_of_the_same_values(vectorize, parent):
    ds = jaxsgd.sweep(fork(parent), vectorize=vectorize).squeeze()
    for seed in (0, 1):
        for rate in (0.1, 0.5):
            for count in (2, 5):
                cell = ds.sel(seed=seed, learning_rate=rate, batch_count=count).loss[:, :count]
                np.testing.assert_allclose(cell, continued(parent, seed, count, rate, seed=seed), rtol=1e-5)


def test_another_rate_and_batch_count_and_more_seeds_of_the_order(parent):
    fields = {"seeds": None, "data_seeds": [1], "order_seeds": [7, 8], "learning_rates": [0.3], "batch_counts": [4]}
    study = fork(parent, **fields, start_select={"learning_rate": 0.5, "batch_count": 2})
    ds = jaxsgd.sweep(study).squeeze()
    for order_seed in (7, 8):
        expected = continued(parent, order_seed, 4, 0.3, seed=1, parent_count=2, parent_rate=0.5)
        np.testing.assert_allclose(ds.sel(order_seed=order_seed).loss, expected, rtol=1e-5)
    # Before the first step of the fork nothing but the order differs: the same samples, the same parameters.
    first = ds.loss_epoch.isel(epoch=0)
    assert first.sel(order_seed=7) != first.sel(order_seed=8)


def test_a_stored_fork_is_continued_verified_and_run_by_workers(parent, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    study = fork(parent, seeds=[0])
    whole = jaxsgd.sweep(study, tmp_path / "fork", vectorize="grouped", chunk_width=1)
    assert jaxsgd.verify(tmp_path / "fork").passed
    (tmp_path / "fork/chunks/000001.npz").unlink()
    assert jaxsgd.sweep(study, tmp_path / "fork").loss.equals(whole.loss)
    with ThreadPoolExecutor(1) as pool:
        assert jaxsgd.sweep(study, vectorize="grouped", chunk_width=1, executor=pool).loss.equals(whole.loss)


def test_another_parent_is_refused(parent, tmp_path):
    place = shutil.copytree(parent, tmp_path / "parent")
    study = fork(place)
    jaxsgd.sweep(study, tmp_path / "fork")
    shutil.rmtree(place)
    jaxsgd.sweep(PARENT.replaced(epochs=1), place)
    with pytest.raises(InputError, match=r"start: [0-9a-f]+ in the result, [0-9a-f]+ now"):
        jaxsgd.sweep(study, tmp_path / "fork")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"start": "results/none"}, "start: results/none: no such folder"),
        ({"seeds": [0, 2]}, "has no seed 2: there is 0, 1; start_select picks one for all cells"),
        ({"seeds": None, "init_seeds": [0]}, "has several values of seed (0, 1) and this study has no such axis; pick one"),
        ({"learning_rates": [0.2]}, "has no learning_rate 0.2: there is 0.1, 0.5; start_select picks one"),
        ({"start_select": {"rate": 0.1}}, "start: unknown axis 'rate': did you mean 'learning_rate'? valid: batch_count"),
        ({"problem_args": {"num_samples": 20, "num_hidden": 4}}, "has parameters of other shapes or types"),
    ],
)
def test_a_cell_without_a_partner_is_one_line(fields, text, parent):
    with pytest.raises(InputError) as error:
        jaxsgd.sweep(fork(parent, **fields))
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_a_parent_that_kept_nothing_is_one_line(parent, tmp_path):
    study = fork(parent)
    assert study.keep is None
    jaxsgd.sweep(study, tmp_path / "parent")
    with pytest.raises(InputError, match=r"start: .*: this result kept no parameters"):
        jaxsgd.sweep(fork(tmp_path / "parent"))


LINE = {"problem": "least_squares", "problem_args": {"num_samples": 20, "num_inputs": 3}, "batch_counts": [5], "epochs": 9}
"""A linear model diverges at a rate of 1000; the network's sigmoids would only saturate."""


@pytest.fixture(scope="module")
def diverged(tmp_path_factory):
    """A result whose runs have diverged at the end, and what they began with."""
    folder = tmp_path_factory.mktemp("start") / "diverged"
    jaxsgd.sweep(PARENT.replaced(**LINE, learning_rates=[1e3], keep=[0, 9]), folder)
    return folder


def test_a_diverged_or_missing_cell_of_the_parent_is_named(parent, diverged, tmp_path):
    with pytest.raises(InputError, match=r"from which seed=0, .*batch_count=5 would begin has diverged"):
        jaxsgd.sweep(fork(diverged, **LINE, learning_rates=[0.1]))
    place = shutil.copytree(parent, tmp_path / "missing")
    for path in sorted((place / "chunks").iterdir())[1:]:
        path.unlink()
    with pytest.raises(InputError, match=r"cells? not run yet, the first: seed="):
        jaxsgd.sweep(fork(place))


def test_start_select_needs_a_start():
    with pytest.raises(InputError, match="start_select: give it together with start"):
        PARENT.replaced(start_select={"seed": 0})


def test_a_study_without_a_start_keeps_its_identity():
    assert "start" in PARENT.resolved()
    assert Study(**json.loads(json.dumps(PARENT.resolved()))).identity == PARENT.identity


def injected(learning_rate):
    """Adam with its rate within its state, and a factor of its own that falls with the count of its steps."""
    adam = optax.inject_hyperparams(optax.adam)(learning_rate=learning_rate)
    return optax.chain(adam, optax.scale_by_schedule(lambda count: 1 / (1 + count)))


OPTIMIZERS = {"momentum": lambda rate: optax.sgd(rate, momentum=0.9), "adam": optax.adam, f"{__name__}:injected": injected}
STATES = {"orders": ["reshuffle"], "learning_rates": [0.02], "optimizers": list(OPTIMIZERS), "seeds": [0, 1]}


COUNTS = {"one_program": ([2, 5], [4, 10]), "grouped": ([5], [4])}
"""By path, the batch counts of the parent and of its fork. Where each has a program of its own, a second one says no more."""


@pytest.fixture(scope="module", params=list(COUNTS))
def stateful(request, tmp_path_factory):
    """The result of a study with the states of its optimizers, after the start, one epoch and two."""
    folder = tmp_path_factory.mktemp("states") / request.param
    fields = FIELDS | STATES | {"batch_counts": COUNTS[request.param][0]}
    jaxsgd.sweep(Study(**fields, keep=[0, 1, 2], keep_state=True), folder, vectorize=request.param)
    return folder, request.param


@functools.cache
def compiled_loop(optimizer, rate):
    """A step of a plain loop of optax, compiled."""
    transform = OPTIMIZERS[optimizer](rate)

    @jax.jit
    def step(params, state, data, samples):
        batch = jax.tree.map(lambda leaf: leaf[samples], data)
        loss, gradient = jax.value_and_grad(lambda params: NETWORK.loss(params, batch).mean())(params)
        updates, state = transform.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, loss

    return step


@jax.jit(static_argnums=2)
def sequence_of_batches(key, epoch, cut):
    return visits(as_order("reshuffle"), key, epoch, cut).sample


def loop(parent, optimizer, rate, *, seed, order_seed, count, epoch, epochs):
    """The losses of a plain loop of optax, from the saved parameters and the saved state."""
    own = {"seed": seed, "batch_count": 5, "optimizer": optimizer, "order": "reshuffle", "learning_rate": 0.02, "epoch": epoch}
    params, state = kept_by(parent, **own), kept_by(parent, jaxsgd.state, **own)
    transform = OPTIMIZERS[optimizer](rate)
    if "injected" in optimizer:
        # The rate, and the count of the schedule's steps, are the fork's own.
        new = transform.init(params)
        inner = state[0]._replace(count=new[0].count, hyperparams=new[0].hyperparams)
        state = (inner, new[1])

    step = compiled_loop(optimizer, rate)
    _, data = drawn(seed)
    order_key = jaxsgd.streams(jax.random.key(order_seed)).order
    losses = []
    for number in range(epochs):
        for samples in np.asarray(sequence_of_batches(order_key, number, split(20, batch_count=count))):
            params, state, loss = step(params, state, data, samples)
            losses.append(loss)
    return np.asarray(losses).reshape(epochs, count)


# The third has the state of Adam in its own.
@pytest.mark.parametrize("optimizer", ["momentum", f"{__name__}:injected"])
def test_the_optimizers_state_goes_on_as_in_a_plain_loop_of_optax(optimizer, stateful):
    parent, vectorize = stateful
    _, counts = COUNTS[vectorize]
    fields = {"seeds": None, "data_seeds": [1], "order_seeds": [7, 8], "learning_rates": [0.05], "batch_counts": counts}
    how = {"start_select": {"batch_count": 5, "learning_rate": 0.02}, "start_epoch": 1, "start_state": True}
    study = Study(**FIELDS | STATES | fields | how | {"optimizers": [optimizer], "start": str(parent)})
    ds = jaxsgd.sweep(study, vectorize=vectorize)
    for order_seed in (7, 8):
        for count in counts:
            expected = loop(parent, optimizer, 0.05, seed=1, order_seed=order_seed, count=count, epoch=1, epochs=2)
            own = ds.loss.sel(order_seed=order_seed, batch_count=count).squeeze()[:, :count]
            np.testing.assert_allclose(own, expected, rtol=1e-6)


def test_a_fork_begins_after_the_wanted_epoch_and_by_default_after_the_last(stateful):
    parent, vectorize = stateful
    fields = {"optimizers": ["momentum"], "batch_counts": COUNTS[vectorize][0]}
    study = Study(**FIELDS | STATES | fields, start=str(parent))
    runs = {epoch: jaxsgd.sweep(study.replaced(start_epoch=epoch), vectorize=vectorize) for epoch in (None, 0, 1, 2)}
    assert runs[None].equals(runs[2])
    # After no epoch it is the parent's run again, whose optimizer began anew as well.
    own = jaxsgd.load(parent).sel(optimizer=["momentum"])
    np.testing.assert_array_equal(runs[0].loss, own.loss)
    first = [float(runs[epoch].loss_epoch[0, 0, 0, 0, 0, 0]) for epoch in (0, 1, 2)]
    assert first[0] > first[1] > first[2]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"start_epoch": 7}, "kept nothing after 7 epochs: the nearest is 2 (the result kept 0, 1, 2)"),
        (
            {"optimizers": ["adamw"], "start_select": {"optimizer": "adam"}},
            "would begin at a cell with adam; leave start_state out",
        ),
        ({"hyper": {"nesterov": [0.0]}}, "cannot be an axis"),
        (
            {"optimizer_args": {"momentum": None}, "optimizers": ["momentum"]},
            "has a state of 'momentum' with another structure",
        ),
    ],
)
def test_a_state_that_cannot_go_on_is_one_line(fields, text, stateful):
    own = FIELDS | STATES | {"optimizers": ["momentum"], "batch_counts": [5]} | fields
    with pytest.raises(InputError) as error:
        jaxsgd.sweep(Study(**own, start=str(stateful[0]), start_state=True))
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_a_parent_without_states_is_one_line(parent):
    with pytest.raises(InputError, match=r"start: .*kept no states of optimizers; run the study with keep_state=True"):
        jaxsgd.sweep(fork(parent, start_state=True))
    with pytest.raises(InputError, match=r"start: .*kept nothing after 1 epoch: the nearest is 2"):
        jaxsgd.sweep(fork(parent, start_epoch=1))


def test_a_run_that_diverged_later_is_a_start_at_an_earlier_epoch(diverged):
    assert jaxsgd.load(diverged).diverged.all()
    fields = LINE | {"learning_rates": [0.1]}
    assert np.isfinite(jaxsgd.sweep(fork(diverged, **fields, start_epoch=0)).loss_epoch).all()
    with pytest.raises(InputError, match=r"would begin has diverged: seed=0, .*learning_rate=1000"):
        jaxsgd.sweep(fork(diverged, **fields))


@pytest.mark.parametrize("field", ["start_epoch", "start_state"])
def test_the_fields_of_a_fork_need_a_start(field):
    with pytest.raises(InputError, match=f"{field}: give it together with start"):
        PARENT.replaced(**{field: True if field == "start_state" else 1})


def test_a_run_with_a_target_goes_on_from_the_state_too(stateful):
    parent, _ = stateful
    fields = {"optimizers": ["momentum"], "seeds": [1], "batch_counts": [5], "start_epoch": 1, "start_state": True}
    study = Study(**FIELDS | STATES | fields, start=str(parent), evaluate_every=1)
    whole = jaxsgd.sweep(study).squeeze()
    target = float(whole.train_loss[5])
    stopped = jaxsgd.sweep(study.replaced(stop={"train_loss": target})).squeeze()
    steps = int(stopped.stopped_step)
    assert 1 <= steps <= 6
    np.testing.assert_allclose(stopped.loss.values.ravel()[:steps], whole.loss.values.ravel()[:steps], rtol=1e-6)
