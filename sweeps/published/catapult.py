"""Does a learning rate above 2 / curvature make gradient descent diverge?

Command: jaxsgd run published/catapult
         jaxsgd plot own results/catapult --study published/catapult
Paper:   Lewkowycz et al. 2020, "The large learning rate phase of deep learning: the catapult mechanism" (arXiv 2003.02218),
         which solves a linear network with one hidden layer. With the curvature k at the start (the largest eigenvalue of the
         tangent kernel): below lr k = 2 the loss falls and the curvature stays; from 2 to 4 the loss first rises, the
         curvature falls, and then the loss converges at a flatter place; above 4 the run diverges.
Cost:    100 runs of 60 epochs with 60 measurements each, 30 s of CPU time; 0.1 MiB
Finding: No; from 2 to 4 it recovers. In the 43 runs with lr k below 2 no loss rises, and the curvature ends at 0.95 to 1.01
         of its start. From 2.5 to 4 the loss rises in all 33 runs, to 5.5 to 267 times its first value (median 28), all of
         them converge, and the curvature ends at 0.27 to 0.63 of its start (median 0.41). From 2 to 2.5 the spike begins: 9
         of 13 runs have one. Above 4, 8 of 11 runs diverge: all from 4.29 on, and none of the three up to 4.19.
Differs: The paper's solution is for one sample with the target 0, where 4 is exact. Here are 16 samples with 4 inputs and the
         targets of a linear function, and k is the largest eigenvalue of the Hessian at the start, which hardly differs from
         that of the kernel at this width.
"""

from typing import NamedTuple

import numpy as np

from jaxsgd import Study
from jaxsgd.plot.layout import head, panels
from jaxsgd.plot.style import COLOURS, INK, PALE, slide

STUDY = Study(
    problem="deep_linear",
    problem_args={"num_samples": 16, "num_inputs": 4, "num_hidden": 256, "depth": 1},
    seeds=range(10),
    batch_counts=[1],
    orders=["fixed"],
    optimizer="sgd",
    learning_rates=[0.25 * step for step in range(1, 11)],
    epochs=60,
    observe_batches=["sharpness"],
    observe_every=1,
    record="epoch",
)


class Phases(NamedTuple):
    """The runs, R, by the product of the rate and the curvature at the start.

    Attributes:
      product: [R], learning rate * sharpness before the first step.
      spike: [R], largest loss of an epoch over the first; infinite for a run that diverged.
      flatter: [R], sharpness at the end over that at the start; NaN for a run that diverged.
      end: [R], the last epoch's loss over the first's; NaN for a run that diverged.
    """

    product: np.ndarray
    spike: np.ndarray
    flatter: np.ndarray
    end: np.ndarray

    def between(self, low: float, high: float) -> "Phases":
        """Return the runs whose product is at least `low` and below `high`."""
        inside = (self.product >= low) & (self.product < high)
        return Phases(*(values[inside] for values in self))


def phases(ds) -> Phases:
    """Return what happened in each run of the study."""
    loss = ds.loss_epoch.stack(run=["seed", "learning_rate"]).squeeze().transpose("run", "epoch")
    sharpness = ds.sharpness_batch.stack(run=["seed", "learning_rate"]).squeeze().transpose("run", "observation").values
    diverged = ds.diverged.stack(run=["seed", "learning_rate"]).squeeze().values
    rate, loss = loss.learning_rate.values, loss.values
    spike = np.where(diverged, np.inf, loss.max(axis=1) / loss[:, 0])
    flatter = np.where(diverged, np.nan, sharpness[:, -1] / sharpness[:, 0])
    return Phases(rate * sharpness[:, 0], spike, flatter, np.where(diverged, np.nan, loss[:, -1] / loss[:, 0]))


def figure(ds):
    """Draw the spike of the loss and the fall of the curvature against learning rate * curvature."""
    runs = phases(ds)
    lost = ~np.isfinite(runs.spike)
    drawn = slide(
        "Above 2 / curvature the loss spikes and ends flatter; above 4 / curvature it diverges",
        f"Linear network with one hidden layer, full batch: {len(lost)} runs, a dot each",
    )
    left, right = panels(drawn, 1, 2, apart=(0.12, 0.04))[0]
    top = 10 * runs.spike[~lost].max()
    for axes, values in ((left, runs.spike), (right, runs.flatter)):
        for border in (2, 4):
            axes.axvline(border, color=PALE, linewidth=1)
        for low, high, shade in ((0, 2, COLOURS[0]), (2, np.inf, COLOURS[1])):
            zone = (runs.product >= low) & (runs.product < high) & ~lost
            axes.plot(runs.product[zone], values[zone], "o", color=shade, markersize=6, alpha=0.8)
        axes.set_xlim(0, max(5.8, 1.05 * runs.product.max()))
        axes.set_xlabel("learning rate \N{MULTIPLICATION SIGN} curvature at the start")
    left.set(yscale="log", ylim=(0.7, 3 * top), ylabel="largest loss / first loss")
    left.plot(runs.product[lost], np.full(lost.sum(), top), "x", color=INK, markersize=7)
    left.annotate("diverged", (runs.product[lost].min(), top), (-8, 0), textcoords="offset points", ha="right", va="center")
    right.set(ylim=(0, 1.1), ylabel="curvature at the end / at the start")
    for centre, text in ((1, "falls"), (3, "catapult"), (5, "diverges")):
        right.annotate(text, (centre, 1.06), ha="center", va="center", fontweight="bold")
    head(left, "How far the loss rises")
    head(right, "How much flatter the run ends")
    return drawn
