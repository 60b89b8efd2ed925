"""Names and docstrings in plain English: read off the source, for the folders that are listed here."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CLEAN = ("jaxsgd", "benchmarks", "tools", "tests")
"""Folders in which every name and every docstring follows the rule."""

VAGUE_NAMES = {"each", "found", "held", "made", "one", "said", "say", "there", "told"}
"""Words that do not say what a variable, an argument, a function or a class is."""

QUESTION_WORDS = {"How", "What", "When", "Where", "Whether", "Which", "Why"}
"""Words with which no docstring begins: it begins with a verb, or with a noun for what comes back."""


def vague_names(tree):
    """The vague names that a module gives to something, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler):
            name = node.name
        else:
            continue
        if name in VAGUE_NAMES:
            yield f"line {node.lineno}: {name}"


def questions(tree):
    """The docstrings of a module that begin with a question word, with their first lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            text = ast.get_docstring(node) or ""
            if text.partition(" ")[0].rstrip(":,") in QUESTION_WORDS:
                yield text.partition("\n")[0]


def sources():
    for name in CLEAN:
        path = ROOT / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_names_say_what_they_are_and_docstrings_what_comes_back(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [*vague_names(tree), *questions(tree)] == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("found = 1", 1),
        ("[x for one in range(3)]", 1),
        ("def said(text): pass", 1),
        ("def f(*, told): pass", 1),
        ("class A:\n    held: int", 1),
        ("try:\n    pass\nexcept E as made:\n    pass", 1),
        ("print(found)", 0),  # only the place that gives the name is named
        ("result = found(1)", 0),
        ("foundation = 1", 0),
    ],
)
def test_the_rule_sees_every_way_to_give_a_name(source, count):
    assert len(list(vague_names(ast.parse(source)))) == count


@pytest.mark.parametrize(
    ("text", "count"), [("What is left.", 1), ("Why: it is so.", 1), ("Whatever.", 0), ("Return what is left.", 0), ("", 0)]
)
def test_the_rule_sees_the_first_word_of_a_docstring(text, count):
    assert len(list(questions(ast.parse(f'def f():\n    """{text}"""')))) == count
