"""The features of a log: a table in which each entry is a mark that a person can check, and that speaks for or against causes.

`FEATURES` is the only list of them. An entry holds the name, the numbers that are measured, the function that measures them,
the readings that the model takes of them, with the causes that each is for, and the sentence that explains them as evidence.
All else follows the table: the measuring, the model's readings, the evidence, the JSON report, and the making of the model
(`tools/diagnosis_model`), which gives a new reading its coefficient.
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxsgd.diagnosis.epoch_mean import epoch_mean_likelihood
from jaxsgd.diagnosis.fold import (
    FEWEST_RISING,
    Folded,
    LastPlace,
    agreement,
    fold,
    last_place,
    level_length,
    line_of_levels,
    ramp,
    settling,
    without_smooth,
)
from jaxsgd.diagnosis.model import staircase_chance
from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.series import explained
from jaxsgd.diagnosis.stair import Stair, find_stair, rate_steps
from jaxsgd.diagnosis.staircase import Staircase, find_staircase, without_staircase

Numbers = Mapping[str, float]
"""The measured numbers of a log by name."""


@dataclass(frozen=True)
class Prints:
    """The printed losses of a log, and what several features are measured from, worked out once; n prints.

    Attributes:
      loss: [n].
      rate: [n], learning rate; NaN where the log does not contain it.
      period: when each loss was printed.
    """

    loss: Float[np.ndarray, " n"]
    rate: Float[np.ndarray, " n"]
    period: Period

    @functools.cached_property
    def staircase(self) -> Staircase:
        """The drops where epochs begin; none where the log's learning rate jumps there."""
        if rate_steps(self.rate, self.period) > 0:
            return Staircase()
        return find_staircase(self.loss, self.period)

    @functools.cached_property
    def flat(self) -> Float[np.ndarray, " n"]:
        """The loss without its staircase, [n]; as it is where it has none. By it the other causes are judged."""
        is_staircase = staircase_chance(self.staircase.score) >= 0.5
        return without_staircase(self.loss, self.period) if is_staircase else self.loss

    @functools.cached_property
    def folded(self) -> Folded:
        """The detrended loss by its place in the epoch."""
        return fold(self.flat, self.period)

    @functools.cached_property
    def smooth_free(self) -> tuple[Float[np.ndarray, " k"], Bool[np.ndarray, " k"]]:
        """(the folded loss without its smooth curve over the epoch, True for those not at the epoch's beginning)."""
        return without_smooth(self.folded)

    @functools.cached_property
    def settling(self) -> tuple[float, float, float]:
        """(slope, log likelihood, reset) of the changes within and across epochs."""
        return settling(self.flat, self.period)

    @functools.cached_property
    def last(self) -> LastPlace:
        """The epoch's last place compared with the others."""
        return last_place(self.folded)

    @functools.cached_property
    def stair(self) -> Stair:
        """The step between epochs that stands out most, and how their levels repeat."""
        return find_stair(self.flat, self.period)


class Reading(NamedTuple):
    """A number that the model takes of a log, of size about 1.

    Attributes:
      causes: the causes whose log odds it enters.
      value: the function that works it out from all measured numbers.
    """

    causes: tuple[str, ...]
    value: Callable[[Numbers], float]


class Feature(NamedTuple):
    """An entry of the table.

    Attributes:
      name: as reports name it.
      numbers: the meaning of each measured number by its name, in the order of `measure`.
      measure: the function that measures them.
      readings: what the model takes of them, by name.
      sentence: the function that says the numbers in one sentence, as evidence.
    """

    name: str
    numbers: Mapping[str, str]
    measure: Callable[[Prints], tuple[float, ...]]
    readings: Mapping[str, Reading]
    sentence: Callable[[Numbers, Period], str]


def measure_features(loss: Float[np.ndarray, " n"], rate: Float[np.ndarray, " n"], period: Period) -> dict[str, float]:
    """Return all measured numbers of a log by name.

    Args:
      loss: of each print.
      rate: learning rate at each print, NaN where the log does not contain it.
      period: when each loss was printed.
    """
    prints = Prints(loss, rate, period)
    return {
        name: number
        for feature in FEATURES
        for name, number in zip(feature.numbers, feature.measure(prints), strict=True)
    }  # fmt: skip


def readings(numbers: Numbers) -> dict[str, float]:
    """Return the readings of the model by name: large scores drawn in, opposite signs apart, all of size about 1."""
    return {name: reading.value(numbers) for feature in FEATURES for name, reading in feature.readings.items()}


def feature_sentence(name: str, numbers: Numbers, period: Period) -> str:
    """Return the numbers of the feature of a name in one sentence, as evidence."""
    return next(feature for feature in FEATURES if feature.name == name).sentence(numbers, period)


def cause_readings() -> dict[str, tuple[str, ...]]:
    """Return the names of the readings that each cause is judged by."""
    names: dict[str, tuple[str, ...]] = {}
    for feature in FEATURES:
        for name, reading in feature.readings.items():
            for cause in reading.causes:
                names[cause] = (*names.get(cause, ()), name)
    return names


CHANCE = 2.5
"""Score that chance seldom passes, up to which a reading is 0."""

MOST_RISE = 6.0
"""Score from which a rise within the epoch is sure; the only question left is whether it belongs to levels that repeat."""

EXACT = 0.98
"""Share of the variance from which the place in the epoch explains more than it does where the order is new in each epoch."""

WAVE, NO_LINE = 3.5, -3.0
"""Score of a smooth wave against a straight line up to which levels may be a line that jumps where the epoch begins; and the
score of a line through so few positions that no line can be distinguished from levels that repeat."""


def _drawn(z: float | int) -> float:
    """Return a score with large values drawn in."""
    return math.asinh(z / 2) / 2


def _beyond(z: float | int, chance: float) -> float:
    """Return what a score has beyond one that chance may give, with large values drawn in; 0 where it has nothing."""
    return _drawn(max(z - chance, 0.0))


def _clipped(value: float, least: float | int, most: float | int) -> float:
    return float(np.clip(value, least, most))


def _repeat(n: Numbers) -> float:
    return _drawn(max(n["repeat_z"], -2))


def _repeat_share(n: Numbers) -> float:
    return _clipped(n["repeat_index"], 0, 1)


def _jagged(n: Numbers) -> float:
    return _drawn(max(n["jagged_z"], -2))


def _jagged_share(n: Numbers) -> float:
    return _clipped(n["jagged_index"], 0, 1)


def _is_few(n: Numbers) -> float:
    return float(n["per_epoch"] < 7)


def _unexplained(n: Numbers) -> float:
    return 1 - _repeat_share(n)


def is_step(n: Numbers) -> bool:
    """Return True if the step between epochs is rarer by chance than the repeat of their levels."""
    return n["step_rare"] >= n["recurs_rare"]


def _sure_line(n: Numbers) -> float:
    """Return the smaller score of the rise and of the straight line; `NO_LINE` for fewer than `FEWEST_RISING` positions."""
    return max(min(n["ramp_z"], n["line_rare"]), -1.0) if n["per_epoch"] >= FEWEST_RISING else NO_LINE


def share_text(share: float) -> str:
    """Return a share as a percentage; one below 0, as it comes of taking chance off, is 0 %."""
    return f"{100 * max(share, 0.0):.0f} %"


def _positions(numbers: Numbers, period: Period) -> str:
    count, per_epoch = period.stripe_count, numbers["per_epoch"]
    if math.isfinite(period.batch_count) and math.isfinite(period.interval):
        values = f"The loss is printed every {period.interval:g} batches of {period.batch_count:g} an epoch"
    else:
        values = f"There are {per_epoch:.3g} values an epoch"
    repeats = f"which repeat after {count / per_epoch:.3g} epochs" if numbers["slides"] else "the same in every epoch"
    return f"{values}, so the values fall on {count} positions, {repeats}."


def _last_level(numbers: Numbers, period: Period) -> str:
    del period
    off = numbers["last_level"]
    side = "higher" if off > 0 else "lower"
    return (
        f"At the last position of the epoch the mean loss is {side} than at the others, by {abs(off):.1f} times the standard "
        f"deviation of their means (z = {numbers['last_level_z']:.1f})."
    )


def _ramp(numbers: Numbers, period: Period) -> str:
    del period
    rise = numbers["ramp"]
    return (
        f"Within an epoch the detrended loss {'rises' if rise > 0 else 'falls'} by {abs(rise):.1f} standard deviations "
        f"(z = {numbers['ramp_z']:.1f}); a straight line explains {share_text(numbers['ramp_share'])} of the differences "
        "between positions."
    )


def _step_size(numbers: Numbers, period: Period) -> str:
    del period
    beside = max((abs(numbers["step_z"]) + 1) / math.exp(numbers["step_local"]) - 1, 0.0)
    return (
        f"After {numbers['step_after']:.0f} epochs the mean loss of an epoch steps by {numbers['step']:+.2g}, the clearest of "
        f"all steps (z = {numbers['step_z']:.1f}; half an epoch before or after, z = {beside:.1f})."
    )


def size_text(size: float, is_log: float) -> str:
    """Return a drop or rise without its sign: a percentage where the log of the loss was measured, otherwise loss units."""
    return f"{100 * abs(math.expm1(size)):.2g} %" if is_log else f"{abs(size):.2g}"


def _staircase(numbers: Numbers, period: Period) -> str:
    del period
    drop, slope, is_log = (numbers[f"staircase_{name}"] for name in ("drop", "slope", "log"))
    if not numbers["staircase_z"]:
        return "There are too few epochs or values to see a drop at each boundary."
    return (
        f"Where an epoch begins, the loss {'drops' if drop > 0 else 'rises'} by {size_text(-drop, is_log)} on average "
        f"(z = {numbers['staircase_z']:.1f}; at other positions of the epoch z = {numbers['staircase_beside']:.1f} at most); "
        f"within an epoch it {'rises' if slope > 0 else 'falls'} by {size_text(slope, is_log)}."
    )


def _recurrence(numbers: Numbers, period: Period) -> str:
    del period
    repeats = f"repeats every {numbers['recurs']:.0f} epochs" if numbers["recurs"] else "does not repeat after several epochs"
    return f"The mean loss of an epoch {repeats} (z = {numbers['recurs_z']:.1f})."


_RATES = {
    1.0: "The learning rate in the log jumps where epochs begin.",
    -1.0: "The learning rate in the log does not jump where epochs begin.",
    0.0: "The log does not contain the learning rate.",
}

FEATURES: tuple[Feature, ...] = (
    Feature(
        "repeat",
        {
            "repeat_index": "share of the detrended variance that the place in the epoch explains, chance taken off (as the "
            "stripe index)",
            "repeat_z": "z of that share",
        },
        lambda prints: explained(prints.folded.left, prints.folded.group, prints.folded.width),
        {
            "repeat_index": Reading(("fixed_order", "ragged_batch"), _repeat_share),
            "repeat_z": Reading(("fixed_order",), _repeat),
            # Batches of a new order scatter.
            "exact_repeat": Reading(
                ("fixed_order", "re_exposure"), lambda n: _clipped((n["repeat_index"] - EXACT) / (1 - EXACT), 0, 1)
            ),
            "sliding_repeat": Reading(("aliasing",), lambda n: n["slides"] * _repeat(n)),
            "sliding_share": Reading(("aliasing",), lambda n: n["slides"] * _repeat_share(n)),
        },
        lambda n, _: (
            f"The position in the epoch explains {share_text(n['repeat_index'])} of the variance of the detrended loss "
            f"(z = {n['repeat_z']:.1f})."
        ),
    ),
    Feature(
        "jagged",
        {
            "jagged_index": "the same share after a smooth curve over the epoch is taken off, without the epoch's beginning",
            "jagged_z": "z of that share",
        },
        lambda prints: explained(
            prints.smooth_free[0][prints.smooth_free[1]], prints.folded.group[prints.smooth_free[1]], prints.folded.width
        ),
        {
            "jagged_index": Reading(("fixed_order",), _jagged_share),
            "jagged_z": Reading(("fixed_order",), _jagged),
            "jagged_beyond": Reading(("re_exposure",), lambda n: _beyond(n["jagged_z"], CHANCE)),
            "sliding_jagged": Reading(("aliasing",), lambda n: n["slides"] * _jagged(n)),
        },
        lambda n, _: (
            f"After a smooth curve over the epoch is subtracted, the position explains {share_text(n['jagged_index'])} "
            f"(z = {n['jagged_z']:.1f})."
        ),
    ),
    Feature(
        "agreement",
        {
            "agreement": "correlation of the levels by place in the first half of the log with those in the second, "
            "after a smooth curve over the epoch is taken off"
        },
        lambda prints: (agreement(prints.folded, *prints.smooth_free),),
        {"agreement": Reading((), lambda n: max(n["agreement"], 0.0))},
        lambda n, _: (
            f"The levels by position in the first half of the log and in the second have a correlation of {n['agreement']:.2f}."
        ),
    ),
    Feature(
        "level_length",
        {"level_length": "distance over which levels by place resemble each other, in epochs; 0 where they jump"},
        lambda prints: (level_length(prints.folded),),
        {"level_length": Reading((), lambda n: n["level_length"])},
        lambda n, _: (
            f"Levels resemble each other over {share_text(n['level_length'])} of the epoch."
            if n["level_length"]
            else "Levels jump from position to position."
        ),
    ),
    Feature(
        "ramp",
        {
            "ramp": "rise of the detrended loss over the epoch, in standard deviations; below 0 for a fall",
            "ramp_z": "z of that rise, from its scatter over epochs",
            "ramp_share": "part of the levels' variance that a straight line over the epoch explains",
        },
        # A staircase, too, rises within the epoch without its trend.
        lambda prints: ramp(fold(prints.loss, prints.period)),
        {
            "rise_z": Reading(("re_exposure",), lambda n: _drawn(_clipped(n["ramp_z"], -1, MOST_RISE))),
            "smooth_rise": Reading(
                ("fixed_order",), lambda n: n["ramp_share"] * float(n["ramp"] > 0) * _drawn(max(n["ramp_z"], 0))
            ),
            "fall_z": Reading(("schedule",), lambda n: _drawn(max(-n["ramp_z"], 0)) * (1 - _jagged_share(n))),
            "smooth_fall": Reading(
                ("fixed_order", "schedule"), lambda n: n["ramp_share"] * float(n["ramp"] < 0) * _drawn(max(-n["ramp_z"], 0))
            ),
        },
        _ramp,
    ),
    Feature(
        "line",
        {
            "line_rare": "normal score of a straight line through the levels by place: levels lie near one by chance, the "
            "more so where neighbours resemble each other",
            "line_over_wave": "z of that line against a smooth wave that does not jump where the epoch begins; below 0 where "
            "the wave explains more",
        },
        lambda prints: line_of_levels(fold(prints.loss, prints.period), prints.period.per_epoch),
        {
            "rise_both": Reading(("re_exposure",), lambda n: _drawn(_sure_line(n))),
            "wave_beyond": Reading(("re_exposure",), lambda n: _beyond(-n["line_over_wave"], WAVE)),
        },
        lambda n, _: (
            f"A straight line through the levels by position has the score z = {n['line_rare']:.1f} against their own scatter; "
            f"a smooth wave that does not jump where the epoch begins explains "
            f"{'more' if n['line_over_wave'] < 0 else 'less'} (z = {abs(n['line_over_wave']):.1f})."
        ),
    ),
    Feature(
        "settle",
        {
            "settle": "slope of the log of the change from print to print over the log of the batches in the epoch so far; a "
            "running mean has -1",
            "settle_likelihood": "log likelihood of the slope -1 over the slope 0",
        },
        lambda prints: prints.settling[:2],
        {
            "settled": Reading(("ragged_batch",), lambda n: _clipped(-n["settle"], 0, 1.2)),
            "settle_likelihood": Reading(("running_mean",), lambda n: _drawn(2 * n["settle_likelihood"])),
            "settling": Reading(("re_exposure",), lambda n: _beyond(2 * n["settle_likelihood"], 0.0)),
        },
        lambda n, _: (
            f"After k batches of an epoch the loss changes from value to value in proportion to k^{n['settle']:.2f}; a running "
            f"mean has k^-1 (log likelihood ratio of k^-1 to k^0: {n['settle_likelihood']:+.1f})."
        ),
    ),
    Feature(
        "epoch_mean",
        {
            "epoch_mean_likelihood": "log likelihood that prints of an epoch vary together as means over the epoch so far do, "
            "over that of prints that do not depend on the epoch"
        },
        lambda prints: (epoch_mean_likelihood(prints.flat, prints.period),),
        {
            "epoch_mean": Reading(("running_mean",), lambda n: _drawn(n["epoch_mean_likelihood"])),
            # Levels that repeat and drift are no independent draws.
            "epoch_mean_alone": Reading(
                ("running_mean",), lambda n: _beyond(n["epoch_mean_likelihood"], 0.0) * _unexplained(n)
            ),
        },
        lambda n, _: (
            f"The values of an epoch vary together {'as' if n['epoch_mean_likelihood'] > 0 else 'unlike'} means over the epoch "
            f"so far (log likelihood ratio against independent or smoothed values: {n['epoch_mean_likelihood']:+.1f})."
        ),
    ),
    Feature(
        "reset",
        {"reset": "log of the change across the epoch's boundary over the change between its later prints"},
        lambda prints: prints.settling[2:],
        {"reset": Reading(("running_mean",), lambda n: _clipped(n["reset"], -2, 5) / 2)},
        lambda n, _: (
            f"Where an epoch begins, the loss changes {math.exp(n['reset']):.2g} times as much as from value to value late "
            "in an epoch."
        ),
    ),
    Feature(
        "last_level",
        {
            "last_level": "distance of the epoch's last place from the other places' mean, in their standard deviation; signed",
            "last_level_rare": "the same as a normal score: among few places a large distance may be chance",
            "last_level_z": "z of that distance, by the last place's own scatter over epochs",
        },
        lambda prints: prints.last[:3],
        {
            "last_both": Reading(
                ("ragged_batch",), lambda n: _beyond(min(abs(n["last_level_rare"]), abs(n["last_level_z"])), CHANCE)
            )
        },
        _last_level,
    ),
    Feature(
        "last_spread",
        {
            "last_spread": "log of the scatter over epochs at the last place over that at the others",
            "last_spread_z": "z of that ratio, for normal values",
            "last_spread_rare": "normal score of the last place's log scatter among those of the other places, one by one",
        },
        lambda prints: prints.last[3:],
        {
            "wide_both": Reading(
                ("ragged_batch",), lambda n: _beyond(min(n["last_spread_z"], n["last_spread_rare"]), CHANCE) * _unexplained(n)
            ),
        },
        lambda n, _: (
            f"The values at the last position of the epoch scatter {math.exp(n['last_spread']):.2g} times as much as those at "
            f"the other positions (z = {n['last_spread_z']:.1f})."
        ),
    ),
    Feature(
        "stair",
        {
            "step": "the step between the levels of two epochs that stands out most, loss units; signed",
            "step_z": "its normal score; of as many as there are epochs the largest",
            "step_rare": "normal score that is as rare as the largest of so many",
            "step_after": "epochs before it",
            "step_local": "log of its score over the larger of those half an epoch before and after",
            "recurs": "epochs after which the levels of epochs repeat best; 0 where that cannot be known",
            "recurs_z": "z of that; of up to thirty numbers of epochs the largest",
            "recurs_rare": "normal score that is as rare as the largest of so many",
        },
        lambda prints: prints.stair,
        # The rarer of a step and a repeat counts: two that chance makes do not add up.
        {"rare_stair": Reading(("schedule",), lambda n: _drawn(max(n["step_rare"], n["recurs_rare"], 0)))},
        lambda n, period: (_step_size if is_step(n) else _recurrence)(n, period),
    ),
    Feature(
        "staircase",
        {
            "staircase_score": "score of a staircase: a drop where each epoch begins and a flat run within",
            "staircase_drop": "mean drop where an epoch begins beyond the slope within epochs; log of the loss, or loss units",
            "staircase_slope": "rise within an epoch in the same unit; below 0 for a fall",
            "staircase_z": "z of the drop",
            "staircase_beside": "the largest z of a drop with the boundaries moved to other positions",
            "staircase_share": "share of the variance of the detrended loss that the staircase explains",
            "staircase_log": "1 if drop and slope are of the log of the loss",
        },
        lambda prints: (
            prints.staircase.score,
            *prints.staircase[:4],
            prints.staircase.share,
            float(prints.loss.min() > 0),
        ),
        {"staircase": Reading((), lambda n: _drawn(n["staircase_score"]))},
        _staircase,
    ),
    Feature(
        "rate",
        {"rate_steps": "1 if the learning rate jumps where epochs begin, -1 if the log shows that it does not, 0 if unknown"},
        lambda prints: (rate_steps(prints.rate, prints.period),),
        {
            "rate_steps": Reading(("schedule",), lambda n: float(n["rate_steps"] > 0)),
            "rate_steady": Reading(("schedule",), lambda n: float(n["rate_steps"] < 0)),
        },
        lambda n, _: _RATES[n["rate_steps"]],
    ),
    Feature(
        "slides",
        {"slides": "1 if prints fall on other places from epoch to epoch"},
        lambda prints: (float(prints.period.slides),),
        {"slides": Reading(("aliasing",), lambda n: n["slides"])},
        _positions,
    ),
    Feature(
        "places",
        {"per_epoch": "prints per epoch", "epochs": "epochs in the log"},
        lambda prints: (prints.period.per_epoch, prints.period.epochs),
        {
            "few_repeat": Reading(("fixed_order",), lambda n: _is_few(n) * _repeat_share(n) * (1 - n["slides"])),
        },
        lambda n, _: f"There are {n['per_epoch']:.3g} values an epoch.",
    ),
)
"""All features. A new one is one more entry; `python -m tools.diagnosis_model` then gives its readings their coefficients."""
