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
from scipy.stats import binomtest

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.diagnose import cause_chances
from jaxsgd.diagnosis.diagnosis import LIKELY
from jaxsgd.diagnosis.model import learned
from jaxsgd.study.study import Study
from jaxsgd.study.study_file import read_study, study_path
from tools.diagnosis_model.assess import LONG_PRINTS
from tools.diagnosis_model.examples import Example, make_examples
from tools.diagnosis_model.lasting import lasting_examples, unmarked_habit
from tools.diagnosis_model.recordings import TrainedProblem, compile_quickly, constant_recordings

PROBLEMS = (
    TrainedProblem("power_law_regression", {"num_samples": 400, "noise": 1.0}, (0.05, 0.02)),
    TrainedProblem("tanh_network", {"num_samples": 240, "num_inputs": 20}, (0.02, 0.002)),
    TrainedProblem("deep_linear", {"num_samples": 240, "num_inputs": 30, "num_hidden": 32}, (0.02, 0.003)),
    TrainedProblem("mnist1d", {"num_samples": 360, "num_hidden": 32}, (0.1, 0.003)),
)
"""The problems of the recorded runs, none of which the model was trained or tried on."""

SEEDS, COUNTS, EPOCHS = tuple(range(900, 924)), (6, 10, 18, 40), (24, 60, 150)
"""Seeds, batch counts and numbers of epochs of the recorded runs."""


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


def recorded_examples(folder: Path, count: int, seed: int) -> list[Example]:
    """Return logs of recorded runs on which no cause acts: up to `count` of each setting.

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
    return [example for example in examples if (example.truth == 0).all()]


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
    compile_quickly()
    recorded = _long(recorded_examples(options.out, options.count, options.seed))
    sys.stdout.write(alarm_text("recorded runs", recorded))
    drawn = _long(lasting_examples(options.drawn, options.seed))
    sys.stdout.write(alarm_text("drawn at random", drawn))
    sys.stdout.write(alarm_text("together", recorded + drawn))


def _long(examples: list[Example]) -> list[Example]:
    return [example for example in examples if example.prints >= LONG_PRINTS]


if __name__ == "__main__":
    main()
