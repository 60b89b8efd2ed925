"""A sweep as a command runs it: progress on stderr, what came of it in words and for JSON."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
from rich.text import Text

from jaxsgd.cli.output import duration
from jaxsgd.error import counted, verb

SECONDS_BETWEEN_LINES = 60.0
"""How often progress is written where there is no terminal."""


def run_sweep(
    console: Console, study: Any, folder: Path, how: dict[str, Any], quiet: bool = False
) -> tuple[dict[str, Any], str]:
    """Runs a study and says what came of it.

    Args:
      console: where to say it.
      study: what to run.
      folder: the result's.
      how: `jaxsgd.sweep`'s other arguments.
      quiet: show no progress.

    Returns:
      The report, and what kept the sweep from finishing, if anything did: one line.

    Raises:
      CommandInterrupt: at Ctrl-C, with what is kept.
    """
    from jaxsgd.cli.errors import CommandInterrupt
    from jaxsgd.engine.sweeping import sweep_to_folder
    from jaxsgd.error import RunFailure

    manifest, failed, failure = None, [], ""
    with progress_shown(quiet) as shown:
        try:
            manifest = sweep_to_folder(study, folder, **how, on_progress=shown)
        except KeyboardInterrupt:
            raise CommandInterrupt(f"interrupted: {_kept(shown.last, folder)}run the command again to finish") from None
        except RunFailure as error:
            failed = [each._asdict() for each in getattr(error, "failed", [])]
            failure = f"{error}; {_kept(shown.last, folder)}run the command again for the rest"
    report = {"folder": str(folder), "identity": study.identity} | _progress_report(shown.last) | {"failed": failed}
    if manifest is None:
        return report, failure
    report |= {"diverged_cells": shown.last.diverged, "lanes_narrowed": manifest["lanes_narrowed"]}
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


class ProgressLines:
    """Shows a sweep's progress without a terminal, as in a batch job's log: one line a minute."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        """Begin to count the time.

        Args:
          write: takes a line.
          clock: returns the time in seconds.
        """
        self.last: Any = None
        self._write, self._clock = write, clock
        self._began = self._written = clock()

    def __call__(self, progress: Any) -> None:
        """Keep the progress, and write a line if the last one is a minute old."""
        is_new = progress.finishing and not (self.last and self.last.finishing)
        self.last = progress
        now = self._clock()
        if is_new:
            self._write(_finishing(progress))
        elif now - self._written >= SECONDS_BETWEEN_LINES:
            left = [] if progress.seconds_left is None else [f"about {duration(progress.seconds_left)} left"]
            words = ", ".join([describe(progress, now - self._began), *left])
            self._write(f"{progress.done:,} of {progress.cells:,} cells, {words}")
            self._written = now


class _ProgressBar:
    """Shows a sweep's progress as a bar."""

    def __init__(self, bar: Progress):
        self.last: Any = None
        self.bar = bar
        self._task = bar.add_task("cells", total=None, ends=None)

    def __call__(self, progress: Any) -> None:
        is_new = progress.finishing and not (self.last and self.last.finishing)
        self.last = progress
        if is_new:
            self.bar.console.print(_finishing(progress), markup=False, soft_wrap=True)
        ends = None if progress.seconds_left is None else time.monotonic() + progress.seconds_left
        words = describe(progress, self.bar.tasks[0].elapsed or 0)
        self.bar.update(self._task, total=progress.cells, completed=progress.done, description=words, ends=ends)


class _Quiet:
    """Keeps a sweep's last progress and shows nothing."""

    def __init__(self) -> None:
        self.last: Any = None

    def __call__(self, progress: Any) -> None:
        self.last = progress


class _TimeLeftColumn(ProgressColumn):
    """The time left as the sweep estimates it, counted down between two estimates."""

    def render(self, task: Any) -> Text:
        """Return the words for it; none before the first estimate."""
        ends = task.fields["ends"]
        return Text("" if ends is None else f"about {duration(max(0.0, ends - time.monotonic()))} left")


def _finishing(progress: Any) -> str:
    return f"interrupted: chunks that are being finished: {progress.finishing}; press Ctrl-C again to end at once"


def describe(progress: Any, elapsed: float) -> str:
    """Return a sweep's progress in words: the rate, and chunks and workers where it has any.

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
def progress_shown(quiet: bool = False) -> Iterator[Any]:
    """Show progress on stderr: a bar at a terminal, one line a minute elsewhere.

    Args:
      quiet: show nothing.
    """
    console = Console(stderr=True)
    if quiet:
        yield _Quiet()
    elif not console.is_terminal:
        yield ProgressLines(lambda line: typer.echo(f"jaxsgd: {line}", err=True))
    else:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), _TimeLeftColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            yield _ProgressBar(bar)
