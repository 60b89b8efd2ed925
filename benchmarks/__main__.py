"""`python -m benchmarks`: the simulator's speed on this machine, as ratios within one interleaved run."""

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import click
import typer
from rich.table import Table

from benchmarks import report
from benchmarks.round import Ratio
from benchmarks.timing_row import Row
from benchmarks.user_problem import USER_PROBLEMS
from jaxsgd.cli.output import make_console, plain_table, to_json, working
from jaxsgd.engine.program_folder import keep_programs
from jaxsgd.error import InputError, no_such
from jaxsgd.machine import cores, processor

PARTS = {
    "peers": "against loops and scripts that do the same runs, and against a floor",
    "libraries": "the products of a step by each of XLA's libraries",
    "problems": "users' problems against the loops that their users would have written",
    "runs": "against compiled scripts, over the number of runs",
    "widths": "the plan's widths against others",
    "counts": "a sweep over batch counts against a sweep for each of them",
    "start": "the first and the later starts of a command",
    "scale": "time, memory and storing over the number of short runs",
}
"""What is timed, by name."""


def bench(
    part: Annotated[str, typer.Argument(help="; ".join(f"{name}: {words}" for name, words in PARTS.items()))] = "peers",
    runs: Annotated[int, typer.Option(min=1, help="peers, widths, counts: runs of the article's network.")] = 8,
    epochs: Annotated[int, typer.Option(min=1, help="peers, widths, counts: epochs of a run.")] = 20,
    problem: Annotated[str, typer.Option(help=f"problems: {', '.join(USER_PROBLEMS)}, or all.")] = "all",
    few: Annotated[int, typer.Option(min=1, help="Runs timed for peers that run sequentially.")] = 2,
    hidden: Annotated[int, typer.Option(min=1, help="Units of the network's hidden layer.")] = 1000,
    repeats: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Time the simulator side by side with what people use in its place, on this machine; compiling is not counted.

    Everything is timed in turn, round after round, and compared within its round: only the ratios mean anything on a machine
    that does other work too. Each peer is checked first to give the same losses.
    """
    if part not in PARTS:
        raise no_such("part", part, PARTS)
    keep_programs()
    how = report.Settings(runs=runs, epochs=epochs, few=few, hidden=hidden, repeats=repeats, problem=problem)
    with working(f"timing {PARTS[part]}"):
        timing = report.PARTS[part](how)
    if as_json:
        rows = [{**row._asdict(), "ratio": row.ratio._asdict(), "cpu": row.cpu and row.cpu._asdict()} for row in timing.rows]
        typer.echo(to_json({"part": part, **how._asdict(), "processor": processor(), "rows": rows, "notes": timing.notes}))
    console = make_console(quiet=as_json)
    for table in _tables(timing.rows):
        console.print(table)
    for note in ([] if timing.rows else [f"{cores()} cores of {processor()}"]) + timing.notes:
        console.print(f"- {note}", markup=False, soft_wrap=True)


def _tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Yield a table for each group, with the processor's name above the first."""
    title = f"{cores()} cores of {processor()}"
    for group in dict.fromkeys(row.group for row in rows):
        own = [row for row in rows if row.group == group]
        columns = ["ms a run and epoch", "times as long", *(["times the CPU"] if own[0].cpu else [])]
        table, title = plain_table((group,), columns, title), ""
        for row in own:
            spread = f"{row.low:.3g} to {row.high:.3g}"
            ratios = [_with_spread(item) for item in (row.ratio, row.cpu) if item]
            table.add_row(row.name, f"{row.milliseconds:.3g} ({spread})", *ratios)
        yield table


def _with_spread(item: Ratio) -> str:
    return f"{item.median:.2f} ({item.low:.2f} to {item.high:.2f})"


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 for bad input, which is one line on stderr."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(bench)
    try:
        return app(words, standalone_mode=False, prog_name="python -m benchmarks") or 0
    except InputError as error:
        text = str(error)
    except click.UsageError as error:
        text = error.format_message()
    typer.echo(f"benchmarks: {text}", err=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
