"""`jaxsgd bench`: the simulator's speed on this machine, as ratios within one interleaved run."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import make_console, plain_table, to_json, working
from jaxsgd.cli.runtime import start_jax

PARTS = {
    "peers": "against loops and scripts that do the same runs, and against a floor",
    "runs": "against the fastest of these over the number of runs",
    "widths": "the plan's widths against others",
    "counts": "a sweep over batch counts against a sweep for each of them",
    "start": "the first and the second start of a command",
    "scale": "time, memory and storing over the number of short runs",
}


def bench(
    context: typer.Context,
    part: Annotated[str, typer.Argument(help=f"One of {', '.join(PARTS)}.")] = "peers",
    runs: Annotated[int, typer.Option(min=1, help="peers, widths, counts: runs of the article's network.")] = 8,
    epochs: Annotated[int, typer.Option(min=1, help="peers, widths, counts: epochs of a run.")] = 20,
    few: Annotated[int, typer.Option(min=1, help="Runs that a peer does which goes through them one by one.")] = 2,
    hidden: Annotated[int, typer.Option(min=1, help="Units of the network's hidden layer.")] = 1000,
    repeats: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Time the simulator side by side with what people use in its place, on this machine; compiling is not counted.

    Everything is timed in turn, round after round, and compared within its round: only the ratios mean anything on a machine
    that does other work too. Each peer is checked first to give the same losses.
    """
    from jaxsgd.error import no_such

    if part not in PARTS:
        raise no_such("part", part, PARTS)
    start_jax(context)
    how: dict[str, Any] = {"runs": runs, "epochs": epochs, "few": few, "hidden": hidden, "repeats": repeats}
    console = make_console(quiet=as_json)
    with working(f"timing {PARTS[part]}"):
        rows, notes = _timed(part, how)
    report = {"command": "bench", "part": part, **how, "rows": [_flat(row) for row in rows], "notes": notes}
    if as_json:
        typer.echo(to_json(report))
    for table in _tables(part, rows):
        console.print(table)
    for note in notes:
        console.print(f"- {note}", markup=False, soft_wrap=True)


def _timed(part: str, how: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """The rows of a part, and what to say below them."""
    from jaxsgd.speed.fresh_process import start_seconds
    from jaxsgd.speed.peer import OURS, PEERS
    from jaxsgd.speed.side_by_side import beside_peers, mixed_counts, over_runs
    from jaxsgd.speed.workload import Workload

    few, repeats = how["few"], how["repeats"]
    workload = Workload(how["runs"], how["epochs"], num_hidden=how["hidden"])
    if part == "peers":
        left_out = [peer for peer in PEERS.values() if not peer.is_there]
        notes = [f"{peer.words}: left out, for {peer.needs} is not installed" for peer in left_out]
        return beside_peers(workload, list(PEERS), few=few, repeats=repeats), notes
    if part == "runs":
        names = ["jit_step", "jit_run", "jit_vmap"]
        rows = over_runs((1, 2, 8, 64, 512), names, steps=20_000, few=few, repeats=repeats, num_hidden=how["hidden"])
        groups = dict.fromkeys(row.group for row in rows)
        best = {
            name: min((r for r in rows if r.group == name and r.name != OURS), key=lambda r: r.ratio.median) for name in groups
        }
        return rows, [
            f"{name}: the fastest peer ({row.name}) takes {row.ratio.median:.2f} times as long" for name, row in best.items()
        ]
    if part == "widths":
        rows = _widths(workload, repeats)
        best = {
            name: min((r for r in rows if r.group == name), key=lambda r: r.ratio.median)
            for name in dict.fromkeys(r.group for r in rows)
        }
        return rows, [
            f"{name}: the best of all ({row.name}) takes {row.ratio.median:.2f} times what is chosen"
            for name, row in best.items()
        ]
    if part == "counts":
        return mixed_counts(workload.study(batch_counts=[1, 2, 5, 10, 20, 50]), repeats=repeats), []
    if part == "start":
        taken = start_seconds(["article", "--quick"], 1 + repeats)
        again = sorted(taken[1:])
        middle = again[len(again) // 2]
        said = f"jaxsgd article --quick: {taken[0]:.1f} s at first, {middle:.1f} s from the second start on"
        return [], [f"{said} ({again[0]:.1f} to {again[-1]:.1f})"]
    return [], _scale(repeats)


def _widths(workload: Any, repeats: int) -> list[Any]:
    from jaxsgd.engine.study import Study
    from jaxsgd.speed.side_by_side import over_widths

    common: dict[str, Any] = {"seeds": range(workload.runs), "orders": ["reshuffle"], "learning_rates": [1e-3]}
    small = {"problem": "least_squares", "problem_args": {"num_samples": 100, "num_inputs": 10}}
    middle = {"problem": "square_regression", "problem_args": {"num_samples": 1000, "num_hidden": 50}}
    how: dict[str, Any] = {"lanes": (1, 2, 4, 8, 16, 32), "repeats": repeats}
    widths = sorted({max(1, workload.runs // 2), workload.runs})
    return [
        *over_widths(workload.study(), f"H = {workload.num_hidden}", widths=widths, **how),
        *over_widths(
            Study(**{**common, **middle, "batch_counts": [10], "epochs": 5 * workload.epochs}), "H = 50", widths=widths, **how
        ),
        *over_widths(
            Study(**{**common, **small, "batch_counts": [10], "epochs": 50 * workload.epochs}),
            "least squares",
            widths=widths,
            **how,
        ),
    ]


def _scale(repeats: int) -> list[str]:
    from statistics import median

    from jaxsgd.speed.fresh_process import many_runs

    counts = (1_000, 10_000, 100_000)
    found = many_runs(counts, repeats)
    notes = []
    for runs in counts:
        own = [each for each in found if each.runs == runs]
        each_run = sorted(one.seconds / runs * 1e3 for one in own)
        share = median(one.store_seconds / one.seconds for one in own)
        notes.append(
            f"{runs:,} runs: {median(each_run):.3f} ms a run ({each_run[0]:.3f} to {each_run[-1]:.3f}), storing "
            f"{100 * share:.2g} % of it, memory at most {max(one.peak_bytes for one in own) / 2**20:,.0f} MiB, "
            f"result {own[0].result_bytes / 2**20:.1f} MiB"
        )
    return notes


def _flat(row: Any) -> dict[str, Any]:
    return {**row._asdict(), "ratio": row.ratio._asdict()}


def _tables(part: str, rows: Sequence[Any]):
    for group in dict.fromkeys(row.group for row in rows):
        table = plain_table((group,), ("ms a run and epoch", "least to greatest", "times as long", "least to greatest"))
        for row in rows:
            if row.group == group:
                spread = f"{row.low:.3g} to {row.high:.3g}"
                ratios = f"{row.ratio.low:.2f} to {row.ratio.high:.2f}"
                table.add_row(row.name, f"{row.milliseconds:.3g}", spread, f"{row.ratio.median:.2f}", ratios)
        yield table
