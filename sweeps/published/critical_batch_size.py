"""How many steps does a larger batch save, and does the critical batch size grow with the amount of data?

Command: jaxsgd run published/critical_batch_size
         jaxsgd plot own results/critical_batch_size --study published/critical_batch_size
Paper:   McCandlish, Kaplan, Amodei and the OpenAI Dota team 2018, "An empirical model of large-batch training" (arXiv
         1812.06162): steps S and samples E to a target follow (S / S_min - 1) (E / E_min - 1) = 1, and E_min / S_min is the
         critical batch size. Shallue et al. 2019, "Measuring the effects of data parallelism on neural network training"
         (arXiv 1811.03600): perfect scaling, diminishing returns, and then no gain. Zhang et al. 2024, "How does critical batch
         size scale in pre-training?" (arXiv 2410.21676, corollary 3.2): with eigenvalues i^-a and a part i^-b of the loss in
         each direction, the critical batch size of one pass over D samples grows as D^(1 - a / min(b, 2a + 1)) if b > a.
Cost:    3,456 runs of 192 epochs, 40 s of CPU time; 8 MiB
Finding: The curve, the three regimes, and the growth. For the four targets the steps lie within a factor of 1.07, 1.03, 1.08
         and 1.07 of the fit. The critical batch size is 34 (95 % interval 28 to 45), 49 (44 to 60), 58 (54 to 68) and 76
         samples (70 to 85) at the excess losses 0.0008, 0.00055, 0.00038 and 0.00026, which take at least 1,333 to 7,087
         samples: it has the power 0.48 of the samples (0.31 to 0.65). By the corollary the power is 0.5, for a = 1.5, b = 3.
Differs: The last weights are evaluated, the corollary is likely for averaged ones. Samples are drawn with replacement from 256,
         whose own optimum is the reference, so that each is a new sample of this population of 256. The steps are those of
         the mean loss of 8 runs, in 8 groups: a single run dips below a target long before its mean does, which hid most of
         the growth in an earlier run of this study. With b = a, as for true weights of equal size, the corollary has no
         growth; that was not tried with this noise. The largest batches have their best rate at 1.41, the largest that was
         run, near the edge of stability. The gradient noise scale, which McCandlish et al. set beside the critical batch
         size, is not measured here: see docs/batch_count_scaling.md.
"""

import numpy as np
import xarray as xr
from scipy import stats

from jaxsgd import Study, scaling
from jaxsgd.analysis.steps_by_size import power_of_size
from jaxsgd.plot.layout import entry, head, panels, size_axis, write_key
from jaxsgd.plot.style import COLOURS, PALE, slide

CAPACITY, SOURCE = 1.5, 3.0
"""The powers a of the eigenvalues and b of the parts of the loss."""

STUDY = Study(
    problem="power_law_regression",
    problem_args={"num_samples": 256, "num_inputs": 50, "power": CAPACITY, "weight_power": SOURCE - CAPACITY, "noise": 0.1},
    seeds=range(64),
    batch_sizes=[8, 16, 32, 64, 128, 256],
    orders=["replacement"],
    optimizer="sgd",
    learning_rates=[2 ** (0.5 - halvings / 2) for halvings in range(9)],
    epochs=192,
    record="epoch",
)

TARGETS = (0.0008, 0.00055, 0.00038, 0.00026)
"""Targets of the excess loss, a factor of about 1.45 apart."""

GROUPS = 8
"""Groups of seeds. A run takes the place of a group: its loss is the mean of the group's."""


def grouped(ds):
    """Return the result with a run for each group of seeds, whose excess loss is the mean of the group's.

    A single run dips below a target long before the mean loss does, the more so the smaller the batch.
    """
    size = ds.sizes["seed"] // GROUPS
    mean = ds.excess_loss.coarsen(seed=size).mean()
    groups = ds.isel(seed=slice(0, GROUPS))
    return groups.assign(excess_loss=mean.assign_coords(seed=groups.seed).assign_attrs(ds.excess_loss.attrs))


def fits(groups, **how):
    """Return what follows from the steps to each target: a Dataset of `jaxsgd.scaling`, with `how`, along the axis `goal`."""
    scaled = [scaling(groups, target, "excess_loss", **how).squeeze(drop=True) for target in TARGETS]
    return xr.concat(scaled, "goal", combine_attrs="drop")


def misfit(scaled):
    """Return the largest factor between the steps and the fitted curve at each target, [targets]."""
    curve = scaled.fewest_steps + scaled.fewest_samples / scaled.samples_per_step
    return np.exp(abs(np.log(scaled.steps / curve)).max("batch_size").values)


def growth(scaled):
    """Return the power of the fewest samples with which the critical batch size grows."""
    return float(power_of_size(scaled.critical_batch_size.values, scaled.fewest_samples.values))


def growth_interval(groups, power, confidence=0.95):
    """Return the interval of that power: Student's, with the standard error of the jackknife over the groups."""
    numbers = np.arange(groups.sizes["seed"])
    # The intervals of the fits are not needed.
    without = np.array([growth(fits(groups.isel(seed=numbers[numbers != left_out]), resamples=1)) for left_out in numbers])
    error = np.sqrt((len(without) - 1) * np.var(without))
    reach = stats.t.ppf((1 + confidence) / 2, len(without) - 1) * error
    return power - reach, power + reach


def figure(ds):
    """Draw the steps against the batch size for each target, and the critical batch size against the samples that it needs."""
    groups = grouped(ds)
    scaled = fits(groups)
    sizes, least = ds.batch_size.values, scaled.fewest_samples.values
    critical, low, high = (scaled[name].values for name in ("critical_batch_size", "critical_low", "critical_high"))
    shades = [*COLOURS[: len(TARGETS)]]
    drawn = slide(
        f"The critical batch size grows with the data: {critical[0]:.0f} to {critical[-1]:.0f} samples at harder targets",
        f"Linear regression with a power-law spectrum, the best rate for each size, {ds.sizes['seed']} seeds",
    )
    left, right = panels(drawn, 1, 2, apart=(0.1, 0.04))[0]
    at = np.geomspace(sizes.min(), sizes.max(), 100)
    for place, (target, shade) in enumerate(zip(TARGETS, shades, strict=True)):
        goal = scaled.isel(goal=place)
        left.plot(at, float(goal.fewest_steps) + least[place] / at, color=shade, linewidth=1.6)
        left.plot(goal.samples_per_step, goal.steps, "o", color=shade, markersize=7, label=f"{target:g}")
        right.plot([least[place]] * 2, [low[place], high[place]], color=shade, linewidth=2)
        right.plot(least[place], critical[place], "o", color=shade, markersize=9)
    left.set(yscale="log", ylabel="steps to the target")
    size_axis(left, sizes, sizes)
    left.set_yticks([50, 100, 200, 500, 1000], ["50", "100", "200", "500", "1,000"])
    left.minorticks_off()
    head(left, "steps against batch size", f"within a factor of {misfit(scaled).max():.2f} of the fit")
    power = growth(scaled)
    middle = np.exp(np.log(critical).mean()) * (least / np.exp(np.log(least).mean())) ** power
    right.plot(least, middle, color=PALE, linewidth=1.6, zorder=0)
    right.set(xscale="log", yscale="log", xlabel="fewest samples to the target", ylabel="critical batch size (samples)")
    right.set_xticks([1000, 2000, 5000, 10000], ["1,000", "2,000", "5,000", "10,000"])
    right.set_yticks([30, 50, 100], ["30", "50", "100"])
    right.minorticks_off()
    (lowest, highest), theory = growth_interval(groups, power), 1 - CAPACITY / min(SOURCE, 2 * CAPACITY + 1)
    head(right, "critical batch size against data", f"power {power:.2f} ({lowest:.2f} to {highest:.2f}); theory {theory:g}")
    entries = [entry(f"{target:g}", color=shade, marker="o") for target, shade in zip(TARGETS, shades, strict=True)]
    write_key(drawn, entries, "Colours: the target of the excess loss. Curves: the fit. Bars: 95 % intervals.")
    return drawn
