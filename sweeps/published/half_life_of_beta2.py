"""Are small batches as good as large ones for Adam, at nearly the same rate, if the half-life of b2 is fixed in samples?

Command: jaxsgd run published/half_life_of_beta2
         jaxsgd plot own results/half_life_of_beta2 --study published/half_life_of_beta2
Paper:   Marek, Lotfi, Somasundaram, Wilson and Goldblum 2025, "Small batch size training for language models: when vanilla SGD
         works, and why gradient accumulation is wasteful" (arXiv 2507.07101, abstract and figure 1): if the half-life of b2 is
         fixed in tokens, and not b2 itself, batches down to one sequence train stably and end as well as large ones or better.
         In the authors' settings for GPT-2 (github.com/martin-marek/batch-size, final_configs.sh) the best rate is 0.0048 at
         512 sequences with b2 = 0.95. At one sequence it is 0.0024 with the same half-life (b2 = 0.9999), and 0.00015, 32 times
         lower, with b2 = 0.95.
Cost:    90 runs of 1 epoch, 70 s of CPU time; less than 1 MiB
Finding: Small batches end better than large ones, and a fixed half-life is what suits one sample a batch. With it the mean
         validation loss at the best rate is 2.43, 2.48 and 2.62 nats for B = 1, 4 and 16, at the rates 0.016, 0.032 and 0.032:
         the best rate changes by a factor of 2. With b2 fixed at 0.95 it is 2.49, 2.48 and 2.62: one sample is no longer better
         than 4. For B = 1 the half-life lowers the loss at the rate 0.016 by 0.04 to 0.07 in all three seeds, and by 0.01 to
         0.07 at all rates up to 0.064; at 0.128, where all runs end far off, it raises it. For B = 4 it gains 0.03 to 0.04 at
         the rate 0.064, and nothing at the best.
         Not shown: that b2 = 0.95 makes small batches worse than large ones, and that it needs a far lower rate. The best rates
         are the same with both rules. The likely cause is the range: from B = 16 to 1 the half-life of b2 = 0.95 shrinks by 16,
         in the paper by 512. And 231 steps at B = 16 are few for the network, so that smaller batches gain from more steps.
Differs: The paper trains 30 million parameters and more on 600 million tokens and more; here 6,600 parameters read 59,000
         characters once. Its rates rise over 5 % of the steps and then follow a cosine, as here. Its weight decay at large
         batches is left out. Python's own documentation repeats itself, so that held-out samples are not all new.
"""

from jaxsgd import Study
from jaxsgd.plot.layout import entry, head, label_outside, panels, write_key
from jaxsgd.plot.style import COLOURS, slide

STUDY = Study(
    problem="char_lm",
    problem_args={"num_samples": 4096, "context": 16, "width": 16, "num_heads": 2},
    held_out=0.1,
    seeds=range(3),
    batch_sizes=[1, 4, 16],
    orders=["reshuffle"],
    optimizer="adam",
    hyper={"b2": [0.95]},
    learning_rates=[0.008, 0.016, 0.032, 0.064, 0.128],
    schedules=["warmup_cosine(0.05)"],
    batch_rules={"b2 fixed": {}, "half-life fixed": {"b2": "half_life"}},
    reference_batch_size=16,
    epochs=1,
    record="epoch",
)


def losses(ds):
    """Return the validation loss at the end, [sizes, rules, rates, seeds]."""
    ends = ds.validation_loss.isel(epoch=-1, optimizer=0, order=0, schedule=0, b2=0)
    return ends.transpose("batch_size", "batch_rule", "learning_rate", "seed").values


def figure(ds):
    """Draw the validation loss at the end against the learning rate for both rules, a panel for each batch size."""
    sizes, rates, rules = ds.batch_size.values, ds.learning_rate.values, ds.batch_rule.values
    used = ds.b2_used.isel(seed=0, optimizer=0, order=0, schedule=0, learning_rate=0, b2=0).sel(batch_rule=rules[-1])
    by_size = losses(ds)
    fixed, half_life = (by_size[0, rule].mean(axis=-1).min() for rule in (0, -1))
    drawn = slide(
        f"With a fixed half-life of b2 batches of {sizes[0]} end {fixed - half_life:.2f} nats lower than with a fixed b2",
        f"A small transformer that predicts characters, Adam, one pass over the data, {ds.sizes['seed']} seeds",
    )
    shown = panels(drawn, 1, len(sizes), apart=(0.08, 0.04), sharex=True, sharey=True)[0]
    looks = dict(zip(map(str, rules), (COLOURS[1], COLOURS[0]), strict=True))
    for axes, size, b2, by_rule in zip(shown, sizes, used.values, by_size, strict=True):
        for shade, runs in zip(looks.values(), by_rule, strict=True):
            curve = runs.mean(axis=-1)
            axes.plot(rates, curve, color=shade, linewidth=2)
            axes.plot(rates, runs, "o", color=shade, markersize=4, alpha=0.4)
            axes.plot(rates[curve.argmin()], curve.min(), "D", color=shade, markersize=10)
        head(axes, f"B = {size}", f"b2: {ds.b2.values[0]:g} fixed, {b2:.4g} with the half-life")
        axes.set_xscale("log", base=2)
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.minorticks_off()
    label_outside(list(shown), "learning rate", "validation loss (nats per character)")
    entries = [entry(rule, color=shade, linewidth=2, marker="o") for rule, shade in looks.items()]
    write_key(drawn, entries, "A line is the mean of the runs, a dot a run, a diamond the best rate.")
    return drawn
