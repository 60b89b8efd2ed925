"""A sweep of a command: its progress on stderr, and its report in words and for JSON."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from jaxsgd.error import counted, verb


def run_sweep(
    console: Console, study: Any, folder: Path, how: dict[str, Any], quiet: bool = False
) -> tuple[dict[str, Any], str]:
    """Run a study, print the outcome and return the report.

    Args:
      console: for the lines on the outcome.
      study: the study to run.
      folder: the result's folder.
      how: `jaxsgd.sweep`'s other arguments.
      quiet: True to show no progress.

    Returns:
      The report, and one line on a failure; empty without a failure.

    Raises:
      CommandInterrupt: at Ctrl-C, with the number of cells that are kept.
    """
    from jaxsgd.engine.progress import progress_shown
    from jaxsgd.engine.sweep import sweep_to_folder
    from jaxsgd.error import CommandInterrupt, RunFailure

    manifest, failed, failure = None, [], ""
    with progress_shown(not quiet) as shown:
        try:
            manifest = sweep_to_folder(study, folder, **how, on_progress=shown)
        except KeyboardInterrupt:
            raise CommandInterrupt(f"interrupted: {_kept(shown.last, folder)}run the command again to finish") from None
        except RunFailure as error:
            failed = [failure._asdict() for failure in getattr(error, "failed", [])]
            failure = f"{error}; {_kept(shown.last, folder)}run the command again for the rest"
    report = {"folder": str(folder), "identity": study.identity} | _progress_report(shown.last) | {"failed": failed}
    if manifest is None:
        return report, failure
    report |= {"diverged_cells": shown.last.diverged, "lanes_narrowed": manifest["lanes_narrowed"]}
    for line in _lines(shown.last, report):
        console.print(line, soft_wrap=True)
    return report, failure


def _kept(last: Any, folder: Path) -> str:
    if not (last and last.done):
        return ""
    return f"{last.done:,} of {counted(last.cells, 'cell')} {verb(last.done)} kept in {folder}; "


def _progress_report(last: Any) -> dict[str, Any]:
    if last is None:
        return {}
    chunks = {"all": last.chunks, "done": last.chunks_done, "failed": last.chunks_failed, "retried": last.chunks_retried}
    return {
        "cells": last.cells,
        "done_cells": last.done,
        "resumed_cells": last.resumed,
        "broken_chunks": list(last.broken),
        "chunks": chunks,
        "workers": last.workers,
    }


def _lines(last: Any, report: dict[str, Any]) -> Iterator[str]:
    folder, narrowed = report["folder"], report["lanes_narrowed"]
    if last.resumed == last.cells:
        cells = "its cell is" if last.cells == 1 else f"all {last.cells:,} cells are"
        yield f"nothing to do: {cells} in {folder}"
    else:
        resumed = f", {last.resumed:,} of them in an earlier run" if last.resumed else ""
        yield f"ran {counted(last.cells, 'cell')}{resumed}; the result is in {folder}"
    if last.others:
        cells = counted(last.others, "more cell")
        yield f"{cells} that this study does not have {verb(last.others, 'stays', 'stay')} in the folder"
    for broken in last.broken:
        yield f"run again because the file was damaged: {broken}"
    if last.chunks_retried:
        yield f"{counted(last.chunks_retried, 'failed attempt')} at a chunk {verb(last.chunks_retried, 'was', 'were')} repeated"
    if narrowed:
        fewest = min(step["lanes"] for step in narrowed)
        yield f"memory was short, so only {fewest} runs ran side by side: the same numbers to rounding, not the same bits"
    if report["diverged_cells"]:
        yield f"{report['diverged_cells']:,} of {counted(last.cells, 'run')} diverged; the variable `diverged` marks them"
