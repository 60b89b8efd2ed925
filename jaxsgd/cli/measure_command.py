"""`jaxsgd measure`: the tables of a result: best settings, stripes, steps to a target, and which seeds make it scatter."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import check_output_folder, make_console, to_csv, to_json, working, write_files
from jaxsgd.cli.runtime import start_jax

LEVEL = 0.95
"""Of all intervals."""


def measure(
    context: typer.Context,
    result: Annotated[Path, typer.Argument(help="A result folder.")],
    value: Annotated[
        str | None,
        typer.Option(help="What settings are judged by.", show_default="validation_loss, or loss_epoch where there is none"),
    ] = None,
    target: Annotated[float | None, typer.Option(help="Of that value: how many steps to it at each batch count?")] = None,
    by: Annotated[str, typer.Option(help="With --target: the axis to tune at each batch count.")] = "learning_rate",
    reference: Annotated[
        int | None, typer.Option(help="With --target: batch count that the rate rules start from.", show_default="the largest")
    ] = None,
    noise: Annotated[
        bool,
        typer.Option("--noise", help="Run the best settings again and measure the noise of their gradients and losses."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables as CSV.", show_default="no files")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Measure a result: the best setting for each optimizer, order and batch count, its stripes, and which lie at an edge.

    With --target, batch-count scaling too: steps to the target at each batch count with its own best rate, the three regimes,
    the critical batch size, and what the linear and the square-root rule would have cost. All intervals are 95 % intervals over
    the seeds.
    """
    from jaxsgd.analysis.best import best_settings
    from jaxsgd.analysis.scaling import scaling
    from jaxsgd.analysis.seed_variance import seed_variance
    from jaxsgd.cli.measure_table import (
        best_notes,
        best_rows,
        best_table,
        noise_rows,
        noise_table,
        rows,
        scaling_notes,
        scaling_rows,
        scaling_table,
        scatter_table,
    )
    from jaxsgd.error import InputError
    from jaxsgd.results.axes import seed_dims
    from jaxsgd.results.load import load
    from jaxsgd.study.study_file import look_beside

    if target is None and reference is not None:
        raise InputError(f"--reference {reference} goes with --target: the loss to reach")
    if out:
        check_output_folder(out)
    with working("reading the result"):
        ds = load(result)
    with working("choosing the best settings"):
        best = best_settings(ds, value, level=LEVEL)
    console = make_console(quiet=as_json)
    tables: dict[str, list[dict[str, Any]]] = {"best_settings": best_rows(best)}
    said = best_notes(ds, best)
    console.print(best_table(tables["best_settings"], best))
    for line in said:
        console.print(f"- {line}", markup=False, soft_wrap=True)
    if sum(ds.sizes[dim] > 1 for dim in seed_dims(ds)) > 1:
        tables["seed_variance"] = rows(seed_variance(ds, best.attrs["value"]))
        console.print(scatter_table(tables["seed_variance"], best.attrs["value"]))
    found = None
    if target is not None:
        with working("counting the steps to the target"):
            found = scaling(ds, target, value, by=by, reference=reference, level=LEVEL)
        tables |= scaling_rows(found)
        console.print(scaling_table(found))
        about = scaling_notes(found)
        for line in about:
            console.print(f"- {line}", markup=False, soft_wrap=True)
        said += about
    if noise:
        start_jax(context)
        look_beside(result)
        with working("measuring the noise of the best settings' runs"):
            tables["noise"] = noise_rows(ds, best, found)
        console.print(noise_table(tables["noise"], found is not None))
    if out:
        for path in write_files(out, {f"{name}.csv": to_csv(table) for name, table in tables.items()}):
            console.print(f"wrote {path}", markup=False, soft_wrap=True)
    if as_json:
        report = {"command": "measure", "result": str(result), "value": best.attrs["value"], "target": target, "notes": said}
        typer.echo(to_json(report | {"tables": tables}))
