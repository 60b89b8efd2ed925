"""`jaxsgd verify`: run a result again and compare."""

from pathlib import Path
from typing import Annotated

import typer

from jaxsgd.cli.errors import CommandFailure
from jaxsgd.cli.output import make_console, to_json, working
from jaxsgd.cli.runtime import start_jax
from jaxsgd.error import counted, verb

_SHOWN = 10


def verify(
    context: typer.Context,
    result: Annotated[Path, typer.Argument(help="A result folder.")],
    sample: Annotated[int | None, typer.Option(help="Run again only this many cells.", show_default="all")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Run a result's cells again and compare: bit by bit on a like machine, else within a tolerance.

    A problem of your own is looked up in the current folder, as the study's module:attribute says.
    """
    start_jax(context)
    from jaxsgd.engine.study_file import look_in
    from jaxsgd.engine.verification import TOLERANCE
    from jaxsgd.engine.verification import verify as verify_result

    look_in(Path.cwd())
    with working("running cells again"):
        found = verify_result(result, sample, seed)
    if as_json:
        typer.echo(to_json(found._asdict() | {"differences": [d._asdict() for d in found.differences], "passed": found.passed}))
    console = make_console(quiet=as_json)
    how = "bit by bit" if found.bitwise else f"within {TOLERANCE:g} (not bit by bit: {found.reason})"
    for difference in found.differences[:_SHOWN]:
        console.print(
            f"differs: {difference.cell}: {difference.what} by {difference.relative:.1e}", markup=False, soft_wrap=True
        )
    for broken in found.broken:
        console.print(f"damaged: {broken}", markup=False, soft_wrap=True)
    if not found.passed:
        first = f", the first: {found.differences[0].cell}" if found.differences else ""
        raise CommandFailure(
            f"{result}: {len(found.differences)} of {counted(found.cells, 'cell')} "
            f"{verb(len(found.differences), 'differs', 'differ')}, compared {how}, "
            f"and {counted(len(found.broken), 'chunk')} {verb(len(found.broken))} damaged{first}"
        )
    console.print(f"verified: {counted(found.cells, 'cell')} came out the same, compared {how}", markup=False, soft_wrap=True)
