"""Does a single changed bit scatter trained networks as much as another seed does?

Command: jaxsgd run published/one_changed_bit
         jaxsgd plot own results/one_changed_bit --study published/one_changed_bit
Paper:   Summers and Dinneen 2021, "Nondeterminism and instability in neural network optimization" (arXiv 2103.04514): all
         sources of randomness scatter the trained models alike, and so does one changed bit of one initial weight, because the
         training itself is unstable.
Cost:    256 runs of 60 epochs, 25 s of CPU time; 0.3 MiB
Finding: Only where the training is unstable. The scatter is the standard deviation of the validation loss. At the rates 0.25
         and 0.5 the last bits of the rate change it by 1e-6 and 2e-6 after 60 epochs, other initial weights or another order
         by 4e-3 to 8e-3. At 1.0 the loss is unstable at first, and a bit makes 8e-3 in the third epoch, a tenth of what seeds
         make; then the runs come together again, and at the end it is 1e-4, a hundredth of it. At 2.0 a bit scatters the
         runs as much as a seed from the second epoch on (at the end 0.058, with 0.048 and 0.059 for the seeds), but there the
         network no longer learns: its mean validation loss is 2.30, that of a guess.
Differs: The paper's claim is for training that is unstable and succeeds: residual networks on CIFAR-10, at large rates for
         hundreds of epochs. That is not shown here. The likely cause is that a small network on easy data soon fits them, and
         the runs then approach each other. The changed bits are the last two of the learning rate, so that every step is
         rounded otherwise; in the paper a bit of one weight is changed once.
"""

import numpy as np

from jaxsgd import Study
from jaxsgd.plot.layout import head, label_ends, panels
from jaxsgd.plot.style import COLOURS, slide

RATES, NEIGHBOURS = (0.25, 0.5, 1.0, 2.0), 4
"""Learning rates, and how many neighbouring float32 numbers of each are run: they differ in the last two of 32 bits."""

STUDY = Study(
    problem="digits",
    held_out=0.2,
    init_seeds=range(4),
    order_seeds=range(4),
    batch_counts=[16],
    orders=["reshuffle"],
    optimizer="sgd",
    learning_rates=[rate * (1 + bits * 2**-23) for rate in RATES for bits in range(NEIGHBOURS)],
    epochs=60,
    record="epoch",
)

SOURCES = {"init_seed": "other initial weights", "order_seed": "another order", "bits": "last bits of the rate"}
"""The dimensions along which runs scatter, and their words."""


def scatter(ds, source):
    """Return the standard deviation of the validation loss among runs that differ in one source only, [rates, E].

    It is pooled over all settings of the other two sources.
    """
    loss = ds.validation_loss.squeeze().transpose("learning_rate", "init_seed", "order_seed", "epoch").values.astype(float)
    bases = np.unique(np.round(ds.learning_rate.values, 4), return_inverse=True)[1]
    by_rate = np.stack([loss[bases == base] for base in range(bases.max() + 1)])
    axis = {"bits": 1, "init_seed": 2, "order_seed": 3}[source]
    variance = by_rate.var(axis=axis, ddof=1)
    return np.sqrt(variance.mean(axis=(1, 2)))


def figure(ds):
    """Draw the scatter of the validation loss against the epochs, for each source, a panel for each rate."""
    lines = {source: scatter(ds, source) for source in SOURCES}
    ratio = lines["bits"][:, -1] / lines["order_seed"][:, -1]
    rates = ds.learning_rate.values[::NEIGHBOURS]
    largest = f"At the rate {rates[-1]:g} a bit scatters runs {ratio[-1]:.1f} times as much as a seed"
    drawn = slide(
        f"{largest}; below, at most {ratio[:-1].max():.1%}",
        "Digits: scatter among runs that differ in one thing. In brackets: mean validation loss at the end (a guess has 2.30)",
    )
    shown = panels(drawn, 1, len(rates), apart=(0.05, 0.04), sharey=True)[0]
    epochs, ends = np.arange(1, ds.sizes["epoch"] + 1), ds.validation_loss.isel(epoch=-1)
    for place, (axes, rate) in enumerate(zip(shown, rates, strict=True)):
        own = ends.isel(learning_rate=slice(place * NEIGHBOURS, (place + 1) * NEIGHBOURS))
        for shade, values in zip(COLOURS, lines.values(), strict=False):
            axes.plot(epochs, values[place], color=shade, linewidth=2)
        axes.set(yscale="log", xlabel="epoch")
        head(axes, f"rate {rate:g} ({float(own.mean()):.2f})")
    shown[0].set_ylabel("standard deviation of the validation loss")
    label_ends(shown[-1], [values[-1, -1] for values in lines.values()], list(SOURCES.values()), COLOURS[:3])
    return drawn
