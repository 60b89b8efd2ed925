"""The repository defines nothing that nothing but tests uses: read off its source, so that a thing left behind is named."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("jaxsgd", "benchmarks", "tools")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py*") if path.suffix in (".py", ".pyi"))
SOURCES = {path: path.read_text() for path in FILES}
WORDS = Counter(word for source in SOURCES.values() for word in re.findall(r"\w+", source))
MODULES = [path for path in SOURCES if path.suffix == ".py"]


def defined(tree):
    """The functions, classes and constants of a module, by name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        for target in targets:
            yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def unused_parameters(tree):
    """Parameters of private functions with no use in their body; a public function, or one handed on, may have to take them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_") and not node.name.endswith("__"):
            used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            yield from (f"{node.name}({arg.arg})" for arg in node.args.args + node.args.kwonlyargs if arg.arg not in used)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_of_a_module_is_used_somewhere(path):
    names = [name for name in defined(ast.parse(SOURCES[path])) if not name.startswith("__")]
    assert [name for name in names if WORDS[name] < 2] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_parameter_of_a_private_function_is_used(path):
    methods = ("self", "cls", "_")
    assert [text for text in unused_parameters(ast.parse(SOURCES[path])) if text.split("(")[1][:-1] not in methods] == []


def test_what_is_left_behind_would_be_named():
    tree = ast.parse("LEFT = 1\ndef _f(a, b):\n    return a\n")
    assert list(defined(tree)) == ["LEFT", "_f"]
    assert list(unused_parameters(tree)) == ["_f(b)"]
