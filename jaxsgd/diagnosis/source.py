"""A log file as a stream of lines, read with bounded memory and unpacked if it is packed; nothing in it is executed."""

import bz2
import codecs
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from jaxsgd.error import InputError

HEAD = 65536
"""Number of bytes by which a format is recognized."""

LONGEST_LINE = 1 << 20
"""Largest length of a line, letters."""

BLOCK = 1 << 18

MOST_TIMES, FREE = 200, 64 << 20
"""A packed file may unpack to this many times its size or to this many bytes, whichever is more. Packing makes logs about ten
times smaller."""

_UNPACKERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
_REFUSED = {
    b"\xfd7zXZ\x00": ("xz", "unxz"),
    b"(\xb5/\xfd": ("zstd", "unzstd"),
    b"PK\x03\x04": ("zip", "unzip"),
    b"7z\xbc\xaf": ("7z", "7z x"),
}
_BINARY = {
    b"\x89PNG": "a PNG image",
    b"\x93NUMPY": "a NumPy array",
    b"%PDF": "a PDF",
    b"\x7fELF": "a program",
    b"\x89HDF": "an HDF5 file",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"SQLite format 3": "an SQLite database",
    b"PAR1": "a Parquet file",
    b":W&B": "a W&B run file (export its history as CSV)",
}
_BREAK = re.compile(r"([\r\n\x08]+)")
_MARK = "\ufeff"
"""The byte order mark with which a file may begin."""


class Source:
    """A log file; every call of its methods reads it anew.

    Attributes:
      path: its path.
    """

    def __init__(self, path: str | Path):
        """Check the file without reading its content.

        Raises:
          InputError: when there is no such file, or it is empty, a folder, or packed in an unknown way.
        """
        self.path = Path(path)
        try:
            if self.path.is_dir():
                raise InputError(f"{self.path}: is a folder; name the log file in it{_files_in(self.path)}")
            if not self.path.exists():
                raise InputError(f"{self.path}: no such file; name a training log")
            if not self.path.is_file():
                raise InputError(f"{self.path}: is not a regular file; save the log to a file first")
            with self.path.open("rb") as file:
                start = file.read(16)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        for magic, (name, command) in _REFUSED.items():
            if start.startswith(magic):
                raise InputError(f"{self.path}: is packed with {name}, which is not supported; unpack it first ({command})")
        self._unpack = next((unpack for magic, unpack in _UNPACKERS.items() if start.startswith(magic)), None)
        if not start:
            raise InputError(f"{self.path}: is empty; a log with one loss on each line is needed")

    @property
    def is_packed(self) -> bool:
        """True if the file is unpacked as it is read."""
        return self._unpack is not None

    def head(self) -> bytes:
        """Return the first bytes of the unpacked content."""
        return next(self.blocks(HEAD), b"")

    def check_text(self) -> None:
        """Check that the content may be text.

        Raises:
          InputError: when it is not; the message names what it seems to be.
        """
        head = self.head()
        name = next((name for magic, name in _BINARY.items() if head.startswith(magic)), None)
        if name is None and b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
            name = "a binary file"
        if name:
            raise InputError(f"{self.path}: is {name}, not a training log; give text, CSV, JSON or a TensorBoard event file")

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """Return the unpacked content, block by block.

        Raises:
          InputError: for a damaged packed file, or one that unpacks to far more than a log would.
        """
        try:
            with self.path.open("rb") as raw:
                file = cast(BinaryIO, self._unpack(raw, "rb")) if self._unpack else raw
                done, most = 0, max(MOST_TIMES * self.path.stat().st_size, FREE)
                while block := file.read(size):
                    done += len(block)
                    if self._unpack and done > most:
                        raise InputError(
                            f"{self.path}: unpacks to more than {MOST_TIMES} times its size, which is unusual for a log; "
                            "unpack it yourself if you trust it"
                        )
                    yield block
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            reason = "is cut short or damaged" if self._unpack else f"cannot be read: {getattr(error, 'strerror', error)}"
            raise InputError(f"{self.path}: {reason}; copy it again") from None
        except Exception as error:
            if isinstance(error, InputError) or not self._unpack:
                raise
            # zlib has an exception of its own, which is no OSError.
            raise InputError(f"{self.path}: is damaged ({error}); copy it again") from None

    def lines(self) -> Iterator[str]:
        """Return the lines without their ends, as `numbered_lines` does."""
        return (line for _, line in self.numbered_lines())

    def numbered_lines(self) -> Iterator[tuple[int, str]]:
        """Return the lines without their ends, each with its number, from 1.

        A carriage return and backspaces end a line too, without counting as one: progress bars write over themselves.

        Raises:
          InputError: for a line that is too long for a log, and as `blocks`.
        """
        # An incremental decoder keeps the bytes of a letter that a block cuts.
        decoder = codecs.getincrementaldecoder(_encoding(self.head()))("replace")
        number, text = 1, ""
        for block in self.blocks():
            whole = text + decoder.decode(block)
            has_mark = _MARK in whole
            if not has_mark and "\r" not in whole and "\x08" not in whole:
                # The same, but faster.
                *lines, text = whole.split("\n")
                self._check_length(max(map(len, lines), default=0))
                self._check_length(len(text))
                yield from ((place, line) for place, line in enumerate(lines, number) if line)
                number += len(lines)
                continue
            *parts, text = _BREAK.split(whole)
            self._check_length(max(map(len, parts), default=0))
            self._check_length(len(text))
            for line, end in zip(parts[::2], parts[1::2], strict=True):
                yield number, line.removeprefix(_MARK) if has_mark else line
                number += 1 if end == "\n" else end.count("\n")
        text += decoder.decode(b"", final=True)
        if text:
            yield number, text.removeprefix(_MARK)

    def _check_length(self, length: int) -> None:
        if length > LONGEST_LINE:
            raise InputError(
                f"{self.path}: has a line of more than {LONGEST_LINE:,} letters; give a log with one loss on each line"
            )

    def whole(self, most: int) -> bytes:
        """Return all of the unpacked content.

        Raises:
          InputError: when it is more than `most` bytes.
        """
        content = bytearray()
        for block in self.blocks():
            content += block
            if len(content) > most:
                raise InputError(
                    f"{self.path}: is one JSON value of more than {most >> 20} MiB; write one JSON object on "
                    "each line instead, which is read as a stream"
                )
        return bytes(content)


def _encoding(head: bytes) -> str:
    return "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"


def _files_in(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if path.is_file())[:4]
    return f", such as {names[0]}" if names else ""
