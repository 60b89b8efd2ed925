"""`jaxsgd plot`: figures of a result."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import Writer, check_output_folder, make_console, missing_cells, to_json, working
from jaxsgd.error import InputError, no_such

OPTIONS = {
    "grid": ("rows", "columns", "eval_interval"),
    "heatmap": ("x", "y", "value"),
    "curves": ("by", "value"),
    "differences": ("reference", "by", "value"),
    "slices": ("x", "by", "value"),
    "scaling": ("target", "by", "value", "noise_scale"),
    "stripe_law": ("sigma",),
}
"""The options that are not for every kind of figure. One without a kind asks for the first that has it."""

ON_REQUEST = ("scaling", "stripe_law")
"""The kinds that are drawn only when they are asked for, by name or by an option."""


def plot(
    result: Annotated[Path, typer.Argument(help="A result folder.")],
    kind: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(OPTIONS)}; may be given again.", show_default="all that suit and need no target"),
    ] = None,
    select: Annotated[
        list[str] | None, typer.Option(metavar="AXIS=VALUE", help="Show this value of an axis; may be given again.")
    ] = None,
    rows: Annotated[str | None, typer.Option(help="grid: axis of the rows.", show_default="batch_count")] = None,
    columns: Annotated[str | None, typer.Option(help="grid: axis of the columns.", show_default="order")] = None,
    eval_interval: Annotated[int | None, typer.Option(help="grid: batches per window.", show_default="the study's")] = None,
    by: Annotated[
        str | None,
        typer.Option(help="curves, differences, slices: axis of the lines.", show_default="the longest; order; optimizer"),
    ] = None,
    x: Annotated[str | None, typer.Option(help="heatmap, slices: axis across.", show_default="learning_rate")] = None,
    y: Annotated[str | None, typer.Option(help="heatmap: axis up.", show_default="batch_count")] = None,
    value: Annotated[
        str | None,
        typer.Option(
            help="What all but grids show: distance, ...; heatmap, slices: stripe_index, ...",
            show_default="validation_loss, or loss_epoch where there is none",
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="differences: what the others are compared with.", show_default="the first")
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="scaling: steps to this loss at each batch count.", show_default="no scaling figure")
    ] = None,
    noise_scale: Annotated[
        float | None, typer.Option(help="scaling: a gradient noise scale to draw beside the critical batch size.")
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(help="stripe_law: standard deviation of a single sample's loss.", show_default="fitted")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the figures.", show_default="RESULT/figures")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Draw a result: stripes, curves, the final loss (map, slices), differences, steps to a target. Nothing is run again.

    Axes that a figure has no place for must be selected down to one value: --select learning_rate=0.01.
    """
    given = {"rows": rows, "columns": columns, "eval_interval": eval_interval, "by": by, "x": x, "y": y, "value": value}
    given |= {"reference": reference, "target": target, "noise_scale": noise_scale, "sigma": sigma}
    options = {name: chosen for name, chosen in given.items() if chosen is not None}
    kinds = _kinds(kind or [], options)
    selection = _selection(select or [])
    folder = result / "figures" if out is None else out

    from jaxsgd.results.load import load

    with working("reading the result"):
        ds = load(result)
    check_output_folder(folder)
    console = make_console(quiet=as_json)
    titles, notes = _draw(ds, kinds, options, selection, Writer(console, folder))
    for left_out, reason in notes.items():
        console.print(f"no {left_out}: {reason}", markup=False, soft_wrap=True)
    missing = ds.attrs["missing_cells"]
    if missing:
        console.print(missing_cells(missing), markup=False, soft_wrap=True)
    if as_json:
        report = {
            "command": "plot",
            "result": str(result),
            "figures": [
                {"kind": name, "title": title, "files": [str(folder / file) for file in files]} for name, files, title in titles
            ],
            "not_drawn": notes,
            "missing_cells": missing,
        }
        typer.echo(to_json(report))


def _kinds(asked: Sequence[str], options: dict[str, Any]) -> list[str]:
    """The kinds to draw: those asked for, or those that the options are for; none for all that suit.

    Raises:
      InputError: for an unknown kind, or an option of another kind than those asked for.
    """
    for name in asked:
        if name not in OPTIONS:
            raise no_such("kind", name, OPTIONS)
    owners = {option: [kind for kind, own in OPTIONS.items() if option in own] for option in options}
    for option, kinds in owners.items():
        if asked and not set(kinds) & set(asked):
            these = " or ".join(kinds)
            raise InputError(f"--{option.replace('_', '-')} is for --kind {these}, got --kind {' --kind '.join(asked)}")
    if "scaling" in asked and "target" not in options:
        raise InputError("--kind scaling needs --target: the loss to reach, such as --target 0.2 (jaxsgd measure names one)")
    # Those that suit all options, so that --by order --reference fixed is one figure.
    common = [kind for kind, own in OPTIONS.items() if options and set(options) <= set(own)]
    return list(dict.fromkeys(asked or common[:1] or [kinds[0] for kinds in owners.values()]))


def _selection(texts: Sequence[str]) -> dict[str, list[str]]:
    """The values to show by axis.

    Raises:
      InputError: for text without an equals sign.
    """
    chosen: dict[str, list[str]] = {}
    for text in texts:
        axis, sign, value = (part.strip() for part in text.partition("="))
        if not (axis and sign and value):
            raise InputError(f"--select {text}: must be AXIS=VALUE, such as learning_rate=0.01")
        chosen.setdefault(axis, []).append(value)
    return chosen


def _draw(
    ds: Any, kinds: list[str], options: dict[str, Any], selection: dict[str, list[str]], writer: Writer
) -> tuple[list[tuple[str, list[str], str]], dict[str, str]]:
    """Draws and writes one figure after another. Returns kind, file names and title of each, and why a kind was not drawn."""
    from jaxsgd.plot.axis import open_axes, selected
    from jaxsgd.plot.curves import curves
    from jaxsgd.plot.differences import differences
    from jaxsgd.plot.grid import grid
    from jaxsgd.plot.heatmap import heatmap
    from jaxsgd.plot.scaling import scaling
    from jaxsgd.plot.slices import slices
    from jaxsgd.plot.stripe_law import stripe_law
    from jaxsgd.plot.style import figure_file

    draw: dict[str, Callable[..., Any]] = {"grid": grid, "curves": curves, "heatmap": heatmap, "differences": differences}
    draw |= {"slices": slices, "scaling": scaling, "stripe_law": stripe_law}
    # A wrong selection is no reason to leave a kind out.
    shown = selected(ds, selection)
    titles: list[tuple[str, list[str], str]] = []
    notes: dict[str, str] = {}
    for kind in kinds or [name for name in draw if name not in ON_REQUEST]:
        own = {name: value for name, value in options.items() if name in OPTIONS[kind]}
        if not kinds and kind == "heatmap" and len(open_axes(shown)) < 2:
            notes[kind] = "it needs two axes with several values"
            continue
        with working(f"drawing {kind}"):
            try:
                figure = draw[kind](ds, select=selection, **own)
            except InputError as error:
                if kinds:
                    raise
                notes[kind] = str(error)
                continue
            stem = _file_name(kind, own, selection)
            files: dict[str, bytes | str] = {f"{stem}.{suffix}": figure_file(figure, suffix) for suffix in ("png", "svg")}
        writer.write(files)
        titles.append((kind, list(files), figure.texts[0].get_text()))
    if not titles:
        raise InputError(f"nothing to draw: {'; '.join(notes.values())}")
    return titles, notes


def _file_name(kind: str, own: dict[str, Any], selection: dict[str, list[str]]) -> str:
    """A name that says what is in the figure, so that another selection does not replace it."""
    parts = [kind, *(f"{name}={value}" for name, value in own.items())]
    parts += [f"{axis}={','.join(values)}" for axis, values in selection.items()]
    return re.sub(r"[^\w.,=+-]+", "-", "_".join(parts))[:120].rstrip(".")
