"""The performance profile of the values of an axis: the share of problems on which they are within a factor of the best."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from jaxsgd.analysis.choice import too_few
from jaxsgd.analysis.performance_profile import performance_profile
from jaxsgd.error import counted, verb
from jaxsgd.number import value_text
from jaxsgd.plot.axis import Selection, budget, find_axis, problem_name, setting
from jaxsgd.plot.finding import as_sentence, list_names
from jaxsgd.plot.layout import label_ends, panels, write_key
from jaxsgd.plot.scale import is_log, padded, plain_numbers, short_number, use_log
from jaxsgd.plot.style import colours, slide, styled
from jaxsgd.results.axes import selected, stored


@styled
def profile(
    ds: xr.Dataset,
    axis: str = "optimizer",
    metric: str | None = None,
    target: float | None = None,
    tuning_seeds: int = 0,
    tune: str = "learning_rate",
    select: Selection | None = None,
) -> Figure:
    """The share of the problems of a result on which each value of an axis is within a factor of the best.

    A problem is one value of each other axis, such as the batch count. Over several results: `jaxsgd compare --profile`.

    Args:
      ds: a finished result.
      axis: the axis whose values are compared.
      metric: by which settings are judged; by default "validation_loss" if the result has it, else "train_loss", else
        "loss_epoch".
      target: a value of the metric: the steps to it are compared; by default the metric itself at the end of the run.
      tuning_seeds: number of seeds that choose the best value of the tuned axis; the others count. 0 if nothing is tuned.
      tune: the axis that is tuned.
      select: by axis, the value or values to show.

    Raises:
      InputError: as `jaxsgd.analysis.performance_profile`.
    """
    ds = selected(ds, select)
    study, manifest = stored(ds, "study"), stored(ds, "manifest")
    name = problem_name(study.get("problem", ""), manifest.get("problem_name")) or "result"
    profiles = performance_profile({name: ds}, axis, metric, target=target, tuning_seeds=tuning_seeds, tune=tune)
    return _drawn(profiles, f"{setting(ds, (find_axis(ds, axis).dim,))}, {budget(ds)}")


@styled
def profile_figure(profiles: xr.Dataset) -> Figure:
    """Return the figure of a performance profile, as `jaxsgd.analysis.performance_profile` returns it."""
    return _drawn(
        profiles, f"{counted(profiles.sizes['problem'], 'problem')}: {', '.join(profiles['problem'].values.tolist())}"
    )


def _drawn(profiles: xr.Dataset, subtitle: str) -> Figure:
    axis = profiles.attrs["axis"]
    names = [value_text(value) for value in profiles[axis].values.tolist()]
    factors, shares = profiles["factor"].values, profiles["share"].values
    figure = slide(_title(profiles, names), subtitle)
    axes = panels(figure)[0][0]
    low, high = 1.0, max(float(factors.max()), 1.0 + 1e-3)
    log = is_log(low, high)
    if log:
        use_log(axes.xaxis)
    end = padded(low, high, log)[1]
    shades = colours(len(names))
    # Lines that lie on each other are all to be seen: each is drawn a little thinner than the line below it.
    widths = np.linspace(5.0, 1.8, len(names)) if len(names) > 1 else [2.4]
    for share, shade, width in zip(shares, shades, widths, strict=True):
        axes.step([*factors, end], [*share, share[-1]], where="post", color=shade, linewidth=width, zorder=3)
    # Where lines end together, the one that is nearer to the best is named first.
    label_ends(axes, shares[:, -1] + 1e-6 * shares.mean(axis=1), names, shades)
    axes.set_xlim(low, end)
    axes.set_ylim(0, 1.04)
    if not log:
        plain_numbers(axes.xaxis)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{short_number(100 * share)} %"))
    axes.set_xlabel(f"factor to the best: {profiles.attrs['what'].replace('_', ' ')}")
    axes.set_ylabel("problems within the factor (share)")
    write_key(figure, [], _note(profiles))
    return figure


def _note(profiles: xr.Dataset) -> str:
    problems = profiles.sizes["problem"]
    note = f"Of {counted(problems, 'problem')}, one is {100 / problems:.3g} %. A setting counts by its median over the seeds."
    if (profiles["solved"] < 1).any():
        note += " A line that ends below 100 %: on the other problems half of its runs or more failed."
    doubt = too_few(profiles.attrs["seeds"])
    return f"{note} {as_sentence(doubt)}" if doubt else note


def _title(profiles: xr.Dataset, names: list[str]) -> str:
    """Return the finding: what is best most often, and what is never far from the best."""
    ratio, problems = profiles["ratio"].values, profiles.sizes["problem"]
    first = np.asarray(profiles["share"].sel(factor=1.0).values)
    if not first.any():
        return "No setting works on any problem"
    leaders = [name for name, share in zip(names, first, strict=True) if share == first.max()]
    wins = round(float(first.max()) * problems)
    best = f"{list_names(leaders)} {verb(len(leaders))} best on {wins} of {counted(problems, 'problem')}"
    worst = ratio.max(axis=0)
    if not np.isfinite(worst).any():
        return f"{best}; every setting fails on a problem"
    safest = int(worst.argmin())
    return f"{best}; {names[safest]} is never worse than {worst[safest]:.3g} times the best"
