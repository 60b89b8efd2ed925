"""Simulated logs with known causes: recorded runs, printed as trainers print them.

A cause counts as known to act on a log when it was built in and its mark stands out of everything else in the log, and as known
not to act when it was not built in. A mark that is built in but too faint for anyone to see is neither: the log is not judged
by it (NaN).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.features import Numbers, measure_features
from jaxsgd.diagnosis.fold import FEWEST_RISING, FEWEST_SETTLING, fold, last_place, ramp, stands_apart
from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from jaxsgd.diagnosis.log import Log
from jaxsgd.diagnosis.period import Period, best_period, find_period, missing_length
from jaxsgd.diagnosis.series import explained
from jaxsgd.diagnosis.stair import find_stair
from jaxsgd.order import ORDERS

CLEAR, FAINT = 4.0, 1.0
"""Expected normal score of a mark from which a cause is known to act, and below which nothing of it can be seen."""

SEEN = 2.5
"""Normal score that nine in ten logs of a setting must reach where a mark differs much from seed to seed."""

ENOUGH_SEEDS = 12
"""Number of seeds by which the mark of a changing rate is judged; of more seeds, the first are used."""


ENOUGH_EPOCHS = 30
"""Number of epochs from which a running mean that is printed twice or three times an epoch is seen by its scatter."""


class Recording(NamedTuple):
    """Recorded runs of one setting that differ by their seed; R runs.

    Attributes:
      loss: [R, E, m].
      order: its name.
      rate: [E m], factor on the learning rate at each batch; None where it is constant.
      last_share: samples of the last batch over those of the others, 1 where they are equal.
      plain: [R, E, m], the same runs at a constant rate; None where this is one.
      setting: the setting in words.
    """

    loss: Float[np.ndarray, "R E m"]
    order: str
    rate: Float[np.ndarray, " batches"] | None = None
    last_share: float = 1.0
    plain: Float[np.ndarray, "R E m"] | None = None
    setting: str = ""


class Example(NamedTuple):
    """A log with the known truth about its causes.

    Attributes:
      features: its measured numbers by name.
      truth: [C], 1 for a cause that acts, 0 for one that does not, NaN for one that cannot be known; in the order of
        `CAUSE_NAMES`.
      prints: number of printed losses.
      period_score: of the period that is estimated from the losses alone.
      period_right: True if that is the true period.
      setting: the setting and the habit that it was made with.
    """

    features: Numbers
    truth: Float[np.ndarray, " C"]
    prints: int
    period_score: float
    period_right: bool
    setting: dict[str, Any]


def make_examples(
    recording: Recording,
    count: int,
    rng: np.random.Generator,
    draw: Callable[[int, np.random.Generator], Habit] | None = None,
) -> list[Example]:
    """Return logs that the runs would have left behind under habits, lengths and noise drawn at random.

    Args:
      recording: the runs.
      count: number of logs; of ragged splits three times as many. Those that are too short are left out.
      rng: of all that is drawn.
      draw: the function that draws a habit, from the batches an epoch; None for `draw_habit`.
    """
    # Ragged splits and restarts of each epoch come in few settings.
    many = count * (3 if recording.last_share < 1 else 1)
    examples = (_example(recording, rng, draw or draw_habit) for _ in range(many))
    return [example for example in examples if example is not None]


def draw_habit(batches: int, rng: np.random.Generator) -> Habit:
    """Return a random way to log m batches an epoch: mostly windows that divide the epoch, now and then any other."""
    form = str(rng.choice(["window", "batch", "running", "smooth"], p=[0.45, 0.2, 0.28, 0.07]))
    divisors = [width for width in range(1, batches // 2 + 1) if batches % width == 0]
    interval = int(rng.choice(divisors)) if rng.random() < 0.55 else int(rng.integers(1, min(batches + 6, 2 * batches)))
    factor = 1.0
    if rng.random() < 0.22:
        share = rng.uniform(0.1, 0.7)
        factor = share if rng.random() < 0.6 else min(1 / share, 5.0)
    return Habit(interval, form, bool(rng.random() < 0.3), factor)


def _example(
    recording: Recording, rng: np.random.Generator, draw: Callable[[int, np.random.Generator], Habit]
) -> Example | None:
    seeds, epochs, batches = recording.loss.shape
    seed, kept = int(rng.integers(seeds)), int(rng.integers(4, epochs + 1))
    if recording.rate is not None or rng.random() < 0.4:
        kept = epochs
    habit = draw(batches, rng)
    if recording.order == "reshuffle" and rng.random() < 0.4:
        # The effect of re-exposure is small, and seen in many prints.
        habit = habit._replace(interval=int(rng.integers(1, 3)))
    if recording.last_share < 1 and habit.last_factor != 1:
        habit = habit._replace(last_factor=float(rng.choice([recording.last_share, min(1 / recording.last_share, 5.0)])))
    if habit.interval >= batches and (habit.interval % batches == 0 or habit.restarts):
        return None
    level = float(recording.loss[seed, :kept].std(axis=1).mean())
    draw_noise = _noise(level, rng)

    def shown_of(losses: np.ndarray) -> list[np.ndarray]:
        return [printed(loss, habit)[0] + printed(draw_noise(loss.shape), habit)[0] for loss in losses]

    others = shown_of(recording.loss[:, :kept])
    shown, at = others.pop(seed), printed(recording.loss[seed, :kept], habit)[1]
    has_rate = rng.random() < 0.5
    usual = shown_of(recording.plain[:, :kept]) if recording.plain is not None and not has_rate else []
    rate = None
    if has_rate:
        rate = np.full(len(at), 0.1) if recording.rate is None else 0.1 * recording.rate[at]
    log = habit_log(shown, at, batches, rate)
    if not len(log.loss):
        return None
    period = find_period(log)
    if missing_length(period):
        return None
    features = measure_features(log.loss, log.rate, period)
    truth = _truth(recording, habit, shown, others, usual, period)
    setting = {"setting": recording.setting, "order": recording.order, **habit._asdict(), "epochs": kept, "batches": batches}
    return Example(features, truth, len(log.loss), *estimated_period(log, period), setting)


def estimated_period(log: Log, period: Period) -> tuple[float, bool]:
    """Return (score of the period that is estimated from the losses alone, True if that is the true period)."""
    length, score = best_period(log.loss)
    return score, bool(abs(length - (period.stripe_count if period.slides else period.per_epoch)) < 0.02 * length)


def _noise(level: float, rng: np.random.Generator) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Return a function that draws additional noise: none, some, or as much as batches differ, with normal or heavy tails."""
    size = float(rng.choice([0.0, 0.1, 0.4, 1.0], p=[0.35, 0.25, 0.25, 0.15])) * level
    heavy = rng.random() < 0.2

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        noise = size * rng.standard_normal(shape)
        return noise * np.sqrt(3 / 5) * rng.standard_t(5, shape) if heavy else noise

    return draw


def _truth(
    recording: Recording, habit: Habit, shown: np.ndarray, others: list[np.ndarray], usual: list[np.ndarray], period: Period
) -> np.ndarray:
    """Return the known truth about each cause, [C].

    Args:
      recording, habit, period: of the log.
      shown: the losses that it prints.
      others: the losses that the setting's other seeds print, which show what to expect of this one.
      usual: the losses printed at a constant rate; empty where the log's rate is constant, or where the log contains it.
    """
    known = dict.fromkeys(CAUSE_NAMES, 0.0)
    repeats = ORDERS[recording.order].period == 1
    ragged = habit.last_factor != 1 or recording.last_share < 1
    running = habit.form == "running" and period.per_epoch >= 4
    if habit.form == "running":
        # With few prints an epoch, or with levels that repeat, nobody can see that they settle; with very few, in many epochs.
        is_seen = period.per_epoch >= (10 if repeats else 5)
        few = not repeats and not period.slides and 2 <= period.per_epoch < FEWEST_SETTLING
        known["running_mean"] = 1.0 if is_seen or (few and period.epochs >= ENOUGH_EPOCHS) else np.nan
    if repeats:
        known["fixed_order"] = _fixed_order(shown, period, habit)
    if period.slides:
        known["aliasing"] = known["fixed_order"] if repeats else 0.0
        if running:
            known["aliasing"] = np.nan
    if ragged:
        known["ragged_batch"] = _ragged(recording, habit, others, period)
    if ORDERS[recording.order].visits_once and not repeats:
        known["re_exposure"], looks_like_levels = _re_exposure(others, period)
        if looks_like_levels:
            known["fixed_order"] = known["aliasing"] = np.nan
    if known["re_exposure"] != 0 and (habit.form == "running" or _restarts_each_epoch(recording)):
        known["re_exposure"] = np.nan
    if habit.form == "smooth" and ragged:
        # A last batch far from the others draws the smoothed loss along, which then returns within the epoch.
        known["re_exposure"] = np.nan
    if ragged and not stands_apart(period).any():
        # Among a few places, or sliding ones, a last batch unlike the others looks like any level.
        for name in ("fixed_order", "aliasing", "re_exposure"):
            known[name] = known[name] if known[name] == 1 and repeats else np.nan
    if recording.rate is not None:
        known["schedule"] = _scheduled(others, usual, period) if usual else 1.0
    return np.array([known[name] for name in CAUSE_NAMES])


def _fixed_order(shown: np.ndarray, period: Period, habit: Habit) -> float:
    """Return 1 if the levels of the log differ clearly, otherwise NaN."""
    folded = fold(shown, period)
    # A last batch far from the others is a level that differs, too.
    clear = CLEAR if habit.last_factor == 1 else 2 * CLEAR
    return 1.0 if explained(folded.left, folded.group, folded.width)[1] >= clear else np.nan


def _ragged(recording: Recording, habit: Habit, others: list[np.ndarray], period: Period) -> float:
    """Return 1 if the last batch lies far off or scatters more in the logs of other seeds on average, otherwise NaN."""
    batches = recording.loss.shape[-1]
    if habit.form in ("running", "smooth") or period.slides or period.position.max() < batches - 1.5:
        return np.nan
    last = [last_place(fold(losses, period)) for losses in others]
    off = np.mean([min(abs(place.level_rare), abs(place.level_z)) for place in last])
    wider = np.mean([min(place.spread_z, place.spread_rare) for place in last])
    if habit.last_factor != 1 and off >= CLEAR:
        return 1.0
    return 1.0 if recording.last_share < 1 and recording.order != "fixed" and wider >= CLEAR else np.nan


def _re_exposure(others: list[np.ndarray], period: Period) -> tuple[float, bool]:
    """Return (the truth about re-exposure, True if it looks like levels that repeat), by the rise in other seeds' logs."""
    scores = [ramp(fold(losses, period))[1] for losses in others]
    if np.mean(scores) < FAINT:
        return 0.0, False
    is_seen, is_few = bool(np.quantile(scores, 0.1) >= SEEN), period.per_epoch < FEWEST_RISING
    return (1.0 if is_seen and not is_few else np.nan), is_seen and is_few


def _restarts_each_epoch(recording: Recording) -> bool:
    """Return True if the rate falls by half or more in most epochs: the loss then rises within the epoch by that, too."""
    if recording.rate is None:
        return False
    of_epochs = recording.rate.reshape(-1, recording.loss.shape[-1])
    return bool(np.median(np.ptp(of_epochs, axis=1)) > recording.rate.max() / 2)


def _scheduled(others: list[np.ndarray], usual: list[np.ndarray], period: Period) -> float:
    """Return 1 if other seeds' logs have clear marks with the schedule but not at a constant rate (`usual`), otherwise NaN."""
    with_it, without = (np.array([_rate_marks(shown, period) for shown in logs[:ENOUGH_SEEDS]]) for logs in (others, usual))
    # A score that is the largest of many has to be larger to be more than chance.
    seen = (np.quantile(with_it, 0.1, axis=0) >= CLEAR) & (without.mean(axis=0) < CLEAR)
    return 1.0 if seen.any() else np.nan


def _rate_marks(shown: np.ndarray, period: Period) -> tuple[float, float, float]:
    """Return the scores of the marks of a changing rate: a step, levels that repeat, a fall within the epoch."""
    stair = find_stair(shown, period)
    return abs(stair.step_z), stair.recurs_z, -ramp(fold(shown, period))[1]
