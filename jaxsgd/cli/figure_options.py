"""The options of a figure's command, read off its function's source: signature and docstring, without importing it."""

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any, NamedTuple

TYPES = {"str": str, "int": int, "float": float, "bool": bool, "Any": str}
"""By the annotation of an argument, the type of its option."""

REQUIRED = object()
"""The default of an argument without one."""


class FigureOption(NamedTuple):
    """One argument of a figure's function.

    Attributes:
      name: of the argument.
      type: of the option's value.
      default: of the argument; `REQUIRED` without one.
      help: the argument's text in the docstring.
    """

    name: str
    type: type
    default: Any
    help: str


def figure_options(function: str) -> tuple[str, list[FigureOption]]:
    """Return the description of a figure's function and its options.

    Args:
      function: "module:attribute".

    Returns:
      The docstring up to its arguments, a line for each paragraph, and an option for each argument but the first, which is a
      result, and `select`.
    """
    module, _, name = function.partition(":")
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    node = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    description, _, rest = (ast.get_docstring(node) or "").partition("\n\nArgs:\n")
    texts = _argument_texts(rest)
    arguments = [*node.args.posonlyargs, *node.args.args]
    defaults = [None] * (len(arguments) - len(node.args.defaults)) + node.args.defaults + node.args.kw_defaults
    pairs = list(zip([*arguments, *node.args.kwonlyargs], defaults, strict=True))[1:]
    return re.sub(r"(?<!\n)\n(?!\n)", " ", description), [
        FigureOption(
            argument.arg,
            _option_type(argument, function),
            REQUIRED if default is None else ast.literal_eval(default),
            texts.get(argument.arg, ""),
        )
        for argument, default in pairs
        if argument.arg != "select"
    ]


def _argument_texts(text: str) -> dict[str, str]:
    """Return the text of each argument; `text` begins below the line "Args:"."""
    texts: dict[str, str] = {}
    for names, entry in re.findall(r"^  (\w+(?:, \w+)*): (.*(?:\n    .*)*)", text.split("\n\n")[0], re.M):
        words = " ".join(entry.split())
        texts |= dict.fromkeys(names.split(", "), words[:1].upper() + words[1:])
    return texts


def _option_type(argument: ast.arg, function: str) -> type:
    annotation = ast.unparse(argument.annotation) if argument.annotation else "nothing"
    name = annotation.removesuffix(" | None")
    assert name in TYPES, f"{function}: an option for {argument.arg} is one of {', '.join(TYPES)}, got {annotation}"
    return TYPES[name]
