"""Do weights fluctuate as much in flat directions as in steep ones?

Command: jaxsgd run published/anti_correlated_noise
         jaxsgd plot own results/anti_correlated_noise --study published/anti_correlated_noise
Paper:   Kühn and Rosenow 2025, "Anti-correlated noise in epoch-based stochastic gradient descent: implications for weight
         variances in flat directions" (arXiv 2306.05300): if each sample is visited once an epoch, the gradient noise of two
         steps of an epoch is anti-correlated. Where the curvature is above a crossover value, the weight variance is the same
         in all directions, as with uncorrelated noise; in flatter directions it is much smaller.
Cost:    64 runs of 360 epochs, 16 s of CPU time; 15 MiB
Finding: Drawn with replacement, yes; reshuffled, no. With replacement the variance is 0.028 to 0.034 in all 50 directions,
         from curvature 1 to 0.02, and the exact value 0.031 to 0.032 (simulated / exact 0.89 to 1.08, mean 0.99). Reshuffled,
         it is 0.028 at curvature 1, 0.0071 at 0.1 and 0.0017 at 0.02, 18 times less than with replacement (simulated / exact
         0.93 to 1.10, mean 1.01). Below 0.04 it falls in proportion to the curvature, with the power 0.97 (exact: 0.96). The
         crossover is gradual: where a direction's memory, (1 - momentum) / lr over its curvature, is one epoch (curvature
         0.0625), the variance has already fallen to 0.15 of that with replacement.
Differs: The paper measures a LeNet and a ResNet-20 along the eigenvectors of their Hessians. Here it is the noisy quadratic
         model, where both of the paper's assumptions hold exactly: the noise does not depend on the weights, and its variance
         is proportional to the curvature. The exact lines are derived in this file from the noise's autocorrelation.
"""

import numpy as np

from jaxsgd import Study
from jaxsgd.plot.layout import panels
from jaxsgd.plot.style import COLOURS, DASHED, INK, PALE, slide

MOMENTUM = 0.9  # of the optimizer "momentum"
BURN_IN = 60
"""Epochs that are left out: 20 times as long as the flattest direction takes to forget its start."""

STUDY = Study(
    problem="noisy_quadratic",
    problem_args={"num_samples": 256, "num_inputs": 50},
    seeds=range(32),
    batch_counts=[32],
    orders=["reshuffle", "replacement"],
    optimizer="momentum",
    learning_rates=[0.05],
    epochs=360,
    observe_batches=["jaxsgd.measure.weights:deviation"],
    observe_every=10,
    record="epoch",
)


def measured(ds, order):
    """Return the mean squared deviation from the optimum in each direction, [D], over the epochs after `BURN_IN`."""
    late = ds.deviation_batch.isel(observation=ds.observation_epoch.squeeze().values > BURN_IN).sel(order=order)
    return (late.astype(float) ** 2).mean(["seed", "observation", "batch"]).squeeze().values


def exact(ds, order, steps=20_000):
    """Return the same by theory, [D]: the noise's autocorrelation, passed through the response of momentum to a single kick.

    The gradient of a batch of B samples has the noise variance h / B, less the share of the data that it has already seen. In
    an epoch of m batches that visits each sample once the noise sums to 0, so that two different steps of an epoch have the
    correlation -1 / (m - 1), and two steps that are k apart are of the same epoch with the probability 1 - k / m.
    """
    batches, size, rate = int(ds.batch_count[0]), int(ds.batch_size[0]), float(ds.learning_rate[0])
    samples, curvature = batches * size, 1 / np.arange(1, ds.sizes["parameter"] + 1)
    apart = np.arange(batches)
    if order == "reshuffle":
        noise = np.where(apart == 0, 1, -(1 - apart / batches) / (batches - 1)) * (1 - size / samples)
    else:
        noise = np.where(apart == 0, 1.0, 0.0) * (1 - 1 / samples)
    response = np.zeros((steps + batches, len(curvature)))
    velocity, place = np.ones_like(curvature), np.zeros_like(curvature)
    for step in range(steps):
        place = place - rate * velocity
        response[step] = place
        velocity = MOMENTUM * velocity + curvature * place
    overlap = np.array([(response[:steps] * response[k : steps + k]).sum(axis=0) for k in apart])
    return curvature / size * (noise[0] * overlap[0] + 2 * noise[1:] @ overlap[1:])


def crossover(ds):
    """Return the curvature at which a direction forgets in one epoch: (1 - momentum) / (learning rate * batches)."""
    return (1 - MOMENTUM) / float(ds.learning_rate[0] * ds.batch_count[0])


def figure(ds):
    """Draw the variance of the weights against the curvature, for both orders, with the exact lines."""
    curvature = 1 / np.arange(1, ds.sizes["parameter"] + 1)
    drawn = slide(
        "Reshuffled data: weights fluctuate less in flat directions; drawn with replacement, all alike",
        "Noisy quadratic model, SGD with momentum 0.9. Dots: simulated; lines: exact",
    )
    axes = panels(drawn)[0, 0]
    for order, shade, text in (("replacement", COLOURS[1], "drawn with replacement"), ("reshuffle", COLOURS[0], "reshuffled")):
        line = exact(ds, order)
        axes.plot(curvature, line, color=shade, linewidth=1.5)
        axes.plot(curvature, measured(ds, order), "o", color=shade, markersize=6, alpha=0.8)
        axes.annotate(
            text, (curvature[6], line[6]), (0, -40), textcoords="offset points", color=shade, fontweight="bold", fontsize=13
        )
    axes.axvline(crossover(ds), color=PALE, linestyle=DASHED)
    axes.annotate(
        "memory as long as an epoch",
        (crossover(ds), 0.02),
        (6, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color=INK,
    )
    axes.set(xscale="log", yscale="log", xlabel="curvature of the direction", ylabel="variance of the weight")
    return drawn
