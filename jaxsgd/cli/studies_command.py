"""`jaxsgd studies`: the studies that come with the package."""

from typing import Annotated

import typer

from jaxsgd.cli.output import make_console, to_json


def studies(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """List the studies that come with the package. Run a study with `jaxsgd run NAME`, or copy its file and change it."""
    from jaxsgd.study.shipped import question, shipped

    listed = {name: {"question": question(path), "file": str(path)} for name, path in shipped().items()}
    if as_json:
        typer.echo(to_json(listed))
        return
    console = make_console(quiet=False)
    width = max(map(len, listed), default=0)
    for name, study in listed.items():
        console.print(f"{name:<{width}} {study['question']}", soft_wrap=True)
        console.print(f"{'':<{width}} {study['file']}", soft_wrap=True, style="dim")
