"""The article's network on a user's own file."""

import contextlib
import csv
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxsgd.error import InputError, InputWarning, check_count, shown
from jaxsgd.problem import TARGET_NAMES, Problem
from jaxsgd.problems.article_network import SQUARED_ERROR, init_network, squared_error


def from_file(
    path: str | Path,
    targets: str | Path | Sequence[str] | None = None,
    num_hidden: int = 1000,
    standardize: bool = True,
    dtype: DTypeLike = jnp.float32,
    arrange: str = "given",
) -> Problem:
    """The article's network and loss (see `square_regression`) on the samples of a file. No pickle is read.

    Args:
      path: the file. `.npz`: arrays `x` [N, D] or [N] and `t` [N, O] or [N] (or `target`, `y`, `label`). `.npy`: an array x,
        with a second `.npy` as `targets`. `.csv`: rows of numbers, with or without a header line; a first column that only
        numbers the rows, as pandas writes its index, is left out with an `InputWarning`.
      targets: for a `.npy`, the other file; for a `.npz`, the targets' array name; for a `.csv`, their column names. By
        default a column named like a target, or else the last column.
      num_hidden: H.
      standardize: shift and scale each input column to mean 0 and standard deviation 1, as the article's inputs have them;
        the scale of the initial weights fits such inputs. Targets are not changed.
      dtype: of data and parameters.
      arrange: "given" for the file's sequence of samples, or "label" to sort them by target (see `Problem.arranged`).

    Returns:
      The problem; its `origin` gives the columns of the inputs and of the targets.

    Raises:
      InputError: for a file that cannot be read, text, ragged rows, or a value that is not finite in `dtype`; the message
        gives the row and column.
    """
    path = Path(path)
    readers = {".npz": _read_npz, ".npy": _read_npy_pair, ".csv": _read_csv}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: cannot read {path.suffix or 'a file without an ending'!r}; valid: .npz, .npy, .csv")
    num_hidden = check_count("num_hidden", num_hidden)
    try:
        x, t, origin = readers[path.suffix.lower()](path, targets)
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: no such file") from None
    except OSError as error:
        raise InputError(f"{error.filename or path}: cannot be read: {error.strerror or error}") from None
    x, t = _as_columns(x, f"{path}: inputs", dtype), _as_columns(t, f"{path}: targets", dtype)
    if len(x) != len(t):
        raise InputError(f"{path}: {len(x)} rows of inputs but {len(t)} rows of targets; each input row needs a target row")
    if standardize:
        spread = x.std(axis=0)
        x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    data = x.astype(dtype), t.astype(dtype)

    def init(key: jax.Array) -> dict[str, jax.Array]:
        return init_network(key, x.shape[1], num_hidden, t.shape[1], dtype)

    problem = Problem(init, squared_error, data, name=path.name, origin=origin, loss_unit=SQUARED_ERROR)
    return problem.arranged(arrange)


class _Samples(NamedTuple):
    """The content of a file.

    Attributes:
      x: inputs.
      t: targets.
      origin: the names of both, in words.
    """

    x: np.ndarray
    t: np.ndarray
    origin: str


def _origin(inputs: Sequence[str], targets: Sequence[str]) -> str:
    parts = []
    for role, names in (("input", inputs), ("target", targets)):
        more = f", ... {len(names)} in all" if len(names) > 8 else ""
        parts.append(f"{role}{'s' * (len(names) > 1)}: {', '.join(names[:8] if more else names)}{more}")
    return "; ".join(parts)


def _as_columns(values: np.ndarray, what: str, dtype: DTypeLike) -> np.ndarray:
    """Return `values` as float64 [N, columns], all finite in `dtype`."""
    if values.dtype.kind not in "fiub":
        raise InputError(f"{what} must be real numbers, got an array of {values.dtype}")
    if values.ndim not in (1, 2) or values.size == 0:
        raise InputError(f"{what} must have shape [N] or [N, columns], got {list(values.shape)}")
    columns = values.astype(np.float64).reshape(len(values), -1)
    bad = np.argwhere(~(np.abs(columns) <= float(jnp.finfo(dtype).max)))
    if len(bad):
        row, column = bad[0]
        cell = f"{columns[row, column]} in row {row + 1}, column {column + 1}"
        raise InputError(f"{what}: {cell}; every value must be finite in {jnp.dtype(dtype)}")
    return columns


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for NumPy to read; any exception of NumPy becomes a one-line error."""
    try:
        with path.open("rb") as file:
            yield file
    except (InputError, OSError):
        raise
    except Exception as error:  # a damaged file can fail in the archive, the compression, the header or the memory it asks for
        if "Object arrays" in str(error):
            raise InputError(f"{path}: has pickled objects, which are never loaded; save plain arrays of numbers") from None
        reason = (
            "no array of numbers in it"
            if "allow_pickle" in str(error)
            else " ".join(str(error).split()) or type(error).__name__
        )
        raise InputError(f"{path}: not a NumPy file, or a damaged NumPy file: {reason}") from None


def _read_npz(path, targets):
    with _opened(path) as file:
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise InputError(f"{path}: its content is an .npy file, not an .npz archive; rename it to end in .npy")
        with archive:
            names = archive.files
            target = targets or next((name for name in TARGET_NAMES if name in names), None)
            for name, role in (("x", "inputs"), (target, "targets")):
                if name not in names:
                    wanted = name or " or ".join(TARGET_NAMES)
                    raise InputError(f"{path}: no array {wanted!r} for the {role}; it has {', '.join(names) or 'no arrays'}")
                if not isinstance(archive[name], np.ndarray):
                    raise InputError(f"{path}: {name!r} is not an array")
            return _Samples(archive["x"], archive[target], _origin(["x"], [str(target)]))


def _read_npy_pair(path, targets):
    if not isinstance(targets, (str, Path)):
        raise InputError(f"{path}: an .npy file has only one array; also give the .npy file of the targets, got {targets!r}")
    return _Samples(_read_npy(path), _read_npy(Path(targets)), _origin([path.name], [Path(targets).name]))


def _read_npy(path):
    with _opened(path) as file:
        array = np.load(file, allow_pickle=False)
        if isinstance(array, np.ndarray):
            return array
        raise InputError(f"{path}: its content is an .npz archive, not an .npy file; rename it to end in .npz")


def _read_csv(path, targets):
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            reader = csv.reader(file)
            lines = [(reader.line_num, row) for row in reader if row]
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not a text file of comma-separated numbers: {_encoding(path, error)}") from None
        except csv.Error as error:
            raise InputError(f"{path}: not a text file of comma-separated numbers: {error}") from None
    if not lines:
        raise InputError(f"{path}: the file is empty; it must have a row of numbers for each sample")
    header = None if _are_numbers(lines[0][1]) else [" ".join(name.split()) for name in lines.pop(0)[1]]
    if not lines:
        raise InputError(f"{path}: a header and no rows; the file must have a row of numbers for each sample")
    width = len(header or lines[0][1])
    rows = np.empty((len(lines), width))
    for i, (number, row) in enumerate(lines):
        if len(row) != width:
            hint = _separator(";".join(row) if any(";" in text for text in row) else "")
            raise InputError(f"{path}: line {number} has {len(row)} values, but it must have {width}{hint}")
        for j, text in enumerate(row):
            try:
                rows[i, j] = float(text)
            except ValueError:
                raise InputError(
                    f"{path}: line {number}, column {j + 1}: {shown(text)} is not a number{_separator(text)}"
                ) from None
            if not np.isfinite(rows[i, j]):
                raise InputError(f"{path}: line {number}, column {j + 1}: {text.strip()}; every value must be finite")
    return _split_columns(path, rows, header, targets)


def _encoding(path: Path, error: UnicodeDecodeError) -> str:
    """Return a text on a file that is not in UTF-8, with the remedy."""
    with path.open("rb") as file:
        start = file.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        return "it is in UTF-16; save it in UTF-8 (Excel: 'CSV UTF-8')"
    return f"byte {error.object[error.start]:#x} is not UTF-8; save it in UTF-8"


def _separator(text: str) -> str:
    """Return a text on separating a file's columns by commas; empty if its text shows no other separator."""
    name, mark = next(((name, mark) for name, mark in (("semicolons", ";"), ("tabs", "\t")) if mark in text), ("", ""))
    if not name:
        return ""
    decimal = ", decimal=','" if mark == ";" else ""
    return (
        f"; columns must be separated by commas, not {name}: "
        f"convert the file with pandas.read_csv(file, sep={mark!r}{decimal}).to_csv(new_file, index=False)"
    )


def _are_numbers(row):
    try:
        [float(text) for text in row]
    except ValueError:
        return False
    return True


def _split_columns(path, rows, header, targets):
    width = rows.shape[1]
    if width < 2:
        raise InputError(f"{path}: the file has 1 column; it needs at least 1 column of inputs and 1 of targets")
    if targets is None:
        named = [header.index(name) for name in TARGET_NAMES if name in header] if header else []
        chosen = named[:1] or [width - 1]
    else:
        wanted = [targets] if isinstance(targets, (str, Path)) else list(targets)
        missing = [name for name in wanted if name not in (header or [])]
        if missing:
            has = f"its columns are {', '.join(header)}" if header else "it has no header line"
            raise InputError(f"{path}: no column {missing[0]!r}; {has}")
        chosen = [header.index(name) for name in wanted]
    inputs = [j for j in range(width) if j not in chosen]
    if not inputs:
        raise InputError(f"{path}: every column is a target; the file needs at least 1 column of inputs")
    names = [text or f"column {j + 1}" for j, text in enumerate(header or [""] * width)]
    name = header[0] if header else ""
    if inputs[0] == 0 and len(inputs) > 1 and _numbers_the_rows(name, rows[:, 0]):
        warnings.warn(
            f"{path}: the first column{f' ({name})' if name else ''} is left out: it only numbers the rows, like a pandas "
            "index; to train on it, give it another name",
            InputWarning,
            stacklevel=4,
        )
        inputs = inputs[1:]
    return _Samples(rows[:, inputs], rows[:, chosen], _origin([names[j] for j in inputs], [names[j] for j in chosen]))


def _numbers_the_rows(name: str, column: np.ndarray) -> bool:
    """Return True if a file's first column is an index and not an input: it counts, with no name or pandas's own."""
    if re.fullmatch(r"Unnamed: \d+", name):
        return True
    return not name and len(column) > 2 and np.array_equal(column, np.arange(len(column)))
