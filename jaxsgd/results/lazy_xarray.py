"""xarray, imported at its first use.

With pandas, which it brings, it loads for half a second of CPU time, about as long as JAX. A command or a worker that only runs
a study needs neither. (`lazy_loader.load` would put the module that is not loaded yet into `sys.modules`, where other packages
meet it.) A module that has `xr` from here begins with `from __future__ import annotations`, which keeps annotations as text.
"""

import importlib
from typing import TYPE_CHECKING, Any


class _Later:
    """A module that is imported when the first of its names is asked for."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)


if TYPE_CHECKING:
    import xarray as xr
else:
    xr = _Later("xarray")
