"""The progress of a sweep, and its display in a notebook, at a terminal and in a batch job's log."""

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.table import Table
from rich.text import Text

from jaxsgd.error import InputError, counted, shown
from jaxsgd.number import duration

SECONDS_BETWEEN_LINES = 60.0
"""The time between two lines of progress, if there is neither a terminal nor a notebook."""


class Progress(NamedTuple):
    """The progress of a sweep.

    Attributes:
      cells: number of cells.
      done: number of finished cells, with those of an earlier run.
      resumed: number of cells that an earlier run finished.
      broken: damaged chunk files of an earlier run, which are run again, in words.
      chunks: number of chunks; 0 if it is not known.
      chunks_done: number of finished chunks, with those of an earlier run.
      chunks_failed: number of chunks that failed at every attempt.
      chunks_retried: number of attempts that failed and were repeated.
      workers: number of an executor's workers that have finished a chunk.
      diverged: number of finished cells that diverged.
      seconds_left: estimated time until all chunks are finished; None before the first finished chunk of this run.
      finishing: after Ctrl-C, the number of running chunks that are being finished before the sweep ends.
      others: number of finished cells in the folder that the study does not have.
    """

    cells: int
    done: int
    resumed: int
    broken: tuple[str, ...] = ()
    chunks: int = 0
    chunks_done: int = 0
    chunks_failed: int = 0
    chunks_retried: int = 0
    workers: int = 0
    diverged: int = 0
    seconds_left: float | None = None
    finishing: int = 0
    others: int = 0


class _Display:
    """A display of a sweep's progress: it keeps the last progress. This one shows nothing, and the others build on it."""

    def __init__(self) -> None:
        self.last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self.last = progress

    def is_interrupted_now(self, progress: Progress) -> bool:
        """Return True if Ctrl-C has come since the last progress."""
        return bool(progress.finishing) and not (self.last and self.last.finishing)


class ProgressLines(_Display):
    """The display of a sweep's progress without a terminal, as in a batch job's log: a line every minute."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        """Begin to count the time.

        Args:
          write: called with each line.
          clock: returns the time in seconds.
        """
        super().__init__()
        self._write, self._clock = write, clock
        self._began = self._written = clock()

    def __call__(self, progress: Progress) -> None:
        """Keep the progress, and write a line if the last one is a minute old."""
        is_interrupted = self.is_interrupted_now(progress)
        super().__call__(progress)
        now = self._clock()
        if is_interrupted:
            self._write(_finishing(progress))
        elif now - self._written >= SECONDS_BETWEEN_LINES:
            left = [] if progress.seconds_left is None else [f"about {duration(progress.seconds_left)} left"]
            words = ", ".join([describe(progress, now - self._began), *left])
            self._write(f"{progress.done:,} of {progress.cells:,} cells ({_percent(progress)}), {words}")
            self._written = now


class _Bar(_Display):
    """The display of a sweep's progress as a bar."""

    def __init__(self, bar: rich.progress.Progress):
        super().__init__()
        self.bar = bar
        self._task = bar.add_task("cells", total=None, percent="", ends=None)

    def __call__(self, progress: Progress) -> None:
        is_interrupted = self.is_interrupted_now(progress)
        super().__call__(progress)
        if is_interrupted:
            self.bar.console.print(_finishing(progress), markup=False, soft_wrap=True)
        ends = None if progress.seconds_left is None else time.monotonic() + progress.seconds_left
        words = describe(progress, self.bar.tasks[0].elapsed or 0)
        fields = {"description": words, "percent": _percent(progress), "ends": ends}
        self.bar.update(self._task, total=progress.cells, completed=progress.done, **fields)


class NotebookBar(_Bar):
    """The display of a sweep's progress as a bar in a notebook. Rich's own bar would need ipywidgets."""

    def __init__(self, show: Callable[[Table], object]):
        """Show nothing yet.

        Args:
          show: replaces the last picture of the bar with a new one.
        """
        super().__init__(rich.progress.Progress(*_columns(), console=Console(stderr=True, force_jupyter=False)))
        self._show = show

    def __call__(self, progress: Progress) -> None:
        """Show the progress."""
        super().__call__(progress)
        self._show(self.bar.make_tasks_table(self.bar.tasks))


class _TimeLeftColumn(rich.progress.ProgressColumn):
    """A column with the sweep's estimate of the time left, counted down between two estimates."""

    def render(self, task: Any) -> Text:
        """Return the time left in words; empty before the first estimate and at the end."""
        ends = task.fields["ends"]
        return Text("" if ends is None or task.finished else f"about {duration(max(0.0, ends - time.monotonic()))} left")


def _percent(progress: Progress) -> str:
    return f"{100 * progress.done // progress.cells} %"


def _finishing(progress: Progress) -> str:
    return f"interrupted: finishing {counted(progress.finishing, 'chunk')}; press Ctrl-C again to end at once"


def _rate(done: int, elapsed: float) -> str:
    """Return the number of cells in a second in words, or the seconds for a cell if it takes many."""
    return f"{done / elapsed:,.1f} cells/s" if done >= elapsed / 10 else f"{elapsed / done:,.0f} s a cell"


def describe(progress: Progress, elapsed: float) -> str:
    """Return a sweep's progress in words: the rate, and chunks and workers if it has any.

    Args:
      progress: of the sweep.
      elapsed: seconds since it began.
    """
    done = progress.done - progress.resumed
    parts = [_rate(done, elapsed) if done and elapsed else "compiling"]
    if progress.workers:
        parts.append(f"{progress.chunks_done:,} of {counted(progress.chunks, 'chunk')}, {counted(progress.workers, 'worker')}")
    for count, what in ((progress.chunks_failed, "failed"), (progress.chunks_retried, "retried")):
        if count:
            parts.append(f"{count:,} {what}")
    return ", ".join(parts)


def _columns() -> tuple[rich.progress.ProgressColumn, ...]:
    percent, words = TextColumn("{task.fields[percent]}"), TextColumn("{task.description}")
    return BarColumn(), MofNCompleteColumn(), percent, words, _TimeLeftColumn()


@contextmanager
def progress_shown(show: bool = True) -> Iterator[Any]:
    """Show progress: a bar in a notebook and at a terminal's stderr; otherwise a line every minute on stderr.

    Args:
      show: False shows nothing.
    """
    console = Console(stderr=True)
    if not show:
        yield _Display()
    elif console.is_jupyter:
        # A notebook's kernel has IPython, which is not a dependency of this package.
        handle = importlib.import_module("IPython.display").display(display_id=True)
        yield NotebookBar(handle.update)
    elif not console.is_terminal:
        yield ProgressLines(_write_line)
    else:
        with rich.progress.Progress(*_columns(), console=console, transient=True) as bar:
            yield _Bar(bar)


def _write_line(line: str) -> None:
    sys.stderr.write(f"jaxsgd: {line}\n")
    sys.stderr.flush()


@contextmanager
def watched(progress: bool | None, on_progress: Callable[[Progress], None] | None) -> Iterator[Callable[[Progress], None]]:
    """Yield the function that takes a sweep's progress: it shows the progress and passes it to the caller's own function.

    Args:
      progress: True shows it; False does not; None shows it in a notebook if there is no `on_progress`.
      on_progress: the caller's function, or None.

    Raises:
      InputError: if `progress` has another value.
    """
    if progress not in (True, False, None):
        raise InputError(f"progress must be True, False or None, got {shown(progress)}; give a function as on_progress")
    if progress is None:
        progress = on_progress is None and Console(stderr=True).is_jupyter

    with progress_shown(progress) as display:

        def both(now: Progress) -> None:
            display(now)
            if on_progress:
                on_progress(now)

        yield both
