"""`jaxsgd plot`: figures of a result as files, and mistakes in one line."""

import importlib
import inspect
import json
import shutil

import numpy as np
import pytest

import jaxsgd
from jaxsgd.cli.errors import run_app
from jaxsgd.cli.figure_options import REQUIRED, figure_options
from jaxsgd.plot.kind import KINDS, Kind
from jaxsgd.plot.style import slide
from tests.plot.results import stored

# Typer hands out other types than its annotations say.
pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture
def result(tmp_path, monkeypatch, tmp_path_factory, worker_id):
    """The current folder holds `result`: batch losses of six batch counts in four orders."""
    shutil.copytree(stored("striped", tmp_path_factory, worker_id), tmp_path / "result")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "result"


@pytest.fixture
def averaged(tmp_path, monkeypatch, tmp_path_factory, worker_id):
    """The current folder holds `result`: epoch means alone, of two batch sizes and two zipped rates."""
    shutil.copytree(stored("apart", tmp_path_factory, worker_id), tmp_path / "result")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "result"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_all_kinds_that_suit_are_written_into_the_result(result, capsys):
    orders = "order=fixed,reshuffle"
    assert run_app(["plot", "all", "result", "--select", "order=fixed", "--select", "order=reshuffle"]) == 0
    expected = [f"{kind}_{orders}.{suffix}" for kind in ("curves", "grid", "heatmap") for suffix in ("png", "svg")]
    assert names(result / "figures") == expected
    *wrote, unlike, unsearched = capsys.readouterr().out.splitlines()
    assert sorted(wrote) == [f"wrote result/figures/{name}" for name in expected]
    assert unlike.startswith(
        "no differences: the figure of differences has room for 4 values of one other axis, but batch_count"
    )
    assert unsearched.startswith("no slices: slices need a searched axis of numbers")


def test_files_are_png_of_slide_size_and_svg(result):
    assert run_app(["plot", "grid", "result", "--select", "order=fixed", "--out", "pictures"]) == 0
    assert names(result.parent / "pictures") == ["grid_order=fixed.png", "grid_order=fixed.svg"]
    png = (result.parent / "pictures/grid_order=fixed.png").read_bytes()
    # The header of a PNG holds width and height in bytes 16 to 24: 12 inches at 160 dots per inch, a slide; six rows of panels
    # with a heading each need 8.4 inches, more than the 6.75 of a slide.
    assert np.frombuffer(png[16:24], ">u4").tolist() == [1920, 1344]
    assert b"<svg" in (result.parent / "pictures/grid_order=fixed.svg").read_bytes()


@pytest.mark.parametrize(("name", "begins"), [("one.pdf", b"%PDF-"), ("one.PNG", b"\x89PNG"), ("new/one.svg", b"<?xml")])
def test_a_single_figure_is_written_to_the_file_that_is_named_with_the_same_bytes_each_time(name, begins, result, capsys):
    file, contents = result.parent / name, []
    for _ in range(2):
        assert run_app(["plot", "curves", "result", "--axis", "order", "--select", "batch_count=5", "--out", name]) == 0
        contents.append(file.read_bytes())
    assert contents[0].startswith(begins)
    assert contents[0] == contents[1]
    assert f"wrote {name}" in capsys.readouterr().out


def test_nothing_is_compiled(result):
    import jax

    compiled = []

    def listen(event, duration, **_):
        if "compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        assert run_app(["plot", "curves", "result", "--select", "order=fixed"]) == 0
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []


def test_json_is_the_one_thing_on_stdout(result, capsys):
    words = ["--select", "order=fixed", "--select", "batch_count=20", "--json"]
    assert run_app(["plot", "all", "result", *words]) == 0
    payload = json.loads(capsys.readouterr().out)
    grid, curves = payload["figures"]
    assert (grid["kind"], curves["kind"]) == ("grid", "curves")
    assert grid["title"] == "The printed loss splits into stripes (stripe index 1.00)"
    assert grid["files"] == [f"result/figures/grid_order=fixed_batch_count=20.{suffix}" for suffix in ("png", "svg")]
    assert set(payload["not_drawn"]) == {"heatmap", "differences", "slices"}
    assert payload["not_drawn"]["heatmap"] == "it needs 2 axes with several values"
    assert (payload["command"], payload["missing_cells"]) == ("plot", 0)


def test_another_selection_does_not_replace_the_first(result):
    for order in ("fixed", "reshuffle"):
        assert run_app(["plot", "curves", "result", "--select", f"order={order}", "--select", "batch_count=20"]) == 0
    assert names(result / "figures") == [
        f"curves_order={order}_batch_count=20.{suffix}" for order in ("fixed", "reshuffle") for suffix in ("png", "svg")
    ]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["curves", "--axis", "order", "--select", "batch_count=20"], "curves_axis=order_batch_count=20"),
        (
            ["grid", "--rows", "order", "--columns", "batch_size", "--select", "batch_size=20"],
            "grid_rows=order_columns=batch_size_batch_size=20",
        ),
        (["grid", "--eval-interval", "10", "--select", "batch_count=20"], "grid_eval_interval=10_batch_count=20"),
        (["heatmap", "--metric", "stripe_index"], "heatmap_metric=stripe_index"),
        (
            ["differences", "--reference", "reshuffle", "--axis", "order", "--select", "batch_count=5"],
            "differences_axis=order_reference=reshuffle_batch_count=5",
        ),
        (
            ["grid", "--select", "order=fixed", "--select", "order=reshuffle", "--select", "batch_count=20"],
            "grid_order=fixed,reshuffle_batch_count=20",
        ),
        (["stripe_law", "--sigma", "0.2"], "stripe_law_sigma=0.2"),
        (["scaling", "--target", "2.349", "--select", "order=fixed"], "scaling_target=2.349_order=fixed"),
    ],
)
def test_each_kind_has_the_options_of_its_function(result, words, name):
    kind, *options = words
    assert run_app(["plot", kind, "result", *options]) == 0
    assert names(result / "figures") == [f"{name}.png", f"{name}.svg"]


def test_at_best_shows_each_setting_at_its_own_best_value_of_an_axis(result, capsys):
    words = ["plot", "curves", "result", "--axis", "batch_count", "--at-best", "order", "--json"]
    assert run_app([*words, "--select", "order=fixed", "--select", "order=reshuffle", "--select", "batch_count=20"]) == 0
    stem = "curves_axis=batch_count_at_best=order_order=fixed,reshuffle_batch_count=20"
    assert names(result / "figures") == [f"{stem}.png", f"{stem}.svg"]
    assert "each at its best order" in (result / "figures" / f"{stem}.svg").read_text()
    (drawn,) = json.loads(capsys.readouterr().out)["figures"]
    tuned = jaxsgd.tune(jaxsgd.load(result).sel(order=["fixed", "reshuffle"], batch_count=[20]), 0, tune="order")
    assert drawn["title"] == jaxsgd.plot.curves(tuned, "batch_count").texts[0].get_text()
    assert run_app(["plot", "curves", "result", "--at-best", "ordre"]) == 2
    assert "unknown axis 'ordre': did you mean 'order'?" in capsys.readouterr().err


@pytest.mark.parametrize(("axis", "other"), [("order", "batch_count"), ("batch_count", "order"), ("batch_size", "order")])
def test_a_figure_whose_usual_axis_is_tuned_away_takes_another_or_says_so(axis, other, result, capsys):
    assert run_app(["plot", "all", "result", "--at-best", axis, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert "curves" in {figure["kind"] for figure in printed["figures"]}
    default = "order" if axis == "order" else "batch_count"
    assert printed["not_drawn"]["grid"] == f"{default} is no axis here, where each setting is at its own best {axis}"
    assert not [reason for reason in printed["not_drawn"].values() if "unknown" in reason]
    # The other axes of this result have one value each.
    assert run_app(["plot", "heatmap", "result", "--at-best", axis]) == 0
    drawn = (result / "figures" / f"heatmap_at_best={axis}.svg").read_text()
    assert other.replace("_", " ") in drawn


def test_what_does_not_suit_is_said(averaged, capsys):
    assert run_app(["plot", "all", "result"]) == 0
    assert names(averaged / "figures") == ["curves.png", "curves.svg", "heatmap.png", "heatmap.svg"]
    assert "no grid: the grid shows every batch's loss: run the study with record='batch'" in capsys.readouterr().out


def test_missing_cells_are_told(result, capsys):
    min((result / "chunks").glob("*.npz")).unlink()
    assert run_app(["plot", "heatmap", "result"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("cells are missing: the study is not finished")


def counted_losses(ds, least: float, bins: int = 5, select=None):
    """Draw how often losses occur.

    Args:
      ds: a result.
      least: loss from which on
        they are counted.
      bins: how many bars there are.
      select: by axis, the value to show.
    """
    figure = slide(f"{bins} bars from {least:g} on", "")
    values = ds.loss_epoch.values.ravel()
    figure.add_axes((0.1, 0.1, 0.8, 0.7)).hist(values[values >= least], bins)
    return figure


def test_a_new_kind_is_one_entry_of_the_table(result, monkeypatch, capsys):
    monkeypatch.setitem(KINDS, "newkind", Kind("tests.cli.test_plot_command:counted_losses", "losses", in_all=False))
    monkeypatch.setenv("COLUMNS", "200")
    assert run_app(["plot", "newkind", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for part in ("Draw how often losses occur.", "Loss from which on they are counted.", "How many bars there are.", "(5)"):
        assert part in shown
    assert run_app(["plot", "newkind", "result", "--least", "1"]) == 0
    assert names(result / "figures") == ["losses_least=1.0.png", "losses_least=1.0.svg"]
    assert run_app(["plot", "--help"]) == 0
    assert "newkind" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_the_options_of_a_kind_are_the_arguments_of_its_function(kind):
    description, options = figure_options(KINDS[kind].function)
    module, _, name = KINDS[kind].function.partition(":")
    function = inspect.unwrap(getattr(importlib.import_module(module), name))
    parameters = inspect.signature(function).parameters
    assert sorted(set(parameters) - {option.name for option in options}) == ["ds", "select"]
    for option in options:
        default = parameters[option.name].default
        assert option.default == (REQUIRED if default is inspect.Parameter.empty else default)
        assert option.help, option.name
    assert inspect.getdoc(function).startswith(description.splitlines()[0][:40])


BAD = [
    (["gird", "result"], "unknown kind 'gird': did you mean 'grid'?"),
    (["grid", "result", "--rows", "ordr"], "unknown axis 'ordr': did you mean 'order'?"),
    (
        ["curves", "result", "--axis", "epoch"],
        "unknown axis 'epoch'",
        "valid: batch_count, batch_size, learning_rate, optimizer, order, seed",
    ),
    (["all", "result", "--select", "order=fixd"], "unknown order 'fixd': did you mean 'fixed'?"),
    (["all", "result", "--select", "batch_count=21"], "no batch_count 21: the nearest are 10, 20 (there are 6)"),
    (["all", "result", "--select", "batch_count=ten"], "batch_count is a number, got 'ten'"),
    (["all", "result", "--select", "fixed"], "--select fixed: must be AXIS=VALUE"),
    (["all", "result", "--select", "lr=1"], "unknown axis 'lr'"),
    (
        ["grid", "result", "--colums", "order"],
        "jaxsgd plot grid has no option --colums: did you mean --columns?",
    ),
    (
        ["grid", "result", "--columns", "optimizer"],
        "order has 4 (fixed, shuffle_once, reshuffle, reshuffle_batches)",
        "order=fixed",
    ),
    (["grid", "result", "--eval-interval", "0"], "eval_interval must be a whole number of at least 1, got 0"),
    (["grid", "result", "--eval-interval", "601"], "eval_interval must be at most 600", "got 601"),
    (["curves", "result", "--metric", "los"], " 'los'", "valid: loss_epoch"),
    (["curves", "result", "--axis", "order", "--metric"], "Option '--metric' requires an argument"),
    (["grid", "result", "--eval-interval", "x"], "Invalid value for '--eval-interval'", "'x'"),
    (["scaling", "result"], "Missing option '--target'"),
    (["all", "nothing"], "nothing: no such folder"),
    (["result"], "jaxsgd plot all result draws all that suit it"),
    (["all", "result/chunks"], "result/chunks: this folder is not a result"),
    (["all", "result", "--out", "file"], "--out file: file is a file"),
    (["all", "result", "--out", "all.pdf"], "all figures need a folder", "jaxsgd plot curves result --out all.pdf"),
    (["grid", "result", "--out", "one.jpg"], "--out one.jpg: a figure's file ends in .png, .svg, .pdf"),
    (["all"], "Missing argument"),
]


@pytest.mark.parametrize(("words", "parts"), [(words, parts) for words, *parts in BAD])
def test_a_mistake_is_one_line_and_leaves_nothing(result, words, parts, capsys):
    (result.parent / "file").write_text("not a folder")
    assert run_app(["plot", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("jaxsgd: ")
    assert shown.err.count("\n") == 1
    for part in parts:
        assert part in shown.err
    assert not (result / "figures").exists()
