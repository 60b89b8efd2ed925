"""The article's three experiments, and the settings in them that a user may change."""

import dataclasses

import numpy as np

from jaxsgd.error import InputError, counted
from jaxsgd.order import order_title

LARGEST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The settings of an experiment: sizes, rate, order and evaluation interval.

    Attributes:
      name: the name of its figure.
      num_samples: N.
      batch_count: m.
      eval_interval: w, batches per printed value.
      epochs: E.
      learning_rate: of plain SGD.
      order: of the batches.
    """

    name: str
    num_samples: int
    batch_count: int
    eval_interval: int
    epochs: int
    learning_rate: float = 1e-3
    order: str = "fixed"

    @property
    def printed(self) -> str:
        """The evaluation interval, in words."""
        return "printed every batch" if self.eval_interval == 1 else f"printed every {self.eval_interval} batches"

    def __str__(self) -> str:
        """Return the settings in one line."""
        return (
            f"{counted(self.num_samples, 'sample')} in {counted(self.batch_count, 'batch')}, {self.printed}; "
            f"learning rate {self.learning_rate:g}, order {order_title(self.order)}"
        )


STRIPED = Experiment("striped", num_samples=1000, batch_count=10, eval_interval=5, epochs=100)
"""Experiment 1: two printed values an epoch, two stripes."""

BAND = Experiment("band", num_samples=2000, batch_count=20, eval_interval=5, epochs=200)
"""Experiment 2: four printed values an epoch, a broad band."""

AVERAGED = dataclasses.replace(BAND, name="averaged", eval_interval=20)
"""Experiment 3: the training of experiment 2 with one printed value an epoch."""


def article_experiments(learning_rate: float = 1e-3, quick: bool = False) -> tuple[Experiment, Experiment, Experiment]:
    """Return the three experiments, with a given learning rate, and with 20 epochs if `quick`.

    Raises:
      InputError: for a learning rate that is not a number above 0 that float32 can represent.
    """
    rate = check_rate(learning_rate)
    changes = {"learning_rate": rate, **({"epochs": 20} if quick else {})}
    striped, band, averaged = (dataclasses.replace(experiment, **changes) for experiment in (STRIPED, BAND, AVERAGED))
    return striped, band, averaged


def check_rate(value: float) -> float:
    """Check a learning rate, and return it.

    Raises:
      InputError: unless it is a finite number above 0 that float32 can represent.
    """
    limits = np.finfo(np.float32)
    if not float(limits.tiny) <= value <= float(limits.max):
        raise InputError(f"learning rate must be a number above 0 that float32 can represent, such as 0.001, got {value:g}")
    return value


def check_seed(value: int) -> int:
    """Check a seed, and return it.

    Raises:
      InputError: unless it is from 0 to 2^32 - 1, the seeds that JAX distinguishes.
    """
    if not 0 <= value <= LARGEST_SEED:
        raise InputError(f"seed must be a whole number from 0 to {LARGEST_SEED}, got {value}")
    return value
