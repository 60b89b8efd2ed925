"""The result folder: after any interruption it has complete chunks only.

    study.json      the resolved study, as it was run last
    manifest.json   what made the numbers: versions, device, precision, flags, path and widths, git commit, times
    chunks/         one .npz per finished chunk, with a checksum; each cell has its key, so that the study's axes can grow
    lock            held by the only command that writes; the system releases it when that command ends

A file is written under a temporary name, flushed to the disk and renamed, so that it is complete or absent. Nothing is
ever unpickled.
"""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import numpy as np

from jaxsgd.error import InputError, shown

FORMAT = 2
"""Version of the result folder's format. In version 1, chunks had the cells' numbers in the study in place of their keys."""

PLAN_SETTINGS = ("vectorize", "chunk_width", "lanes", "micro_size")
"""Plan settings that must match for bit-identical results, by the names of the arguments of `plan`."""

ChunkArrays = dict[str, np.ndarray]
"""A finished chunk: arrays by name, leading axis its cells; `cell` has their numbers, or in a file `key` has their keys."""


class BrokenChunk(Exception):
    """A chunk file that is damaged or belongs to another study; the message names the fault."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is complete or absent, on the disk when this returns.

    Raises:
      OSError: if it cannot be written; the temporary file is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write(temporary, content)
        os.replace(temporary, path)  # noqa: PTH105, the calls to the system stand here by name: tests make each of them fail
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    # So that the rename itself survives a power cut; Windows has no such call and needs none.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
      InputError: if it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file so that it is complete or absent (see `write_whole`)."""
    write_whole(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def checksum(arrays: ChunkArrays, identity: str) -> str:
    """Return the SHA-256 over a chunk's arrays, names and types and the identity of the study that it belongs to."""
    digest = hashlib.sha256(identity.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def packed(arrays: ChunkArrays, identity: str) -> bytes:
    """Return the content of a finished chunk's file: an `.npz` archive of its arrays and their checksum."""
    buffer = io.BytesIO()
    # By name, so that equal chunks are equal files.
    ordered = dict(sorted(arrays.items()))
    np.savez(buffer, checksum=np.asarray(checksum(arrays, identity)), **ordered)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpacked(content: bytes, name: str, *identities: str) -> ChunkArrays:
    """Return the arrays of a chunk from the content of its file.

    Args:
      content: of the file.
      name: of the file, for the message.
      identities: that its checksum may be made with.

    Raises:
      BrokenChunk: if the content is not a chunk of this study as `packed` made it.
    """
    try:
        # From memory, because NumPy leaves the file of a damaged archive open.
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # a flipped bit may hit any part of an archive, and each has an exception of its own
        raise BrokenChunk(f"{name}: cannot be read ({type(error).__name__})") from None
    stated = str(arrays.pop("checksum", ""))
    if not any(stated == checksum(arrays, identity) for identity in identities):
        raise BrokenChunk(f"{name}: its checksum does not match")
    return arrays


class Folder(NamedTuple):
    """A result folder.

    Attributes:
      path: where it is.
    """

    path: Path

    @staticmethod
    def at(path: str | Path) -> "Folder":
        """Return the folder at a path.

        Raises:
          InputError: for a value that is no path.
        """
        if not isinstance(path, str | os.PathLike):
            raise InputError(f"the folder of a result must be a path, such as 'results/mine', got {shown(path)}")
        return Folder(Path(path))

    @property
    def study_file(self) -> Path:
        """Path of the resolved study."""
        return self.path / "study.json"

    @property
    def manifest_file(self) -> Path:
        """Path of the manifest."""
        return self.path / "manifest.json"

    def chunk_file(self, number: int) -> Path:
        """Return the path of a chunk, finished or not."""
        return self.path / "chunks" / f"{number:06d}.npz"

    def is_there(self) -> bool:
        """Return True if a result has been started here."""
        return self.study_file.exists() and self.manifest_file.exists()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for one writer; it is created if necessary.

        The system releases the lock when its holder ends, so a lock left by a killed run does not block.

        Raises:
          InputError: if the folder cannot be made or written, is something else, or another command holds it.
        """
        try:
            (self.path / "chunks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot make a result folder here: {error.strerror or error}") from None
        try:
            with filelock.FileLock(self.path / "lock", timeout=0):
                yield
        except filelock.Timeout:
            raise InputError(f"{self.path}: another command is writing here; wait for it, or choose another folder") from None
        except PermissionError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror or error}") from None

    def chunk_numbers(self) -> list[int]:
        """Return the numbers of the chunks that are in the folder, ascending, damaged or not."""
        return sorted(int(path.stem) for path in (self.path / "chunks").glob("*.npz") if path.stem.isdecimal())

    def write_chunk(self, number: int, arrays: ChunkArrays, identity: str) -> None:
        """Write a finished chunk with its checksum.

        Args:
          number: of the chunk.
          arrays: of the chunk, with `key`.
          identity: of the study without the values of its axes (`fixed_identity`).
        """
        write_whole(self.chunk_file(number), packed(arrays, identity))

    def read_chunk(self, number: int, *identities: str) -> ChunkArrays | None:
        """Return a chunk, or None if it is not in the folder.

        Args:
          number: of the chunk.
          identities: that its checksum may be made with.

        Raises:
          BrokenChunk: if its file is not a complete chunk of this study.
        """
        path = self.chunk_file(number)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BrokenChunk(f"{path.name}: cannot be read ({error.strerror or error})") from None
        return unpacked(content, path.name, *identities)

    def clear_temporary(self) -> None:
        """Remove the temporary files that killed writers left."""
        for folder in (self.path, self.path / "chunks"):
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)
