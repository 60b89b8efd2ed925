"""The runs that all programs are given: the article's network, its data and its initial weights."""

from typing import NamedTuple

import jax
import numpy as np

from jaxsgd.engine.draw_program import draw_function
from jaxsgd.engine.program import seeds
from jaxsgd.study.cells import cells
from jaxsgd.study.study import Study


class Workload(NamedTuple):
    """R runs of the article's network in a fixed order of its batches, which differ by seed.

    Attributes:
      runs: R.
      epochs: E.
      batch_count: m.
      num_samples: N; m divides it.
      num_hidden: H.
      rate: the learning rate, per step.
    """

    runs: int
    epochs: int
    batch_count: int = 10
    num_samples: int = 1000
    num_hidden: int = 1000
    rate: float = 1e-3

    def study(self, **changed: object) -> Study:
        """It as a study, with some fields otherwise."""
        fields = {
            "problem": "square_regression",
            "problem_args": {"num_samples": self.num_samples, "num_hidden": self.num_hidden},
            "seeds": range(self.runs),
            "batch_counts": [self.batch_count],
            "orders": ["fixed"],
            "learning_rates": [self.rate],
            "epochs": self.epochs,
        }
        return Study(**{**fields, **changed})  # type: ignore[arg-type]


class Start(NamedTuple):
    """The data and initial weights of every run, in the article's orientation.

    Attributes:
      x: [R, N, D], inputs.
      target: [R, N, O], the squares of the inputs.
      w1: [R, D, H], first weights.
      w2: [R, H, O], second weights.
    """

    x: np.ndarray
    target: np.ndarray
    w1: np.ndarray
    w2: np.ndarray

    def first(self, runs: int) -> "Start":
        """The first runs alone."""
        return Start(*(array[:runs] for array in self))


def start(workload: Workload) -> Start:
    """The data and weights that the simulator draws for the same seeds, as NumPy arrays."""
    study = workload.study()
    subject = study.subject()
    all_cells = cells(study, subject.num_samples)
    drawn = jax.jit(jax.vmap(draw_function(subject)))(seeds(all_cells, np.arange(workload.runs)))
    x, target = (np.asarray(array) for array in drawn.data)  # type: ignore[union-attr]
    w2 = np.ascontiguousarray(np.asarray(drawn.params["w2"]).swapaxes(1, 2))
    return Start(x, target, np.asarray(drawn.params["w1"]), w2)
