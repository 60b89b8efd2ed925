"""The simulator as the teacher: recorded runs become logs whose causes are known.

A cause counts as known to act on a log when it was built in and its mark stands out of what else the log holds; as known not to
act when it was not built in. A mark that is built in and too faint to be told by anyone is neither, and the log is not judged
by it: NaN.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.estimate import best_period
from jaxsgd.diagnosis.features import FEWEST_RISING, last_place, measure_features, ramp
from jaxsgd.diagnosis.folding import fold, stands_apart
from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from jaxsgd.diagnosis.length import missing_length
from jaxsgd.diagnosis.measures import Features
from jaxsgd.diagnosis.period import Period, find_period
from jaxsgd.diagnosis.series import explained
from jaxsgd.diagnosis.stair import find_stair
from jaxsgd.order import ORDERS

CLEAR, FAINT = 4.0, 1.0
"""Expected normal score of a mark from which a cause is known to act, and below which nothing of it is to be seen."""

SEEN = 2.5
"""Normal score that nine in ten logs of a setting must have where a mark differs much from seed to seed."""

ENOUGH_SEEDS = 12
"""Seeds that tell what a changing rate leaves in a loss; of more, the first."""


class Runs(NamedTuple):
    """Recorded runs of one setting that differ by their seed; R runs.

    Attributes:
      loss: [R, E, m].
      order: its name.
      rate: [E m], factor on the learning rate at each batch; None where it is constant.
      last_share: samples of the last batch over those of the others, 1 where they are equal.
      plain: [R, E, m], the same runs at a constant rate; None where this is one.
      setting: what was run, in words.
    """

    loss: Float[np.ndarray, "R E m"]
    order: str
    rate: Float[np.ndarray, " batches"] | None = None
    last_share: float = 1.0
    plain: Float[np.ndarray, "R E m"] | None = None
    setting: str = ""


class Example(NamedTuple):
    """A log with what is known of it.

    Attributes:
      features: its measures.
      truth: [C], 1 for a cause that acts, 0 for one that does not, NaN for one that cannot be told; in the order of
        `CAUSE_NAMES`.
      prints: how many.
      period_score: of the period that is estimated from the losses alone.
      period_right: whether that is the true one.
      setting: what it was made from.
    """

    features: Features
    truth: Float[np.ndarray, " C"]
    prints: int
    period_score: float
    period_right: bool
    setting: dict[str, Any]


def make_examples(runs: Runs, count: int, rng: np.random.Generator) -> list[Example]:
    """Logs that the runs would have left behind under habits, lengths and noise drawn at random."""
    # Ragged splits and restarts of each epoch come in few settings.
    many = count * (3 if runs.last_share < 1 else 1)
    made = (_example(runs, rng) for _ in range(many))
    return [example for example in made if example is not None]


def draw_habit(batches: int, rng: np.random.Generator) -> Habit:
    """A way to log m batches an epoch: mostly windows that divide the epoch, and now and then any other."""
    form = str(rng.choice(["window", "batch", "running", "smooth"], p=[0.45, 0.2, 0.28, 0.07]))
    divisors = [width for width in range(1, batches // 2 + 1) if batches % width == 0]
    interval = int(rng.choice(divisors)) if rng.random() < 0.55 else int(rng.integers(1, min(batches + 6, 2 * batches)))
    factor = 1.0
    if rng.random() < 0.22:
        share = rng.uniform(0.1, 0.7)
        factor = share if rng.random() < 0.6 else min(1 / share, 5.0)
    return Habit(interval, form, bool(rng.random() < 0.3), factor)


def _example(runs: Runs, rng: np.random.Generator) -> Example | None:
    seeds, epochs, batches = runs.loss.shape
    one, kept = int(rng.integers(seeds)), int(rng.integers(4, epochs + 1))
    if runs.rate is not None or rng.random() < 0.4:
        kept = epochs
    habit = draw_habit(batches, rng)
    if runs.order == "reshuffle" and rng.random() < 0.4:
        # What re-exposure does is small, and seen in many prints.
        habit = habit._replace(interval=int(rng.integers(1, 3)))
    if runs.last_share < 1 and habit.last_factor != 1:
        habit = habit._replace(last_factor=float(rng.choice([runs.last_share, min(1 / runs.last_share, 5.0)])))
    if habit.interval >= batches and (habit.interval % batches == 0 or habit.restarts):
        return None
    level = float(runs.loss[one, :kept].std(axis=1).mean())
    draw_noise = _noise(level, rng)

    def shown_of(losses: np.ndarray) -> list[np.ndarray]:
        return [printed(loss, habit)[0] + printed(draw_noise(loss.shape), habit)[0] for loss in losses]

    others = shown_of(runs.loss[:, :kept])
    shown, at = others.pop(one), printed(runs.loss[one, :kept], habit)[1]
    says_rate = rng.random() < 0.5
    usual = shown_of(runs.plain[:, :kept]) if runs.plain is not None and not says_rate else []
    rate = None
    if says_rate:
        rate = np.full(len(at), 0.1) if runs.rate is None else 0.1 * runs.rate[at]
    log = habit_log(shown, at, batches, rate)
    if not len(log.loss):
        return None
    period = find_period(log)
    if missing_length(period):
        return None
    features = measure_features(log.loss, log.rate, period)
    truth = _truth(runs, habit, shown, others, usual, period)
    setting = {"setting": runs.setting, "order": runs.order, **habit._asdict(), "epochs": kept, "batches": batches}
    length, score = best_period(log.loss)
    right = abs(length - (period.stripe_count if period.slides else period.per_epoch)) < 0.02 * length
    return Example(features, truth, len(log.loss), score, bool(right), setting)


def _noise(level: float, rng: np.random.Generator) -> Callable[[tuple[int, ...]], np.ndarray]:
    """How noise is drawn that a log has besides: none, some, or as much as batches differ, with normal or heavy tails."""
    size = float(rng.choice([0.0, 0.1, 0.4, 1.0], p=[0.35, 0.25, 0.25, 0.15])) * level
    heavy = rng.random() < 0.2

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        noise = size * rng.standard_normal(shape)
        return noise * np.sqrt(3 / 5) * rng.standard_t(5, shape) if heavy else noise

    return draw


def _truth(
    runs: Runs, habit: Habit, shown: np.ndarray, others: list[np.ndarray], usual: list[np.ndarray], period: Period
) -> np.ndarray:
    """What is known of each cause.

    Args:
      runs, habit, period: of the log.
      shown: what it prints.
      others: what the setting's other seeds print: they tell what is to be expected of this one.
      usual: what is printed at a constant rate; empty where that is what the log has, or where it says its rate.
    """
    known = dict.fromkeys(CAUSE_NAMES, 0.0)
    repeats = ORDERS[runs.order].period == 1
    ragged = habit.last_factor != 1 or runs.last_share < 1
    running = habit.form == "running" and period.per_epoch >= 4
    if habit.form == "running":
        # Of few prints an epoch, or of levels that repeat, it cannot be told that they settle.
        fewest = 10 if repeats else 5
        known["running_mean"] = 1.0 if period.per_epoch >= fewest else np.nan
    if repeats:
        known["fixed_order"] = _fixed_order(shown, period, habit)
    if period.slides:
        known["aliasing"] = known["fixed_order"] if repeats else 0.0
        if running:
            known["aliasing"] = np.nan
    if ragged:
        known["ragged_batch"] = _ragged(runs, habit, others, period)
    if ORDERS[runs.order].visits_once and not repeats:
        known["re_exposure"], looks_like_levels = _re_exposure(others, period)
        if looks_like_levels:
            known["fixed_order"] = known["aliasing"] = np.nan
    if habit.form == "running" and known["re_exposure"] != 0:
        known["re_exposure"] = np.nan
    if habit.form == "smooth" and ragged:
        # A last batch that stands off draws the smoothed loss along, which then comes back within the epoch.
        known["re_exposure"] = np.nan
    if ragged and not stands_apart(period).any():
        # Among a few places, or sliding ones, a last batch unlike the others looks like any level.
        for name in ("fixed_order", "aliasing", "re_exposure"):
            known[name] = known[name] if known[name] == 1 and repeats else np.nan
    if runs.rate is not None:
        known["schedule"] = _scheduled(others, usual, period) if usual else 1.0
    return np.array([known[name] for name in CAUSE_NAMES])


def _fixed_order(shown: np.ndarray, period: Period, habit: Habit) -> float:
    """By the z with which the levels of the log differ."""
    folded = fold(shown, period)
    # A last batch that stands off is a level that differs, too.
    clear = CLEAR if habit.last_factor == 1 else 2 * CLEAR
    return 1.0 if explained(folded.left, folded.group)[1] >= clear else np.nan


def _ragged(runs: Runs, habit: Habit, others: list[np.ndarray], period: Period) -> float:
    """By the offset and the scatter that the last batch has in the logs of other seeds, on average."""
    batches = runs.loss.shape[-1]
    if habit.form in ("running", "smooth") or period.slides or period.position.max() < batches - 1.5:
        return np.nan
    found = [last_place(fold(each, period)) for each in others]
    off = np.mean([min(abs(each.level_rare), abs(each.level_z)) for each in found])
    wider = np.mean([min(each.spread_z, each.spread_rare) for each in found])
    if habit.last_factor != 1 and off >= CLEAR:
        return 1.0
    return 1.0 if runs.last_share < 1 and runs.order != "fixed" and wider >= CLEAR else np.nan


def _re_exposure(others: list[np.ndarray], period: Period) -> tuple[float, bool]:
    """(what is known, whether it looks like levels that repeat), by the z of the rise within the epoch in other seeds' logs."""
    scores = [ramp(fold(each, period))[1] for each in others]
    if np.mean(scores) < FAINT:
        return 0.0, False
    is_seen, is_few = bool(np.quantile(scores, 0.1) >= SEEN), period.per_epoch < FEWEST_RISING
    return (1.0 if is_seen and not is_few else np.nan), is_seen and is_few


def _scheduled(others: list[np.ndarray], usual: list[np.ndarray], period: Period) -> float:
    """By the marks that other seeds' logs have with the schedule, and have not at a constant rate (`usual`)."""
    with_it, without = (np.array([_rate_marks(shown, period) for shown in logs[:ENOUGH_SEEDS]]) for logs in (others, usual))
    # A score that is the largest of many has to be larger to be more than chance.
    seen = (np.quantile(with_it, 0.1, axis=0) >= CLEAR) & (without.mean(axis=0) < CLEAR)
    return 1.0 if seen.any() else np.nan


def _rate_marks(shown: np.ndarray, period: Period) -> tuple[float, float, float]:
    """Scores of what a rate that changes leaves in a loss: a step, levels that come back, a fall within the epoch."""
    stair = find_stair(shown, period)
    return abs(stair.step_z), stair.recurs_z, -ramp(fold(shown, period))[1]
