"""`jaxsgd compare`: paired differences along an axis, of one result or, each tuned, of several problems."""

from pathlib import Path
from typing import Annotated

import typer

from jaxsgd.cli.output import Writer, check_output_folder, make_console, to_csv, to_json, working, write_files


def compare(
    results: Annotated[list[Path], typer.Argument(help="Result folders, one for each problem.")],
    axis: Annotated[
        str | None,
        typer.Option(help="The axis that is compared.", show_default="optimizer, or the only other axis with several values"),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="The number by which runs are judged: distance, validation_accuracy, ...",
            show_default="validation_loss, else train_loss, else loss_epoch",
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="The value that the others are compared with.", show_default="the first")
    ] = None,
    tuning_seeds: Annotated[
        int,
        typer.Option(
            help="Number of seeds that choose the best --tune of each setting; the others evaluate it. 0: nothing is tuned."
        ),
    ] = 0,
    tune: Annotated[
        str | None, typer.Option(help="The axis that is tuned, with --tuning-seeds.", show_default="learning_rate")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Take the results as a pilot: how many seeds would show these differences?")
    ] = False,
    wanted: Annotated[
        float | None,
        typer.Option(help="The smallest difference that matters to you: how many seeds would show it? Implies --plan."),
    ] = None,
    power: Annotated[
        float, typer.Option(help="With --plan or --rank: probability with which the interval then excludes zero.")
    ] = 0.8,
    rank: Annotated[
        int | None,
        typer.Option(
            help="How many seeds would separate the setting of this rank, 1 for the best, from the next one?",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="The share of problems on which each value is within a factor of the best."),
    ] = False,
    target: Annotated[
        list[float] | None,
        typer.Option(
            help="With --profile: compare the steps to this value of the metric; once for all results, or once for each.",
            show_default="the metric itself",
        ),
    ] = None,
    collapse: Annotated[
        bool, typer.Option("--collapse", help="The factor between the curves of the axis: 1 if they lie on one another.")
    ] = False,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="AXIS=VALUE", help="Compare at this value of another axis only; may be given again."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --profile: folder for its figure.", show_default="no figure")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file too.", show_default="no file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Compare the values of an axis on the same seeds: paired differences with 95 % intervals, ranks, and ties.

    With --tuning-seeds it is a benchmark: every setting at its own best rate on every problem, with the same budget, evaluated
    on seeds that did not choose the rate.

    With --plan or --wanted, the number of seeds that a difference needs; with --rank, the number that a rank needs. With
    --profile, a performance profile.
    """
    from jaxsgd.cli.compare_sections import (
        Comparison,
        collapse_section,
        differences_section,
        plan_section,
        profile_section,
        profiles_of,
        rank_section,
    )
    from jaxsgd.cli.selection import load_selected

    _check_options(len(results), target, out, csv, profile, tune, tuning_seeds)
    with working("reading the results"):
        named = {_name(path, results): load_selected(path, select) for path in results}
    comparison = Comparison.of(named, axis, metric, reference, tuning_seeds, tune or "learning_rate")
    with working("comparing"):
        sections = [differences_section(comparison)]
        if plan or wanted is not None:
            sections.append(plan_section(comparison, wanted, power))
        if rank is not None:
            sections.append(rank_section(comparison, rank, power))
        profiles = profiles_of(comparison, target) if profile else None
        if profiles is not None:
            sections.append(profile_section(profiles))
        if collapse:
            sections.append(collapse_section(comparison))
    if csv:
        write_files(csv.parent, {csv.name: to_csv(sections[0].rows)})
    if as_json:
        about = {"command": "compare", "axis": comparison.axis, "metric": comparison.metric}
        typer.echo(to_json(about | {section.name: section.rows for section in sections} | {"overall_rank": comparison.ranks}))
    console = make_console(quiet=as_json)
    for section in sections:
        section.print(console)
    if out and profiles is not None:
        from jaxsgd.plot.profile import profile_figure
        from jaxsgd.plot.style import figure_file

        figure = profile_figure(profiles)
        Writer(console, out).write({f"profile.{kind}": figure_file(figure, kind) for kind in ("png", "svg")})
    if csv:
        console.print(f"wrote {csv}", soft_wrap=True)


def _check_options(
    count: int,
    target: list[float] | None,
    out: Path | None,
    csv: Path | None,
    profile: bool,
    tune: str | None,
    tuning_seeds: int,
) -> None:
    """Check that the options go together, and that the files can be written.

    Args:
      count: the number of results.
      target, out, csv, profile, tune, tuning_seeds: the options.

    Raises:
      InputError: with the option that does not fit.
    """
    from jaxsgd.error import InputError

    for option, value in (("--target", target), ("--out", out)):
        if value and not profile:
            raise InputError(f"{option} is only for use with --profile")
    if tune and not tuning_seeds:
        raise InputError(f"--tune {tune} needs --tuning-seeds, the number of seeds that choose its best value, such as 4")
    if target and len(target) not in (1, count):
        raise InputError(f"--target is given once, or once for each of the {count} results, got {len(target)}")
    if out:
        check_output_folder(out)
    if csv:
        check_output_folder(csv.parent, csv, "--csv")


def _name(path: Path, results: list[Path]) -> str:
    """Return a result's name: its folder's, or the whole path if two folders have the same name."""
    name = path.resolve().name
    return name if sum(other.resolve().name == name for other in results) == 1 else str(path)
