"""Libraries of extras, which may be missing."""

import importlib
from typing import Any

from jaxsgd.error import InputError


def need(*modules: str, extra: str = "export") -> list[Any]:
    """Return modules of optional libraries.

    Args:
      modules: their names.
      extra: the extra of this package that installs them.

    Raises:
      InputError: for the first that is not installed, with the command that installs it.
    """
    return [_imported(module, extra) for module in modules]


def _imported(module: str, extra: str) -> Any:
    library = module.partition(".")[0]
    try:
        importlib.import_module(library)
        return importlib.import_module(module)
    except ImportError:
        raise InputError(f"this format needs {library}: pip install 'jaxsgd[{extra}]'") from None
