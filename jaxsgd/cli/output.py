"""The output of a command: lines, tables and files."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from jaxsgd.error import InputError, counted, verb
from jaxsgd.number import plain_values


class _PatientConsole(Console):
    """A console whose command goes on when the reader has closed its end, like `head`: its files are still to be written."""

    def on_broken_pipe(self) -> None:
        """Write no more, and let what Python still has for stdout go nowhere."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def make_console(quiet: bool) -> Console:
    """Return the console for text on stdout; quiet if stdout is for JSON. A reader that leaves does not end the command.

    Without a terminal, and so without a width, lines have up to 120 letters. Brackets are letters, not markup: names of files
    and settings may have them.
    """
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
    return _PatientConsole(quiet=quiet, width=width, highlight=False, markup=False)


@contextmanager
def working(message: str, *, lines: bool = False) -> Iterator[None]:
    """Show on stderr what a command is doing while the block runs.

    Args:
      message: the work, in words.
      lines: without a terminal, True writes a line with the message and False writes nothing.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(message):
            yield
        return
    if lines:
        sys.stderr.write(f"jaxsgd: {message}\n")
        sys.stderr.flush()
    yield


def to_json(value: Any) -> str:
    """Return the JSON text of nested dicts, lists and numbers; numbers that are not finite become null."""
    return json.dumps(plain_values(value, lambda number: None), allow_nan=False, indent=2)


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the CSV text of a table, a line for each row."""
    import pandas as pd

    return pd.DataFrame(list(rows)).to_csv(index=False)


def plain_table(texts: Sequence[str], numbers: Sequence[str], title: str = "") -> Table:
    """Return an empty table that fits a narrow terminal: columns of texts at the left, then columns of numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, title=title or None, title_justify="left")
    for name in texts:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def missing_cells(count: int) -> str:
    """Return the message for a result in which some cells have not been run."""
    return f"{counted(count, 'cell')} {verb(count)} missing: the study is not finished"


def check_output_folder(folder: Path, file: Path | None = None, option: str = "--out") -> None:
    """Check that files can be written into `folder`, before a long run. The check leaves no file behind.

    Args:
      folder: to write into.
      file: the file in it, if the option names a file.
      option: the name of the option, for the message.

    Raises:
      InputError: if the folder cannot be made or written.
    """
    named, wanted = (folder, "a folder") if file is None else (file, "a file in a folder")
    try:
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise InputError(f"{option} {named}: {nearest} is a file; name {wanted} (a new folder is created)")
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise InputError(f"{option} {named}: cannot be written: {error.strerror or error}; name another folder") from None


def check_result_folder(folder: Path) -> None:
    """Check, before a study runs, that `folder` can be its result: it is new, empty, or a result already.

    Raises:
      InputError: if it cannot.
    """
    check_output_folder(folder)
    if not folder.is_dir():
        return
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    strange = [name for name in names if name not in ("chunks", "lock", "study.json", "manifest.json")]
    if strange and not {"study.json", "manifest.json"} <= set(names):
        some = ", ".join(strange[:3]) + (f" and {len(strange) - 3:,} more" if len(strange) > 3 else "")
        raise InputError(
            f"--out {folder}: this folder is not a result and has other files in it ({some}); name a new folder, such "
            f"as {folder / 'result'}"
        )


def write_files(folder: Path, contents: Mapping[str, bytes | str]) -> list[Path]:
    """Write whole files into `folder`: all are written under temporary names first, and then renamed.

    Args:
      folder: created if it does not exist.
      contents: by file name.

    Returns:
      The files' paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as hidden:
        for name, content in contents.items():
            data = content.encode() if isinstance(content, str) else content
            (Path(hidden) / name).write_bytes(data)
        return [(Path(hidden) / name).replace(folder / name) for name in contents]


class Writer:
    """The writer of a command's files: it writes them into a folder, and prints a line for each file."""

    def __init__(self, console: Console, folder: Path):
        """Write nothing yet; the folder is created with the first file."""
        self._console, self.folder = console, folder
        self.names: list[str] = []
        """The files written so far."""

    def write(self, contents: Mapping[str, bytes | str]) -> None:
        """Write whole files, by file name."""
        for path in write_files(self.folder, contents):
            self._console.print(f"wrote {path}", soft_wrap=True)
        self.names += contents

    def write_report(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """Write `report.json`, the last file, and return the report with the list of all files."""
        listed = {**report, "files": [*self.names, "report.json"]}
        self.write({"report.json": to_json(listed) + "\n"})
        return listed
