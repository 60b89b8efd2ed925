"""After how many epochs is reshuffling better than drawing with replacement?

Command: jaxsgd run published/reshuffling_beats_replacement
         jaxsgd plot own results/reshuffling_beats_replacement --study published/reshuffling_beats_replacement
Paper:   HaoChen and Sra 2019, "Random shuffling beats SGD after finite epochs" (arXiv 1806.10077): for strongly convex
         functions the error of reshuffling is O(1 / T^2 + n^3 / T^3) after T steps on n samples, and that of drawing with
         replacement O(1 / T). So reshuffling is better after O(sqrt(n)) epochs.
Cost:    1,040 runs of 128 epochs, 16 s of CPU time; 3 MiB
Finding: After one; the finite number of the bound is not seen. At the best constant rate for each number of epochs, the mean
         excess loss with 64 samples is 2.0 times lower for `reshuffle` after 1 epoch, 4.8 times after 4, 11 times after 16
         and 343 times after 128. From 8 epochs on it falls with the power -2.05 of the epochs, and with replacement with -0.90.
         With 16 samples (--set problem_args.num_samples=16 --set batch_counts=16) the powers are -1.92 and -0.81, with 256
         samples -2.35 and -0.85; reshuffling wins from the first epoch there too.
Differs: The bound holds for the worst function of its class, and least squares is an easy one: a bound that is sufficient does
         not say when the better order begins to win. The rates are constant in a run, tuned for each number of epochs and
         order in factors of 2, by the same 40 seeds that are shown, which flatters both orders alike.
"""

import numpy as np

from jaxsgd import Study
from jaxsgd.plot.layout import label_ends, panels
from jaxsgd.plot.style import COLOURS, slide

SAMPLES = 64

STUDY = Study(
    problem="least_squares",
    problem_args={"num_samples": SAMPLES, "num_inputs": 4, "noise": 1.0},
    seeds=range(40),
    batch_counts=[SAMPLES],
    orders=["reshuffle", "replacement"],
    optimizer="sgd",
    learning_rates=[0.32 / 2**halvings for halvings in range(13)],
    epochs=128,
    dtype="float64",
    record="epoch",
)


def best(ds, order):
    """Return the mean excess loss over all seeds at the best rate for each number of epochs, [E]."""
    mean = ds.excess_loss.sel(order=order).squeeze().astype(float).mean("seed")
    return mean.where(np.isfinite(mean), np.inf).min("learning_rate").values


def crossing(ds):
    """Return the number of epochs from which on reshuffling is always better; one more than were run if it never is."""
    worse = np.flatnonzero(best(ds, "reshuffle") >= best(ds, "replacement"))
    return int(worse[-1]) + 2 if len(worse) else 1


def power(ds, order):
    """Return the power of the number of epochs with which the excess loss falls, from 8 epochs to the last."""
    loss = best(ds, order)[7:]
    return float(np.polyfit(np.log(np.arange(8, 8 + len(loss))), np.log(loss), 1)[0])


def figure(ds):
    """Draw the excess loss at the best rate against the number of epochs, for both orders."""
    ratio = best(ds, "replacement")[-1] / best(ds, "reshuffle")[-1]
    start, samples = crossing(ds), int(ds.batch_count[0] * ds.batch_size[0])
    epochs = np.arange(1, ds.sizes["epoch"] + 1)
    drawn = slide(
        f"Reshuffling wins from epoch {start} on; after {len(epochs)} epochs by a factor of {ratio:.0f}",
        f"Linear regression, {samples} samples, batches of one; the best rate for each length, mean of {ds.sizes['seed']} runs",
    )
    axes = panels(drawn)[0, 0]
    axes.set(xscale="log", yscale="log", xlabel="epochs", ylabel="excess loss")
    shown = 2 ** np.arange(int(np.log2(len(epochs))) + 1)
    ends, texts = [], []
    for order, shade, text in (("replacement", COLOURS[1], "with replacement"), ("reshuffle", COLOURS[0], "reshuffled")):
        loss = best(ds, order)[shown - 1]
        axes.plot(shown, loss, "o-", color=shade, linewidth=2, markersize=7)
        ends.append(loss[-1])
        texts.append(f"{text}:\npower {power(ds, order):.1f}")
    label_ends(axes, ends, texts, [COLOURS[1], COLOURS[0]])
    axes.set_xticks(shown, [str(count) for count in shown])
    axes.minorticks_off()
    return drawn
