"""`jaxsgd verify`: run a result again and compare."""

from pathlib import Path
from typing import Annotated

import typer

from jaxsgd.cli.output import make_console, to_json, working
from jaxsgd.cli.runtime import start_jax
from jaxsgd.error import CommandFailure, counted

_SHOWN = 10


def verify(
    context: typer.Context,
    result: Annotated[Path, typer.Argument(help="A result folder.")],
    sample: Annotated[int | None, typer.Option(help="Run again only this many cells.", show_default="all")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Run a result's cells again and compare the numbers: bit by bit on the same kind of machine, else within a tolerance.

    Modules of your own that the study names are looked up as by `jaxsgd run`: among installed packages, beside the result and
    in the folder above, and in the current folder.
    """
    start_jax(context)
    from jaxsgd.engine.verify import TOLERANCE
    from jaxsgd.engine.verify import verify as verify_result
    from jaxsgd.study.study_file import look_beside

    look_beside(result)
    with working("running cells again"):
        outcome = verify_result(result, sample, seed)
    if as_json:
        typer.echo(
            to_json(outcome._asdict() | {"differences": [d._asdict() for d in outcome.differences], "passed": outcome.passed})
        )
    console = make_console(quiet=as_json)
    how = "bit by bit" if outcome.bitwise else f"within {TOLERANCE:g} (not bit by bit: {outcome.reason})"
    for difference in outcome.differences[:_SHOWN]:
        console.print(
            f"differs: {difference.cell}: {difference.what}, relative difference {difference.relative:.1e}",
            soft_wrap=True,
        )
    for broken in outcome.broken:
        console.print(f"damaged: {broken}", soft_wrap=True)
    failures = [
        (outcome.other_samples, f"the samples are not those of the result ({outcome.other_samples})"),
        (outcome.differences, f"cells that differ: {len(outcome.differences)} of {outcome.cells}, compared {how}"),
        (outcome.broken, f"chunks that cannot be read: {len(outcome.broken)}"),
        (outcome.missing, f"cells that are missing: {outcome.missing:,} (run the study again to finish the result)"),
    ]
    if not outcome.passed:
        first = f"; the first: {outcome.differences[0].cell}" if outcome.differences else ""
        raise CommandFailure(f"{result}: " + "; ".join(text for failed, text in failures if failed) + first)
    console.print(
        f"verified: {counted(outcome.cells, 'cell')} run again with the same numbers, compared {how}",
        soft_wrap=True,
    )
