"""How does the scatter among data orders shrink with the learning rate?

Command: jaxsgd run published/variance_over_orders
         jaxsgd plot own results/variance_over_orders --study published/variance_over_orders
Paper:   Sweeney 2026, "Optimizer memory makes shuffle order a first-order source of fine-tuning noise" (arXiv 2606.29554,
         abstract): the same batches in another order take SGD to another end by lr^2, but optimizers whose memory lasts a
         fixed number of steps by lr, for which momentum is enough. Replayed from one state, the variance over the orders has
         the slope 4.00 in the learning rate for SGD, 2.00 for momentum and 1.83 for AdamW.
Cost:    1,920 runs of one epoch, 20 s of CPU time; 7 MiB
Finding: With its fourth power for SGD, and with its square for momentum and AdamW, once it is small. From the rate 0.032 to
         0.00006 the slopes of the nine halvings are 3.16, 3.41, 3.63, 3.79, 3.89, 3.94, 3.97, 3.985 and 3.993 for SGD; 2.89,
         2.80, 2.20, 1.85, 1.83, 1.89, 1.94, 1.97 and 1.98 for momentum 0.9; 2.35, 2.21, 2.07, 1.98, 1.96, 1.96, 1.98, 1.99 and
         1.99 for AdamW. At the rate 0.001 the parameters' standard deviation over the orders is 0.0003 for SGD, 0.04 for
         momentum and 0.06 for AdamW.
Differs: The paper is about fine-tuning, and replays a window from one warmed state of the optimizer; its abstract does not say
         of what the variance is. Here it is that of the parameters of a small network, after one epoch from the start with an
         empty memory. So the slope of AdamW need not be 1.83; those of momentum pass 1.83 at rates that are not yet small. The
         paper's control, a memory that is longer at lower rates, was not run. Steps of momentum 0.9 are up to ten times longer
         at the same rate, and those of AdamW do not depend on the size of the gradient, so that only slopes compare.
"""

import numpy as np

from jaxsgd import Study
from jaxsgd.plot.layout import label_ends, panels
from jaxsgd.plot.style import COLOURS, slide

STUDY = Study(
    problem="tanh_network",
    problem_args={"num_samples": 32, "num_inputs": 8, "num_hidden": 16, "depth": 2},
    data_seeds=[0],
    init_seeds=[0],
    order_seeds=range(64),
    batch_counts=[16],
    orders=["reshuffle_batches"],
    optimizers=["sgd", "momentum", "adamw"],
    learning_rates=[0.032 / 2**halvings for halvings in range(10)],
    epochs=1,
    observe=["jaxsgd.measure.weights:weights"],
    dtype="float64",
    record="epoch",
)

OPTIMIZERS = {"sgd": "SGD", "momentum": "momentum 0.9", "adamw": "AdamW"}
"""The optimizers, and their words."""


def variance(ds):
    """Return the variance over the orders of the parameters after the epoch, summed over them, [optimizers, rates]."""
    weights = ds.weights.squeeze().transpose("optimizer", "learning_rate", "order_seed", "parameter")
    return weights.sel(optimizer=list(OPTIMIZERS)).values.var(axis=2, ddof=1).sum(axis=-1)


def slopes(ds):
    """Return log2 of the factor by which the variance falls at each halving of the rate, [optimizers, halvings]."""
    rates, by_rate = ds.learning_rate.values, variance(ds)
    return np.diff(np.log2(by_rate), axis=1) / np.diff(np.log2(rates))


def figure(ds):
    """Draw the variance over the orders against the learning rate, a line for each optimizer."""
    rates, by_rate = ds.learning_rate.values, variance(ds)
    last = slopes(ds)[:, -1]
    sgd, momentum = 2 ** last[:2]
    drawn = slide(
        f"At half the rate orders make {sgd:.0f} times less variance with SGD, {momentum:.0f} times less with momentum",
        f"The same {int(ds.batch_count[0])} batches in {ds.sizes['order_seed']} orders; slopes at the smallest rates",
    )
    axes = panels(drawn)[0, 0]
    axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="variance of the parameters over the orders")
    for values, shade in zip(by_rate, COLOURS, strict=False):
        axes.plot(rates, values, "o-", color=shade, linewidth=2, markersize=7)
    texts = [f"{text}:\nslope {slope:.2f}" for text, slope in zip(OPTIMIZERS.values(), last, strict=True)]
    label_ends(axes, by_rate[:, 0], texts, COLOURS[:3])
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()
    return drawn
