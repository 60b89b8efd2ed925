"""Batch-count scaling: the steps to a target with the rate tuned anew at every batch count, and what follows from them.

References:
  Shallue, Lee, Antognini, Sohl-Dickstein, Frostig and Dahl 2019, "Measuring the effects of data parallelism on neural network
  training": steps to a target against batch size, tuned anew at each, and its three regimes.
  McCandlish, Kaplan, Amodei and the OpenAI Dota team 2018, "An empirical model of large-batch training": the curve between
  them, (S / S_min - 1) (E / E_min - 1) = 1, and the critical batch size E_min / S_min.

`steps_by_size` has the functions of arrays for it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from jaxsgd.analysis.choice import best_place, is_edge
from jaxsgd.analysis.confidence import (
    FEWEST_SIZES,
    check_confidence,
    interval,
    resampled_seeds,
    supported,
    why_no_interval,
)
from jaxsgd.analysis.steps_by_size import (
    Bend,
    enclosed,
    fit_bend,
    median_steps,
    power_of_size,
    regimes,
    steps_to_target,
)
from jaxsgd.error import InputError, check_count, counted, no_such
from jaxsgd.family import split_names
from jaxsgd.measure.observable import direction
from jaxsgd.results.axes import axis_dim, axis_names, axis_values, check_finished, is_numeric, seed_dims, stored
from jaxsgd.results.metric import metric_named, record_epochs, record_steps, resolution, time_dim
from jaxsgd.study.batch_rules import MEMORIES, TIMESCALE, batch_rule_named, check_rules
from jaxsgd.study.dimensions import SIZE_AXES

RULED = ("rule_rate", "rule_steps", "rule_ratio")
FITTED = ("critical_batch_size", "critical_low", "critical_high", "fewest_steps", "fewest_samples")
FITTED += ("rate_power", "power_low", "power_high", "no_power", "no_power_interval", "nearest")

DESCRIPTIONS = {
    "steps": ("steps", "median steps to the target at the best {tune}"),
    "steps_low": ("steps", "lower end of its interval"),
    "steps_high": ("steps", "upper end of its interval"),
    "exact": ("1", "true if the steps are exact: there was a record after every step"),
    "epochs": ("epochs", "median epochs to the target"),
    "samples": ("samples", "median samples to the target"),
    "no_interval": ("1", "reason if the steps have no interval, else empty"),
    "rate": ("1", "the {tune} with the fewest steps"),
    "rate_low": ("1", "lower end of its interval"),
    "rate_high": ("1", "upper end of its interval"),
    "at_edge": ("1", "true if the best {tune} is the least or the greatest of three or more"),
    "reached": ("seeds", "seeds that reach the target at the best {tune}"),
    "bounds": ("seeds", "number of these that had reached it at their first record"),
    "regime": ("1", "perfect scaling, diminishing returns or none; bound if the steps are only an upper bound"),
    "rule_rate": ("1", "the {tune} by a rule"),
    "rule_steps": ("steps", "median steps to the target at the nearest {tune} that was run"),
    "rule_ratio": ("1", "steps by the rule over steps at the best {tune}"),
    "critical_batch_size": ("samples", "critical batch size of the fit"),
    "critical_low": ("samples", "lower end of its interval"),
    "critical_high": ("samples", "upper end of its interval"),
    "fewest_steps": ("steps", "fewest steps, of the fit"),
    "fewest_samples": ("samples", "fewest samples, of the fit"),
    "rate_power": ("1", "p of best {strength} ~ batch size^p"),
    "power_low": ("1", "lower end of its interval"),
    "power_high": ("1", "upper end of its interval"),
    "no_power": ("1", "reason if there is no such p, else empty"),
    "no_power_interval": ("1", "reason if p has no interval, else empty; empty without p"),
    "nearest": ("{units}", "the {metric} nearest to the target"),
}
"""Units and meaning of each variable, by name."""


class _TargetRuns(NamedTuple):
    """Steps to the target of all runs: O other settings, K batch sizes and L values of the tuned axis ascending, R seeds.

    Attributes:
      tune: the tuned axis.
      others: the other dimensions.
      along: the dimension of the batch count.
      rates: [L].
      batch_count: [K], m.
      batch_size: [K], samples a step on average, N / m.
      steps: [O, K, L, R], to the target; NaN for a run that never reached it.
      exact: [K], True if there is a record after every step, so that the steps are not interpolated.
      first: [O, K, L, R], True if a run had reached it at its first record, so that its steps are only an upper bound; False
        if they are exact.
      nearest: [O], the value nearest to the target, over all runs and records.
    """

    tune: str
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
    metric: str | None = None,
    *,
    tune: str = "learning_rate",
    reference: int | None = None,
    rules: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Return the steps to a target at every batch count, each at its own best rate, and what follows from them.

    The protocol of Shallue et al. 2019, "Measuring the effects of data parallelism on neural network training": at every batch
    count, all rates of the result are tried, and the best has the lowest median of steps over the seeds, where a run that never
    reaches the target needs infinitely many. Intervals are percentiles of a bootstrap over the seeds, in which the rates are
    tuned again; batch counts keep their pairing, because they share the resampled seeds.

    A record counts at the step at which it was taken: after the last step of an epoch or at an evaluation within it
    (`Study(evaluate_every=...)`), and for the mean loss over an epoch (`loss_epoch`) at the middle of its steps. Between two
    records the curve is interpolated linearly. With a record after every step, as `evaluate_every=1` gives, nothing is
    interpolated: the steps are exact, those of the first record at or past the target.

    Args:
      ds: a finished result with an axis of batch counts or sizes and one of rates.
      target: of the metric; reached from above, and an accuracy from below.
      metric: a metric with several records of a run; by default "validation_loss" if the result has it, else "train_loss", else
        "loss_epoch".
      tune: the axis that is tuned away.
      reference: the batch count at which the rules start from the tuned rate; by default the largest.
      rules: names of batch rules (`jaxsgd.study.batch_rules`), such as "power(0.7)", in a list or with commas; by default those
        that are usual for the tuned axis: linear and sqrt, for the decay of a memory (`b2`) half_life and complement, and for
        `eps` inverse_sqrt.
      confidence: level of the intervals, between 0 and 1.
      resamples, seed: of the bootstrap.

    Returns:
      A Dataset along the axis of the batch count and the result's other axes, with

      - `steps`, `steps_low`, `steps_high`: median over the seeds at the best rate; NaN if half of them never reach the target;
        an end of the interval is infinite if it is open, and both are NaN if the seeds do not support an interval, for the
        reason in `no_interval`;
      - `epochs` and `samples`: the same in epochs and in samples;
      - `exact`: true if the steps are exact to the step, false if interpolated between two records; the attribute `resolution`
        says it in words;
      - the best value of the tuned axis, with `rate_low`, `rate_high`, and `at_edge`: true if it is the least or the greatest
        of three or more;
      - `reached`: number of seeds that reach the target at that value; `bounds`: number of these that had reached it at their
        first record, which is only an upper bound of their steps;
      - `regime`: "perfect", "diminishing" or "none", see `jaxsgd.analysis.regimes`; "bound" if most seeds had reached the
        target at their first record: the fits leave out such a batch count;
      - also along `rule`, `rule_rate` by each rule from the reference on, `rule_steps` at the nearest rate that was run, and
        `rule_ratio`, these steps divided by those of the tuned rate; NaN outside the range of rates;

      and, without the batch counts, `critical_batch_size` with `critical_low` and `critical_high` (open ends are 0 or
      infinite), `fewest_steps`, `fewest_samples`; `rate_power` with its interval, the p of rate ~ B^p, or in `no_power` the
      reason why there is none (a best rate at the edge of its range is only a bound, and the fit leaves it out); and `nearest`,
      the value nearest to the target. For the decay of a memory p is that of -log(decay) ~ B^p: it is 1 if the memory keeps its
      half-life in samples.

    Raises:
      InputError: for an axis, a metric or a batch count that the result does not have, an unfinished result, a target that is
        not finite, or a confidence level outside (0, 1).
    """
    metric = metric_named(ds, metric, by_epoch=True)
    check_confidence(confidence)
    names = rule_names(tune, rules)
    runs = _target_runs(ds, target, metric, tune)
    start = _reference(runs, reference)
    tuned = _BestRates.of(runs.steps)
    drawn = resampled_seeds(runs.steps.shape[-1], check_count("resamples", resamples), seed)
    resampled = _BestRates.resampled(runs.steps, drawn)
    curve = _curve(runs, tuned, resampled, confidence)
    counted = np.where(curve["bounds"] * 2 > curve["reached"], np.nan, 1.0)
    curve["regime"] = np.where(np.isnan(counted), "bound", [regimes(row, runs.batch_size) for row in tuned.steps * counted])
    variables = curve | _rules(runs, tuned, start, names) | _fits(runs, tuned, resampled, counted, confidence)
    of_curve, of_rules, of_fits = [*runs.others, runs.along], [*runs.others, "rule", runs.along], runs.others
    dims = {**dict.fromkeys(RULED, of_rules), **dict.fromkeys(FITTED, of_fits)}
    lengths = {"rule": len(names), **ds.sizes}
    strength = f"-log({tune})" if tune in MEMORIES else tune
    columns = {}
    for name, array in variables.items():
        own = dims.get(name, of_curve)
        units, text = DESCRIPTIONS[name]
        described = {
            "units": units.format(units=ds[metric].attrs.get("units", "1")),
            "long_name": text.format(tune=tune, metric=metric, strength=strength),
        }
        columns[tune if name == "rate" else name] = (own, np.reshape(array, [lengths[dim] for dim in own]), described)
    by_size = ds.isel({runs.along: np.argsort(_mean_size(ds), kind="stable")})
    kept = {name: c for name, c in by_size.coords.items() if c.dims and set(c.dims) <= set(of_curve) and name != tune}
    kept["samples_per_step"] = (runs.along, runs.batch_size, {"units": "samples", "long_name": "N / m, the mean batch size"})
    attrs = {"title": f"steps to {metric} {target:g}", "metric": metric, "target": float(target), "tune": tune}
    attrs |= {"confidence": float(confidence)}
    attrs |= {"seeds": runs.steps.shape[-1], "runs": runs.steps.size, "runs_reached": int(np.isfinite(runs.steps).sum())}
    attrs["resolution"] = _resolution(ds, metric, runs)
    attrs |= {"along": runs.along, "reference": int(runs.batch_count[start]), "units": str(ds[metric].attrs.get("units", "1"))}
    return xr.Dataset(columns, {**kept, "rule": list(names)}, attrs)


def rule_names(tune: str, rules: str | Sequence[str] | None) -> list[str]:
    """Return the names of the batch rules that are compared for a tuned axis.

    Args:
      tune: the axis.
      rules: names in a list or with commas; None for those that are usual for the axis.

    Raises:
      InputError: for an unknown rule, one that does not suit the axis, or none.
    """
    if rules is None:
        if tune in MEMORIES:
            return ["half_life", "complement"]
        return ["inverse_sqrt"] if tune == "eps" else ["linear", "sqrt"]
    given = split_names(rules) if isinstance(rules, str) else list(rules)
    names = list(dict.fromkeys(name.strip() for name in given))
    if not names:
        raise InputError("rules must have at least one name, such as linear")
    if TIMESCALE in names:
        raise InputError(
            "the rule 'timescale' depends on the rate: at a constant rate it is linear, and beside one with sqrt it is sqrt"
        )
    for name in names:
        check_rules([("", {tune: name})])
    return names


def _strength(tune: str, values: np.ndarray) -> np.ndarray:
    """Return the values of an axis as positive numbers with which a power of the batch size makes sense.

    The decay of a memory counts by the share that it forgets in a step, -log(decay). Values outside its range are NaN.
    """
    if tune not in MEMORIES:
        return values
    inside = (values > 0) & (values < 1)
    return np.where(inside, -np.log(np.where(inside, values, 0.5)), np.nan)


def batch_axis(ds: xr.Dataset) -> str:
    """Return the name of the axis of batch counts or sizes.

    Raises:
      InputError: if the result has none with several values along a dimension of its own.
    """
    for name in SIZE_AXES:
        if name in axis_names(ds) and ds[name].dims == (name,) and ds.sizes[name] > 1:
            return name
    raise InputError("scaling needs an axis of batch counts or batch sizes with several values: batch_counts=[1, 2, 4, ...]")


def reachable_target(ds: xr.Dataset, best: xr.Dataset) -> float | None:
    """Return a target that every batch count reaches, to two digits; None if the result has no steps to a target.

    Args:
      ds: a result.
      best: its best settings, as `jaxsgd.best` gives them.
    """
    try:
        along = batch_axis(ds)
    except InputError:
        return None
    metric = best.attrs["metric"]
    if not time_dim(ds, metric) or ds.attrs["missing_cells"] or not best.sizes["searched"]:
        return None
    if along not in best["median_value"].dims or not np.isfinite(best["median_value"]).all():
        return None
    # The worst of them, to two digits, and one unit of the second digit worse.
    sign = direction(metric)
    worst = float((sign * best["median_value"]).max())
    digit = 10.0 ** (math.floor(math.log10(abs(worst))) - 1) if worst else 0.1
    return sign * (math.floor(worst / digit) + 1) * digit


def _mean_size(ds: xr.Dataset) -> np.ndarray:
    """Return N / m at each position of the batch axis, which orders it by batch size."""
    samples = stored(ds, "manifest")["num_samples"]
    return samples / ds["batch_count"].values


def _target_runs(ds: xr.Dataset, target: float, metric: str, tune: str) -> _TargetRuns:
    """Return the steps to the target of all runs of a result."""
    dim, along = axis_dim(ds, tune), batch_axis(ds)
    rates = axis_values(ds, tune)
    if dim == along or not is_numeric(rates) or (rates <= 0).any() or (tune in MEMORIES and (rates >= 1).any()):
        raise InputError(f"tune must be an axis of positive numbers, not the batch count, such as learning_rate, got {tune!r}")
    check_finished(ds, "scaled")
    seeds = seed_dims(ds, (dim, along))
    reach = target_reach(ds, target, metric)
    others = [str(d) for d in reach.steps.dims if d not in (along, dim, *seeds)]
    order, size = np.argsort(rates, kind="stable"), _mean_size(ds)
    by_size = np.argsort(size, kind="stable")
    lead = int(np.prod([ds.sizes[d] for d in others], dtype=int))

    def ordered(array: xr.DataArray) -> np.ndarray:
        placed = array.isel({dim: order, along: by_size}).transpose(*others, along, dim, *seeds)
        return placed.values.reshape(lead, len(size), len(rates), -1)

    best = reach.nearest.transpose(*others, ...).values.reshape(lead, -1)
    return _TargetRuns(
        tune,
        others,
        along,
        rates[order],
        ds["batch_count"].values[by_size],
        size[by_size],
        ordered(reach.steps),
        reach.exact.isel({along: by_size}).values,
        ordered(reach.first),
        best.max(axis=-1) if direction(metric) < 0 else best.min(axis=-1),
    )


class TargetReach(NamedTuple):
    """The steps of each run of a result to a target.

    Attributes:
      steps: along the axes of cells: number of steps, NaN for a run that never reached the target.
      first: along the same, True if a run had reached it at its first record, so that its steps are only an upper bound; False
        if they are exact.
      nearest: along the same, its value nearest to the target, infinitely far without a finite one.
      exact: along the axis of the batch count, True if there is a record after every step, so that nothing is interpolated.
    """

    steps: xr.DataArray
    first: xr.DataArray
    nearest: xr.DataArray
    exact: xr.DataArray


def target_reach(ds: xr.Dataset, target: float, metric: str) -> TargetReach:
    """Return the steps to a target of all runs of a result.

    Args:
      ds: a finished result.
      target: of the metric; reached from above, and where higher is better from below.
      metric: a metric with several records of a run.

    Raises:
      InputError: for a target that is not finite, or runs that stopped before they reached it.
    """
    time = str(time_dim(ds, metric))
    measured = ds[metric].astype(np.float64)
    # The mean over an epoch that the run did not complete stands for no step.
    if metric == "loss_epoch" and "stopped_step" in ds:
        whole = xr.DataArray(record_epochs(ds, metric) * ds["batch_count"])
        measured = measured.where(~(whole > ds["stopped_step"]))
    rising = direction(metric) < 0
    # An overflow in the direction of the target does not reach it.
    measured = measured.where(measured != (np.inf if rising else -np.inf)).transpose(..., time)
    taken = xr.DataArray(record_steps(ds, metric))
    # Several records at one step count once; past the end of a run there is none.
    exact = (taken.isel({time: 0}) <= 1) & (taken.diff(time).fillna(0) <= 1).all(time) & (metric != "loss_epoch")
    cells = measured.isel({time: 0}, drop=True)
    steps = cells.copy(
        data=steps_to_target(
            measured.values,
            taken.broadcast_like(measured).transpose(*measured.dims).values,
            target,
            rising=rising,
            exact=exact.broadcast_like(cells).transpose(*cells.dims).values,
        )
    )
    if "stopped_step" in ds:
        unknown = int((np.isfinite(ds["stopped_step"]) & np.isnan(steps)).sum())
        if unknown:
            stop = " ".join(f"{name} {value:g}" for name, value in stored(ds, "study")["stop"].items())
            raise InputError(
                f"{counted(unknown, 'run')} stopped at {stop} before reaching {metric} {target:g}: give a target "
                "that all runs reach before they stop, or run the study without stop"
            )
    first = ((cells >= target) if rising else (cells <= target)) & ~exact
    finite = measured.where(np.isfinite(measured), -np.inf if rising else np.inf)
    return TargetReach(
        steps,
        first.transpose(*cells.dims),
        finite.max(time) if rising else finite.min(time),
        exact.drop_vars(time, errors="ignore"),
    )


def _resolution(ds: xr.Dataset, metric: str, runs: _TargetRuns) -> str:
    """Return in words if the steps are exact, or between which records they are interpolated."""
    if runs.exact.all():
        return "exact to the step"
    between = "the ends of epochs" if time_dim(ds, metric) == "epoch" else f"evaluations {resolution(ds, metric)}"
    between = "the middles of epochs" if metric == "loss_epoch" else between
    exception = ", but exact to the step where every step was evaluated" if runs.exact.any() else ""
    return f"interpolated between {between}{exception}"


def _reference(runs: _TargetRuns, count: int | None) -> int:
    """Return the position of the batch count that the rules start from."""
    if count is None:
        return 0
    positions = np.flatnonzero(runs.batch_count == count)
    if not len(positions):
        raise no_such("reference", count, map(str, runs.batch_count))
    return int(positions[0])


_RESAMPLED_AT_ONCE = 2**22
"""Most steps of runs that are resampled at once: 32 MiB."""


class _BestRates(NamedTuple):
    """The best rates over the runs of some seeds; those of n resamples have a first axis [n].

    Attributes:
      best: [O, K], the position of the rate with the fewest steps; -1 if none reaches the target.
      steps: [O, K], their median at that rate; infinite if none reaches it.
      medians: [O, K, L], the median at every rate.
    """

    best: np.ndarray
    steps: np.ndarray
    medians: np.ndarray

    @staticmethod
    def of(steps: np.ndarray) -> "_BestRates":
        """Return the best rates by the steps of every run, [O, K, L, R]."""
        medians = median_steps(steps)
        return _BestRates(best_place(medians), medians.min(axis=-1), medians)

    @staticmethod
    def resampled(steps: np.ndarray, drawn: np.ndarray) -> "_BestRates":
        """Return the best rates over resampled seeds.

        Args:
          steps: [O, K, L, R], of every run.
          drawn: [n, R], positions of seeds.
        """
        most = max(1, _RESAMPLED_AT_ONCE // max(1, steps.size))
        parts = [
            _BestRates.of(np.moveaxis(steps[..., drawn[first : first + most]], -2, 0))
            for first in range(0, max(1, len(drawn)), most)
        ]
        return _BestRates(*map(np.concatenate, zip(*parts, strict=True)))

    def rate(self, runs: _TargetRuns) -> np.ndarray:
        """Return the best rates, [O, K]; NaN where the target is not reached."""
        return np.where(self.best >= 0, runs.rates[self.best], np.nan)

    def inner_rate(self, runs: _TargetRuns) -> np.ndarray:
        """Return the best rates, [O, K]; also NaN at an edge of the rates, where a best rate is only a bound."""
        return np.where(is_edge(runs.rates, self.best), np.nan, self.rate(runs))


def _curve(runs: _TargetRuns, tuned: _BestRates, resampled: _BestRates, confidence: float) -> dict[str, np.ndarray]:
    """Return the columns along the batch counts, [O, K] each."""
    steps = np.where(np.isfinite(tuned.steps), tuned.steps, np.nan)
    ends = interval(resampled.steps, confidence)
    rate_ends = interval(resampled.rate(runs), confidence)
    known = tuned.best >= 0
    at_best = np.take_along_axis(runs.steps, np.maximum(tuned.best, 0)[..., None, None], axis=2)[:, :, 0]
    why = why_no_interval(np.where(np.isfinite(at_best), at_best, np.inf), confidence)
    low, high, why = supported(*ends, np.where(known, why, ""))
    rate_ends = [np.where(why == "", end, np.nan) for end in rate_ends]

    def seeds(array: np.ndarray) -> np.ndarray:
        """Return the number of seeds of [O, K, L, R] at the best rate."""
        at_best = np.take_along_axis(array, np.maximum(tuned.best, 0)[..., None, None], axis=2)
        return np.where(known, at_best[:, :, 0].sum(axis=-1), 0)

    return {
        "steps": steps,
        "steps_low": low,
        "steps_high": high,
        "no_interval": np.where(known, why, ""),
        "exact": np.broadcast_to(runs.exact, steps.shape),
        "epochs": steps / runs.batch_count,
        "samples": steps * runs.batch_size,
        "rate": tuned.rate(runs),
        "rate_low": rate_ends[0],
        "rate_high": rate_ends[1],
        "at_edge": is_edge(runs.rates, tuned.best),
        "reached": seeds(np.isfinite(runs.steps)),
        "bounds": seeds(runs.first),
    }


def _rules(runs: _TargetRuns, tuned: _BestRates, start: int, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the columns of the rules from the batch count at `start` on, [O, rules, K]; NaN outside the range of rates."""
    begin, kappa = tuned.rate(runs)[:, start, None], runs.batch_size / runs.batch_size[start]
    rate = np.stack([batch_rule_named(name).value(begin, kappa) for name in names], axis=1)
    wanted, tried = _strength(runs.tune, rate), np.log(_strength(runs.tune, runs.rates))
    known = np.isfinite(wanted)
    apart = np.abs(np.log(np.where(known, wanted, 1.0))[..., None] - tried)
    nearest = apart.argmin(axis=-1)[..., None]
    spacing = np.abs(np.diff(tried)).max() if len(tried) > 1 else 0.0
    inside = known & (np.take_along_axis(apart, nearest, axis=-1)[..., 0] <= spacing / 2 + 1e-9)
    medians = np.broadcast_to(tuned.medians[:, None], (*rate.shape, len(runs.rates)))
    steps = np.where(inside, np.take_along_axis(medians, nearest, axis=-1)[..., 0], np.nan)
    with np.errstate(invalid="ignore"):
        return {"rule_rate": rate, "rule_steps": steps, "rule_ratio": steps / tuned.steps[:, None]}


def _fits(
    runs: _TargetRuns, tuned: _BestRates, resampled: _BestRates, counted: np.ndarray, confidence: float
) -> dict[str, np.ndarray]:
    """Return the columns of the fits over the batch counts, [O] each; those with NaN in `counted` [O, K] are left out."""
    bend = fit_bend(tuned.steps * counted, runs.batch_size)
    bends = fit_bend(resampled.steps * counted, runs.batch_size).critical
    # If the steps show no spread at any batch size, the fits have no interval either.
    why = why_no_interval(np.where(np.isfinite(runs.steps), runs.steps, np.inf), confidence).reshape(len(runs.steps), -1)
    spread = (why == "").any(axis=1)
    critical = []
    for place, steps in enumerate(tuned.steps * counted):
        sizes = runs.batch_size[np.isfinite(steps)]
        fit = Bend(*(part[place] for part in bend))
        critical_sizes = bends[:, place] if spread[place] else None
        critical.append(enclosed(fit, critical_sizes, sizes if len(sizes) else runs.batch_size, confidence))
    names = ("critical_batch_size", "critical_low", "critical_high", "fewest_steps", "fewest_samples")
    parts = dict(zip(names, map(np.asarray, zip(*critical, strict=True)), strict=True))
    rates = _strength(runs.tune, tuned.inner_rate(runs)) * counted
    power = power_of_size(rates, runs.batch_size)
    powers = power_of_size(_strength(runs.tune, resampled.inner_rate(runs)) * counted, runs.batch_size)
    # If many resamples have no fit, those with one do not represent the seeds.
    known = np.isfinite(powers).sum(axis=0) >= FITTED_SHARE * len(powers)
    why_power = np.where(~spread, why[:, 0], np.where(known, "", NO_FITS))
    low, high, why_power = supported(*interval(powers, confidence), np.where(np.isfinite(power), why_power, NO_FITS), 1e-9)
    tuned_sizes = np.isfinite(tuned.rate(runs) * counted).sum(axis=-1)
    reasons = [_why_no_power(*row) for row in zip(np.isfinite(power).tolist(), tuned_sizes.tolist(), strict=True)]
    parts |= {"rate_power": power, "power_low": low, "power_high": high, "no_power": np.asarray(reasons)}
    parts |= {"no_power_interval": np.where(np.isfinite(power), why_power, "")}
    return parts | {"nearest": runs.nearest}


FITTED_SHARE = 0.9
"""Smallest share of the resamples with a fit for which it has an interval."""

NO_FITS = "in many resamples of the seeds too few best rates lie inside their range"


def _why_no_power(is_fitted: bool, sizes: int) -> str:
    """Return the reason why the best rate has no power of the batch size, or ""; `sizes` have a best rate."""
    if is_fitted:
        return ""
    if sizes < FEWEST_SIZES:
        return f"fewer than {FEWEST_SIZES} batch counts have steps to the target that are more than a bound"
    return f"fewer than {FEWEST_SIZES} batch counts have their best rate inside its range; at an edge it is only a bound"
