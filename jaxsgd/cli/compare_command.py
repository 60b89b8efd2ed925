"""`jaxsgd compare`: paired differences along an axis, of one result or, each tuned, of several problems."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import check_output_folder, make_console, plain_table, to_csv, to_json, working, write_files

MEASURED = ("mean_value", "difference", "low", "high", "no_interval", "tie", "mean_rank", "pairs", "left_out")
"""The columns of a row besides those of its setting."""


def compare(
    results: Annotated[list[Path], typer.Argument(help="Result folders, one for each problem.")],
    axis: Annotated[str, typer.Option(help="The axis that is compared.")] = "optimizer",
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
    tune: Annotated[str, typer.Option(help="The axis that is tuned, with --tuning-seeds.")] = "learning_rate",
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file too.", show_default="no file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Compare the values of an axis on the same seeds: paired differences with 95 % intervals, ranks, and ties.

    With --tuning-seeds it is a benchmark: every setting at its own best rate on every problem, with the same budget, evaluated
    on seeds that did not choose the rate.
    """
    from jaxsgd.analysis.best import benchmark
    from jaxsgd.analysis.compare import compare as compare_result
    from jaxsgd.cli.measure_table import interval_notes
    from jaxsgd.results.load import load
    from jaxsgd.results.metric import metric_named

    if csv:
        check_output_folder(csv.parent, csv, "--csv")
    with working("reading the results"):
        named = {_name(path, results): load(path) for path in results}
    for ds in named.values():
        metric = metric_named(ds, metric)
    with working("comparing"):
        if tuning_seeds:
            compared = benchmark(named, axis, tuning_seeds=tuning_seeds, metric=metric, tune=tune, reference=reference)
            rows = _rows(compared, axis)
            ranks = dict(zip(compared[axis].values.tolist(), compared.overall_rank.values.tolist(), strict=True))
        else:
            rows, ranks = [], {}
            for name, ds in named.items():
                rows += [{"problem": name, **row} for row in _rows(compare_result(ds, axis, metric, reference=reference), axis)]
    if csv:
        write_files(csv.parent, {csv.name: to_csv(rows)})
    if as_json:
        typer.echo(to_json({"command": "compare", "axis": axis, "metric": metric, "rows": rows, "overall_rank": ranks}))
    console = make_console(quiet=as_json)
    console.print(_table(rows, axis, str(metric), tune if tuning_seeds else None))
    if len(named) > 1 and ranks:
        listed = ", ".join(f"{name} {rank:.2f}" for name, rank in sorted(ranks.items(), key=lambda item: item[1]))
        console.print(f"mean rank over {len(named)} problems: {listed}", soft_wrap=True)
    compared_rows = [row for row in rows if not row["reference"]]
    for line in interval_notes([row["no_interval"] for row in compared_rows]) + _few_seeds_note(compared_rows):
        console.print(line, soft_wrap=True)
    edges = [f"{row[axis]} on {row['problem']}" for row in rows if row.get("at_edge")]
    if edges:
        words = tune.replace("_", " ")
        console.print(f"best {words} at the edge of its range, a better one may lie beyond: {', '.join(edges)}")
    if csv:
        console.print(f"wrote {csv}", soft_wrap=True)


def _few_seeds_note(rows: list[dict[str, Any]]) -> list[str]:
    """Return a note if there are ties, and the seeds are too few to say that two settings tie."""
    from jaxsgd.analysis.choice import too_few

    pairs = max((row["pairs"] for row in rows if row["tie"]), default=0)
    if not pairs or not too_few(pairs):
        return []
    return [f"{pairs} seeds: with so few, the intervals are wide, and a tie does not show that two settings are alike"]


def _name(path: Path, results: list[Path]) -> str:
    """Return a result's name: its folder's, or the whole path if two folders have the same name."""
    name = path.resolve().name
    return name if sum(other.resolve().name == name for other in results) == 1 else str(path)


def _rows(compared: Any, axis: str) -> list[dict[str, Any]]:
    """Return one flat row for each setting of the comparison."""
    table = compared.drop_vars("overall_rank", errors="ignore").to_dataframe().reset_index()
    names = [*(str(dim) for dim in compared.dims), *MEASURED, "learning_rate", "at_edge", compared.attrs.get("tune")]
    rows = table[[name for name in dict.fromkeys(names) if name in table]].to_dict("records")
    reference = compared.attrs["reference"]
    for row in rows:
        row["reference"] = row[axis] == reference
    return rows


def _table(rows: list[dict[str, Any]], axis: str, metric: str, tune: str | None):
    places = [name for name in rows[0] if name not in (*MEASURED, "reference", "at_edge") and name != tune]
    # A value that is the same in all rows gets no column.
    places = [name for name in places if name == axis or len({row[name] for row in rows}) > 1]
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
    return f"{value:.4g}" if isinstance(value, float) else str(value)
