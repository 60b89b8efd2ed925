"""The number of seeds that a comparison needs, worked out from a pilot of a few seeds, and the width of its interval there.

The paired differences are taken as normal, as for Student's t interval. The pilot says how large their spread is only roughly,
and so every answer has an interval of its own. Where the differences have long tails, these intervals are too narrow.

References:
  Cochran 1934, "The distribution of quadratic forms in a normal system": the sum of squares of all seeds is that of the
  pilot and an independent one of the seeds that are added.
  Browne 1995, "On the use of a pilot sample for sample size determination": a pilot's variance with its chi-square interval.
  Steiger and Fouladi 1997, "Noncentrality interval estimation and the evaluation of statistical models": an interval of a
  difference in units of its own spread, from the noncentral t distribution.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from jaxsgd.analysis.confidence import check_confidence
from jaxsgd.error import InputError, check_count, shown

MOST_SEEDS = 1e6
"""Numbers of seeds above this one count as infinite: no study has them."""

SAME_DIFFERENCE = "all seeds give the same difference, so they show no spread"


def seeds_needed(
    compared: xr.Dataset, wanted: float | None = None, *, power: float = 0.8, confidence: float = 0.9
) -> xr.Dataset:
    """Return the number of seeds at which the interval of each difference of a comparison would exclude zero.

    With that many seeds in all, the pilot's among them, the interval excludes zero on the right side with probability `power`.
    It is a comparison's own interval, at its own confidence level.

    Args:
      compared: a pilot: a comparison of a few seeds, as `jaxsgd.compare` or `jaxsgd.benchmark` returns it.
      wanted: the smallest difference that matters to you, in the units of the metric; by default the observed differences. A
        pilot knows these only roughly: their numbers of seeds have wide intervals, without an upper end where the difference
        may be zero.
      power: probability with which the interval excludes zero if the difference is the wanted one, between 0 and 1.
      confidence: level of the interval of each number of seeds, between 0 and 1.

    Returns:
      A Dataset along the comparison's axes without the reference: `deviation` of the paired differences over the seeds (n - 1);
      `aim`, the size of the difference; `seeds`, the number of seeds, of which half of all pilots would give fewer, with `low`
      and `high`; infinite above a million; and `no_number`, the reason where there is none (NaN), else empty.

    Raises:
      InputError: for a wanted difference that is not a positive number, a power or a confidence level outside (0, 1), or
        anything that is no comparison.
    """
    check_confidence(confidence)
    check_power(power)
    if wanted is not None and not (isinstance(wanted, int | float) and 0 < wanted < math.inf):
        raise InputError(f"wanted must be a positive difference, in the units of the metric, got {shown(wanted)}")
    pilot = _others(compared)
    pairs, deviation = pilot["pairs"].values, _deviation(pilot)
    aim = abs(pilot["difference"].values) if wanted is None else np.full(pairs.shape, float(wanted))
    # The effect is the difference divided by the deviation: the larger it is, the fewer seeds are needed.
    levels = [(1 + confidence) / 2, 0.5, (1 - confidence) / 2]
    effects = [(_observed_effect if wanted is None else _wanted_effect)(aim, deviation, pairs, level) for level in levels]
    low, middle, high = (seeds_for_effect(effect, pilot.attrs["confidence"], power) for effect in effects)
    reason = np.where(pilot["no_interval"] != "", pilot["no_interval"], np.where(deviation == 0, SAME_DIFFERENCE, ""))
    units = pilot["difference"].attrs.get("units", "1")
    level = f"its {100 * confidence:g} % interval"
    columns = {
        "deviation": (deviation, units, "standard deviation of the paired differences over the seeds"),
        "aim": (aim, units, "size of the difference that is to be seen"),
        "seeds": (middle, "seeds", f"seeds at which the interval excludes zero with probability {power:g}"),
        "low": (low, "seeds", f"lower end of {level}"),
        "high": (high, "seeds", f"upper end of {level}"),
        "no_number": (reason.astype(str), "1", "reason if there is no number of seeds, else empty"),
    }
    known = reason == ""
    for name in ("seeds", "low", "high"):
        array, unit, text = columns[name]
        columns[name] = (np.where(known, array, np.nan), unit, text)
    attrs = {name: pilot.attrs[name] for name in ("axis", "metric", "reference") if name in pilot.attrs}
    attrs |= {"title": "seeds needed", "power": float(power), "confidence": float(confidence)}
    return xr.Dataset(
        {
            name: (pilot["pairs"].dims, array, {"units": unit, "long_name": text})
            for name, (array, unit, text) in columns.items()
        },
        pilot.coords,
        attrs,
    )


def check_power(power: float) -> None:
    """Check the probability with which a difference is to be seen.

    Raises:
      InputError: unless it lies between 0 and 1.
    """
    if not 0 < power < 1:
        raise InputError(f"power must lie between 0 and 1, such as 0.8, got {shown(power)}")


def predicted_width(compared: xr.Dataset, seeds: int | Sequence[int], *, confidence: float = 0.9) -> xr.Dataset:
    """Return the width that the interval of each difference of a comparison will have at given numbers of seeds.

    The pilot's seeds are among them, as they are if a result grows. The prediction is then the less certain the more seeds are
    added, up to the uncertainty of the pilot's deviation.

    Args:
      compared: a pilot: a comparison of a few seeds, as `jaxsgd.compare` or `jaxsgd.benchmark` returns it.
      seeds: numbers of seeds in all, L of them.
      confidence: level of the interval of each width, between 0 and 1.

    Returns:
      A Dataset along the comparison's axes without the reference, and `seeds` last: `width`, in the units of the metric, which
      is as often exceeded as not, with `low` and `high`. NaN for fewer seeds than the pilot has, and where the pilot has no
      interval.

    Raises:
      InputError: for numbers of seeds that are no counts, a confidence level outside (0, 1), or anything that is no comparison.
    """
    check_confidence(confidence)
    numbers = np.array([check_count("seeds", number) for number in np.atleast_1d(seeds).tolist()])
    pilot = _others(compared)
    pairs, deviation = pilot["pairs"].values[..., None], _deviation(pilot)[..., None]
    per_deviation = 2 * stats.t.ppf((1 + pilot.attrs["confidence"]) / 2, numbers - 1) / np.sqrt(numbers)
    units = pilot["difference"].attrs.get("units", "1")
    level = f"its {100 * confidence:g} % interval"
    quantiles = {
        "width": (0.5, f"width of the {100 * pilot.attrs['confidence']:g} % interval of the difference"),
        "low": ((1 - confidence) / 2, f"lower end of {level}"),
        "high": ((1 + confidence) / 2, f"upper end of {level}"),
    }
    dims = (*pilot["pairs"].dims, "seeds")
    attrs = {name: pilot.attrs[name] for name in ("axis", "metric", "reference") if name in pilot.attrs}
    return xr.Dataset(
        {
            name: (dims, deviation * per_deviation * _growth(pairs, numbers, quantile), {"units": units, "long_name": text})
            for name, (quantile, text) in quantiles.items()
        },
        {**pilot.coords, "seeds": numbers},
        {"title": "predicted width", **attrs, "confidence": float(confidence)},
    )


def _others(compared: xr.Dataset) -> xr.Dataset:
    """Return a comparison without its reference, which differs from itself by nothing."""
    needed = {"difference", "low", "high", "pairs", "no_interval"}
    if not isinstance(compared, xr.Dataset) or not needed <= set(compared) or not {"axis", "confidence"} <= set(compared.attrs):
        raise InputError(f"the pilot must be what jaxsgd.compare or jaxsgd.benchmark returns, got {shown(compared)}")
    along = compared[compared.attrs["axis"]]
    return compared.isel({str(along.dims[0]): np.flatnonzero(along.values != compared.attrs["reference"])})


def _deviation(pilot: xr.Dataset) -> Float[np.ndarray, "*cells"]:
    """Return the standard deviation of the paired differences of a pilot, from the width of their interval; NaN without one."""
    pairs = pilot["pairs"].values
    # With a single pair there is no quantile, and no interval either.
    quantile = stats.t.ppf((1 + pilot.attrs["confidence"]) / 2, pairs - 1)
    return np.asarray((pilot["high"].values - pilot["low"].values) / 2 * np.sqrt(pairs) / quantile)


def _growth(pairs: ArrayLike, seeds: ArrayLike, level: float) -> np.ndarray:
    """Return a quantile of the deviation over all seeds divided by that over the pilot's.

    The pilot's share of the sum of squares has a beta distribution (Cochran 1934): of (pairs - 1) / 2 and (seeds - pairs) / 2.
    """
    pairs, seeds = np.broadcast_arrays(np.asarray(pairs, np.float64), np.asarray(seeds, np.float64))
    added = np.where((seeds > pairs) & (pairs > 1), seeds - pairs, np.nan)
    share = special.betaincinv((pairs - 1) / 2, added / 2, 1 - level)
    with np.errstate(invalid="ignore", divide="ignore"):
        grown = np.sqrt((pairs - 1) / (seeds - 1) / share)
    return np.where(seeds == pairs, 1.0, grown)


def _wanted_effect(aim: np.ndarray, deviation: np.ndarray, pairs: np.ndarray, level: float) -> np.ndarray:
    """Return a quantile of a known difference divided by the deviation of all possible seeds (Browne 1995)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return aim / deviation * np.sqrt(stats.chi2.ppf(level, pairs - 1) / (pairs - 1))


def _observed_effect(aim: np.ndarray, deviation: np.ndarray, pairs: np.ndarray, level: float) -> np.ndarray:
    """Return a confidence bound of the observed difference divided by its deviation; 0 if it may be zero or less.

    It is the effect for which a t statistic as large as the pilot's has probability 1 - level (Steiger and Fouladi 1997).
    """
    bounds = np.full(pairs.shape, np.nan)
    for place in np.ndindex(pairs.shape):
        count, spread = int(pairs[place]), deviation[place]
        if count < 2 or not spread > 0:
            continue
        statistic = float(math.sqrt(count) * aim[place] / spread)

        def excess(noncentrality: float, statistic: float = statistic, count: int = count) -> float:
            return float(stats.nct.cdf(statistic, count - 1, noncentrality)) - (1 - level)

        if excess(0.0) <= 0:
            bounds[place] = 0.0
            continue
        top = 2 * statistic + 10
        while excess(top) > 0:
            top *= 2
        root: Any = optimize.brentq(excess, 0.0, top)
        bounds[place] = root / math.sqrt(count)
    return bounds


def seeds_for_effect(effect: np.ndarray, confidence: float, power: float) -> np.ndarray:
    """Return the fewest seeds whose interval excludes zero on the right side with probability `power`, [...] -> [...].

    Args:
      effect: the difference divided by its standard deviation; infinitely many seeds where it is zero or less.
      confidence: level of the interval.
      power: the probability.
    """
    return np.reshape([_fewest(float(size), confidence, power) for size in np.ravel(effect)], effect.shape)


def _fewest(effect: float, confidence: float, power: float) -> float:
    if math.isnan(effect):
        return math.nan
    reach = stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(power)
    if effect <= 0 or (reach / effect) ** 2 > MOST_SEEDS:
        return math.inf

    def is_enough(seeds: int) -> bool:
        quantile = stats.t.ppf((1 + confidence) / 2, seeds - 1)
        return bool(stats.nct.sf(quantile, seeds - 1, math.sqrt(seeds) * effect) >= power)

    top = 2
    while not is_enough(top):
        top *= 2
    least = top // 2 + 1 if top > 2 else 2
    while least < top:
        middle = (least + top) // 2
        least, top = (least, middle) if is_enough(middle) else (middle + 1, top)
    return float(top)
