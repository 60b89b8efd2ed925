"""Branches: the barriers between the ends of runs that differ in one kind of seed alone, such as the forks of one run."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxsgd.compiling.jit import jit_per_problem
from jaxsgd.error import InputError
from jaxsgd.measure.linear_barrier import POINTS, linear_barrier
from jaxsgd.problem import Problem
from jaxsgd.results.axes import cell_dims
from jaxsgd.results.parameters import kept_cells, parameters
from jaxsgd.simulator import streams
from jaxsgd.study.subject import precision_of


def branches(folders: str | Path | Iterable[str | Path], *, axis: str = "order_seed", points: int = POINTS) -> xr.Dataset:
    """Return the barrier on the straight line between the ends of every two runs that differ in one seed alone.

    With forks of one run that differ in the seed of the order, this is the instability analysis of Frankle et al. 2020 (arXiv
    1912.05671): how far must a run be trained before the rest of its order no longer decides where it ends?

    Args:
      folders: a result of forks with `keep="final"`, or several that begin at different epochs of one parent.
      axis: the seed in which the runs of a pair differ.
      points: A, the number of points on each line with its ends.

    Returns:
      `barrier` along `start_epoch` (the epochs of the parent before the fork), the other axes of the results, and `pair`;
      `loss` with `share` as its last dimension, the loss along each line; `barrier_median`, over all but `start_epoch`. They
      are mean losses over the held-out samples, if there are any, and otherwise over the training data. NaN where one of the
      two runs diverged.

    Raises:
      InputError: if a result kept no parameters, is unfinished, is no fork, or has fewer than two values of the seed; or if
        the results differ in their axes.
    """
    places = [folders] if isinstance(folders, str | Path) else list(folders)
    if not places:
        raise InputError("branches needs at least one result of forks, got none")
    parts = sorted((_of_result(place, axis, points) for place in places), key=lambda part: int(part.start_epoch[0]))
    first = parts[0].barrier
    for place, part in zip(places, parts, strict=True):
        if part.barrier.dims != first.dims or part.barrier.shape[1:] != first.shape[1:]:
            raise InputError(f"{place}: has other axes than the other results; give forks that differ in their start alone")
    ds = xr.concat(parts, "start_epoch", join="exact", coords="minimal", compat="equals", combine_attrs="drop_conflicts")
    others = [dim for dim in ds.barrier.dims if dim != "start_epoch"]
    attrs = {**ds.barrier.attrs, "long_name": f"median of the {ds.barrier.attrs['long_name']}"}
    return ds.assign(barrier_median=ds.barrier.median(others).assign_attrs(attrs))


def _of_result(folder: str | Path, axis: str, points: int) -> xr.Dataset:
    kept = kept_cells(folder)
    ds, study = kept.labels, kept.study
    dims = cell_dims(ds)
    if study.start is None:
        raise InputError(f"{folder}: its runs begin at the problem's own parameters, so it has no forks to compare")
    if axis not in dims or ds.sizes[axis] < 2:
        raise InputError(f"{folder}: a comparison of forks needs at least two values of {axis}: give {axis}s in the study")
    problems = [subject.problem for subject in kept.subjects.distinct]
    problem, others = problems[0], [dim for dim in dims if dim != axis]
    # [C, S, ...]: all other axes as one, and the seeds.
    last = kept.epochs[-1]
    params = jax.tree.map(
        lambda leaf: np.moveaxis(leaf, dims.index(axis), len(others)).reshape(-1, ds.sizes[axis], *leaf.shape[len(dims) :]),
        parameters(folder, epoch=last),
    )
    numbers = ds["cell"].transpose(*others, axis).values.reshape(-1, ds.sizes[axis])
    pairs = np.array(list(itertools.combinations(range(ds.sizes[axis]), 2)))
    data_seeds = kept.own.seeds("data")
    with precision_of(study.dtype):
        lines = [
            _lines(
                problems[kept.form.kept.of_cell[cells[0]]],
                jax.tree.map(lambda leaf, at=at: leaf[at], params),
                pairs,
                int(data_seeds[cells[0]]),
                points,
            )
            for at, cells in enumerate(numbers)
        ]
    shape = [ds.sizes[dim] for dim in others]
    by_seed = np.asarray(ds["diverged"].transpose(*others, axis)).reshape(len(numbers), -1)
    diverged = np.any(by_seed[:, pairs], axis=-1)
    barrier, loss = (np.asarray(part, np.float64) for part in zip(*lines, strict=True))
    barrier, loss = np.where(diverged, np.nan, barrier), np.where(diverged[..., None], np.nan, loss)
    names = {"units": "loss", "long_name": f"{'validation' if problem.held_out is not None else 'training'} loss"}
    coords = {name: coord for name, coord in ds.coords.items() if coord.dims and set(coord.dims) <= set(others)}
    values = ds[axis].values[pairs]
    return xr.Dataset(
        {
            "barrier": (
                ["start_epoch", *others, "pair"],
                barrier.reshape(1, *shape, -1),
                names | {"long_name": f"barrier of the {names['long_name']} between two forks"},
            ),
            "loss": (["start_epoch", *others, "pair", "share"], loss.reshape(1, *shape, len(pairs), points), names),
        },
        {
            **coords,
            "start_epoch": ("start_epoch", [_start_epoch(study)], {"units": "epochs", "long_name": "epochs before the fork"}),
            f"{axis}_a": ("pair", values[:, 0]),
            f"{axis}_b": ("pair", values[:, 1]),
            "share": ("share", np.arange(points) / (points - 1), {"units": "1", "long_name": "way between the two ends"}),
        },
        {"title": f"barriers between forks that differ in {axis}", "axis": axis, "epochs": study.epochs or 0},
    )


def _start_epoch(study: Any) -> int:
    if study.start_epoch is not None:
        return study.start_epoch
    last = kept_cells(study.start).epochs[-1]
    if last is None:
        raise InputError(f"{study.start}: kept only the end of each run, which is not the end of an epoch; give start_epoch")
    return last


def _lines(problem: Problem, params: Any, pairs: np.ndarray, data_seed: int, points: int) -> tuple[Any, Any]:
    """Return the barriers, [P], and the losses, [P, A], of the lines between P pairs of runs on the same data."""
    keys = streams(jax.random.key(data_seed))
    held_out = problem.sample_held_out(keys.data)
    data = problem.sample_data(keys.data) if held_out is None else held_out
    first, second = (jax.tree.map(lambda leaf, side=side: leaf[pairs[:, side]], params) for side in (0, 1))
    barrier, loss, _ = _along(problem, first, second, data, points)
    return barrier, loss


def _each_line(problem: Problem, first: Any, second: Any, data: Any, points: int) -> Any:
    return jax.lax.map(lambda pair: linear_barrier(problem, pair[0], pair[1], data, points=points), (first, second))


_along = jit_per_problem(_each_line, static_argnames="points")
