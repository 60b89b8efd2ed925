"""JSON, output folders and whole files."""

import io
import json
import math

import numpy as np
import pytest

from jaxsgd.cli.output import Writer, check_output_folder, make_console, plain_table, to_json, write_files
from jaxsgd.cli.table import Section, comparison_table
from jaxsgd.error import InputError


def test_json_has_null_for_what_is_not_finite():
    value = {
        "a": math.nan,
        "b": [math.inf, np.float32(0.5), np.array([1.0, np.nan])],
        "c": (1, True, "x", None),
        "d": np.int64(3),
    }
    assert json.loads(to_json(value), parse_constant=pytest.fail) == {
        "a": None,
        "b": [None, 0.5, [1.0, None]],
        "c": [1, True, "x", None],
        "d": 3,
    }


@pytest.mark.parametrize("name", ["here", "here/below", "new/and/deep"])
def test_checking_a_folder_leaves_nothing_behind(name, tmp_path):
    (tmp_path / "here").mkdir()
    check_output_folder(tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["here"]


def test_a_folder_that_cannot_be_written_is_refused(monkeypatch, tmp_path):
    # Root may write anywhere, so the refusal of the system is made up.
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match="cannot be written: Permission denied; name another folder"):
        check_output_folder(tmp_path / "new")


def test_files_are_written_and_replaced(tmp_path):
    folder = tmp_path / "new" / "folder"
    write_files(folder, {"a.txt": "one", "b.png": b"\x89"})
    paths = write_files(folder, {"a.txt": "two"})
    assert paths == [folder / "a.txt"]
    assert (folder / "a.txt").read_text() == "two"
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.png"]


def test_an_error_while_writing_leaves_the_old_files_as_they_were(tmp_path):
    write_files(tmp_path, {"a.txt": "old"})
    with pytest.raises(OSError, match="missing"):
        write_files(tmp_path, {"a.txt": "new", "missing/b.txt": "no such folder"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_the_table_fits_80_columns():
    from rich.console import Console

    names = ("first_loss", "gap", "expected_gap", "slope", "stripe_index")
    numbers = {**dict.fromkeys(names, -1.234567e-4), "stripe_count": 4, "epochs": 200.0}
    summary = {"median": -1.23e-4, "low": -1.23e-4, "high": -1.23e-4, "finite": 64}
    seeds = {"count": 64, "epochs": 10, **dict.fromkeys([*names, "stripe_count"], summary)}
    report = {"whole_run": numbers, "first_epochs": numbers, "seeds": seeds}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(comparison_table([Section("1 striped", report, {**numbers, "percentile": {}})], "a caption"))
    text = console.export_text()
    assert "..." not in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_writer_names_each_file_as_it_is_there_and_the_report_lists_all(tmp_path, capsys):
    writer = Writer(make_console(quiet=False), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    writer.write({"a.txt": "one"})
    assert capsys.readouterr().out == f"wrote {tmp_path / 'out' / 'a.txt'}\n"
    assert (tmp_path / "out" / "a.txt").read_text() == "one"
    report = writer.write_report({"number": 1})
    assert report == {"number": 1, "files": ["a.txt", "report.json"]}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report


def test_brackets_in_names_are_letters(capsys):
    console = make_console(quiet=False)
    console.print("a line of [bold]data.csv")
    console.rule("[red]data.csv: training log")
    table = plain_table(["optimizer"], ["loss"], "[bold]title")
    table.add_row("my_package:[red]sgd", "1.0")
    console.print(table)
    out = capsys.readouterr().out
    for text in ("a line of [bold]data.csv", "[red]data.csv: training log", "[bold]title", "my_package:[red]sgd"):
        assert text in out
