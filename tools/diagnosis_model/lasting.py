"""Losses without a cause, drawn at random: they fall smoothly and scatter, and the scatter may last for some epochs.

In a log that is long and scatters in a lasting way, chance makes marks that it does not make in the recorded runs.
"""

import numpy as np
from scipy.signal import lfilter

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.features import measure_features
from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from jaxsgd.diagnosis.log import Log
from jaxsgd.diagnosis.period import find_period, missing_length
from tools.diagnosis_model.examples import Example, draw_habit, estimated_period

SPIKES = 0.003
"""Share of the batches with a spike, in the logs that have some."""


def unmarked_habit(batches: int, rng: np.random.Generator) -> Habit:
    """Return a random way to log m batches an epoch that leaves no mark: single batches, windows, or an exponential mean."""
    while True:
        habit = draw_habit(batches, rng)
        if habit.form != "running" and habit.last_factor == 1:
            return habit


def lasting_log(rng: np.random.Generator) -> Log:
    """Return the log of a loss drawn at random that falls smoothly and scatters: nothing in it depends on the epoch.

    The fall is a power of time, an exponential, or none. The scatter is a share of the loss or constant, has normal or heavy
    tails, and may last for up to three epochs; some logs have spikes, from which the loss returns within an epoch.
    """
    epochs, batches = round(float(np.exp(rng.uniform(*np.log((4, 200)))))), round(float(np.exp(rng.uniform(*np.log((4, 400))))))
    count = epochs * batches
    time = np.arange(count) / batches
    form = rng.choice(["power", "exponential", "flat"])
    scale = float(np.exp(rng.uniform(*np.log((0.2, 30)))))
    fall = {"power": (1 + time / scale) ** -rng.uniform(0.3, 1.5), "exponential": np.exp(-time / scale), "flat": 0 * time}[form]
    level = rng.uniform(0.2, 2) + rng.uniform(0, 3) * fall
    noise = rng.standard_normal(count) if rng.random() < 0.7 else rng.standard_t(4, count)
    if rng.random() < 0.5:
        lasts = float(np.exp(rng.uniform(*np.log((2, max(3 * batches, 3))))))
        noise = noise + rng.uniform(0.1, 1) * np.sqrt(lasts) * _lasting(noise, lasts)
    if rng.random() < 0.2:
        spikes = rng.uniform(2, 10, count) * (rng.random(count) < SPIKES)
        noise = noise + batches / 4 * _lasting(spikes, batches / 4)
    size = float(np.exp(rng.uniform(*np.log((0.005, 0.3)))))
    loss = level + size * noise * (level if rng.random() < 0.7 else level.mean())
    habit = unmarked_habit(batches, rng)
    values, at = printed(loss.reshape(epochs, batches), habit)
    return habit_log(values, at, batches)


def _lasting(noise: np.ndarray, lasts: float) -> np.ndarray:
    """Return the exponential mean of noise over so many batches."""
    return lfilter([1 / lasts], [1, 1 / lasts - 1], noise)


def lasting_examples(count: int, seed: int) -> list[Example]:
    """Return `count` examples of `lasting_log`, less those that are too short: it is known that no cause acts on them."""
    examples = []
    for number in range(count):
        log = lasting_log(np.random.default_rng([seed, number]))
        period = find_period(log) if len(log.loss) else None
        if period is None or missing_length(period):
            continue
        features = measure_features(log.loss, log.rate, period)
        truth = np.zeros(len(CAUSE_NAMES))
        examples.append(Example(features, truth, len(log.loss), *estimated_period(log, period), {"setting": "drawn"}))
    return examples
