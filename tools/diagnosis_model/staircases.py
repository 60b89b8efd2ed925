"""Simulated staircases, as fine-tuning for a few epochs leaves them, and logs without one, drawn at random.

A staircase is flat within an epoch and drops where the next begins. `python -m tools.diagnosis_model.staircases` counts how
many of 1,000 are diagnosed as re-exposure and nothing else.
"""

import argparse
import sys
from collections import Counter

import numpy as np

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.features import measure_features
from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from jaxsgd.diagnosis.log import Log
from jaxsgd.diagnosis.period import find_period, missing_length
from tools.diagnosis_model.examples import Example, estimated_period

EPOCHS, PRINTS, NOISE, DROPS = (2, 10), (6, 300), (0.02, 0.10), (0.05, 0.40)
"""Smallest and largest number of epochs and of prints an epoch, scatter of a print, and drop at a boundary, shares of the
loss."""

WITHOUT = ("smooth", "fixed", "smooth_levels", "running", "never_reset", "exponential", "ragged", "one_step", "straight")
"""Kinds of logs without a staircase. In "straight" the same levels, on a line that rises, return almost without scatter."""


def staircase_log(rng: np.random.Generator) -> Log:
    """Return the log of a staircase drawn at random.

    The prints an epoch are even on a scale of logs, all else is even. Half of the intervals above 1 divide the epoch. The
    drops of a log differ by up to a third. The prints are means of the batches since the last print, or single batches.
    """
    epochs = int(rng.integers(EPOCHS[0], EPOCHS[1] + 1))
    per_epoch = round(float(np.exp(rng.uniform(*np.log(PRINTS)))))
    interval = int(rng.integers(1, 11))
    batches = per_epoch * interval
    if interval > 1 and rng.random() < 0.5:
        batches += int(rng.integers(1, interval))
    noise, drop = float(rng.uniform(*NOISE)), float(rng.uniform(*DROPS))
    drops = np.clip(drop * rng.uniform(2 / 3, 4 / 3, epochs - 1), *DROPS)
    level = np.cumprod(np.append(rng.uniform(0.3, 3.0), 1 - drops))
    form = str(rng.choice(["window", "batch"]))
    # A mean over a window scatters less than its batches.
    size = noise * (np.sqrt(interval) if form == "window" else 1.0)
    loss = level[:, None] * (1 + size * rng.standard_normal((epochs, batches)))
    values, at = printed(loss, Habit(interval, form))
    return habit_log(values, at, batches)


def plain_log(rng: np.random.Generator, kind: str) -> Log:
    """Return a log without a staircase: a smooth fall and noise, with the mark of the kind (`WITHOUT`)."""
    # One step after one of two or three epochs is a staircase.
    epochs, batches = int(rng.integers(4 if kind == "one_step" else 2, 30)), int(rng.integers(8, 80))
    interval = int(rng.integers(1, max(2, batches // 4)))
    time = np.arange(epochs * batches) / batches
    begin = rng.uniform(0, 3)
    fall = begin * np.exp(-time / rng.uniform(0.2, 30)) if rng.random() < 0.5 else begin / (1 + time * rng.uniform(0.1, 20))
    loss = 1 + fall
    levels = rng.standard_normal(batches)
    if kind == "smooth_levels":
        levels = np.convolve(np.tile(levels, 3), np.hanning(max(3, batches // 3)), "same")[batches : 2 * batches]
        levels /= max(float(levels.std()), 1e-9)
    if kind in ("fixed", "smooth_levels"):
        loss = loss + rng.uniform(0.02, 0.3) * np.tile(levels, epochs)
    if kind == "one_step":
        loss = loss * np.where(time >= rng.integers(1, epochs), 0.6, 1.0)
    scatter = rng.uniform(0.005, 0.3)
    if kind == "straight":
        size = rng.uniform(0.02, 0.3)
        loss = loss + size * np.tile(np.linspace(-1, 1, batches), epochs)
        scatter = size * rng.uniform(0, 0.02)
    loss = loss * (1 + scatter * rng.standard_normal(len(time)))
    if kind == "never_reset":
        loss = np.cumsum(loss) / np.arange(1, len(loss) + 1)
    form = {"running": "running", "exponential": "smooth"}.get(kind, "window")
    habit = Habit(interval, form, bool(rng.random() < 0.3), 0.3 if kind == "ragged" else 1.0)
    values, at = printed(loss.reshape(epochs, batches), habit)
    return habit_log(values, at, batches)


def plain_examples(count: int, seed: int) -> list[Example]:
    """Return examples to train on: `count` logs without a staircase of each kind, less those that are too short.

    It is known that re-exposure does not act on them; that nothing acts on a smooth fall and a mean that is never reset; and
    that the order of straight levels is fixed.
    """
    examples = []
    for place, kind in enumerate(WITHOUT):
        truth = np.full(len(CAUSE_NAMES), 0.0 if kind in ("smooth", "never_reset") else np.nan)
        truth[CAUSE_NAMES.index("re_exposure")] = 0.0
        if kind == "straight":
            truth[CAUSE_NAMES.index("fixed_order")] = 1.0
        for number in range(count):
            log = plain_log(np.random.default_rng([seed, place, number]), kind)
            period = find_period(log)
            if not missing_length(period):
                features = measure_features(log.loss, log.rate, period)
                examples.append(Example(features, truth, len(log.loss), *estimated_period(log, period), {"setting": kind}))
    return examples


def staircase_answers(count: int, seed: int = 0) -> Counter[tuple[str, ...]]:
    """Return how often each combination of causes is diagnosed of `count` staircases."""
    return Counter(diagnose(staircase_log(np.random.default_rng([seed, number]))).causes for number in range(count))


def plain_answers(count: int, seed: int = 0) -> dict[str, float]:
    """Return for each kind of logs without a staircase the share of `count` for which re-exposure is reported."""
    return {
        kind: sum(
            "re_exposure" in diagnose(plain_log(np.random.default_rng([seed, place, number]), kind)).causes
            for number in range(count)
        )
        / count
        for place, kind in enumerate(WITHOUT)
    }


def main() -> None:
    """Print how many staircases are diagnosed as re-exposure and nothing else, and how often logs without one are."""
    parser = argparse.ArgumentParser(prog="python -m tools.diagnosis_model.staircases", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="number of staircases")
    count = parser.parse_args().count
    answers = staircase_answers(count)
    sys.stdout.write(f"{answers['re_exposure',] / count:.1%} of {count:,} staircases: re-exposure and nothing else.\n")
    for causes, number in answers.most_common():
        sys.stdout.write(f"  {number:5} {' and '.join(causes) or 'none'}\n")
    for kind, share in plain_answers(max(count // 5, 1)).items():
        sys.stdout.write(f"Of {max(count // 5, 1)} logs without one, {kind}: re-exposure in {share:.1%}.\n")


if __name__ == "__main__":
    main()
