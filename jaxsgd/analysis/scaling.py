"""Batch-count scaling of a result: steps to a target with the rate tuned anew at every batch count."""

import json
from typing import NamedTuple

import numpy as np
import xarray as xr

from jaxsgd.analysis.choice import best_place, is_edge
from jaxsgd.analysis.confidence import FEWEST_SIZES, supported, why_no_interval
from jaxsgd.analysis.scaling_law import (
    Bend,
    enclosed,
    fit_bend,
    interval,
    median_steps,
    power_of_size,
    regimes,
    resampled_seeds,
    steps_to_target,
)
from jaxsgd.error import InputError, check_count, no_such, shown
from jaxsgd.measure.observable import direction
from jaxsgd.results.axes import axis_dim, axis_names, axis_values, is_numeric, seed_dims
from jaxsgd.results.metric import metric_named, record_steps, resolution, time_dim

RULES = {"linear": 1.0, "sqrt": 0.5}
"""By name, the power of the batch size that a rule makes the rate proportional to."""


RULED = ("rule_rate", "rule_steps", "rule_ratio")
FITTED = ("critical_batch_size", "critical_low", "critical_high", "fewest_steps", "fewest_samples")
FITTED += ("rate_power", "power_low", "power_high", "no_power", "no_power_interval", "nearest")

DESCRIPTIONS = {
    "steps": ("steps", "median steps to the target at the best {by}"),
    "steps_low": ("steps", "lower end of its interval"),
    "steps_high": ("steps", "upper end of its interval"),
    "exact": ("1", "true where the steps are exact: there was a record after every step"),
    "epochs": ("epochs", "median epochs to the target"),
    "samples": ("samples", "median samples to the target"),
    "no_interval": ("1", "why the steps have no interval; empty with one"),
    "rate": ("1", "the {by} with the fewest steps"),
    "rate_low": ("1", "lower end of its interval"),
    "rate_high": ("1", "upper end of its interval"),
    "at_edge": ("1", "true where the best {by} is the least or the greatest of three or more"),
    "reached": ("seeds", "seeds that reach the target at the best {by}"),
    "bounds": ("seeds", "of these, how many had reached it at their first record"),
    "regime": ("1", "perfect scaling, diminishing returns or none; bound where the steps are only a bound"),
    "rule_rate": ("1", "the {by} that a rule gives"),
    "rule_steps": ("steps", "median steps to the target at the nearest {by} that was run"),
    "rule_ratio": ("1", "steps by the rule over steps at the best {by}"),
    "critical_batch_size": ("samples", "critical batch size of the fit"),
    "critical_low": ("samples", "lower end of its interval"),
    "critical_high": ("samples", "upper end of its interval"),
    "fewest_steps": ("steps", "fewest steps, of the fit"),
    "fewest_samples": ("samples", "fewest samples, of the fit"),
    "rate_power": ("1", "p of best {by} ~ batch size^p"),
    "power_low": ("1", "lower end of its interval"),
    "power_high": ("1", "upper end of its interval"),
    "no_power": ("1", "why there is no such p; empty with one"),
    "no_power_interval": ("1", "why p has no interval; empty with one, and without p"),
    "nearest": ("{value}", "the {value} that came nearest to the target"),
}
"""Units and meaning by the name of a variable."""


class Runs(NamedTuple):
    """A result as scaling sees it: O other places, K batch sizes ascending, L values of the tuned axis ascending, R seeds.

    Attributes:
      others: the other dimensions.
      along: the dimension of the batch count.
      rates: [L].
      batch_count: [K], m.
      batch_size: [K], samples a step on average, N / m.
      steps: [O, K, L, R], to the target; NaN where a run never reached it.
      exact: [K], whether there is a record after every step, so that the steps are no interpolation.
      first: [O, K, L, R], whether a run had reached it at its first record, so that its steps are only a bound; where they are
        exact they are none.
      nearest: [O], what came nearest to the target, over all runs and records.
    """

    others: list[str]
    along: str
    rates: np.ndarray
    batch_count: np.ndarray
    batch_size: np.ndarray
    steps: np.ndarray
    exact: np.ndarray
    first: np.ndarray
    nearest: np.ndarray


def scaling(
    ds: xr.Dataset,
    target: float,
    value: str | None = None,
    *,
    by: str = "learning_rate",
    reference: int | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Steps to a target at every batch count, each at its own best rate, and what follows from them.

    The protocol of Shallue et al. 2019, "Measuring the effects of data parallelism on neural network training": at every batch
    count, all rates of the result are tried, and the best is that with the lowest median of steps over the seeds, where a run
    that never reaches the target needs infinitely many. Intervals are percentiles of a bootstrap over the seeds, in which the
    rates are tuned again; batch counts keep their pairing, for they share the resampled seeds.

    A record counts at the step at which it was taken: after the epoch's last or at an evaluation within it
    (`Study(evaluate_every=...)`), and for the mean loss over an epoch (`loss_epoch`) at the middle of its steps. Between two
    records the curve is taken to be straight. With a record after every step, as `evaluate_every=1` gives, there is nothing
    between: the steps are exact, those of the first record at or past the target.

    Args:
      ds: a finished result with an axis of batch counts or sizes and one of rates.
      target: of `value`; reached from above, and an accuracy from below.
      value: a measure with several records of a run; by default "validation_loss" or "train_loss" where there is one, and
        otherwise "loss_epoch".
      by: the axis to tune.
      reference: the batch count at which the rules start from the tuned rate; by default the largest, of the smallest batches.
      level: of the intervals.
      resamples, seed: of the bootstrap.

    Returns:
      A Dataset along the axis of the batch count and the result's other axes, with

      - `steps`, `steps_low`, `steps_high`: median over the seeds at the best rate; NaN where half of them never reach the
        target; an end of the interval is infinite where it is open, and both are NaN where the seeds give none, for the
        reason in `no_interval`;
      - `epochs` and `samples` that these are;
      - `exact`: whether the steps are exact to the step, or interpolated between two records; the attribute `resolution` says
        it in words;
      - the best value of `by`, with `rate_low`, `rate_high`, and `at_edge`: the least or the greatest of three or more;
      - `reached`: how many seeds reach the target there; `bounds`: how many had at their first record, which only bounds
        their steps;
      - `regime`: "perfect", "diminishing" or "none", see `jaxsgd.measure.regimes`; "bound" where most seeds had reached the
        target at their first record: such a batch count has no part in what is fitted;
      - along `rule` too, `rule_rate` by the linear and the square-root rule from the reference on, `rule_steps` at the nearest
        rate that was run, and `rule_ratio` to those of the tuned rate; NaN past the range of rates;

      and, without the batch counts, `critical_batch_size` with `critical_low` and `critical_high` (open ends are 0 or
      infinite), `fewest_steps`, `fewest_samples`; `rate_power` with its interval, the p of rate ~ B^p, or in `no_power` the
      reason why there is none (a best rate at the edge is only a bound, and has no part in it); and `nearest`, the value that
      came nearest to the target.

    Raises:
      InputError: for an axis, a measure or a batch count that is not there, an unfinished result, or a target that is not
        finite.
    """
    value = metric_named(ds, value, by_epoch=True)
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, such as 0.95, got {shown(level)}")
    runs = _runs(ds, target, value, by)
    start = _reference(runs, reference)
    found = _Tuned.of(runs.steps)
    drawn = resampled_seeds(runs.steps.shape[-1], check_count("resamples", resamples), seed)
    again = [_Tuned.of(runs.steps[..., own]) for own in drawn]
    curve = _curve(runs, found, again, level)
    told = np.where(curve["bounds"] * 2 > curve["reached"], np.nan, 1.0)
    curve["regime"] = np.where(np.isnan(told), "bound", [regimes(each, runs.batch_size) for each in found.steps * told])
    variables = curve | _rules(runs, found, start) | _fits(runs, found, again, told, level)
    of_curve, of_rules, of_fits = [*runs.others, runs.along], [*runs.others, "rule", runs.along], runs.others
    dims = {**dict.fromkeys(RULED, of_rules), **dict.fromkeys(FITTED, of_fits)}
    lengths = {"rule": len(RULES), **ds.sizes}
    made = {}
    for name, array in variables.items():
        own = dims.get(name, of_curve)
        units, text = DESCRIPTIONS[name]
        told = {"units": units.format(value=ds[value].attrs.get("units", "1")), "long_name": text.format(by=by, value=value)}
        made[by if name == "rate" else name] = (own, np.reshape(array, [lengths[dim] for dim in own]), told)
    by_size = ds.isel({runs.along: np.argsort(_mean_size(ds), kind="stable")})
    kept = {name: c for name, c in by_size.coords.items() if c.dims and set(c.dims) <= set(of_curve) and name != by}
    kept["samples_per_step"] = (runs.along, runs.batch_size, {"units": "samples", "long_name": "N / m, the mean batch size"})
    attrs = {"title": f"steps to {value} {target:g}", "value": value, "target": float(target), "by": by, "level": float(level)}
    attrs |= {"seeds": runs.steps.shape[-1], "runs": runs.steps.size, "runs_reached": int(np.isfinite(runs.steps).sum())}
    attrs["resolution"] = _resolution(ds, value, runs)
    attrs |= {"along": runs.along, "reference": int(runs.batch_count[start]), "units": str(ds[value].attrs.get("units", "1"))}
    return xr.Dataset(made, {**kept, "rule": list(RULES)}, attrs)


def batch_axis(ds: xr.Dataset) -> str:
    """The axis of batch counts or sizes.

    Raises:
      InputError: where the result has none with several values along a dimension of its own.
    """
    for name in ("batch_count", "batch_size"):
        if name in axis_names(ds) and ds[name].dims == (name,) and ds.sizes[name] > 1:
            return name
    raise InputError("scaling needs an axis of batch counts or batch sizes with several values: batch_counts=[1, 2, 4, ...]")


def _mean_size(ds: xr.Dataset) -> np.ndarray:
    """N / m at each place of the batch axis, which orders it by batch size."""
    samples = json.loads(ds.attrs["manifest"])["num_samples"]
    return samples / ds["batch_count"].values


def _runs(ds: xr.Dataset, target: float, value: str, by: str) -> Runs:
    dim, along = axis_dim(ds, by), batch_axis(ds)
    rates = axis_values(ds, by)
    if dim == along or not is_numeric(rates) or (rates <= 0).any():
        raise InputError(f"by must be an axis of numbers above 0 besides the batch count, such as learning_rate, got {by!r}")
    if ds["missing"].any():
        raise InputError(f"only a finished result can be scaled, and {int(ds['missing'].sum())} of its cells are missing")
    seeds = seed_dims(ds, (dim, along))
    time = time_dim(ds, value)
    others = [str(d) for d in ds[value].dims if d not in (along, dim, time, *seeds)]
    order, size = np.argsort(rates, kind="stable"), _mean_size(ds)
    by_size = np.argsort(size, kind="stable")
    ordered = ds[value].isel({dim: order, along: by_size}).transpose(*others, along, dim, *seeds, time)
    values = ordered.values.astype(np.float64)
    lead = int(np.prod([ds.sizes[d] for d in others], dtype=int))
    values = values.reshape(lead, len(size), len(rates), -1, ds.sizes[time])
    count = ds["batch_count"].values[by_size]
    taken = record_steps(ds, value).isel({along: by_size}).transpose(along, time).values
    # Several records at one step are as good as one; past the end of a run there is none.
    exact = (taken[:, 0] <= 1) & (np.nan_to_num(np.diff(taken, axis=1)) <= 1).all(axis=1) & (value != "loss_epoch")
    taken = taken[:, None, None, :]
    rising = direction(value) < 0
    # An overflow in the wanted direction has not reached anything.
    values = np.where(values == (np.inf if rising else -np.inf), np.nan, values)
    steps = steps_to_target(values, taken, target, rising=rising, exact=exact[:, None, None])
    first = (values[..., 0] >= target if rising else values[..., 0] <= target) & ~exact[:, None, None]
    worst = -np.inf if rising else np.inf
    there = np.where(np.isfinite(values), values, worst).reshape(lead, -1)
    nearest = there.max(axis=-1) if rising else there.min(axis=-1)
    return Runs(others, along, rates[order], count, size[by_size], steps, exact, first, nearest)


def _resolution(ds: xr.Dataset, value: str, runs: Runs) -> str:
    """Return in words whether the steps are exact or interpolated, and between which records."""
    if runs.exact.all():
        return "exact to the step"
    between = {"epoch": "the ends of epochs", "evaluation": f"evaluations {resolution(ds, value)}"}[str(time_dim(ds, value))]
    between = "the middles of epochs" if value == "loss_epoch" else between
    some = ", but exact to the step where every step was evaluated" if runs.exact.any() else ""
    return f"interpolated between {between}{some}"


def _reference(runs: Runs, count: int | None) -> int:
    """The place of the batch count that the rules start from."""
    if count is None:
        return 0
    there = np.flatnonzero(runs.batch_count == count)
    if not len(there):
        raise no_such("reference", count, map(str, runs.batch_count))
    return int(there[0])


class _Tuned(NamedTuple):
    """The best rates of some seeds' runs.

    Attributes:
      best: [O, K], the place of the rate with the fewest steps; -1 where none reaches the target.
      steps: [O, K], their median there; infinite where none does.
      medians: [O, K, L], the median at every rate.
    """

    best: np.ndarray
    steps: np.ndarray
    medians: np.ndarray

    @staticmethod
    def of(steps: np.ndarray) -> "_Tuned":
        """From the steps of every run, [O, K, L, R]."""
        medians = median_steps(steps)
        return _Tuned(best_place(medians), medians.min(axis=-1), medians)

    def rate(self, runs: Runs) -> np.ndarray:
        """The best rates, [O, K]; NaN where the target is not reached."""
        return np.where(self.best >= 0, runs.rates[self.best], np.nan)

    def inner_rate(self, runs: Runs) -> np.ndarray:
        """The same, but NaN at an edge of the rates, where a best rate is only a bound."""
        return np.where(is_edge(runs.rates, self.best), np.nan, self.rate(runs))


def _stacked(again: list[np.ndarray], like: np.ndarray) -> np.ndarray:
    return np.stack(again) if again else np.zeros((0, *like.shape))


def _curve(runs: Runs, found: _Tuned, again: list[_Tuned], level: float) -> dict[str, np.ndarray]:
    """What there is of every batch count, [O, K] each."""
    steps = np.where(np.isfinite(found.steps), found.steps, np.nan)
    ends = interval(_stacked([each.steps for each in again], steps), level)
    rate_ends = interval(_stacked([each.rate(runs) for each in again], steps), level)
    known = found.best >= 0
    at_best = np.take_along_axis(runs.steps, np.maximum(found.best, 0)[..., None, None], axis=2)[:, :, 0]
    why = why_no_interval(np.where(np.isfinite(at_best), at_best, np.inf), level)
    low, high, why = supported(*ends, np.where(known, why, ""))
    rate_ends = [np.where(why == "", end, np.nan) for end in rate_ends]

    def seeds(array: np.ndarray) -> np.ndarray:
        """How many seeds of [O, K, L, R] at the best rate."""
        at_best = np.take_along_axis(array, np.maximum(found.best, 0)[..., None, None], axis=2)
        return np.where(known, at_best[:, :, 0].sum(axis=-1), 0)

    return {
        "steps": steps,
        "steps_low": low,
        "steps_high": high,
        "no_interval": np.where(known, why, ""),
        "exact": np.broadcast_to(runs.exact, steps.shape),
        "epochs": steps / runs.batch_count,
        "samples": steps * runs.batch_size,
        "rate": found.rate(runs),
        "rate_low": rate_ends[0],
        "rate_high": rate_ends[1],
        "at_edge": is_edge(runs.rates, found.best),
        "reached": seeds(np.isfinite(runs.steps)),
        "bounds": seeds(runs.first),
    }


def _rules(runs: Runs, found: _Tuned, start: int) -> dict[str, np.ndarray]:
    """What the rules give from the batch count at `start` on, [O, rules, K] each; NaN past the range of rates."""
    power = np.asarray(list(RULES.values()))[:, None]
    rate = found.rate(runs)[:, start, None, None] * (runs.batch_size / runs.batch_size[start]) ** power
    known = np.isfinite(rate)
    apart = np.abs(np.log(np.where(known, rate, 1.0)[..., None] / runs.rates))
    nearest = apart.argmin(axis=-1)[..., None]
    spacing = np.diff(np.log(runs.rates)).max() if len(runs.rates) > 1 else 0.0
    inside = known & (np.take_along_axis(apart, nearest, axis=-1)[..., 0] <= spacing / 2 + 1e-9)
    medians = np.broadcast_to(found.medians[:, None], (*rate.shape, len(runs.rates)))
    steps = np.where(inside, np.take_along_axis(medians, nearest, axis=-1)[..., 0], np.nan)
    with np.errstate(invalid="ignore"):
        return {"rule_rate": rate, "rule_steps": steps, "rule_ratio": steps / found.steps[:, None]}


def _fits(runs: Runs, found: _Tuned, again: list[_Tuned], told: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """The curve and the power law fitted over the batch counts, [O] each; where `told` [O, K] is NaN they are left out."""
    bend = fit_bend(found.steps * told, runs.batch_size)
    bends = fit_bend(_stacked([each.steps for each in again], found.steps) * told, runs.batch_size).critical
    # With none of the batch sizes' steps scattering, the fits have no interval either.
    why = why_no_interval(np.where(np.isfinite(runs.steps), runs.steps, np.inf), level).reshape(len(runs.steps), -1)
    scatters = (why == "").any(axis=1)
    critical = []
    for place, steps in enumerate(found.steps * told):
        sizes = runs.batch_size[np.isfinite(steps)]
        own = Bend(*(part[place] for part in bend))
        resampled = bends[:, place] if scatters[place] else None
        critical.append(enclosed(own, resampled, sizes if len(sizes) else runs.batch_size, level))
    names = ("critical_batch_size", "critical_low", "critical_high", "fewest_steps", "fewest_samples")
    parts = dict(zip(names, map(np.asarray, zip(*critical, strict=True)), strict=True))
    rates = found.inner_rate(runs) * told
    power = power_of_size(rates, runs.batch_size)
    again_power = power_of_size(_stacked([each.inner_rate(runs) for each in again], rates) * told, runs.batch_size)
    # Resamples without a fit say nothing: with many of them, so do the others.
    known = np.isfinite(again_power).sum(axis=0) >= FITTED_SHARE * len(again_power)
    why_power = np.where(~scatters, why[:, 0], np.where(known, "", NO_FITS))
    low, high, why_power = supported(*interval(again_power, level), np.where(np.isfinite(power), why_power, NO_FITS), 1e-9)
    tuned_sizes = np.isfinite(found.rate(runs) * told).sum(axis=-1)
    reasons = [_why_no_power(*row) for row in zip(np.isfinite(power).tolist(), tuned_sizes.tolist(), strict=True)]
    parts |= {"rate_power": power, "power_low": low, "power_high": high, "no_power": np.asarray(reasons)}
    parts |= {"no_power_interval": np.where(np.isfinite(power), why_power, "")}
    return parts | {"nearest": runs.nearest}


FITTED_SHARE = 0.9
"""Share of the resamples that must have a fit for it to have an interval."""

NO_FITS = "in many resamples of the seeds too few best rates lie inside their range"


def _why_no_power(is_fitted: bool, sizes: int) -> str:
    """Why the best rate has no power of the batch size, of the sizes that have a best rate."""
    if is_fitted:
        return ""
    if sizes < FEWEST_SIZES:
        return f"fewer than {FEWEST_SIZES} batch counts have steps to the target that are no bound"
    return f"fewer than {FEWEST_SIZES} batch counts have their best rate inside its range, and at an edge it is only a bound"
