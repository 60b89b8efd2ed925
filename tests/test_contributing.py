"""CONTRIBUTING.md against the repository: the modules, functions and tests that it names are there."""

import ast
import re

import pytest

from tests.document import blocks, links


@pytest.fixture(scope="module")
def page(pytestconfig):
    return (pytestconfig.rootpath / "CONTRIBUTING.md").read_text()


def defined(path):
    """The functions, classes, methods, fields and constants of a module: `simulate`, `Folder.write_chunk`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            yield from (ast.unparse(target) for target in (node.targets if isinstance(node, ast.Assign) else [node.target]))
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef))
            yield from (f"{node.name}.{part.target.id}" for part in node.body if isinstance(part, ast.AnnAssign))


def test_every_station_is_there(page, pytestconfig):
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert len(cells) > 20
    for cell in cells:
        path = ""
        for text in re.findall(r"`([^`]+)`", cell):
            new_path, _, name = text.partition(": ") if ".py" in text else ("", "", text)
            path = new_path or path
            file = pytestconfig.rootpath / "jaxsgd" / path
            assert file.is_file(), text
            assert not name or name in defined(file), text


def test_every_test_and_table_that_is_named_is_there(page, pytestconfig):
    named = re.findall(r"`(\w+)` in\s`([\w/]+\.py)`", page)
    named += re.findall(r"an entry of `(\w+)` in\s`([\w/]+\.py)`", page)
    assert len(named) > 8
    for name, path in named:
        assert name in defined(pytestconfig.rootpath / path), (name, path)


def test_links_lead_somewhere(page, pytestconfig):
    for target in links(page):
        assert target.startswith("https://") or (pytestconfig.rootpath / target).exists(), target


def test_the_commands_are_those_of_ci(page, pytestconfig):
    ci = (pytestconfig.rootpath / ".ci" / "run").read_text()
    (first,) = blocks(page, "sh")
    for command in ("ruff check .", "ruff format --check .", "pyright --pythonpath .venv/bin/python"):
        assert command in first.content
        assert command in ci
