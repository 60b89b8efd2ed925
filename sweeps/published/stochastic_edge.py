"""How far does the sharpness rise when the batches are small?

Command: jaxsgd run published/stochastic_edge
         jaxsgd plot own results/stochastic_edge --study published/stochastic_edge
Paper:   Andreyev and Beneventano 2024, "Edge of stochastic stability: revisiting the edge of stability for SGD" (arXiv
         2412.20553, abstract): with mini-batches it is the batch sharpness that settles at 2 / (learning rate), the expected
         curvature of a batch's loss along that batch's gradient. The sharpness, the largest eigenvalue of the Hessian of the
         whole loss, stays below that, the more the smaller the batches.
Cost:    40 runs of 1,000 epochs with 20 measurements each, 36 s of CPU time; 0.4 MiB
Finding: The batch sharpness stays near 2 / rate, and with small batches the sharpness stops well below. Below are numbers for
         rate * curvature / 2, of which 1 is the edge, as means over the second half of training. With batches of 4 samples at
         the rate 0.1 the sharpness is 0.41 (0.406 to 0.421 over 4 seeds), with 8 samples 0.63, with 16 samples 0.92; at the
         rate 0.2 it is 0.71 and 0.98 with 8 and 16. The batch sharpness of all 28 runs with 4 to 32 samples a batch that do
         not diverge is 0.67 to 1.19 (median 0.93). With the full batch both are 0.99 to 1.00. With batches of 4 at the rate
         0.2 all runs diverge within 20 epochs.
Differs: With half the samples in a batch the sharpness ends above the edge, at 1.08 to 1.12 in all 8 runs, where the paper has
         it below. Why is not clear; the two batches of an epoch, which together are all samples, may play a part. The paper
         trains larger networks on images. This one has learned its 64 samples by heart after a few hundred epochs: then the
         sharpness no longer moves, and the batch sharpness is that of gradients near 0, which is a likely cause of its
         scatter. In epochs 50 to 250 its medians are 0.74 to 1.23.
"""

import numpy as np

from jaxsgd import Study
from jaxsgd.plot.layout import entry, head, panels, size_axis, write_key
from jaxsgd.plot.style import COLOURS, PALE, slide

STUDY = Study(
    problem="tanh_network",
    problem_args={"num_samples": 64, "num_inputs": 8, "num_hidden": 32, "depth": 2},
    seeds=range(4),
    batch_sizes=[64, 32, 16, 8, 4],
    orders=["reshuffle"],
    optimizer="sgd",
    learning_rates=[0.1, 0.2],
    epochs=1000,
    observe=["sharpness", "batch_sharpness"],
    observe_every=50,
    record="epoch",
)

MEASURES = {"batch_sharpness": "batch sharpness", "sharpness": "sharpness"}
"""The two curvatures, and their words."""


def levels(ds, measure):
    """Return learning rate * curvature / 2 of each run over the second half of its training, [rates, sizes, seeds].

    It is the mean of the measurements; 1 is the edge. NaN for a run that diverged.
    """
    values = ds[measure].isel(order=0, optimizer=0) * ds.learning_rate / 2
    values = values.isel(observation=slice(ds.sizes["observation"] // 2, None)).mean("observation", skipna=False)
    diverged = ds.diverged.isel(order=0, optimizer=0)
    return values.where(~diverged).transpose("learning_rate", "batch_size", "seed").values


def figure(ds):
    """Draw both curvatures at the end against the batch size, a panel for each learning rate."""
    sizes = ds.batch_size.values
    drawn = slide(
        "With small batches the batch sharpness stays near 2 / learning rate, the sharpness below it",
        f"Tanh network, {int(sizes.max())} samples, {ds.sizes['seed']} seeds; a dot is a run's mean over its second half",
    )
    shown = panels(drawn, 1, ds.sizes["learning_rate"], apart=(0.08, 0.04), sharey=True)[0]
    order = np.argsort(sizes)
    for place, (axes, rate) in enumerate(zip(shown, ds.learning_rate.values, strict=True)):
        axes.axhline(1, color=PALE, linewidth=1)
        for shade, measure in zip((COLOURS[1], COLOURS[0]), MEASURES, strict=True):
            values = levels(ds, measure)[place][order]
            axes.plot(sizes[order], np.median(values, axis=1), color=shade, linewidth=2)
            axes.plot(np.repeat(sizes[order], values.shape[1]), values.ravel(), "o", color=shade, markersize=5, alpha=0.7)
        size_axis(axes, sizes, sizes)
        lost = np.isnan(levels(ds, "sharpness")[place]).all(axis=1)
        for size in sizes[lost]:
            axes.annotate("all runs\ndiverged", (size, 0.5), ha="center", va="center")
        head(axes, f"learning rate {rate:g}")
    shown[0].set(ylabel="learning rate \N{MULTIPLICATION SIGN} curvature / 2", ylim=(0, 1.4))
    entries = [
        entry(text, color=shade, linewidth=2, marker="o")
        for shade, text in zip((COLOURS[1], COLOURS[0]), MEASURES.values(), strict=True)
    ]
    write_key(drawn, entries, "Lines: medians. Grey: the edge, curvature = 2 / learning rate.")
    return drawn
