"""A page of the documentation: its fenced blocks, and running them in the order they stand in.

What a fence means on a page:

    ```python        is run; all blocks of a page share their names. If its first line is `# name.py` it is that file instead
    ```text          is what the blocks since the last one printed, to the digits shown
    ```sh            each `jaxsgd` command is run; a block that opens with `# takes ...` is only read, for its options
"""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import typer

TOLERANCE = 0.02
"""Of a printed number, where that is more than two units of its last digit: what rounding may do on another machine."""

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")


class Block(NamedTuple):
    """A fenced block of a page.

    Attributes:
      language: what stands after the opening fence.
      content: what stands between the fences.
      line: of the page, where the content begins.
    """

    language: str
    content: str
    line: int

    @property
    def file_name(self) -> str | None:
        """The file that a block of Python is, if it is one."""
        match = re.match(r"# ([\w-]+\.py)\n", self.content)
        return match[1] if match and self.language == "python" else None

    @property
    def commands(self) -> list[list[str]]:
        """The words of each `jaxsgd` command of a block of shell."""
        lines = self.content.replace("\\\n", " ").splitlines()
        words = [shlex.split(line, comments=True) for line in lines]
        return [line[1:] for line in words if line[:1] == ["jaxsgd"]]

    @property
    def is_only_read(self) -> bool:
        """True if a block of shell says that it takes long."""
        return self.content.startswith("# takes ")


def blocks(text: str, language: str | None = None) -> list[Block]:
    """The fenced blocks of a page, or those in one language."""
    matches = re.finditer(r"^```([^\n`]*)\n(.*?)^```$", text, re.S | re.M)
    fences = [Block(match[1], match[2], text[: match.start(2)].count("\n") + 1) for match in matches]
    return [block for block in fences if language in (None, block.language)]


def links(text: str) -> list[str]:
    """Return the targets of the links and pictures of a page, without those on the page itself."""
    return [target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if target]


def run_page(path: Path, printed: Callable[[], str]) -> dict:
    """Runs a page in the current folder, and holds what it prints to what it says.

    Args:
      path: the page.
      printed: gives what was printed since it was last asked.

    Returns:
      The names that its Python has in the end.
    """
    names: dict = {"__name__": path.stem}
    text = ""
    for block in blocks(path.read_text()):
        place = f"{path.name}, line {block.line}"
        if block.file_name:
            Path(block.file_name).write_text(block.content)
        elif block.language == "python":
            # Empty lines, so that a traceback has the page's own line numbers.
            exec(compile("\n" * (block.line - 1) + block.content, str(path), "exec"), names)
        elif block.language == "sh" and not block.is_only_read:
            for words in block.commands:
                run_command(words, place)
        text += printed()
        if block.language == "text":
            assert same(text, block.content), f"{place}: prints\n{text}"
            text = ""
    return names


def run_command(words: list[str], place: str) -> None:
    """Runs `jaxsgd` with these words, which must succeed."""
    from jaxsgd.cli.errors import run_app

    assert run_app(words) == 0, f"{place}: jaxsgd {shlex.join(words)}: {sys.exc_info()}"


def check_command(words: list[str]) -> None:
    """Reads the words of a `jaxsgd` command as it would itself, and runs nothing.

    Raises:
      Exception: when there is no such command, option or number of arguments.
    """
    from jaxsgd.cli.commands import app

    name, command = "jaxsgd", typer.main.get_command(app)
    while hasattr(command, "get_command"):
        name, *words = words
        command = command.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None, name
    command.make_context(name, words)


def same(printed: str, expected: str) -> bool:
    """Return True if two texts have the same words, and numbers that are equal to rounding."""
    texts = [_NUMBER.sub("#", text).split() for text in (printed, expected)]
    numbers = [_NUMBER.findall(text) for text in (printed, expected)]
    return texts[0] == texts[1] and all(map(_near, *numbers))


def _near(printed: str, stated: str) -> bool:
    value, expected = (float(text.replace(",", "")) for text in (printed, stated))
    mantissa, _, power = stated.partition("e")
    digits = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(power or 0) - digits)
    if not digits and not power:
        return value == expected
    return abs(value - expected) <= max(2 * unit, TOLERANCE * abs(expected)) * (1 + 1e-9)
