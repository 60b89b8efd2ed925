"""`jaxsgd measure`: the tables of a result: best settings, stripes, steps to a target, and the variance by source."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import check_output_folder, make_console, to_csv, to_json, working, write_files
from jaxsgd.cli.runtime import start_jax


def measure(
    context: typer.Context,
    result: Annotated[Path, typer.Argument(help="A result folder.")],
    metric: Annotated[
        str | None,
        typer.Option(
            help="The number by which settings are judged.", show_default="validation_loss, else train_loss, else loss_epoch"
        ),
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="Value of the metric: count the steps to it at each batch count.")
    ] = None,
    tune: Annotated[str, typer.Option(help="With --target: the axis that is tuned at each batch count.")] = "learning_rate",
    reference: Annotated[
        int | None,
        typer.Option(help="With --target: the batch count from which the batch rules start.", show_default="the largest"),
    ] = None,
    rules: Annotated[
        str | None,
        typer.Option(
            help="With --target: batch rules for the tuned axis, names with commas, such as linear,power(0.7).",
            show_default="those usual for it",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print every setting too: its median and mean over the seeds, with intervals.")
    ] = False,
    noise: Annotated[
        bool,
        typer.Option("--noise", help="Run the best settings again and measure the noise of their gradients and losses."),
    ] = False,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="AXIS=VALUE", help="Measure at this value of an axis only; may be given again."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables as CSV.", show_default="no files")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Measure a result: the best setting for each optimizer, order, schedule and batch count, and its stripes.

    With --target, batch-count scaling too: steps to the target at each batch count with its own best rate, the three regimes,
    the critical batch size, and the cost of batch rules, such as the linear and the square-root rule. All intervals are 95 %
    intervals over the seeds. A star marks a best value at the edge of its range.
    """
    from jaxsgd.analysis.best import best as best_of
    from jaxsgd.analysis.confidence import CONFIDENCE
    from jaxsgd.analysis.over_seeds import over_seeds
    from jaxsgd.analysis.scaling import scaling
    from jaxsgd.analysis.seed_variance import seed_variance
    from jaxsgd.cli.measure_table import (
        best_notes,
        best_rows,
        best_table,
        noise_notes,
        noise_rows,
        noise_table,
        over_seeds_table,
        rows,
        scaling_notes,
        scaling_rows,
        scaling_table,
        variance_notes,
        variance_table,
    )
    from jaxsgd.cli.selection import load_selected
    from jaxsgd.error import InputError
    from jaxsgd.results.axes import seed_dims
    from jaxsgd.study.study_file import look_beside

    if target is None and reference is not None:
        raise InputError(f"--reference {reference} is only for use with --target")
    if target is None and rules is not None:
        raise InputError(f"--rules {rules} is only for use with --target")
    if out:
        check_output_folder(out)
    with working("reading the result"):
        ds = load_selected(result, select)
    with working("choosing the best settings"):
        best = best_of(ds, metric, confidence=CONFIDENCE)
    console = make_console(quiet=as_json)
    tables: dict[str, list[dict[str, Any]]] = {"best": best_rows(best)}
    notes: list[str] = []

    def add_notes(lines: list[str]) -> None:
        for line in lines:
            console.print(f"- {line}", soft_wrap=True)
        notes.extend(lines)

    console.print(best_table(tables["best"], best))
    add_notes(best_notes(ds, best))
    if every:
        with working("taking medians and means of all settings"):
            settings = over_seeds(ds, metric, confidence=CONFIDENCE)
        tables["settings"] = rows(settings)
        console.print(over_seeds_table(tables["settings"], settings))
    if sum(ds.sizes[dim] > 1 for dim in seed_dims(ds)) > 1:
        tables["seed_variance"] = rows(seed_variance(ds, best.attrs["metric"]))
        console.print(variance_table(tables["seed_variance"], best.attrs["metric"]))
        add_notes(variance_notes(ds, CONFIDENCE))
    scaled = None
    if target is not None:
        with working("counting the steps to the target"):
            scaled = scaling(ds, target, metric, tune=tune, reference=reference, rules=rules, confidence=CONFIDENCE)
        tables |= scaling_rows(scaled)
        console.print(scaling_table(scaled))
        add_notes(scaling_notes(scaled))
    if noise:
        start_jax(context)
        look_beside(result)
        with working("measuring the noise of the best settings' runs"):
            tables["noise"] = noise_rows(ds, best, scaled)
        console.print(noise_table(tables["noise"], scaled is not None))
        add_notes(noise_notes(tables["noise"]))
    if out:
        for path in write_files(out, {f"{name}.csv": to_csv(table) for name, table in tables.items()}):
            console.print(f"wrote {path}", soft_wrap=True)
    if as_json:
        report = {"command": "measure", "result": str(result), "metric": best.attrs["metric"], "target": target, "notes": notes}
        typer.echo(to_json(report | {"tables": tables}))
