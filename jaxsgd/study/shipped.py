"""The study files that come with the package, read without running them: neither JAX nor the models of a study are loaded."""

import ast
from pathlib import Path


def shipped() -> dict[str, Path]:
    """The study files that come with the package, by bare name."""
    package = Path(__file__).parents[1]
    # In a wheel they lie within the package; in a checkout, editable installs included, beside it.
    folder = next((place for place in (package / "_sweeps", package.parent / "sweeps") if place.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.py"))} if folder else {}


def question(path: Path) -> str:
    """The first line of a study file's docstring: the question it answers."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
