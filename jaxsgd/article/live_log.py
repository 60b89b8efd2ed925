"""A training log that is shown during the run."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.article.experiment import Experiment
from jaxsgd.article.log_line import format_line, window_line
from jaxsgd.article.training import Training


class Logged(NamedTuple):
    """A run, finished or stopped early, and its log.

    Attributes:
      loss: [E, m], the loss of each batch; NaN after an early stop.
      lines: the lines of the log.
      seconds: the time of the training.
    """

    loss: Float[np.ndarray, "E m"]
    lines: list[str]
    seconds: float


def follow(training: Training, experiment: Experiment, show: Callable[[str], None]) -> Logged:
    """Run a training to its end, or to the first loss that is not finite, and show a line for each whole window.

    Args:
      training: the run.
      experiment: its settings.
      show: called with each line.
    """
    width = experiment.eval_interval
    flat = np.full(experiment.epochs * experiment.batch_count, np.nan)
    lines: list[str] = []
    seconds = 0.0
    for number, (losses, seconds) in enumerate(training.windows):
        flat[number * width : number * width + len(losses)] = losses
        if not np.isfinite(losses).all():
            break
        if len(losses) == width:
            mean = float(np.mean(losses, dtype=np.float64))
            line = window_line(number, width, experiment.batch_count, seconds, mean, experiment.learning_rate)
            lines.append(format_line(line))
            show(lines[-1])
    return Logged(flat.reshape(experiment.epochs, experiment.batch_count), lines, seconds)
