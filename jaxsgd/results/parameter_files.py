"""Kept parameters, and states of optimizers, as files of other libraries: NumPy's npz, and safetensors. Nothing is pickled."""

import csv
import io
import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.error import InputError, no_such
from jaxsgd.results.axes import cell_dims, coords_along
from jaxsgd.results.need import need
from jaxsgd.results.parameters import KeptCells, kept_cells, read_leaves, selection
from jaxsgd.results.store import write_whole
from jaxsgd.study.kept import Leaves

FILE_FORMATS = ("npz", "safetensors")
"""Formats of files with parameters."""

BLOCK = 1024
"""The number of cells whose parameters are read at a time for a file for each of them."""


class _Content(NamedTuple):
    """The content of a file with parameters.

    Attributes:
      arrays: by name, the parameters and states.
      dims: the names of the axes in front of each array.
      axes: by axis, its values along its dimension.
      study: the study, as plain values.
    """

    arrays: dict[str, np.ndarray]
    dims: list[str]
    axes: dict[str, np.ndarray]
    study: dict[str, Any]


def export_parameters(folder: str | Path, path: str | Path) -> Path:
    """Write the parameters of all cells of a result into one file, and return its path.

    The arrays are called `params/PATH`, with the path of the leaf in the pytree, and have the axes of the cells in front, as
    those of `parameters`. Kept states of an optimizer are `state/OPTIMIZER/PATH`. An npz file also has the names of the axes in
    front, `dims`, the values of each axis, `axis/NAME`, and the study as JSON, `study`; a safetensors file has them as JSON in
    its metadata, `dims`, `axes` and `study`. Types that NumPy does not have are written as float32.

    Args:
      folder: a result that kept parameters.
      path: of the new file, which ends in .npz or .safetensors; an existing one is replaced.

    Raises:
      InputError: for another ending, if safetensors is not installed, and as `parameters`.
    """
    path = Path(path)
    to = path.suffix.removeprefix(".")
    if to not in FILE_FORMATS:
        raise InputError(f"a file of parameters must end in .npz or .safetensors, got {str(path)!r}")
    _check_library(to)
    kept = kept_cells(folder)
    every = selection(kept, None, {})
    arrays = _named("params", kept.params_of(every.cells), read_leaves(kept, every, "params"))
    for optimizer in kept.study.optimizers if kept.study.keep_state else ():
        own = selection(kept, None, {"optimizer": [optimizer]})
        arrays |= _named(f"state/{optimizer}", kept.state_leaves(own.cells), read_leaves(kept, own, "state"))
    dims = cell_dims(kept.labels)
    axes = {name: kept.labels[name].values for dim in dims for name in coords_along(kept.labels, dim)}
    if every.has_epoch_axis:
        dims, axes = [*dims, "epoch"], {**axes, "epoch": np.asarray(kept.epochs)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _packed(_Content(arrays, dims, axes, kept.study.resolved()), to))
    return path


def export_cells(folder: str | Path, out: str | Path, to: str) -> Path:
    """Write the parameters of each cell of a result into a file of its own, and return their folder.

    The files are called by the numbers of the cells, and `cells.csv` has the cell's value on every axis beside each file's
    name. The arrays are those of `export_parameters`, without the axes of the cells.

    Args:
      folder: a result that kept parameters.
      out: the folder for the files; it is created if necessary, and existing files are replaced.
      to: "npz" or "safetensors".

    Raises:
      InputError: for another format, if safetensors is not installed, and as `parameters`.
    """
    if to not in FILE_FORMATS:
        raise no_such("format of parameters", to, FILE_FORMATS)
    _check_library(to)
    kept, out = kept_cells(folder), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    values, several = kept.own.values, len(kept.epochs) > 1
    for optimizer, problem in itertools.product(kept.study.optimizers, range(len(kept.form.kept.problems))):
        members = np.flatnonzero((values["optimizer"] == optimizer) & (kept.form.kept.of_cell == problem))
        for begin in range(0, len(members), BLOCK):
            _write_cells(kept, members[begin : begin + BLOCK], optimizer, several, out, to)
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["file", *values])
    columns = zip(*(column.tolist() for column in values.values()), strict=True)
    writer.writerows([_file_name(number, to), *row] for number, row in enumerate(columns))
    write_whole(out / "cells.csv", rows.getvalue().encode())
    return out


def _write_cells(kept: KeptCells, numbers: np.ndarray, optimizer: str, several: bool, out: Path, to: str) -> None:
    """Write the files of some cells with one optimizer and one problem.

    Args:
      kept: the cells of the result.
      numbers: of these cells.
      optimizer: of these cells.
      several: True if the arrays have an axis of epochs.
      out: the folder.
      to: the format.
    """
    at = list(range(len(kept.epochs)))
    blocks = _named("params", kept.params_of(numbers), kept.arrays(numbers, "params", at))
    if kept.study.keep_state:
        blocks |= _named(f"state/{optimizer}", kept.state_leaves(numbers), kept.arrays(numbers, "state", at))
    for row, number in enumerate(numbers):
        arrays = {name: array[row] if several else array[row, 0] for name, array in blocks.items()}
        axes = {name: column[number] for name, column in kept.own.values.items()}
        axes |= {"epoch": np.asarray(kept.epochs)} if several else {}
        content = _Content(arrays, ["epoch"] if several else [], axes, kept.study.resolved())
        write_whole(out / _file_name(int(number), to), _packed(content, to))


def _file_name(number: int, to: str) -> str:
    return f"{number:06d}.{to}"


def _check_library(to: str) -> None:
    if to == "safetensors":
        need("safetensors")


def _named(prefix: str, leaves: Leaves, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays by the paths of their leaves; a pytree that is a single array has no path."""
    return {
        f"{prefix}/{leaf.path}" if leaf.path else prefix: np.ascontiguousarray(array.astype(leaf.stored, copy=False))
        for leaf, array in zip(leaves, arrays, strict=True)
    }


def _packed(content: _Content, to: str) -> bytes:
    """Return the bytes of a file."""
    study = json.dumps(content.study)
    if to == "npz":
        about: dict[str, Any] = {"dims": np.asarray(content.dims, dtype=np.str_), "study": np.asarray(study)}
        about |= {f"axis/{name}": np.asarray(values) for name, values in content.axes.items()}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **content.arrays, **about)
        return buffer.getvalue()
    from safetensors.numpy import save  # noqa: PLC0415, an extra

    axes = {name: np.asarray(values).tolist() for name, values in content.axes.items()}
    about = {"dims": json.dumps(content.dims), "axes": json.dumps(axes), "study": study}
    return save(dict(content.arrays), metadata=about)
