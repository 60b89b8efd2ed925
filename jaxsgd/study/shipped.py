"""The study files that come with the package, read without running them: no JAX and no model is loaded."""

import ast
from pathlib import Path

from jaxsgd.error import InputError


def shipped() -> dict[str, Path]:
    """Return the study files that come with the package, by name, with the folder: "orders", "published/edge_of_stability"."""
    package = Path(__file__).parents[1]
    # In a wheel they lie within the package; in a checkout, editable installs included, beside it.
    folder = next((path for path in (package / "_sweeps", package.parent / "sweeps") if path.is_dir()), None)
    files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.py")} if folder else {}
    return dict(sorted(files.items()))


def question(path: Path) -> str:
    """Return the first line of a study file's docstring: the question that it answers; "" for a file without one, and for JSON.

    Raises:
      InputError: for a file that is no Python.
    """
    if path.suffix != ".py":
        return ""
    try:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as Python: {error}") from None
    return text.partition("\n")[0]
