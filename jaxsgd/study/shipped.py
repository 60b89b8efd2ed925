"""The study files that come with the package, read without running them: no JAX and no model is loaded."""

import ast
from pathlib import Path


def shipped() -> dict[str, Path]:
    """Return the study files that come with the package, by bare name."""
    package = Path(__file__).parents[1]
    # In a wheel they lie within the package; in a checkout, editable installs included, beside it.
    folder = next((path for path in (package / "_sweeps", package.parent / "sweeps") if path.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.py"))} if folder else {}


def question(path: Path) -> str:
    """Return the first line of a study file's docstring: the question that it answers."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
