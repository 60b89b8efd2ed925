"""How large is the noise of SGD at a large learning rate?

Command: jaxsgd run published/exact_noise
         jaxsgd plot own results/exact_noise --study published/exact_noise
Paper:   Liu Ziyin, Liu, Mori and Ueda 2022, "Strength of minibatch noise in SGD" (arXiv 2102.05375): linear regression with
         noisy targets has an exact stationary covariance at any learning rate, which the usual theory of continuous time, lr
         / (2 B) in every direction, underestimates.
Cost:    1,400 runs of 512 steps, 11 s of CPU time; 8.4 MiB
Finding: As large as the exact formula says: at B = 8 and curvature 1, 1.15 times lr / (2 B) at the rate 0.2, 2.9 times at 1
         and 7.5 times at 1.35. Simulated / exact is 0.96 to 1.02 in all three directions at the rates 0.2 to 1.2, where a
         standard error is 0.9 to 2.3 %. At 1.35 it is 0.90 to 0.95, up to 4 standard errors low: the fourth moments grow
         without bound first, and rare large deviations, which 200 runs do not have, carry a part of the variance.
Differs: The exact variance is derived in this file, from the fourth moments of normal inputs. Every sample is new, as in the
         theory: a run is one epoch.
"""

import numpy as np

from jaxsgd import Study
from jaxsgd.plot.layout import label_ends, panels
from jaxsgd.plot.style import COLOURS, DASHED, INK, slide

CONDITION, INPUTS = 4.0, 3

STUDY = Study(
    problem="least_squares",
    problem_args={"num_samples": 4096, "num_inputs": INPUTS, "condition": CONDITION, "noise": 1.0},
    seeds=range(200),
    batch_sizes=[8],
    orders=["fixed"],
    optimizer="sgd",
    learning_rates=[0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.35],
    epochs=1,
    observe_batches=["jaxsgd.measure.weights:deviation"],
    observe_every=1,
    record="epoch",
)

CURVATURE = CONDITION ** np.linspace(0, -1, INPUTS)
"""Variances of the inputs, which are the curvatures of the loss, [D]."""


def measured(ds):
    """Return the variance of each weight around the true one in the second half of the runs, [rates, D], and standard errors.

    The runs are measured from the optimum of their own N samples, which scatters around the true weights by 1 / (N curvature),
    and with them: that much is added.
    """
    late = ds.deviation_batch.squeeze().isel(batch=slice(ds.sizes["batch"] // 2, None)).astype(float)
    by_seed = (late**2).mean("batch").transpose("seed", "learning_rate", "parameter").values
    samples = int(ds.batch_count[0] * ds.batch_size[0])
    return by_seed.mean(axis=0) + 1 / (samples * CURVATURE), by_seed.std(axis=0, ddof=1) / np.sqrt(len(by_seed))


def exact(rates, size):
    """Return the exact variance of each weight, [rates, D], at learning rates [rates] and the batch size `size`.

    With normal inputs x of covariance A = diag(a), E[x x' S x x'] = 2 A S A + tr(A S) A. The stationary S = diag(s) of SGD with
    the rate r, B new samples a step and targets with noise of variance 1 then solves, in each direction,

        s (2 - r a (1 + 1 / B)) = (r / B) (1 + sum(a s)).
    """
    rate = rates[:, None]
    shape = 1 / (2 - rate * CURVATURE * (1 + 1 / size))
    share = rate / size * (CURVATURE * shape).sum(axis=1, keepdims=True)
    return rate / size * shape / (1 - share)


def continuous(rates, size):
    """Return the variance of each weight by the theory of continuous time, [rates, 1]."""
    return rates[:, None] / (2 * size)


def figure(ds):
    """Draw the variance over that of continuous time against the learning rate, for each direction, with the exact lines."""
    rates, size = ds.learning_rate.values, float(ds.batch_size[0])
    between = np.linspace(rates[0], rates[-1], 100)
    ratio, lines = measured(ds)[0] / continuous(rates, size), exact(between, size) / continuous(between, size)
    drawn = slide(
        f"At large rates SGD's noise is up to {ratio.max():.0f} times what continuous time predicts, and exactly known",
        "Linear regression, stationary variance of each weight. Dots: simulated; lines: exact",
    )
    axes = panels(drawn)[0, 0]
    for place, shade in enumerate(COLOURS[: ratio.shape[1]]):
        axes.plot(between, lines[:, place], color=shade, linewidth=1.5)
        axes.plot(rates, ratio[:, place], "o", color=shade, markersize=7)
    axes.axhline(1, color=INK, linestyle=DASHED)
    ends, texts = [*lines[-1], 1.0], [*(f"curvature {value:g}" for value in CURVATURE), "continuous time"]
    label_ends(axes, ends, texts, [*COLOURS[: ratio.shape[1]], INK])
    axes.set(
        xlabel="learning rate", ylabel="variance / variance by continuous time", ylim=(0, 1.1 * max(ratio.max(), lines.max()))
    )
    return drawn
