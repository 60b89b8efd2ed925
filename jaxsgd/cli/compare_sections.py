"""The sections of `jaxsgd compare`: each a table with its heading and notes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import xarray as xr
from rich.console import Console
from rich.table import Table

from jaxsgd.analysis.best import benchmark, tuned_by
from jaxsgd.analysis.choice import too_few
from jaxsgd.analysis.collapse import collapse
from jaxsgd.analysis.compare import compare
from jaxsgd.analysis.performance_profile import performance_profile, profile_share
from jaxsgd.analysis.rows import rows as flat_rows
from jaxsgd.analysis.seeds_for_rank import seeds_for_rank
from jaxsgd.analysis.seeds_needed import seeds_needed
from jaxsgd.cli.measure_table import TableRow, interval_notes
from jaxsgd.cli.output import plain_table
from jaxsgd.error import InputError, counted
from jaxsgd.number import between, plain_number
from jaxsgd.results.axes import axis_dim, axis_names, axis_values, seed_dims
from jaxsgd.results.metric import metric_named

MEASURED = ("mean_value", "difference", "low", "high", "no_interval", "tie", "mean_rank", "pairs", "left_out")
"""The columns of a row of differences besides those of its setting."""

PLANNED = ("deviation", "aim", "seeds", "low", "high", "no_number")
"""The columns of a row of a plan besides those of its setting."""

RANKED = ("setting", "next_setting", "difference", "deviation", "kept", "no_number", "seeds", "low", "high")
"""The columns of a row of a plan for a rank besides those of the other axes."""

FACTORS = (1.0, 1.1, 1.5, 2.0, 5.0)
"""Factors to the best at which the table of a performance profile has its shares."""


class AnswerSection(NamedTuple):
    """A part of the answer.

    Attributes:
      name: of its rows in the JSON object.
      rows: of the table, all columns.
      table: as it is printed.
      notes: lines below the table.
      heading: the line above it; empty for none.
    """

    name: str
    rows: list[TableRow]
    table: Table
    notes: list[str]
    heading: str = ""

    def print(self, console: Console) -> None:
        """Print the heading, the table and the notes."""
        if self.heading:
            console.print(self.heading, soft_wrap=True)
        console.print(self.table)
        for line in self.notes:
            console.print(line, soft_wrap=True)


class Comparison(NamedTuple):
    """Results that are compared along an axis.

    Attributes:
      results: by name.
      axis: the axis that is compared.
      metric: the number by which runs are judged.
      tuning_seeds: number of seeds that choose the best value of `tune`; 0 if nothing is tuned.
      tune: the axis that is tuned.
      compared: the paired differences of each result, by name.
      ranks: the mean rank of each value over all results; empty if nothing is tuned.
    """

    results: dict[str, xr.Dataset]
    axis: str
    metric: str
    tuning_seeds: int
    tune: str
    compared: dict[str, xr.Dataset]
    ranks: dict[Any, float]

    @staticmethod
    def of(
        results: dict[str, xr.Dataset],
        axis: str | None,
        metric: str | None,
        reference: str | None,
        tuning_seeds: int,
        tune: str,
    ) -> "Comparison":
        """Compare results along an axis; None for the usual axis and metric, and for the first value as reference.

        Raises:
          InputError: if there is nothing to compare, or not in this way.
        """
        for ds in results.values():
            metric = metric_named(ds, metric)
        axis = _axis_to_compare(results, axis, tune if tuning_seeds else None)
        ranks: dict[Any, float] = {}
        if tuning_seeds:
            tuned = benchmark(results, axis, tuning_seeds=tuning_seeds, metric=metric, tune=tune, reference=reference)
            ranks = dict(zip(tuned[axis].values.tolist(), tuned["overall_rank"].values.tolist(), strict=True))
            compared = {name: tuned.sel(problem=name).drop_vars(["problem", "overall_rank"]) for name in results}
        else:
            compared = {name: compare(ds, axis, metric, reference=reference) for name, ds in results.items()}
        return Comparison(results, axis, str(metric), tuning_seeds, tune, compared, ranks)


def differences_section(comparison: Comparison) -> AnswerSection:
    """Return the differences from the reference, with 95 % intervals, ranks and ties."""
    axis, tune = comparison.axis, comparison.tune
    table = _by_problem({name: _rows(own, axis) for name, own in comparison.compared.items()})
    notes = []
    if len(comparison.results) > 1 and comparison.ranks:
        listed = ", ".join(f"{name} {rank:.2f}" for name, rank in sorted(comparison.ranks.items(), key=lambda item: item[1]))
        notes.append(f"mean rank over {len(comparison.results)} problems: {listed}")
    others = [row for row in table if not row["reference"]]
    notes += interval_notes([row["no_interval"] for row in others]) + _few_seeds_note(others)
    if not comparison.tuning_seeds:
        notes += _untuned_note(comparison.results, axis)
    edges = [f"{row[axis]} on {row['problem']}" for row in table if row.get("at_edge")]
    if edges:
        words = tune.replace("_", " ")
        notes.append(f"best {words} at the edge of its range, a better one may lie beyond: {', '.join(edges)}")
    return AnswerSection(
        "rows", table, _table(table, axis, comparison.metric, tune if comparison.tuning_seeds else None), notes
    )


def plan_section(comparison: Comparison, wanted: float | None, power: float) -> AnswerSection:
    """Return how many seeds each difference needs.

    Args:
      comparison: a pilot.
      wanted: the smallest difference that matters; None for those of the pilot.
      power: probability with which the interval then excludes zero.
    """
    table = _by_problem(
        {name: flat_rows(seeds_needed(pilot, wanted, power=power)) for name, pilot in comparison.compared.items()}
    )
    heading = f"Seeds at which the 95 % interval excludes zero with probability {power:g}:"
    return AnswerSection("plan", table, _plan_table(table, comparison.axis), _plan_notes(table, wanted), heading)


def rank_section(comparison: Comparison, rank: int, power: float) -> AnswerSection:
    """Return how many seeds separate the setting of a rank, 1 for the best, from the next one."""
    results = comparison.results
    if comparison.tuning_seeds:
        tuned = (comparison.tuning_seeds, comparison.metric, comparison.tune)
        results = {name: tuned_by(ds, *tuned) for name, ds in results.items()}
    plans = {
        name: seeds_for_rank(ds, comparison.axis, comparison.metric, rank=rank, power=power) for name, ds in results.items()
    }
    table = _by_problem({name: flat_rows(own.drop_attrs()) for name, own in plans.items()})
    heading = f"Seeds at which the 95 % interval separates rank {rank} from rank {rank + 1} with probability {power:g}:"
    return AnswerSection("rank_plan", table, _rank_table(table), _rank_notes(table), heading)


def profiles_of(comparison: Comparison, target: Sequence[float] | None) -> xr.Dataset:
    """Return the performance profiles of the values of the axis.

    Args:
      comparison: of a result for each problem.
      target: of the metric, one for all results or one for each: their steps to it are compared; None for the metric itself.
    """
    results = comparison.results
    targets = dict(zip(results, list(target) * (len(results) // len(target)), strict=True)) if target else None
    tuned = {"tuning_seeds": comparison.tuning_seeds, "tune": comparison.tune}
    return performance_profile(results, comparison.axis, comparison.metric, target=targets, **tuned)


def profile_section(profiles: xr.Dataset) -> AnswerSection:
    """Return the shares of problems on which each value is within a factor of the best."""
    table = _profile_rows(profiles)
    problems, what = counted(profiles.sizes["problem"], "problem"), profiles.attrs["what"].replace("_", " ")
    doubt = too_few(profiles.attrs["seeds"])
    heading = f"Share of {problems} within a factor of the best, by {what}:"
    return AnswerSection("profile", table, _profile_table(table, profiles.attrs["axis"]), [doubt] if doubt else [], heading)


def collapse_section(comparison: Comparison) -> AnswerSection:
    """Return the factor between the curves of the axis."""
    axis = comparison.axis
    table = _by_problem({name: flat_rows(collapse(ds, axis, comparison.metric)) for name, ds in comparison.results.items()})
    heading = f"Factor between the curves of {axis.replace('_', ' ')}, 1 if they lie on one another:"
    return AnswerSection("collapse", table, _collapse_table(table), [], heading)


def _axis_to_compare(named: Mapping[str, xr.Dataset], axis: str | None, tune: str | None) -> str:
    """Return the axis that is compared: the one that is named, else the optimizer, else the only one with several values.

    Args:
      named: the results by name.
      axis: the one that is named; None if none is.
      tune: the axis that is tuned, if any is.

    Raises:
      InputError: for an axis with one value, or if several could be meant, with those that can be compared.
    """
    if axis and any(axis not in axis_names(ds) or len(axis_values(ds, axis)) > 1 for ds in named.values()):
        return axis  # if it cannot be compared for another reason, the comparison says so

    def has_several(ds: xr.Dataset, name: str) -> bool:
        return len(axis_values(ds, name)) > 1 and axis_dim(ds, name) not in seed_dims(ds)

    several = dict.fromkeys(name for ds in named.values() for name in axis_names(ds) if has_several(ds, name) and name != tune)
    if axis is None and ("optimizer" in several or len(several) == 1):
        return "optimizer" if "optimizer" in several else next(iter(several))
    others = " or ".join(f"--axis {name}" for name in several)
    raise InputError(
        f"{axis or 'optimizer'} has one value, so nothing is compared: "
        + (f"name another axis, {others}" if others else "no other axis has several values")
    )


def _rows(compared: xr.Dataset, axis: str) -> list[TableRow]:
    """Return one flat row for each setting of the comparison."""
    # The dimension of an axis that is zipped with others has another name.
    names = [*map(str, compared.dims), axis, *MEASURED, "learning_rate", "at_edge", compared.attrs.get("tune")]
    reference = compared.attrs["reference"]
    return [
        {**{name: row[name] for name in dict.fromkeys(names) if name in row}, "reference": row[axis] == reference}
        for row in flat_rows(compared)
    ]


def _by_problem(own: Mapping[str, Sequence[TableRow]]) -> list[TableRow]:
    """Return the rows of several problems, each with its problem; a column that a problem does not have is None there."""
    rows = [{"problem": name, **row} for name, listed in own.items() for row in listed]
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]


def _places(rows: list[TableRow], kept: str, others: Sequence[str | None]) -> list[str]:
    """Return the columns that say which setting a row is of; a value that is the same in all rows gets none, but for `kept`."""
    return [name for name in rows[0] if name not in others and (name == kept or len({row[name] for row in rows}) > 1)]


def _table(rows: list[TableRow], axis: str, metric: str, tune: str | None) -> Table:
    places = _places(rows, axis, (*MEASURED, "reference", "at_edge", tune))
    columns = [*places, *([tune] if tune else [])]
    texts = [name.replace("_", " ") for name in columns]
    table = plain_table(texts, (f"mean {metric.replace('_', ' ')}", "difference", "95 % interval", "rank"))
    before = rows[0]
    for row in rows:
        if any(row[name] != before[name] for name in places if name != axis):
            table.add_section()
        before = row
        cells = [_cell(row[name]) for name in columns]
        table.add_row(*cells, f"{row['mean_value']:.4g}", *_difference(row), f"{row['mean_rank']:.2f}")
    return table


def _difference(row: TableRow) -> tuple[str, str]:
    if row["reference"]:
        return "reference", ""
    lost = f" ({row['left_out']} left out)" if row["left_out"] else ""
    if row["low"] != row["low"]:
        return (f"{row['difference']:+.3g}" if row["pairs"] else "-"), f"none{lost}"
    tie = "tie " if row["tie"] else ""
    return f"{tie}{row['difference']:+.3g}", f"{row['low']:+.3g} to {row['high']:+.3g}{lost}"


def _few_seeds_note(rows: list[TableRow]) -> list[str]:
    """Return a note if there are ties, and the seeds are too few to say that two settings tie."""
    pairs = max((row["pairs"] for row in rows if row["tie"]), default=0)
    if not pairs or not too_few(pairs):
        return []
    return [f"{pairs} seeds: with so few, the intervals are wide, and a tie does not show that two settings are alike"]


def _untuned_note(named: Mapping[str, xr.Dataset], axis: str) -> list[str]:
    """Return how to compare each value of an axis at its own best rate, if it is compared at each of several rates."""
    for ds in named.values():
        if "learning_rate" not in axis_names(ds) or axis_dim(ds, "learning_rate") == axis_dim(ds, axis):
            continue
        rates, seeds = axis_dim(ds, "learning_rate"), seed_dims(ds)
        if ds.sizes[rates] > 1 and len(seeds) == 1 and ds.sizes[seeds[0]] > 1:
            choosing = ds.sizes[seeds[0]] // 2
            words = axis.replace("_", " ")
            return [f"at each learning rate by itself: --tuning-seeds {choosing} compares each {words} at its own best"]
    return []


def _plan_table(table: list[TableRow], axis: str) -> Table:
    places = _places(table, axis, PLANNED)
    printed = plain_table(
        [name.replace("_", " ") for name in places],
        ("difference", "deviation", "seeds needed", "90 % interval"),
    )
    for row in table:
        numbers = (plain_number(row["aim"]), plain_number(row["deviation"]), _count(row["seeds"]))
        printed.add_row(*(_cell(row[name]) for name in places), *numbers, between(row["low"], row["high"], 6) or "none")
    return printed


def _plan_notes(table: list[TableRow], wanted: float | None) -> list[str]:
    """Return what the intervals assume, the reasons for missing numbers, and what an interval without an end says."""
    lines = ["the intervals take the differences as normal: with long tails they are too narrow, so look again with more seeds"]
    lines += _missing_numbers(table)
    if wanted is None and any(row["high"] == float("inf") for row in table):
        lines.append(
            "to inf: these seeds do not rule out that there is no difference; name the smallest that matters, --wanted"
        )
    return lines


def _missing_numbers(table: list[TableRow]) -> list[str]:
    """Return the reasons for which rows have no number of seeds."""
    return [f"no number of seeds: {reason}" for reason in dict.fromkeys(row["no_number"] for row in table) if reason]


def _rank_table(table: list[TableRow]) -> Table:
    places = _places(table, "problem", RANKED)
    printed = plain_table(
        [*(name.replace("_", " ") for name in places), "setting", "next one"],
        ("worse by", "deviation", "seeds needed", "90 % interval", "ranks kept"),
    )
    for row in table:
        kept = "none" if row["kept"] != row["kept"] else f"{100 * row['kept']:.0f} %"
        numbers = (plain_number(row["difference"]), plain_number(row["deviation"]), _count(row["seeds"]))
        texts = (_cell(row[name]) for name in (*places, "setting", "next_setting"))
        printed.add_row(*texts, *numbers, between(row["low"], row["high"], 6) or "none", kept)
    return printed


def _rank_notes(table: list[TableRow]) -> list[str]:
    """Return what the columns mean, the reasons for missing numbers, and what an interval without an end says."""
    lines = ["ranks kept: the share of resamples of the seeds in which both settings keep their ranks"]
    lines += ["the same seeds choose the two settings and judge them, which is optimistic: look again with more seeds"]
    lines += _missing_numbers(table)
    if any(row["high"] == float("inf") for row in table):
        lines.append("to inf: these seeds do not show which of the two is better")
    return lines


def _profile_rows(profiles: xr.Dataset) -> list[TableRow]:
    """Return a row for each value of the axis: its shares of the problems by factor."""
    shares = profile_share(profiles["ratio"].values, list(FACTORS)).tolist()
    axis = profiles.attrs["axis"]
    return [
        {axis: value, **{f"within_{factor:g}": share for factor, share in zip(FACTORS, own, strict=True)}, "solved": solved}
        for value, own, solved in zip(profiles[axis].values.tolist(), shares, profiles["solved"].values.tolist(), strict=True)
    ]


def _profile_table(table: list[TableRow], axis: str) -> Table:
    heads = ["best", *(f"within {factor:g}" for factor in FACTORS[1:]), "no failure"]
    printed = plain_table([axis.replace("_", " ")], heads)
    for row in table:
        printed.add_row(_cell(row[axis]), *(f"{100 * share:.0f} %" for name, share in row.items() if name != axis))
    return printed


def _collapse_table(table: list[TableRow]) -> Table:
    places = _places(table, "problem", ("ratio", "low", "high"))
    printed = plain_table([name.replace("_", " ") for name in places], ("factor", "95 % interval"))
    for row in table:
        ends = between(row["low"], row["high"]) or "none"
        printed.add_row(*(_cell(row[name]) for name in places), plain_number(row["ratio"]), ends)
    return printed


def _count(number: float) -> str:
    return plain_number(number, 7)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
