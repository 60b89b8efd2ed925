"""Does the batch size with the best test accuracy grow in proportion to the learning rate?

Command: jaxsgd run published/best_batch_size
         jaxsgd plot own results/best_batch_size --study published/best_batch_size
Paper:   Smith and Le 2018, "A Bayesian perspective on generalization and stochastic gradient descent" (arXiv 1710.06451,
         abstract): at a fixed learning rate one batch size gives the best test accuracy. SGD has the noise scale
         rate (N / B - 1), about rate N / B, with N training samples, so the best batch size is in proportion to the rate
         and to N.
Cost:    108 runs of 2,000 steps, 58 s of CPU time; 0.2 MiB
Finding: Not shown here: no batch size stands out as the best. The mean test accuracy of 6 seeds rises with the batch size up to
         a plateau: 43.8 to 44.3 % at the rate 0.08 and 43.1 to 43.8 % at 0.16, both from 16 samples on, and 42.4 to 43.5 % at
         0.32 from 32 on. It is highest at 128, 21 and 52 samples, with 95 % intervals of 14 to 128, 19 to 128 and 33 to 74;
         the power with which this size grows with the rate is anything from -0.9 to 1.0. What does grow is the smallest batch
         size that keeps 90 % of the highest accuracy: 5.7, 7.8 and 14.9 samples, with the power 0.69 (0.49 to 0.87) of the
         rate, so by less than in proportion. At the same rate / B the accuracies of the two lower rates are within 2.7
         percent points of each other, those of the lowest and the highest within 4.0.
         With N = 500 and 2,000 in place of 1,000 training samples (`STUDY.replaced(held_out=0.9)` and `0.6`, run in Python) no
         size stands out either. The smallest size with 90 % grows with N: 6.1, 7.8 and 17.4 samples at the rate 0.16, 12.8,
         14.9 and 21.6 at 0.32, so with the powers 0.76 and 0.38 of N. At 0.08 and N = 500 all sizes have it.
Differs: A likely cause is that 6 seeds are too few for a small gain: at the rate 0.32, 64 samples are 1.1 percent points better
         than 128 (-0.5 to 2.6). Another is the budget: 2,000 steps with 128 samples take the training loss to 0.51 at the rate
         0.08 and to 0.04 at 0.32, so that the rates differ in more than noise. The network has one hidden layer of 40 units,
         trained on 1,000 samples with momentum 0.9; 4,000 other samples give the accuracy.
"""

import numpy as np

from jaxsgd import Study
from jaxsgd.analysis.confidence import interval, resampled_seeds
from jaxsgd.plot.layout import entry, head, label_ends, panels, size_axis, write_key
from jaxsgd.plot.style import COLOURS, PALE, slide

STUDY = Study(
    problem="mnist1d",
    problem_args={"num_samples": 5000, "num_hidden": 40, "depth": 1},
    held_out=0.8,
    seeds=range(6),
    batch_sizes=[4, 8, 16, 32, 64, 128],
    orders=["reshuffle"],
    optimizer="momentum",
    learning_rates=[0.08, 0.16, 0.32],
    steps=2000,
    evaluate_every=2000,
    record="epoch",
)

KEPT = 0.9
"""Share of the highest accuracy that the smallest sufficient batch size keeps."""

RESAMPLES = 2000
"""Resamples of the seeds, for the intervals."""


def accuracies(ds):
    """Return the test accuracy at the end, in percent, [rates, sizes, seeds]: on the held-out samples, with rising sizes."""
    right = 100 * ds.validation_accuracy.isel(evaluation=-1, optimizer=0, order=0).sortby("batch_size")
    return right.transpose("learning_rate", "batch_size", "seed").values.astype(float)


def best_size(sizes, accuracy):
    """Return the batch size of the highest accuracy, between the sizes that were run.

    It is the top of the parabola over log B through the best size and its two neighbours; at an end it is the size itself.

    Args:
      sizes: [K], rising.
      accuracy: [K], of each size.
    """
    best, logs = int(np.argmax(accuracy)), np.log2(sizes)
    if best in (0, len(sizes) - 1):
        return float(sizes[best])
    around = slice(best - 1, best + 2)
    square, line, _ = np.polyfit(logs[around], accuracy[around], 2)
    return float(2 ** (-line / (2 * square)))


def smallest_size(sizes, accuracy):
    """Return the smallest batch size that keeps a share `KEPT` of the highest accuracy, on straight lines over log B.

    NaN if all sizes keep it.
    """
    target, logs = KEPT * accuracy.max(), np.log2(sizes)
    above = int(np.argmax(accuracy >= target))
    if above == 0:
        return np.nan
    pair = slice(above - 1, above + 1)
    return float(2 ** np.interp(target, accuracy[pair], logs[pair]))


MARKS = {"best": best_size, "smallest": smallest_size}
"""The two batch sizes that are read off a curve."""


def sizes_of(ds, mark):
    """Return one of the two batch sizes for each rate, [rates], of the mean accuracy over the seeds; `mark` as in `MARKS`."""
    return _read_off(ds, mark, accuracies(ds).mean(axis=-1))


def _read_off(ds, mark, curves):
    """Return a batch size for each curve, [..., sizes] -> [...]."""
    sizes = np.sort(ds.batch_size.values).astype(float)
    return np.apply_along_axis(lambda curve: MARKS[mark](sizes, curve), -1, curves)


def power(rates, sizes):
    """Return the power of the learning rate with which batch sizes grow: the slope of log B against log rate, or NaN."""
    if np.isnan(sizes).any():
        return np.nan
    return float(np.polyfit(np.log(rates), np.log(sizes), 1)[0])


def intervals(ds, mark, confidence=0.95):
    """Return the interval of each rate's batch size, [2, rates], and of their power, [2], from resampled seeds."""
    rates, draws = ds.learning_rate.values, resampled_seeds(ds.sizes["seed"], RESAMPLES, 0)
    chosen = _read_off(ds, mark, np.moveaxis(accuracies(ds)[..., draws].mean(axis=-1), -1, 0))
    powers = np.array([power(rates, sizes) for sizes in chosen])
    return np.stack(interval(chosen, confidence)), np.array(interval(powers, confidence))


def figure(ds):
    """Draw the accuracy against the batch size for each rate, and both batch sizes against the rate."""
    rates, sizes, mean = ds.learning_rate.values, np.sort(ds.batch_size.values), accuracies(ds).mean(axis=-1)
    drawn = slide(
        "No batch size stands out as the best; the smallest good one grows with the power "
        f"{power(rates, sizes_of(ds, 'smallest')):.2f} of the rate",
        f"MNIST-1D, momentum 0.9, the same number of steps at all batch sizes, mean of {ds.sizes['seed']} seeds",
    )
    left, right = panels(drawn, 1, 2, apart=(0.1, 0.04))[0]
    for shade, values in zip(COLOURS, mean, strict=False):
        left.plot(sizes, values, "o-", color=shade, linewidth=2, markersize=5)
    size_axis(left, sizes, sizes)
    left.set_ylabel("test accuracy (%)")
    head(left, "Accuracy at the end")
    label_ends(left, mean[:, -1], [f"rate {rate:g}" for rate in rates], COLOURS[: len(rates)])
    for shade, mark, shape in zip((COLOURS[3], COLOURS[4]), MARKS, "os", strict=True):
        chosen, (low, high) = sizes_of(ds, mark), intervals(ds, mark)[0]
        spread = [np.maximum(chosen - low, 0), np.maximum(high - chosen, 0)]
        right.errorbar(rates, chosen, spread, fmt=shape, color=shade, linewidth=2, capsize=4, markersize=6)
    level = np.exp(np.log(sizes_of(ds, "smallest") / rates).mean())
    right.plot(rates, level * rates, color=PALE, linewidth=1)
    right.set(
        xscale="log", yscale="log", xlabel="learning rate", ylabel="batch size B", xlim=(rates.min() / 1.2, rates.max() * 1.2)
    )
    right.set_xticks(rates, [f"{rate:g}" for rate in rates])
    right.set_yticks(sizes, [f"{size:g}" for size in sizes])
    right.minorticks_off()
    head(right, "Two batch sizes of each rate")
    words = ("highest accuracy", f"smallest with {100 * KEPT:g} % of the highest accuracy")
    entries = [
        entry(text, color=shade, linewidth=2, marker=shape)
        for text, shade, shape in zip(words, (COLOURS[3], COLOURS[4]), "os", strict=True)
    ]
    write_key(drawn, entries, "Bars: 95 % intervals over the seeds. Grey: in proportion to the learning rate.")
    return drawn
