"""`jaxsgd plot`: figures of a result, a subcommand for each kind."""

import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from jaxsgd.cli.figure_options import REQUIRED, FigureOption, figure_options
from jaxsgd.cli.output import Writer, check_output_folder, make_console, missing_cells, to_json, working
from jaxsgd.cli.selection import read_selection
from jaxsgd.error import InputError, no_such
from jaxsgd.plot.kind import KINDS

Result = Annotated[Path, typer.Argument(help="A result folder.")]
Select = Annotated[list[str] | None, typer.Option(metavar="AXIS=VALUE", help="Show this value of an axis; may be given again.")]
AtBest = Annotated[
    str | None,
    typer.Option(
        metavar="AXIS",
        help="Show each setting at its own best value of this axis, such as learning_rate: the one with the lowest median "
        "validation loss, else training loss, at the end. The same seeds choose it and are shown.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder for PNG and SVG files; or the file of a single figure, such as figure.pdf.", show_default="RESULT/figures"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]


class KindGroup(TyperGroup):
    """`all`, and a command for each kind of figure, made when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        return [*super().list_commands(ctx), *KINDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a kind; None for an unknown one."""
        return _kind_command(cmd_name) if cmd_name in KINDS else super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the words begin with, and the other words.

        Raises:
          InputError: for an unknown kind, with the nearest; for a folder, with the command that draws all of it.
        """
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            if Path(name).exists():
                raise InputError(f"name the kind of figure before the folder: jaxsgd plot all {name} draws all that suit it")
            raise no_such("kind", name, self.list_commands(ctx))
        return super().resolve_command(ctx, args)


plot = typer.Typer(
    cls=KindGroup,
    no_args_is_help=True,
    help="Draw figures of a result: one kind, or all kinds that suit it. Nothing is run again.\n\n"
    "Axes that a figure has no place for must be selected down to one value: --select learning_rate=0.01.",
)


def _plot_all(result: Result, select: Select = None, at_best: AtBest = None, out: Out = None, as_json: AsJson = False) -> None:
    """Draw all kinds of figures that suit the result and need no further number, and say why the others do not suit."""
    wanted: dict[str, dict[str, Any]] = {name: {} for name, kind in KINDS.items() if kind.in_all}
    _plot(result, wanted, select, at_best, out, as_json, is_all=True)


plot.command("all")(_plot_all)


def _kind_command(name: str) -> Any:
    """Return the command of one kind, its options made from the figure's function."""
    description, options = figure_options(KINDS[name].function)

    def draw(
        result: Path, select: list[str] | None, at_best: str | None, out: Path | None, as_json: bool, **given: Any
    ) -> None:
        own = {option: value for option, value in given.items() if value is not None}
        _plot(result, {name: own}, select, at_best, out, as_json)

    parameters = [_parameter("result", Result), *map(_option_parameter, options)]
    parameters += [
        _parameter("select", Select, None),
        _parameter("at_best", AtBest, None),
        _parameter("out", Out, None),
        _parameter("as_json", AsJson, False),
    ]
    draw.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    draw.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    single = typer.Typer(add_completion=False)
    single.command(name, help=description)(draw)
    return typer.main.get_command(single)


def _parameter(name: str, annotation: Any, *default: Any) -> inspect.Parameter:
    own = default[0] if default else inspect.Parameter.empty
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=own)


def _option_parameter(option: FigureOption) -> inspect.Parameter:
    """Return the parameter of an option; one that is not given is None, and the function's own default holds."""
    if option.default is REQUIRED:
        return _parameter(option.name, Annotated[option.type, typer.Option(help=option.help)])
    default = False if option.default is None else str(option.default)
    return _parameter(option.name, Annotated[option.type | None, typer.Option(help=option.help, show_default=default)], None)


def _plot(
    result: Path,
    wanted: Mapping[str, Mapping[str, Any]],
    select: Sequence[str] | None,
    at_best: str | None,
    out: Path | None,
    as_json: bool,
    is_all: bool = False,
) -> None:
    """Draw the wanted kinds, each with its options, and write them."""
    selection = read_selection(select or [])
    out = result / "figures" if out is None else out
    file = out if _names_a_file(out) else None
    if file and is_all:
        raise InputError(
            f"--out {out}: all figures need a folder, and one figure its kind: jaxsgd plot curves {result} --out {out}"
        )
    folder = out if file is None else out.parent

    from jaxsgd.results.load import load

    with working("reading the result"):
        ds = load(result)
    check_output_folder(folder, file)
    tuned = {}
    if at_best is not None:
        from jaxsgd.analysis.best import tune
        from jaxsgd.results.axes import selected

        among = {at_best: selection.pop(at_best)} if at_best in selection else {}
        ds = tune(selected(ds, among), 0, tune=at_best)
        tuned = {"at_best": at_best} | {axis: ",".join(values) for axis, values in among.items()}
    console = make_console(quiet=as_json)
    titles, notes = _draw(ds, wanted, selection, tuned, Writer(console, folder), is_all, file)
    for left_out, reason in notes.items():
        console.print(f"no {left_out}: {reason}", soft_wrap=True)
    missing = ds.attrs["missing_cells"]
    if missing:
        console.print(missing_cells(missing), soft_wrap=True)
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


def _draw(
    ds: Any,
    wanted: Mapping[str, Mapping[str, Any]],
    selection: dict[str, list[str]],
    tuned: dict[str, str],
    writer: Writer,
    is_all: bool,
    file: Path | None,
) -> tuple[list[tuple[str, list[str], str]], dict[str, str]]:
    """Draw and write one figure after another.

    Args:
      ds: the result.
      wanted: the kinds, each with its options.
      selection: the values of axes that are shown.
      tuned: a part of the files' names.
      writer: writes the files.
      is_all: True if a kind that does not suit the result is left out.
      file: of a single figure; None for a file of each usual kind, with a name that says what is in it.

    Returns:
      Kind, file names and title of each; and why a kind was not drawn, which is an error unless `is_all`.
    """
    from jaxsgd.plot.axis import open_axes
    from jaxsgd.plot.style import figure_file
    from jaxsgd.results.axes import selected

    # A wrong selection is no reason to leave a kind out.
    shown = selected(ds, selection)
    titles: list[tuple[str, list[str], str]] = []
    notes: dict[str, str] = {}
    for name, own in wanted.items():
        kind = KINDS[name]
        if is_all and len(open_axes(shown)) < kind.least_axes:
            notes[name] = f"it needs {kind.least_axes} axes with several values"
            continue
        with working(f"drawing {name}"):
            try:
                figure = _function(kind.function)(ds, select=selection, **own)
            except InputError as error:
                if not is_all:
                    raise
                notes[name] = str(error)
                continue
            stem = _file_name(kind.file, {**own, **tuned}, selection)
            names = [f"{stem}.png", f"{stem}.svg"] if file is None else [file.name]
            files: dict[str, bytes | str] = {name: figure_file(figure, Path(name).suffix[1:].lower()) for name in names}
        writer.write(files)
        titles.append((name, list(files), figure.texts[0].get_text()))
    if not titles:
        raise InputError(f"nothing to draw: {'; '.join(notes.values())}")
    return titles, notes


def _names_a_file(out: Path) -> bool:
    """Return True if a path is that of a figure's file, by its ending; a folder may have such a name too.

    Raises:
      InputError: for the ending of another kind of picture.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    from jaxsgd.plot.style import FILE_KINDS

    ending = out.suffix[1:].lower()
    if out.is_dir() or ending not in FigureCanvasBase.get_supported_filetypes():
        return False
    if ending not in FILE_KINDS:
        raise InputError(f"--out {out}: a figure's file ends in .{', .'.join(FILE_KINDS)}")
    return True


def _function(pointer: str) -> Callable[..., Any]:
    module, _, name = pointer.partition(":")
    return getattr(importlib.import_module(module), name)


def _file_name(file: str, own: Mapping[str, Any], selection: dict[str, list[str]]) -> str:
    """Return a name that says what is in the figure, so that another selection does not replace it."""
    parts = [file, *(f"{name}={value}" for name, value in own.items())]
    parts += [f"{axis}={','.join(values)}" for axis, values in selection.items()]
    return re.sub(r"[^\w.,=+-]+", "-", "_".join(parts))[:120].rstrip(".")
