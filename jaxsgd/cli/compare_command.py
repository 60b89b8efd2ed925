"""`jaxsgd compare`: paired differences along an axis, of one result or, each tuned, of several problems."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import check_output_folder, make_console, plain_table, to_csv, to_json, working, write_files

MEASURED = ("mean_value", "difference", "low", "high", "no_interval", "tie", "mean_rank", "pairs", "left_out")
"""The columns of a row besides its place."""


def compare(
    results: Annotated[list[Path], typer.Argument(help="Result folders, one a problem.")],
    axis: Annotated[str, typer.Option(help="Whose values are compared.")] = "optimizer",
    value: Annotated[
        str | None,
        typer.Option(
            help="What runs are judged by: distance, validation_accuracy, ...",
            show_default="validation_loss, or loss_epoch where there is none",
        ),
    ] = None,
    reference: Annotated[str | None, typer.Option(help="What the others are compared with.", show_default="the first")] = None,
    tuning_seeds: Annotated[
        int, typer.Option(help="So many seeds choose each setting's best --by; the others judge. 0: nothing is tuned.")
    ] = 0,
    by: Annotated[str, typer.Option(help="The axis to tune.")] = "learning_rate",
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file too.", show_default="no file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Compare the values of an axis on the same seeds: paired differences with 95 % intervals, ranks, and what is a tie.

    With --tuning-seeds it is a benchmark: every setting at its own best rate on every problem, under the same budget, judged on
    seeds that had no part in the choice.
    """
    from jaxsgd.analysis.compare import compare as compare_result
    from jaxsgd.analysis.tune import benchmark
    from jaxsgd.cli.measure_table import interval_notes
    from jaxsgd.results.load import load
    from jaxsgd.results.metric import metric_named

    if csv:
        check_output_folder(csv.parent, csv, "--csv")
    with working("reading the results"):
        named = {_name(path, results): load(path) for path in results}
    for ds in named.values():
        value = metric_named(ds, value)
    with working("comparing"):
        if tuning_seeds:
            how: dict[str, Any] = {"tuning_seeds": tuning_seeds, "value": value, "by": by, "reference": reference}
            compared = benchmark(named, axis, **how)
            rows = _rows(compared, axis)
            ranks = dict(zip(compared[axis].values.tolist(), compared.overall_rank.values.tolist(), strict=True))
        else:
            rows, ranks = [], {}
            for name, ds in named.items():
                rows += [{"problem": name, **row} for row in _rows(compare_result(ds, axis, value, reference=reference), axis)]
    if csv:
        write_files(csv.parent, {csv.name: to_csv(rows)})
    if as_json:
        typer.echo(to_json({"command": "compare", "axis": axis, "value": value, "rows": rows, "overall_rank": ranks}))
    console = make_console(quiet=as_json)
    console.print(_table(rows, axis, str(value), by if tuning_seeds else None))
    if len(named) > 1 and ranks:
        listed = ", ".join(f"{name} {rank:.2f}" for name, rank in sorted(ranks.items(), key=lambda item: item[1]))
        console.print(f"mean rank over {len(named)} problems: {listed}", markup=False, soft_wrap=True)
    for line in interval_notes([row["no_interval"] for row in rows if not row["reference"]]):
        console.print(line, markup=False, soft_wrap=True)
    edges = [f"{row[axis]} on {row['problem']}" for row in rows if row.get("at_edge")]
    if edges:
        console.print(f"best {by} at the edge of its range, a better one may lie beyond: {', '.join(edges)}", markup=False)
    if csv:
        console.print(f"wrote {csv}", markup=False, soft_wrap=True)


def _name(path: Path, results: list[Path]) -> str:
    """A result's name: its folder's, or the whole path where two folders are called the same."""
    name = path.resolve().name
    return name if sum(other.resolve().name == name for other in results) == 1 else str(path)


def _rows(compared: Any, axis: str) -> list[dict[str, Any]]:
    """One flat row for each place of the comparison."""
    table = compared.drop_vars("overall_rank", errors="ignore").to_dataframe().reset_index()
    kept = [*(str(dim) for dim in compared.dims), *MEASURED]
    kept += [name for name in ("learning_rate", "at_edge", compared.attrs.get("by")) if name in table and name not in kept]
    rows = table[kept].to_dict("records")
    reference = compared.attrs["reference"]
    for row in rows:
        row["reference"] = row[axis] == reference
    return rows


def _table(rows: list[dict[str, Any]], axis: str, value: str, by: str | None):
    places = [name for name in rows[0] if name not in (*MEASURED, "reference", "at_edge") and name != by]
    # What is the same in all rows is no column.
    places = [name for name in places if name == axis or len({row[name] for row in rows}) > 1]
    texts = [name.replace("_", " ") for name in (*places, *([by] if by else []))]
    table = plain_table(texts, (f"mean {value.replace('_', ' ')}", "difference", "95 % interval", "rank"))
    before = rows[0]
    for row in rows:
        if any(row[name] != before[name] for name in places if name != axis):
            table.add_section()
        before = row
        cells = [_cell(row[name]) for name in (*places, *([by] if by else []))]
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
    return f"{value:.4g}" if isinstance(value, float) else str(value)
