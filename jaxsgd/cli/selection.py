"""`--select AXIS=VALUE`: the part of a result that a command works on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxsgd.error import InputError

if TYPE_CHECKING:
    import xarray as xr


def load_selected(folder: Path, texts: Sequence[str] | None) -> "xr.Dataset":
    """Return the part of a stored result that texts such as "learning_rate=0.01" select; all of it without a text.

    Raises:
      InputError: for what is no result, and for an axis or a value that it does not have.
    """
    from jaxsgd.results.axes import selected
    from jaxsgd.results.load import load

    return selected(load(folder), read_selection(texts or []))


def read_selection(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return the values to show by axis.

    Raises:
      InputError: for text without an equals sign.
    """
    chosen: dict[str, list[str]] = {}
    for text in texts:
        axis, sign, value = (part.strip() for part in text.partition("="))
        if not (axis and sign and value):
            raise InputError(f"--select {text}: must be AXIS=VALUE, such as learning_rate=0.01")
        chosen.setdefault(axis, []).append(value)
    return chosen
