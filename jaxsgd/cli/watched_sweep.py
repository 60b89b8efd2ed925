"""A sweep as a command runs it: progress on stderr, what came of it in words and for JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jaxsgd.error import counted, verb


def run_sweep(console: Console, study: Any, folder: Path, how: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Runs a study and says what came of it.

    Args:
      console: where to say it.
      study: what to run.
      folder: the result's.
      how: `jaxsgd.sweep`'s other arguments.

    Returns:
      The report, and what kept the sweep from finishing, if anything did: one line.

    Raises:
      CommandInterrupt: at Ctrl-C, with what is kept.
    """
    from jaxsgd.cli.errors import CommandInterrupt
    from jaxsgd.engine.sweeping import sweep
    from jaxsgd.error import RunFailure

    ds, failed, failure = None, [], ""
    with progress_bar() as shown:
        try:
            ds = sweep(study, folder, **how, on_progress=shown)
        except KeyboardInterrupt:
            raise CommandInterrupt(f"interrupted: {_kept(shown.last, folder)}run the command again to finish") from None
        except RunFailure as error:
            failed = [each._asdict() for each in getattr(error, "failed", [])]
            failure = f"{error}; {_kept(shown.last, folder)}run the command again for the rest"
    report = {"folder": str(folder), "identity": study.identity} | _progress_report(shown.last) | {"failed": failed}
    if ds is None:
        return report, failure
    narrowed = json.loads(ds.attrs["manifest"])["lanes_narrowed"]
    report |= {"diverged_cells": int(ds.diverged.sum()), "lanes_narrowed": narrowed}
    for line in _lines(shown.last, report):
        console.print(line, markup=False, soft_wrap=True)
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
        resumed = f", {last.resumed:,} of them before" if last.resumed else ""
        yield f"ran {counted(last.cells, 'cell')}{resumed}; the result is in {folder}"
    for broken in last.broken:
        yield f"ran again, for the file was damaged: {broken}"
    if last.chunks_retried:
        yield f"{counted(last.chunks_retried, 'failed attempt')} at a chunk {verb(last.chunks_retried, 'was', 'were')} repeated"
    if narrowed:
        fewest = min(step["lanes"] for step in narrowed)
        yield f"for want of memory, runs went down to {fewest} side by side: the same numbers to rounding, not the same bits"
    if report["diverged_cells"]:
        yield f"{report['diverged_cells']:,} of {counted(last.cells, 'run')} diverged, as marked in `diverged`"


class _Shown:
    """Shows a sweep's progress, and keeps the last."""

    def __init__(self, bar: Progress | None):
        self.bar = bar
        self.task = bar.add_task("cells", total=None) if bar else None
        self.last: Any = None

    def __call__(self, progress: Any) -> None:
        self.last = progress
        if self.bar is None or self.task is None:
            return
        said = describe(progress, self.bar.tasks[0].elapsed or 0)
        self.bar.update(self.task, total=progress.cells, completed=progress.done, description=said)


def describe(progress: Any, elapsed: float) -> str:
    """A sweep's progress beside its bar: chunks and workers where it has any, and the rate.

    Args:
      progress: a `jaxsgd.Progress`.
      elapsed: seconds since it began.
    """
    done = progress.done - progress.resumed
    parts = [f"{done / elapsed:,.1f} cells/s" if done and elapsed else "compiling"]
    if progress.workers:
        parts.append(f"{progress.chunks_done:,} of {counted(progress.chunks, 'chunk')}, {counted(progress.workers, 'worker')}")
    for count, what in ((progress.chunks_failed, "failed"), (progress.chunks_retried, "retried")):
        if count:
            parts.append(f"{count:,} {what}")
    return ", ".join(parts)


@contextmanager
def progress_bar() -> Iterator[_Shown]:
    """A progress bar on stderr with rate and time left; nothing where there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Shown(None)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Shown(bar)
