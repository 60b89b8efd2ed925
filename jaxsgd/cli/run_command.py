"""`jaxsgd run`: run or resume a study."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from jaxsgd.cli.output import check_result_folder, make_console, to_json, working
from jaxsgd.cli.runtime import start_jax, started_workers
from jaxsgd.cli.watched_sweep import run_sweep
from jaxsgd.error import CommandFailure, counted, verb
from jaxsgd.number import duration, size


def run(
    context: typer.Context,
    study: Annotated[str, typer.Argument(help="A study file (.py or .json), or a shipped study's name.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Result folder; of several studies, a folder of results.", show_default="results/<study>"),
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Replace a field; JSON, or a range like 0:64.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the cells, programs, time and memory of the run; write nothing.")
    ] = False,
    with_probe: Annotated[
        bool, typer.Option("--probe", help="With --dry-run: estimate time and memory by running a few of the chunks.")
    ] = False,
    vectorize: Annotated[str, typer.Option(help="one_program, grouped, or auto.")] = "auto",
    chunk_width: Annotated[int | None, typer.Option(help="Cells in a chunk.", show_default="chosen")] = None,
    lanes: Annotated[int | None, typer.Option(help="Cells side by side.", show_default="chosen")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on the workers of a Dask scheduler, tcp://HOST:PORT.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Run in this many processes of this machine, a core or GPU each.")
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="Times that a failed chunk is tried again on a worker.")] = 2,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Run a study, or the cells of it that are not in the result yet. Several studies in one file run one after another.

    After any interruption only complete chunks remain: after Ctrl-C, a full disk, lost workers or a power cut, the same command
    finishes the rest with identical bits. With more values on the study's axes (seeds, rates, ...), only the new cells are run.
    """
    start_jax(context, computes=scheduler is None and workers is None)
    from jaxsgd.engine.estimate import estimate, probe
    from jaxsgd.engine.sweep import rest_of
    from jaxsgd.error import InputError
    from jaxsgd.memory import machine_memory
    from jaxsgd.results.store import Folder
    from jaxsgd.study.study_file import read_studies, result_folders, starts_in_folders, study_path

    path = study_path(study)
    studies = read_studies(path, assignments or [])
    how: dict[str, Any] = {"vectorize": vectorize, "chunk_width": chunk_width, "lanes": lanes}
    console = make_console(quiet=as_json)
    cells = max(chosen.num_cells for chosen in studies.values())
    if chunk_width is not None and chunk_width > cells:
        typer.echo(f"jaxsgd: note: {_too_wide(chunk_width, cells)}", err=True)
    if with_probe and not dry_run:
        raise InputError("--probe needs --dry-run: it estimates the time and memory of a run")
    reports, failures = {}, []
    folders = result_folders(studies, out or Path("results") / path.stem)
    studies = starts_in_folders(studies, folders)
    if dry_run:
        for name, chosen in studies.items():
            parent = Path(chosen.start) if chosen.start else None
            if parent and parent in folders.values() and not Folder(parent).is_there():
                reports[name] = {"study": chosen.resolved(), "waits_for": chosen.start}
                console.print(f"{'study':<9} {name}: begins at {chosen.start}, which is run first", soft_wrap=True)
                continue
            planned = rest_of(chosen, folders[name], how)
            expected = estimate(planned)
            # A plan that does not fit cannot be tried.
            if with_probe and planned.chunks and planned.memory_bytes <= machine_memory():
                with working("running a few chunks"):
                    expected = probe(planned)
            reports[name] = _dry_report(planned, expected)
            _print_dry(console, name, folders[name], reports[name])
    else:
        for folder in folders.values():
            check_result_folder(folder)
        with started_workers(scheduler, workers) as executor:
            team = {"executor": executor, "retries": retries}
            for name, chosen in studies.items():
                reports[name], failure = run_sweep(console, chosen, folders[name], how | team, quiet)
                failures += [failure] if failure else []
    if as_json:
        typer.echo(to_json({"studies": reports} if len(studies) > 1 else reports.popitem()[1]))
    if failures:
        raise CommandFailure("; ".join(f"{scheduler}: {failure}" if scheduler else failure for failure in failures))


def _too_wide(width: int, cells: int) -> str:
    return (
        f"--chunk-width {width:,} is more than the {cells:,} cells of the study, and each chunk computes {width:,}; "
        f"--chunk-width {cells} is enough"
    )


def _dry_report(planned: Any, expected: Any) -> dict[str, Any]:
    cells = planned.cells
    left = sum(len(chunk.cells) for chunk in planned.chunks)
    used = {chunk.program for chunk in planned.chunks}
    drawing = len({planned.programs[number].subject for number in used})
    return {
        "study": planned.study.resolved(),
        "identity": planned.study.identity,
        "cells": cells.num_cells,
        "stored_cells": cells.num_cells - left,
        "axes": {dim.name: dim.length for dim in cells.dims},
        "chunks": len(planned.chunks),
        "programs": len(used) + drawing,
        "drawing_programs": drawing,
        "held": planned.settings(),
        "trained_share": planned.trained_share,
        "seconds": expected.seconds,
        "memory_bytes": expected.memory_bytes,
        "probed_programs": expected.probed,
        "result_bytes": planned.result_bytes,
        "parameter_bytes": planned.param_bytes,
        "state_bytes": planned.state_bytes,
    }


def _print_dry(console: Console, name: str, folder: Path, report: dict[str, Any]) -> None:
    stored = report["stored_cells"]
    present = f"; {stored:,} {verb(stored)} in {folder}, {report['cells'] - stored:,} will run" if stored else ""
    if report["trained_share"] < 1:
        present += f"; halving trains {100 * report['trained_share']:.0f} % of their epochs"
    axes = " x ".join(f"{length} {axis}" for axis, length in report["axes"].items())
    settings = report["held"]
    path = "one program for all batch counts" if settings["vectorize"] == "one_program" else "a program for each batch count"
    probed = report["probed_programs"]
    source = f"from chunks of {probed} of the programs" if probed else "rough, from the sizes alone; --probe measures"
    most = "at most " if report["study"].get("stop") else ""
    kept = f"; {size(report['parameter_bytes'])} of it are parameters" if report["parameter_bytes"] else ""
    kept += f", {size(report['state_bytes'])} states of the optimizer" if report["state_bytes"] else ""
    drawing = report["drawing_programs"]
    problems = "one draws" if drawing == 1 else f"{drawing} draw"
    for label, value in (
        ("study", name),
        ("cells", f"{report['cells']:,} = {axes}{present}"),
        ("programs", f"{report['programs']} to compile ({path}; {problems} the random numbers)"),
        ("chunks", f"{report['chunks']:,} of {counted(settings['chunk_width'], 'cell')}, {settings['lanes']} side by side"),
        ("time", f"{most}about {duration(report['seconds'])}, compiling included ({source})"),
        ("memory", f"about {size(report['memory_bytes'])} while running"),
        ("result", f"{size(report['result_bytes'])}, uncompressed{kept}"),
    ):
        console.print(f"{label:<9} {value}", soft_wrap=True)
