"""The article's training log: its format, and the twenty lines that the article prints."""

import importlib.resources
import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.error import InputError

_LINE = re.compile(
    r"\| epoch (\d+) \|  iter (\d+) / (\d+) \| time (\d+)\[s\] \| loss ([-+.\w]+) \| lr ([-+.\w]+)",
)


class LogLine(NamedTuple):
    """A printed line.

    Attributes:
      epoch: the epoch in which the window ends, from 1.
      iteration: batches done in that epoch, from 1.
      batch_count: m.
      seconds: since training began.
      loss: mean loss of the window.
      learning_rate: of the update.
    """

    epoch: int
    iteration: int
    batch_count: int
    seconds: float
    loss: float
    learning_rate: float


def window_line(
    window: int, eval_interval: int, batch_count: int, seconds: float, loss: float, learning_rate: float
) -> LogLine:
    """Return the line of a window (0-based) that a trainer prints every `eval_interval` batches."""
    epoch, before = divmod((window + 1) * eval_interval - 1, batch_count)
    return LogLine(epoch + 1, before + 1, batch_count, seconds, loss, learning_rate)


def format_line(line: LogLine) -> str:
    """Return the line in the article's format: whole seconds, rounded down, and the loss with four digits.

    The rate has four digits too, except below 1e-4 and from 1e4.
    """
    rate = f"{line.learning_rate:.4f}" if 1e-4 <= line.learning_rate < 1e4 else f"{line.learning_rate:g}"
    return (
        f"| epoch {line.epoch} |  iter {line.iteration} / {line.batch_count} | time {int(line.seconds)}[s] "
        f"| loss {line.loss:.4f} | lr {rate}"
    )


def parse_log(text: str) -> list[LogLine]:
    """Return the lines of a log in the article's format; empty lines are skipped.

    Raises:
      InputError: for a line of another form, with its number.
    """
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.rstrip())
        try:
            if match is None:
                raise ValueError
            epoch, iteration, batch_count, seconds, loss, rate = match.groups()
            lines.append(LogLine(int(epoch), int(iteration), int(batch_count), int(seconds), float(loss), float(rate)))
        except ValueError:
            example = format_line(LogLine(1, 5, 10, 1, 2.3137, 1e-3))
            raise InputError(f"log line {number} must look like {example!r}, got {line!r}") from None
    return lines


def printed_text() -> str:
    """Return the article's first twenty printed lines, unchanged: experiment 1, epochs 1 to 10."""
    return importlib.resources.files("jaxsgd.article").joinpath("printed_log.txt").read_text(encoding="utf-8")


def printed_losses(epochs: int = 10) -> Float[np.ndarray, "E S"]:
    """Return the article's printed losses [E, 2] of experiment 1: two windows of five batches in each of the first epochs."""
    lines = parse_log(printed_text())
    per_epoch = sum(line.epoch == 1 for line in lines)
    return np.array([line.loss for line in lines]).reshape(-1, per_epoch)[:epochs]
