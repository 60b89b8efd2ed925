"""False alarms: how often some cause is reported for logs in which nothing is periodic.

The logs are of two kinds. Recorded runs of problems, seeds and batch counts that the model was not trained on, in an order that
is new in each epoch and at a constant rate, printed by all habits that leave no mark; and losses drawn at random, which fall
smoothly and scatter in many ways. `python -m tools.diagnosis_model.false_alarms` prints the share of both.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.signal import lfilter
from scipy.stats import binomtest

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.diagnose import cause_chances
from jaxsgd.diagnosis.diagnosis import LIKELY
from jaxsgd.diagnosis.features import measure_features
from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from jaxsgd.diagnosis.log import Log
from jaxsgd.diagnosis.model import learned
from jaxsgd.diagnosis.period import find_period, missing_length
from jaxsgd.study.study import Study
from jaxsgd.study.study_file import read_study, study_path
from tools.diagnosis_model.assess import LONG_PRINTS
from tools.diagnosis_model.examples import Example, draw_habit, estimated_period, make_examples
from tools.diagnosis_model.recordings import TrainedProblem, constant_recordings

PROBLEMS = (
    TrainedProblem("power_law_regression", {"num_samples": 400, "noise": 1.0}, (0.05, 0.02)),
    TrainedProblem("tanh_network", {"num_samples": 240, "num_inputs": 20}, (0.02, 0.002)),
    TrainedProblem("deep_linear", {"num_samples": 240, "num_inputs": 30, "num_hidden": 32}, (0.02, 0.003)),
    TrainedProblem("mnist1d", {"num_samples": 360, "num_hidden": 32}, (0.1, 0.003)),
)
"""The problems of the recorded runs, none of which the model was trained or tried on."""

SEEDS, COUNTS, EPOCHS = tuple(range(900, 924)), (6, 10, 18, 40), (24, 60, 150)
"""Seeds, batch counts and numbers of epochs of the recorded runs."""

SPIKES = 0.003
"""Share of the batches with a spike, in the logs that have some."""


def plain_studies() -> Iterator[tuple[str, Study]]:
    """Return the studies in which nothing is periodic, with the names of their folders."""
    base = read_study(study_path("training_logs"))
    for problem in PROBLEMS:
        for epochs in EPOCHS:
            yield (
                f"plain_{problem.name}_{epochs}",
                base.replaced(
                    problem=problem.name,
                    problem_args=problem.args,
                    seeds=SEEDS,
                    batch_counts=COUNTS,
                    learning_rates=problem.rates,
                    orders=["reshuffle", "replacement"],
                    epochs=epochs,
                ),
            )


def unmarked_habit(batches: int, rng: np.random.Generator) -> Habit:
    """Return a random way to log m batches an epoch that leaves no mark: single batches, windows, or an exponential mean."""
    while True:
        habit = draw_habit(batches, rng)
        if habit.form != "running" and habit.last_factor == 1:
            return habit


def recorded_examples(folder: Path, count: int, seed: int) -> list[Example]:
    """Return logs of recorded runs on which no cause acts: up to `count` of each setting, of `LONG_PRINTS` prints or more.

    Args:
      folder: the folder of the runs; those that are missing are run first.
      count: of the logs of each setting that are drawn.
      seed: of the habits, lengths and noise.
    """
    examples = []
    for number, (name, study) in enumerate(plain_studies()):
        for setting, recording in enumerate(constant_recordings(study, folder / name)):
            rng = np.random.default_rng([seed, number, setting])
            examples += make_examples(recording, count, rng, draw=unmarked_habit)
    return [example for example in examples if (example.truth == 0).all() and example.prints >= LONG_PRINTS]


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
    """Return `count` logs of `lasting_log`, without those of fewer than `LONG_PRINTS` prints and of too few epochs."""
    examples = []
    for number in range(count):
        log = lasting_log(np.random.default_rng([seed, number]))
        if len(log.loss) < LONG_PRINTS:
            continue
        period = find_period(log)
        if missing_length(period):
            continue
        features = measure_features(log.loss, log.rate, period)
        truth = np.zeros(len(CAUSE_NAMES))
        examples.append(Example(features, truth, len(log.loss), *estimated_period(log, period), {"setting": "drawn"}))
    return examples


def alarms(examples: list[Example]) -> Counter[str]:
    """Return the number of logs for which each cause is reported, and under "any" for which some cause is."""
    models, counts = learned(), Counter()
    for example in examples:
        reported = [name for name, chance in cause_chances(example.features, models).items() if chance >= LIKELY]
        counts.update([*reported, *(["any"] if reported else [])])
    return counts


def alarm_text(name: str, examples: list[Example]) -> str:
    """Return the share of the examples with a false alarm, its 95 % interval (Wilson 1927), and the causes, in a line."""
    counts, total = alarms(examples), len(examples)
    low, high = binomtest(counts["any"], total).proportion_ci(0.95, method="wilson")
    causes = ", ".join(f"{cause} {counts[cause]}" for cause in CAUSE_NAMES if counts[cause])
    return (
        f"{name}: {counts['any']} of {total:,} logs ({counts['any'] / total:.2%}, 95 % interval {low:.2%} to {high:.2%})"
        f"{': ' if causes else ''}{causes}\n"
    )


def main() -> None:
    """Print for how many logs without a cause some cause is reported."""
    parser = argparse.ArgumentParser(prog="python -m tools.diagnosis_model.false_alarms", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/plain_logs"), help="folder for the runs")
    parser.add_argument("--count", type=int, default=12, help="number of logs of each setting of the recorded runs")
    parser.add_argument("--drawn", type=int, default=2000, help="number of losses drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of habits, lengths and noise")
    options = parser.parse_args()
    recorded = recorded_examples(options.out, options.count, options.seed)
    sys.stdout.write(alarm_text("recorded runs", recorded))
    drawn = lasting_examples(options.drawn, options.seed)
    sys.stdout.write(alarm_text("drawn at random", drawn))
    sys.stdout.write(alarm_text("together", recorded + drawn))


if __name__ == "__main__":
    main()
