"""`jaxsgd compare`: paired differences along an axis, of one result or, each tuned, of several problems."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import Writer, check_output_folder, make_console, plain_table, to_csv, to_json, working, write_files

MEASURED = ("mean_value", "difference", "low", "high", "no_interval", "tie", "mean_rank", "pairs", "left_out")
"""The columns of a row besides those of its setting."""


def compare(
    results: Annotated[list[Path], typer.Argument(help="Result folders, one for each problem.")],
    axis: Annotated[
        str | None,
        typer.Option(help="The axis that is compared.", show_default="optimizer, or the only other axis with several values"),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="The number by which runs are judged: distance, validation_accuracy, ...",
            show_default="validation_loss, else train_loss, else loss_epoch",
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="The value that the others are compared with.", show_default="the first")
    ] = None,
    tuning_seeds: Annotated[
        int,
        typer.Option(
            help="Number of seeds that choose the best --tune of each setting; the others evaluate it. 0: nothing is tuned."
        ),
    ] = 0,
    tune: Annotated[
        str | None, typer.Option(help="The axis that is tuned, with --tuning-seeds.", show_default="learning_rate")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Take the results as a pilot: how many seeds would show these differences?")
    ] = False,
    wanted: Annotated[
        float | None,
        typer.Option(help="The smallest difference that matters to you: how many seeds would show it? Implies --plan."),
    ] = None,
    power: Annotated[
        float, typer.Option(help="With --plan or --rank: probability with which the interval then excludes zero.")
    ] = 0.8,
    rank: Annotated[
        int | None,
        typer.Option(
            help="How many seeds would separate the setting of this rank, 1 for the best, from the next one?",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="The share of problems on which each value is within a factor of the best."),
    ] = False,
    target: Annotated[
        list[float] | None,
        typer.Option(
            help="With --profile: compare the steps to this value of the metric; once for all results, or once for each.",
            show_default="the metric itself",
        ),
    ] = None,
    collapse: Annotated[
        bool, typer.Option("--collapse", help="The factor between the curves of the axis: 1 if they lie on one another.")
    ] = False,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="AXIS=VALUE", help="Compare at this value of another axis only; may be given again."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --profile: folder for its figure.", show_default="no figure")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file too.", show_default="no file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Compare the values of an axis on the same seeds: paired differences with 95 % intervals, ranks, and ties.

    With --tuning-seeds it is a benchmark: every setting at its own best rate on every problem, with the same budget, evaluated
    on seeds that did not choose the rate.

    With --plan or --wanted, the number of seeds that a difference needs; with --rank, the number that a rank needs. With
    --profile, a performance profile.
    """
    from jaxsgd.analysis.best import benchmark, tuned_by
    from jaxsgd.analysis.choice import too_few
    from jaxsgd.analysis.collapse import collapse as collapse_of
    from jaxsgd.analysis.compare import compare as compare_result
    from jaxsgd.analysis.performance_profile import performance_profile
    from jaxsgd.analysis.rows import rows as flat_rows
    from jaxsgd.analysis.seeds_for_rank import seeds_for_rank
    from jaxsgd.cli.measure_table import interval_notes
    from jaxsgd.cli.selection import load_selected
    from jaxsgd.error import InputError, counted
    from jaxsgd.results.metric import metric_named

    for option, value in (("--target", target), ("--out", out)):
        if value and not profile:
            raise InputError(f"{option} is only for use with --profile")
    if tune and not tuning_seeds:
        raise InputError(f"--tune {tune} needs --tuning-seeds, the number of seeds that choose its best value, such as 4")
    tune = tune or "learning_rate"
    if target and len(target) not in (1, len(results)):
        raise InputError(f"--target is given once, or once for each of the {len(results)} results, got {len(target)}")
    if out:
        check_output_folder(out)
    if csv:
        check_output_folder(csv.parent, csv, "--csv")
    with working("reading the results"):
        named = {_name(path, results): load_selected(path, select) for path in results}
    for ds in named.values():
        metric = metric_named(ds, metric)
    axis = _axis_to_compare(named, axis, tune if tuning_seeds else None)
    with working("comparing"):
        if tuning_seeds:
            compared = benchmark(named, axis, tuning_seeds=tuning_seeds, metric=metric, tune=tune, reference=reference)
            pilots = {name: compared.sel(problem=name) for name in named}
            rows = _rows(compared, axis)
            ranks = dict(zip(compared[axis].values.tolist(), compared.overall_rank.values.tolist(), strict=True))
        else:
            pilots = {name: compare_result(ds, axis, metric, reference=reference) for name, ds in named.items()}
            rows = _by_problem({name: _rows(own, axis) for name, own in pilots.items()})
            ranks = {}
        report: dict[str, Any] = {"command": "compare", "axis": axis, "metric": metric, "rows": rows, "overall_rank": ranks}
        if plan or wanted is not None:
            report["plan"] = _plan_rows(pilots, wanted, power)
        if rank is not None:
            judged = (
                {name: tuned_by(ds, tuning_seeds, str(metric), tune) for name, ds in named.items()} if tuning_seeds else named
            )
            plans = {name: seeds_for_rank(ds, axis, metric, rank=rank, power=power) for name, ds in judged.items()}
            report["rank_plan"] = _by_problem({name: flat_rows(own.drop_attrs()) for name, own in plans.items()})
        profiles = None
        if profile:
            targets = None if not target else dict(zip(named, target * (len(named) // len(target)), strict=True))
            profiles = performance_profile(named, axis, metric, target=targets, tuning_seeds=tuning_seeds, tune=tune)
            report["profile"] = _profile_rows(profiles)
        if collapse:
            report["collapse"] = _by_problem({name: flat_rows(collapse_of(ds, axis, metric)) for name, ds in named.items()})
    if csv:
        write_files(csv.parent, {csv.name: to_csv(rows)})
    if as_json:
        typer.echo(to_json(report))
    console = make_console(quiet=as_json)
    console.print(_table(rows, axis, str(metric), tune if tuning_seeds else None))
    if len(named) > 1 and ranks:
        listed = ", ".join(f"{name} {rank:.2f}" for name, rank in sorted(ranks.items(), key=lambda item: item[1]))
        console.print(f"mean rank over {len(named)} problems: {listed}", soft_wrap=True)
    compared_rows = [row for row in rows if not row["reference"]]
    for line in interval_notes([row["no_interval"] for row in compared_rows]) + _few_seeds_note(compared_rows):
        console.print(line, soft_wrap=True)
    if not tuning_seeds:
        _print_lines(console, _untuned_note(named, axis))
    edges = [f"{row[axis]} on {row['problem']}" for row in rows if row.get("at_edge")]
    if edges:
        words = tune.replace("_", " ")
        console.print(f"best {words} at the edge of its range, a better one may lie beyond: {', '.join(edges)}")
    if "plan" in report:
        _print_lines(console, [f"Seeds at which the 95 % interval excludes zero with probability {power:g}:"])
        console.print(_plan_table(report["plan"], axis))
        _print_lines(console, _plan_notes(report["plan"], wanted))
    if rank is not None:
        words = f"Seeds at which the 95 % interval separates rank {rank} from rank {rank + 1} with probability {power:g}:"
        _print_lines(console, [words])
        console.print(_rank_table(report["rank_plan"]))
        _print_lines(console, _rank_notes(report["rank_plan"]))
    if profiles is not None:
        problems, what = counted(profiles.sizes["problem"], "problem"), profiles.attrs["what"].replace("_", " ")
        _print_lines(console, [f"Share of {problems} within a factor of the best, by {what}:"])
        console.print(_profile_table(report["profile"], axis))
        doubt = too_few(profiles.attrs["seeds"])
        _print_lines(console, [doubt] if doubt else [])
        if out:
            from jaxsgd.plot.profile import profile_figure
            from jaxsgd.plot.style import figure_file

            figure = profile_figure(profiles)
            Writer(console, out).write({f"profile.{kind}": figure_file(figure, kind) for kind in ("png", "svg")})
    if collapse:
        _print_lines(console, [f"Factor between the curves of {axis.replace('_', ' ')}, 1 if they lie on one another:"])
        console.print(_collapse_table(report["collapse"]))
    if csv:
        console.print(f"wrote {csv}", soft_wrap=True)


def _axis_to_compare(named: dict[str, Any], axis: str | None, tune: str | None) -> str:
    """Return the axis that is compared: the one that is named, else the optimizer, else the only one with several values.

    Args:
      named: the results by name.
      axis: the one that is named; None if none is.
      tune: the axis that is tuned, if any is.

    Raises:
      InputError: for an axis with one value, or if several could be meant, with those that can be compared.
    """
    from jaxsgd.error import InputError
    from jaxsgd.results.axes import axis_dim, axis_names, axis_values, seed_dims

    if axis and any(axis not in axis_names(ds) or len(axis_values(ds, axis)) > 1 for ds in named.values()):
        return axis  # if it cannot be compared for another reason, the comparison says so

    def has_several(ds: Any, name: str) -> bool:
        return len(axis_values(ds, name)) > 1 and axis_dim(ds, name) not in seed_dims(ds)

    several = dict.fromkeys(name for ds in named.values() for name in axis_names(ds) if has_several(ds, name) and name != tune)
    if axis is None and ("optimizer" in several or len(several) == 1):
        return "optimizer" if "optimizer" in several else next(iter(several))
    others = " or ".join(f"--axis {name}" for name in several)
    raise InputError(
        f"{axis or 'optimizer'} has one value, so nothing is compared: "
        + (f"name another axis, {others}" if others else "no other axis has several values")
    )


def _print_lines(console: Any, lines: list[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True)


def _plan_rows(pilots: dict[str, Any], wanted: float | None, power: float) -> list[dict[str, Any]]:
    """Return a row for each difference of each problem: the seeds that it has, and those that it needs."""
    from jaxsgd.analysis.rows import rows
    from jaxsgd.analysis.seeds_needed import seeds_needed

    return _by_problem(
        {
            name: rows(seeds_needed(pilot.drop_vars("problem", errors="ignore"), wanted, power=power))
            for name, pilot in pilots.items()
        }
    )


PLANNED = ("deviation", "aim", "seeds", "low", "high", "no_number")
"""The columns of a row of a plan besides those of its setting."""


def _plan_table(table: list[dict[str, Any]], axis: str):
    from jaxsgd.number import between, plain_number

    places = _places(table, axis, PLANNED)
    printed = plain_table(
        [name.replace("_", " ") for name in places],
        ("difference", "deviation", "seeds needed", "90 % interval"),
    )
    for row in table:
        numbers = (plain_number(row["aim"]), plain_number(row["deviation"]), _count(row["seeds"]))
        printed.add_row(*(_cell(row[name]) for name in places), *numbers, between(row["low"], row["high"], 6) or "none")
    return printed


def _plan_notes(table: list[dict[str, Any]], wanted: float | None) -> list[str]:
    """Return what the intervals assume, the reasons for missing numbers, and what an interval without an end says."""
    lines = ["the intervals take the differences as normal: with long tails they are too narrow, so look again with more seeds"]
    lines += _missing_numbers(table)
    if wanted is None and any(row["high"] == float("inf") for row in table):
        lines.append(
            "to inf: these seeds do not rule out that there is no difference; name the smallest that matters, --wanted"
        )
    return lines


def _missing_numbers(table: list[dict[str, Any]]) -> list[str]:
    """Return the reasons for which rows have no number of seeds."""
    return [f"no number of seeds: {reason}" for reason in dict.fromkeys(row["no_number"] for row in table) if reason]


RANKED = ("setting", "next_setting", "difference", "deviation", "kept", "no_number", "seeds", "low", "high")
"""The columns of a row of a plan for a rank besides those of the other axes."""


def _rank_table(table: list[dict[str, Any]]):
    from jaxsgd.number import between, plain_number

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


def _rank_notes(table: list[dict[str, Any]]) -> list[str]:
    """Return what the columns mean, the reasons for missing numbers, and what an interval without an end says."""
    lines = ["ranks kept: the share of resamples of the seeds in which both settings keep their ranks"]
    lines += ["the same seeds choose the two settings and judge them, which is optimistic: look again with more seeds"]
    lines += _missing_numbers(table)
    if any(row["high"] == float("inf") for row in table):
        lines.append("to inf: these seeds do not show which of the two is better")
    return lines


def _count(number: float) -> str:
    from jaxsgd.number import plain_number

    return plain_number(number, 7)


FACTORS = (1.0, 1.1, 1.5, 2.0, 5.0)
"""Factors to the best at which the table of a performance profile has its shares."""


def _profile_rows(profiles: Any) -> list[dict[str, Any]]:
    """Return a row for each value of the axis: its shares of the problems by factor."""
    from jaxsgd.analysis.performance_profile import profile_share

    shares = profile_share(profiles["ratio"].values, list(FACTORS)).tolist()
    axis = profiles.attrs["axis"]
    return [
        {axis: value, **{f"within_{factor:g}": share for factor, share in zip(FACTORS, own, strict=True)}, "solved": solved}
        for value, own, solved in zip(profiles[axis].values.tolist(), shares, profiles["solved"].values.tolist(), strict=True)
    ]


def _profile_table(table: list[dict[str, Any]], axis: str):
    heads = ["best", *(f"within {factor:g}" for factor in FACTORS[1:]), "no failure"]
    printed = plain_table([axis.replace("_", " ")], heads)
    for row in table:
        printed.add_row(_cell(row[axis]), *(f"{100 * share:.0f} %" for name, share in row.items() if name != axis))
    return printed


def _collapse_table(table: list[dict[str, Any]]):
    from jaxsgd.number import between, plain_number

    places = _places(table, "problem", ("ratio", "low", "high"))
    printed = plain_table([name.replace("_", " ") for name in places], ("factor", "95 % interval"))
    for row in table:
        ends = between(row["low"], row["high"]) or "none"
        printed.add_row(*(_cell(row[name]) for name in places), plain_number(row["ratio"]), ends)
    return printed


def _few_seeds_note(rows: list[dict[str, Any]]) -> list[str]:
    """Return a note if there are ties, and the seeds are too few to say that two settings tie."""
    from jaxsgd.analysis.choice import too_few

    pairs = max((row["pairs"] for row in rows if row["tie"]), default=0)
    if not pairs or not too_few(pairs):
        return []
    return [f"{pairs} seeds: with so few, the intervals are wide, and a tie does not show that two settings are alike"]


def _untuned_note(named: Mapping[str, Any], axis: str) -> list[str]:
    """Return how to compare each value of an axis at its own best rate, if it is compared at each of several rates."""
    from jaxsgd.results.axes import axis_dim, axis_names, seed_dims

    for ds in named.values():
        if "learning_rate" not in axis_names(ds) or axis_dim(ds, "learning_rate") == axis_dim(ds, axis):
            continue
        rates, seeds = axis_dim(ds, "learning_rate"), seed_dims(ds)
        if ds.sizes[rates] > 1 and len(seeds) == 1 and ds.sizes[seeds[0]] > 1:
            choosing = ds.sizes[seeds[0]] // 2
            words = axis.replace("_", " ")
            return [f"at each learning rate by itself: --tuning-seeds {choosing} compares each {words} at its own best"]
    return []


def _name(path: Path, results: list[Path]) -> str:
    """Return a result's name: its folder's, or the whole path if two folders have the same name."""
    name = path.resolve().name
    return name if sum(other.resolve().name == name for other in results) == 1 else str(path)


def _rows(compared: Any, axis: str) -> list[dict[str, Any]]:
    """Return one flat row for each setting of the comparison."""
    from jaxsgd.analysis.rows import rows

    # The dimension of an axis that is zipped with others has another name.
    names = [*map(str, compared.dims), axis, *MEASURED, "learning_rate", "at_edge", compared.attrs.get("tune")]
    reference = compared.attrs["reference"]
    return [
        {**{name: row[name] for name in dict.fromkeys(names) if name in row}, "reference": row[axis] == reference}
        for row in rows(compared.drop_vars("overall_rank", errors="ignore"))
    ]


def _by_problem(own: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows of several problems, each with its problem; a column that a problem does not have is None there."""
    rows = [{"problem": name, **row} for name, listed in own.items() for row in listed]
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]


def _places(rows: list[dict[str, Any]], kept: str, others: Sequence[str | None]) -> list[str]:
    """Return the columns that say which setting a row is of; a value that is the same in all rows gets none, but for `kept`."""
    return [name for name in rows[0] if name not in others and (name == kept or len({row[name] for row in rows}) > 1)]


def _table(rows: list[dict[str, Any]], axis: str, metric: str, tune: str | None):
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


def _difference(row: dict[str, Any]) -> tuple[str, str]:
    if row["reference"]:
        return "reference", ""
    lost = f" ({row['left_out']} left out)" if row["left_out"] else ""
    if row["low"] != row["low"]:
        return (f"{row['difference']:+.3g}" if row["pairs"] else "-"), f"none{lost}"
    tie = "tie " if row["tie"] else ""
    return f"{tie}{row['difference']:+.3g}", f"{row['low']:+.3g} to {row['high']:+.3g}{lost}"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
