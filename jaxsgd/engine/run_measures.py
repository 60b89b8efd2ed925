"""The measures of the stripes of a chunk's runs: by the processor, or where the runs were trained.

A GPU trains small runs in less time than the processor needs for their measures. So it measures them too, in a program for it.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from jaxsgd.compiling.compiler_options import compiler_options
from jaxsgd.engine.spec import Spec
from jaxsgd.measure.stripes import stripe_count, stripe_levels, stripes, window_ends, window_means
from jaxsgd.measure.trend import AnyArray

MOST_KINDS = 4
"""The most kinds of runs in a chunk that are measured on a GPU: each has a program of its own, which takes time to compile."""


class RunKind(NamedTuple):
    """The sizes of runs that are measured in the same way.

    Attributes:
      batch_count: m.
      steps: of a run.
    """

    batch_count: int
    steps: int


class RunMeasures(NamedTuple):
    """The measures of runs that a result keeps, R runs and E epochs.

    Attributes:
      stripe_gap, stripe_index: [R], as `Stripes` has them; NaN for a run without a whole window.
      stripe_slope: [R], the mean slope of the stripes.
      finite: [R, E], True if all losses of an epoch are finite; those past the end of a run count as finite.
    """

    stripe_gap: Float[AnyArray, " R"]
    stripe_index: Float[AnyArray, " R"]
    stripe_slope: Float[AnyArray, " R"]
    finite: Bool[AnyArray, "R E"]


def run_measures(loss: np.ndarray, kind: RunKind, eval_interval: int) -> RunMeasures:
    """Return the measures of runs, by the processor.

    Args:
      loss: [R, E, M], with M of at least m.
      kind: of the runs.
      eval_interval: w, batches in a window of losses.
    """
    own = loss[..., : kind.batch_count]
    if _windows(kind, eval_interval) == 0:
        return _without_stripes(own, kind)
    measured = stripes(_whole_epochs(own, kind), eval_interval)
    return RunMeasures(measured.gap, measured.stripe_index, measured.slope.mean(axis=-1), _finite(own, kind))


@dataclasses.dataclass(frozen=True)
class MeasureSpec(Spec):
    """The static parts of the program that measures a chunk's runs: it follows from these alone.

    Attributes:
      shape: [R, E, M] of the losses.
      dtype: of the losses.
      kind: of the runs.
      eval_interval: w, batches in a window of losses.
    """

    shape: tuple[int, int, int]
    dtype: str
    kind: RunKind
    eval_interval: int

    @property
    def key(self) -> tuple:
        """A key that is equal exactly if the program is the same."""
        return ("measures", *dataclasses.astuple(self))

    def compile(self):
        """Compile the program and return it: `loss [R, E, M] -> RunMeasures`, in float64."""
        with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
            loss = jax.ShapeDtypeStruct(self.shape, np.dtype(self.dtype))
            return jax.jit(self._measures).lower(loss).compile(compiler_options())

    def _measures(self, loss: AnyArray) -> RunMeasures:
        kind, interval = self.kind, self.eval_interval
        own = loss[..., : kind.batch_count]
        if _windows(kind, interval) == 0:
            return _without_stripes(own, kind)
        values = window_means(_whole_epochs(own, kind), interval).T
        ends, count = window_ends(len(values), kind.batch_count, interval), stripe_count(kind.batch_count, interval)
        level, slope, index = stripe_levels(values, ends, count)
        return RunMeasures(level.max(axis=0) - level.min(axis=0), index, slope.mean(axis=0), _finite(own, kind))


def _without_stripes(loss: AnyArray, kind: RunKind) -> RunMeasures:
    """Return the measures of runs without a whole window, given their losses, [R, E, m]."""
    missing = np.full(len(loss), np.nan)
    return RunMeasures(missing, missing, missing, _finite(loss, kind))


def _finite(loss: AnyArray, kind: RunKind) -> AnyArray:
    """Return whether all losses of each epoch are finite, [R, E]; those past the end of a run count as finite."""
    past = np.arange(loss.shape[1] * kind.batch_count).reshape(loss.shape[1:]) >= kind.steps
    return (loss.__array_namespace__().isfinite(loss) | past).all(axis=-1)


def _whole_epochs(loss: AnyArray, kind: RunKind) -> AnyArray:
    """Return the losses of the whole epochs of runs: stripes are of these."""
    return loss[:, : kind.steps // kind.batch_count]


def _windows(kind: RunKind, eval_interval: int) -> int:
    """Return the number of windows in the whole epochs of a run."""
    return kind.steps // kind.batch_count * kind.batch_count // eval_interval
