"""Studies whose runs stop at a target, against the same studies without one."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import jaxsgd
from jaxsgd.engine.plan import plan
from jaxsgd.engine.run_queue import Queue, RunParts, all_finite, run_queue
from jaxsgd.engine.train_program import Outputs, lowered_train, train_spec
from jaxsgd.error import InputError
from jaxsgd.measure.observable import default_measures
from jaxsgd.optimizer import scheduled
from jaxsgd.results.metric import carried, cost, final
from jaxsgd.simulator import State, Stepping, initial_state, streams
from jaxsgd.train import Recording, run

BASE = {
    "problem": "square_regression",
    "problem_args": {"num_samples": 32, "num_inputs": 3, "num_hidden": 4},
    "held_out": 0.25,
    "seeds": range(3),
    "learning_rates": [0.1, 0.5],
    "orders": "reshuffle",
}

CASES = {
    "after each epoch": ("grouped", 1, {"batch_counts": 4, "epochs": 6}),
    "within epochs, three side by side": ("grouped", 3, {"batch_counts": 6, "epochs": 6, "evaluate_every": 1 / 3}),
    "an incomplete last epoch": ("grouped", 2, {"batch_counts": 5, "steps": 23}),
    "every 3 of 4 steps": ("grouped", 2, {"batch_counts": 4, "epochs": 4, "evaluate_every": 3}),
    "several records at a step, and one before the first": (
        "grouped",
        2,
        {"batch_counts": 2, "epochs": 4, "evaluate_every": 0.25},
    ),
    "one program": ("one_program", 2, {"batch_counts": [3, 6], "epochs": 5}),
    "one program within epochs": ("one_program", 2, {"batch_counts": [2, 4], "epochs": 4, "evaluate_every": 0.25}),
    "one program, one lane": ("one_program", 1, {"batch_counts": [2, 4], "epochs": 4, "evaluate_every": 0.5}),
}


SLOW = ("after each epoch", "every 3 of 4 steps", "several records at a step, and one before the first", "one program")
"""Cases whose parts others show too."""


@pytest.mark.parametrize(
    ("how", "lanes", "fields"),
    [pytest.param(*case, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, case in CASES.items()],
)
def test_a_run_is_bit_for_bit_the_run_without_a_target_up_to_the_first_record_that_reaches_it(how, lanes, fields):
    study = jaxsgd.Study(**BASE, **fields)
    settings = {"vectorize": how, "chunk_width": 6, "lanes": lanes}
    whole = jaxsgd.sweep(study, **settings)
    dim = "epoch" if study.evaluate_every is None else "evaluation"
    # About half of the runs reach it, and not all at once.
    target = float(final(whole, "validation_loss").median())
    ds = jaxsgd.sweep(study.replaced(stop={"validation_loss": target}), **settings)

    reaches = whole.validation_loss <= target
    first = reaches.argmax(dim)
    steps = whole.evaluation_step if dim == "evaluation" else whole.batch_count * (whole.epoch + 1)
    if study.steps and dim == "epoch":
        steps = whole.epoch_step
    stop = steps.broadcast_like(reaches).isel({dim: first}).where(reaches.any(dim)).transpose(*ds.stopped_step.dims)
    np.testing.assert_array_equal(ds.stopped_step, stop)
    assert 0 < stop.notnull().sum() < stop.size
    np.testing.assert_array_equal(ds.stopped_epoch, stop / ds.batch_count)

    before_stop = stop.isnull() | (steps <= stop)
    np.testing.assert_array_equal(
        ds.validation_loss, whole.validation_loss.where(before_stop).transpose(*ds.validation_loss.dims)
    )
    step = ds.batch_count * ds.epoch + ds.batch
    np.testing.assert_array_equal(ds.loss, whole.loss.where(stop.isnull() | (step < stop)).transpose(*ds.loss.dims))
    is_whole = stop.isnull() | (ds.batch_count * (ds.epoch + 1) <= stop)
    np.testing.assert_array_equal(
        ds.loss_epoch.where(is_whole), whole.loss_epoch.where(is_whole).transpose(*ds.loss_epoch.dims)
    )
    # The epoch of the stop has the mean over the batches that were done.
    begun = stop.isnull() | (ds.batch_count * ds.epoch < stop)
    assert (ds.loss_epoch.notnull() == begun.transpose(*ds.loss_epoch.dims) & whole.loss_epoch.notnull()).all()

    assert not ds.diverged.any()
    assert not ds.missing.any()
    last = whole.validation_loss.isel({dim: first}).where(stop.notnull(), final(whole, "validation_loss"))
    np.testing.assert_array_equal(final(ds, "validation_loss"), last.transpose(*ds.stopped_step.dims))
    assert (np.isinf(cost(ds, "stopped_step")) == stop.isnull()).all()


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_study_without_a_target_compiles_the_plain_runs_and_nothing_else(lanes):
    study = jaxsgd.Study(**BASE, batch_counts=4, epochs=6)
    planned = plan(study, vectorize="grouped", chunk_width=2, lanes=lanes)
    (program,) = planned.programs
    spec = train_spec(study, planned.subject, planned.cells, program, planned.width, planned.lanes)
    problem = planned.subject.problem
    split = spec.split
    assert split

    def chunk(given, drawn, own):
        del own

        def run_cell(cell):
            given, drawn = cell
            optimizer = scheduled(spec.optimizer, given["learning_rate"], {}, spec.schedule)
            key = streams(jax.random.key(given["order_seed"])).order
            done = run(
                problem, initial_state(optimizer, drawn.params), drawn.data, key, optimizer=optimizer, split=split,
                order=spec.order, precision="float32", epochs=6, known=drawn.known,
                recording=Recording(default_measures(problem, None)),
            )  # fmt: skip
            return Outputs(done.loss, done.epoch_loss, all_finite(done.params), done.observed)

        return jax.lax.map(run_cell, (given, drawn), batch_size=lanes if lanes > 1 else None)

    lowered = lowered_train(spec)
    shapes, _ = lowered.in_avals
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), shapes)
    assert jax.jit(chunk).lower(*shapes).as_text() == lowered.as_text()


def test_a_lane_takes_the_next_run_when_its_own_has_stopped():
    epochs_begun = []

    def observe(cell, params):
        return {"train_loss": params}

    def stepping(cell):
        def inputs(epoch, state):
            del state
            jax.debug.callback(lambda number: epochs_begun.append(int(number)), cell)
            return jnp.zeros(2)

        def losses(losses, inputs, done):
            done = jnp.arange(2) < (2 if done is None else done)
            return jnp.where(done, losses, jnp.nan), jnp.where(done, 1, 0)

        # Its loss is the number of steps still to do: 2 an epoch.
        return Stepping(
            length=2,
            start=lambda state: state,
            inputs=inputs,
            begin=lambda state: state,
            step=lambda state, _: (State(state.params - 1, ()), state.params),
            state=lambda state: state,
            ends=None,
            steps_done=lambda done: done,
            losses=losses,
            batches=lambda inputs: None,
            visit=lambda inputs, all_inputs: None,
            by_batch=lambda values: values,
            batch_count=2,
        )

    parts = RunParts(lambda cell: State(cell, ()), stepping, observe, lambda cell: jnp.zeros(()))
    # Runs of 1, 6, 1, 1, 1, 2 epochs: the second keeps its lane for six epochs, and the other lane does the rest, in as many.
    lengths = jnp.asarray([2.0, 12.0, 2.0, 2.0, 2.0, 4.0])
    queued = run_queue(parts, lengths, Queue("train_loss", lanes=2, length=2, epochs=7, steps=14), marks=None)
    jax.effects_barrier()
    assert queued.stopped.tolist() == lengths.tolist()
    assert sorted(epochs_begun) == [2, 2, 2, 2, 4, 4, 12, 12, 12, 12, 12, 12]
    assert np.isfinite(queued.loss).sum(axis=(1, 2)).tolist() == lengths.tolist()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A stored result of runs of which some stop, and its target."""
    study = jaxsgd.Study(**BASE, batch_counts=[3, 6], epochs=5)
    target = float(final(jaxsgd.sweep(study, vectorize="one_program", chunk_width=6, lanes=2), "validation_loss").median())
    path = tmp_path_factory.mktemp("stop") / "result"
    stopping = study.replaced(stop={"validation_loss": target})
    jaxsgd.sweep(stopping, path, vectorize="one_program", chunk_width=6, lanes=2)
    return path, target


def test_a_stored_result_is_verified_and_says_what_its_steps_to_the_target_are(folder):
    path, target = folder
    assert jaxsgd.verify(path).passed
    ds = jaxsgd.load(path)
    assert ds.stopped_step.attrs["units"] == "steps"
    assert json.loads(ds.attrs["study"])["stop"] == {"validation_loss": target}


def test_scaling_counts_the_steps_to_the_target_and_refuses_one_that_a_stopped_run_had_not_reached(folder):
    path, target = folder
    ds = jaxsgd.load(path)
    scaled = jaxsgd.scaling(ds, target, "validation_loss").squeeze()
    assert int(scaled.attrs["runs_reached"]) == int(ds.stopped_step.notnull().sum())
    with pytest.raises(InputError, match=r"stopped at validation_loss .* before reaching validation_loss .*: give a target"):
        jaxsgd.scaling(ds, target / 2, "validation_loss")


def test_a_run_that_never_reaches_the_target_is_the_worst_by_its_steps(folder):
    ds = jaxsgd.load(folder[0])
    best = jaxsgd.best(ds, "stopped_step")
    median = ds.stopped_step.fillna(np.inf).median("seed").min("learning_rate").squeeze()
    np.testing.assert_array_equal(best.median_value.squeeze().fillna(np.inf), median)
    ranks = jaxsgd.compare(ds, "learning_rate", "stopped_step")
    assert (ranks.ranked == ds.sizes["seed"]).all()


def test_a_stopped_run_keeps_its_last_record_in_comparisons_and_curves(folder):
    ds = jaxsgd.load(folder[0])
    kept = carried(ds, "validation_loss")
    assert kept.notnull().all()
    xr.testing.assert_identical(kept.isel(epoch=-1), final(ds, "validation_loss"))
    recorded = ds.validation_loss.notnull()
    xr.testing.assert_equal(kept.where(recorded), ds.validation_loss)
    stopped = ds.stopped_step.notnull()
    last = ds.validation_loss.where(recorded, np.inf).min("epoch")  # the losses of these runs fall
    xr.testing.assert_equal(kept.isel(epoch=-1, drop=True).where(stopped), last.where(stopped))
