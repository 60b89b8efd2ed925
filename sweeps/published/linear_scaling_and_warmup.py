"""Up to which batch size does a learning rate in proportion to it train alike, and what does a warmup change?

Command: jaxsgd run published/linear_scaling_and_warmup
         jaxsgd plot own results/linear_scaling_and_warmup --study published/linear_scaling_and_warmup
Paper:   Goyal et al. 2017, "Accurate, large minibatch SGD: training ImageNet in 1 hour" (arXiv 1706.02677, sections 2.1 and
         2.2): with a learning rate in proportion to the batch size, large batches end with the same error as small ones, along
         nearly the same curves. Early in training, while the network changes fast, the rule fails for large batches; a rate
         that rises over the first 5 epochs mends that. Beyond about 8,000 samples a batch, the error rises fast.
Cost:    168 runs of 30 epochs, 50 s of CPU time; 1 MiB
Finding: The rule holds up to 128 samples a batch, 16 times the reference, and a warmup moves the limit to nearly 256. At the
         rate 0.04 for 8 samples the mean validation error of 6 seeds is 2.0 to 3.1 % from 8 to 128 samples, with a warmup or
         without; with 256 samples it is 21 % (4.2 to 55 %) without one and 6.6 % with one (3.1 to 4.5 % in five runs, 22 % in
         the sixth), and with 512 samples 80 % and 66 %. At the rate 0.01 for 8 samples all sizes to 512 end at 2.2 to 2.7 %:
         the limit is one of the rate, not of the batch size. The curves are alike too: after 10 epochs at that rate the
         training loss is 0.080 to 0.083 for 8 to 256 samples without a warmup, and 0.17 for 512.
Differs: The paper trains residual networks on ImageNet, with a decay of the rate in steps and weight decay; here a network
         with 32 hidden units is trained on digits at a constant rate with momentum 0.9. The warmup begins at 0 and not at the
         rate of the smallest batch, and takes 6 of 30 epochs in place of 5 of 90. Where the rate is low enough, a warmup gains
         nothing here. Beyond the limit no run becomes infinite: the networks no longer learn, likely because their ReLU units
         have died.
"""

import numpy as np

from jaxsgd import Study
from jaxsgd.plot.layout import entry, head, panels, size_axis, write_key
from jaxsgd.plot.style import COLOURS, slide

STUDY = Study(
    problem="digits",
    held_out=0.2,
    seeds=range(6),
    batch_sizes=[8, 16, 32, 64, 128, 256, 512],
    orders=["reshuffle"],
    optimizer="momentum",
    learning_rates=[0.01, 0.04],
    schedules=["constant", "wsd(0.2, 0)"],
    batch_rules={"learning_rate": "linear"},
    reference_batch_size=8,
    epochs=30,
    record="epoch",
)

STARTS = ("full rate from the start", "after a warmup")
"""Words for the two schedules."""


def errors(ds):
    """Return the validation error at the end, in percent, [rates, schedules, sizes, seeds]."""
    wrong = 100 * (1 - ds.validation_accuracy.isel(epoch=-1, optimizer=0, order=0, batch_rule=0))
    return wrong.transpose("learning_rate", "schedule", "batch_size", "seed").values


def figure(ds):
    """Draw the error at the end against the batch size, with and without a warmup, a panel for each learning rate."""
    sizes, by_rate = ds.batch_size.values, errors(ds)
    drawn = slide(
        "A rate in proportion to the batch size fails where it becomes too large; a warmup moves the limit",
        f"Digits, momentum 0.9, {ds.sizes['epoch']} epochs, {ds.sizes['seed']} seeds; the rate grows with the batch size",
    )
    shown = panels(drawn, 1, len(by_rate), apart=(0.08, 0.04), sharey=True)[0]
    for axes, rate, by_schedule in zip(shown, ds.learning_rate.values, by_rate, strict=True):
        for shade, values in zip((COLOURS[1], COLOURS[0]), by_schedule, strict=True):
            axes.plot(sizes, values.mean(axis=1), color=shade, linewidth=2)
            axes.plot(np.repeat(sizes, values.shape[1]), values.ravel(), "o", color=shade, markersize=5, alpha=0.7)
        size_axis(axes, sizes, sizes)
        head(axes, f"rate {rate:g} at {sizes.min()} samples a batch, {rate * sizes.max() / sizes.min():g} at {sizes.max()}")
    shown[0].set(ylabel="validation error (%)", yscale="log")
    entries = [
        entry(text, color=shade, linewidth=2, marker="o") for shade, text in zip((COLOURS[1], COLOURS[0]), STARTS, strict=True)
    ]
    write_key(drawn, entries, "A dot is a run, a line the mean of the runs.")
    return drawn
