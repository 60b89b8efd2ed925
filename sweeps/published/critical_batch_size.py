"""How many steps does a larger batch save, and does the critical batch size grow with the amount of data?

Command: jaxsgd run published/critical_batch_size
         jaxsgd plot own results/critical_batch_size --study published/critical_batch_size
Paper:   McCandlish, Kaplan, Amodei and the OpenAI Dota team 2018, "An empirical model of large-batch training" (arXiv
         1812.06162): steps S and samples E to a target follow (S / S_min - 1) (E / E_min - 1) = 1, and E_min / S_min is the
         critical batch size. Shallue et al. 2019, "Measuring the effects of data parallelism on neural network training"
         (arXiv 1811.03600): perfect scaling, diminishing returns, and then no gain. Zhang et al. 2024, "How does critical batch
         size scale in pre-training?" (arXiv 2410.21676, corollary 3.2): with eigenvalues i^-a and a part i^-b of the loss in
         each direction, the critical batch size of one pass over D samples grows as D^(1 - a / min(b, 2a + 1)) if b > a.
Cost:    288 runs of 64 epochs, 11 s of CPU time on one core; less than 1 MiB
Finding: The curve and the three regimes; no growth. For the four targets the steps lie within a factor of 1.22, 1.13, 1.15 and
         1.09 of the fit. Batches of 8 and 16 samples scale perfectly, and from 64 or 128 on twice the batch hardly saves a
         step. The critical batch size is 28 (95 % interval 15 to 31), 28 (17 to 37), 25 (17 to 37) and 26 samples (19 to 37)
         at the excess losses 0.17, 0.12, 0.085 and 0.06, which take at least 285 to 1,285 samples: it has the power -0.05 of
         the samples.
Differs: That the critical batch size grows with the data is not shown here. By the corollary, likely for averaged weights,
         it has the power 0 on this problem, where b = a = 1.5. But for the mean loss of the last weights on new samples, the
         recursion of its second moments gives a growth from 35 to 64 samples for these targets. What hides it is likely that
         a run counts as soon as its loss first dips below the target, and that these runs draw with replacement from only
         256 samples; and 8 seeds leave room for a factor of 2.
         For most sizes from 16 on the best rate is the largest that was run, 1.41, near the edge of
         stability. The gradient noise scale, which McCandlish et al. set beside the critical batch size, is not measured here:
         see docs/batch_count_scaling.md.
"""

import numpy as np
import xarray as xr

from jaxsgd import Study, scaling
from jaxsgd.analysis.scaling import power_of_size
from jaxsgd.plot.layout import entry, head, panels, size_axis, write_key
from jaxsgd.plot.style import COLOURS, PALE, slide

STUDY = Study(
    problem="power_law_regression",
    problem_args={"num_samples": 256, "num_inputs": 50, "noise": 1.0},
    seeds=range(8),
    batch_sizes=[8, 16, 32, 64, 128, 256],
    orders=["replacement"],
    optimizer="sgd",
    learning_rates=[2 ** (0.5 - halvings / 2) for halvings in range(6)],
    epochs=64,
    record="epoch",
)

TARGETS = (0.17, 0.12, 0.085, 0.06)
"""Targets of the excess loss, a factor of about sqrt(2) apart."""


def fits(ds):
    """Return what follows from the steps to each target: a Dataset of `jaxsgd.scaling` along the axis `goal`."""
    scaled = [scaling(ds, target, "excess_loss").squeeze(drop=True) for target in TARGETS]
    return xr.concat(scaled, "goal", combine_attrs="drop")


def misfit(scaled):
    """Return the largest factor between the steps and the fitted curve at each target, [targets]."""
    curve = scaled.fewest_steps + scaled.fewest_samples / scaled.samples_per_step
    return np.exp(abs(np.log(scaled.steps / curve)).max("batch_size").values)


def growth(scaled):
    """Return the power of the fewest samples with which the critical batch size grows."""
    return float(power_of_size(scaled.critical_batch_size.values, scaled.fewest_samples.values))


def figure(ds):
    """Draw the steps against the batch size for each target, and the critical batch size against the samples that it needs."""
    scaled = fits(ds)
    sizes, least = ds.batch_size.values, scaled.fewest_samples.values
    critical, low, high = (scaled[name].values for name in ("critical_batch_size", "critical_low", "critical_high"))
    shades = [*COLOURS[: len(TARGETS)]]
    drawn = slide(
        f"The critical batch size is {critical.min():.0f} to {critical.max():.0f} samples at all targets",
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
    left.set_yticks([10, 20, 50, 100, 200], ["10", "20", "50", "100", "200"])
    left.minorticks_off()
    head(left, "steps against batch size", f"within a factor of {misfit(scaled).max():.2f} of the fit")
    power = growth(scaled)
    middle = np.exp(np.log(critical).mean()) * (least / np.exp(np.log(least).mean())) ** power
    right.plot(least, middle, color=PALE, linewidth=1.6, zorder=0)
    right.set(xscale="log", yscale="log", xlabel="fewest samples to the target", ylabel="critical batch size (samples)")
    right.set_xticks([300, 500, 1000], ["300", "500", "1,000"])
    right.set_yticks([10, 20, 30, 50], ["10", "20", "30", "50"])
    right.minorticks_off()
    head(right, "critical batch size against data", f"power {power:.2f}")
    entries = [entry(f"{target:g}", color=shade, marker="o") for target, shade in zip(TARGETS, shades, strict=True)]
    write_key(drawn, entries, "Colours: the target of the excess loss. Curves: the fit. Bars: 95 % intervals.")
    return drawn
