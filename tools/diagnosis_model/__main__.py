"""Makes the model of `jaxsgd diagnose` anew: `python -m tools.diagnosis_model`."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from jaxsgd.plot.style import figure_file
from tools.diagnosis_model.assess import LONG_PRINTS, assess, assessment_text, reliability, reliability_figure
from tools.diagnosis_model.examples import Example, make_examples
from tools.diagnosis_model.recordings import SIDES, compile_quickly, recordings
from tools.diagnosis_model.staircases import plain_examples
from tools.diagnosis_model.train import fit_models, fit_period, fit_staircase

PLAIN_LOGS, PLAIN_SEED = 200, 2
"""Number of logs without a staircase of each kind that are trained on, and the first number of their seeds."""


def all_examples(folder: Path, report: Callable[[str], None], seed: int = 0) -> dict[str, list[Example]]:
    """Return the examples to train on and those held out.

    Args:
      folder: the folder of the results.
      report: called with the name of each study when it begins.
      seed: of the random numbers.
    """
    # Each setting has random numbers of its own, so that its logs do not depend on the process that makes them, or on other
    # settings.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        pending = {
            name: [
                pool.submit(make_examples, recording, side.logs, np.random.default_rng([seed, number, setting]))
                for setting, recording in enumerate(recordings(side, folder / name, report))
            ]
            for number, (name, side) in enumerate(SIDES.items())
        }
        return {name: [example for setting in settings for example in setting.result()] for name, settings in pending.items()}


def main(words: Sequence[str] | None = None) -> None:
    """Run what is missing, train, and write model.json, report.md and reliability.png and .svg into a folder."""
    parser = argparse.ArgumentParser(prog="python -m tools.diagnosis_model", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/training_logs"), help="folder for runs and results")
    folder: Path = parser.parse_args(words).out
    compile_quickly()
    examples = all_examples(folder, _report)
    examples["taught"] += plain_examples(PLAIN_LOGS, PLAIN_SEED)
    models = fit_models(examples["taught"])
    assessment = assess(models, [example for example in examples["held_out"] if example.prints >= LONG_PRINTS])
    stored = {
        "causes": {name: {"intercept": model.intercept, "weights": model.weights} for name, model in models.items()},
        "period": fit_period(examples["taught"]),
        "staircase": fit_staircase(),
    }
    (folder / "model.json").write_text(json.dumps(stored, indent=1) + "\n")
    text = assessment_text(assessment, len(examples["taught"]))
    (folder / "report.md").write_text(text)
    title = f"How often a cause acts at each stated probability, in {len(assessment.truth):,} logs not trained on"
    subtitle = "All causes together; each weighted to its prior share of the logs"
    figure = reliability_figure(reliability(assessment), title, subtitle)
    for kind in ("png", "svg"):
        (folder / f"reliability.{kind}").write_bytes(figure_file(figure, kind))
    sys.stdout.write(text)


def _report(name: str) -> None:
    sys.stderr.write(f"{name}\n")


if __name__ == "__main__":
    main()
