"""The noise of a result's own runs, at one setting: of gradients and of losses."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxsgd.compiling.jit import jit
from jaxsgd.error import InputError, check_count
from jaxsgd.measure.noise import Noise, noise, noise_scale
from jaxsgd.optimizer import optimizer_named, schedule_named, scheduled
from jaxsgd.order import split
from jaxsgd.results.axes import axis_names, listed, seed_dims, stored
from jaxsgd.simulator import streams
from jaxsgd.study.batch_rules import ruled_names, used_variable
from jaxsgd.study.dimensions import OWN_AXES, SEED_AXES
from jaxsgd.study.study import Study, order_named
from jaxsgd.study.subject import precision_of


def run_noise(ds: xr.Dataset, at: Sequence[int], *, seeds: int = 8) -> xr.Dataset:
    """Return the gradient noise scale and the spread of single samples' losses along the runs of one setting of a result.

    The runs are run again, so the problem, the optimizer and the order that the study names are imported. A run that stopped
    at a target is measured as if it had gone on.

    Args:
      ds: a result selected down to one setting, as by `ds.sel(optimizer="sgd", learning_rate=0.1, batch_count=20)`; the seeds
        stay.
      at: epochs before which to measure, 0-based.
      seeds: number of the result's seeds to use, from the first.

    Returns:
      A Dataset along `epoch`: `trace`, `gradient_square` and `loss_deviation`, means over the seeds, and `noise_scale`,
      the quotient of the first two, in samples; see `jaxsgd.noise`.

    Raises:
      InputError: for a result with several settings, or epochs past its end.
    """
    study = Study(**stored(ds, "study"))
    dims = seed_dims(ds)
    several = [name for name in axis_names(ds) if name in ds.coords and set(ds[name].dims) - set(dims) and ds[name].size > 1]
    if several:
        clauses = "; ".join(f"{name} has {listed(ds[name].values)}" for name in several)
        raise InputError(f"run_noise measures one setting: select one value of each axis, for {clauses}")
    if study.start is not None:
        raise InputError(f"run_noise cannot begin at {study.start}: it runs from the problem's own initial parameters")
    setting = ds.squeeze([dim for dim in ds["rate"].dims if dim not in dims])
    values = {name: setting[name].item() for name in setting.coords if not setting[name].dims}
    drawn = _seeds(setting, dims, check_count("seeds", seeds))

    problem_args = {name: values[name] for name in study.problem_axis_names}
    subject = study.subject(problem_args)
    settled = {*OWN_AXES, *problem_args}
    hyper = {**study.optimizer_args, **{name: value for name, value in values.items() if name not in settled}}
    make, schedule = optimizer_named(values["optimizer"]), schedule_named(values.get("schedule", "constant"))
    rate = float(setting["rate"].values.reshape(-1)[0])
    used = {name: setting[used_variable(name)] for name in ruled_names(study) if name != "learning_rate"}
    hyper |= {name: float(value.values.reshape(-1)[0]) for name, value in used.items()}
    how: dict[str, Any] = {"batch_count": int(values["batch_count"])}
    if study.batch_sizes is not None:
        how = {"batch_size": int(values["batch_size"]), "drop_last": study.drop_last}
    length: dict[str, Any] = {"epochs": study.epochs}
    if study.epochs is None:
        length = {"steps": study.total_steps(split(subject.num_samples, **how))}

    def measured(seed: dict) -> Noise:
        keys = {stream: jax.random.key(number) for stream, number in seed.items()}
        return noise(
            subject.problem,
            streams(keys["data"], **keys),
            optimizer=scheduled(make, rate, hyper, schedule),
            at=at,
            order=order_named(values["order"]),
            precision=study.precision,
            **how,
            **length,
        )

    with precision_of(study.dtype):
        noises = jit(lambda seeds: jax.lax.map(measured, seeds))(drawn)
        mean = jax.tree.map(lambda leaf: np.asarray(jnp.mean(leaf, axis=0), np.float64), noises)
    columns = {
        "trace": (mean.trace, "1", "mean summed variance of a single sample's gradient"),
        "gradient_square": (mean.gradient_square, "1", "mean squared length of the expected gradient"),
        "noise_scale": (noise_scale(mean.trace, mean.gradient_square), "samples", "gradient noise scale"),
        "loss_deviation": (mean.loss_deviation, "loss", "standard deviation of a single sample's loss"),
    }
    variables = {name: ("epoch", array, {"units": unit, "long_name": text}) for name, (array, unit, text) in columns.items()}
    scalars = {name: coord for name, coord in setting.coords.items() if not coord.dims}
    attrs = {"title": "noise along the runs", "seeds": len(drawn["data"]), "setting": str(values)}
    return xr.Dataset(variables, {"epoch": np.asarray(noises.epoch)[0], **scalars}, attrs)


def _seeds(setting: xr.Dataset, dims: list[str], most: int) -> dict[str, np.ndarray]:
    """Return the seeds of each stream, for at most so many runs."""
    lengths = [setting.sizes[dim] for dim in dims]
    count = min(most, int(np.prod(lengths, dtype=int)))
    place_on = dict(zip(dims, np.unravel_index(np.arange(count), lengths), strict=True)) if dims else {}
    by_axis = {}
    for axis in SEED_AXES:
        if axis in setting.coords:
            seeds = setting[axis]
            by_axis[axis] = seeds.values[place_on[str(seeds.dims[0])]] if seeds.dims else np.full(count, seeds.item())
    if not by_axis:
        raise InputError(
            "run_noise needs the seed of the run: select it with sel(seed=[0]) or sel(seed=0), and without drop=True"
        )
    whole = by_axis.get("seed", np.zeros(count, np.int64))
    return {stream: by_axis.get(f"{stream}_seed", whole).astype(np.uint32) for stream in ("data", "init", "order")}
