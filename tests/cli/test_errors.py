"""Every mistake is one line on stderr that names it, with exit status 2, and leaves nothing behind."""

import errno
from concurrent.futures import Future

import pytest

from jaxsgd.cli.errors import run_app
from jaxsgd.error import CommandFailure, InputError

# Typer hands out other types than its annotations say.
pytestmark = pytest.mark.usefixtures("unchecked")

BAD_ARTICLE = [
    (["--learning-rate", "nan"], "learning rate must be a number above 0", "got nan"),
    (["--learning-rate", "-1"], "learning rate must be a number above 0", "got -1"),
    (["--learning-rate", "0"], "learning rate must be a number above 0", "got 0"),
    (["--learning-rate", "inf"], "learning rate must be a number above 0", "got inf"),
    (["--learning-rate", "fast"], "'--learning-rate'", "number", "'fast'"),
    (["--seed", "-1"], "seed must be a whole number from 0 to 4294967295, got -1"),
    (["--seed", "1.5"], "'--seed'", "integer", "'1.5'"),
    (["--out", "file"], "--out file", "is a file; name a folder"),
    (["--out", "file/below"], "--out file/below", "file is a file; name a folder"),
    (["--sed", "3"], "jaxsgd article has no option --sed: did you mean --seed?"),
    (["--lanes", "3"], "jaxsgd article has no option --lanes; it has --out"),
    (["--xyzzy"], "jaxsgd article has no option --xyzzy; it has --out"),
    (["--no-cache"], "write it before the command: jaxsgd --no-cache article"),
    (["--out"], "'--out' requires an argument"),
    (["surplus"], "unexpected extra argument", "surplus"),
]

BAD_TRAIN = [
    ([], "Missing argument 'FILE'"),
    (["none.csv"], "none.csv: no such file"),
    (["file"], "valid: .npz, .npy, .csv"),
    (["ok.csv", "--batch-count", "4"], "--batch-count must be a whole number from 1 to 3 (samples in the file), got 4"),
    (["ok.csv", "--batch-count", "0"], "--batch-count must be a whole number from 1 to 3", "got 0"),
    (["ok.csv", "--eval-interval", "0"], "--eval-interval must be a whole number from 1", "got 0"),
    (["ok.csv", "--epochs", "1", "--eval-interval", "4"], "--eval-interval must be a whole number from 1 to 3", "got 4"),
    (["ok.csv", "--epochs", "0"], "--epochs must be a whole number of at least 1, got 0"),
    (["ok.csv", "--order", "shufle"], "unknown order 'shufle'", "reshuffle"),
    (["ok.csv", "--targets", "b"], "no column 'b'", "a, t"),
    (["ok.csv", "--learning-rate", "nan"], "learning rate", "got nan"),
    (["ok.csv", "--seed", "-5"], "seed", "got -5"),
    (["ok.csv", "--out", "file"], "--out file", "is a file"),
    (["bad.csv"], "line 2, column 2: 'x' is not a number"),
]

BAD_COMMANDS = [
    (["articel"], "No such command 'articel'", "article"),
    (["--versoin"], "has no option --versoin: did you mean --version?"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a file called `file`, a small data set and a bad one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "ok.csv").write_text("a,t\n1,2\n3,4\n5,6\n")
    (tmp_path / "bad.csv").write_text("a,t\n1,x\n")
    return tmp_path


@pytest.mark.parametrize(
    "case",
    [(["article", *words], *parts) for words, *parts in BAD_ARTICLE]
    + [(["train", *words], *parts) for words, *parts in BAD_TRAIN]
    + BAD_COMMANDS,
    ids=lambda case: " ".join(case[0]),
)
def test_bad_input_is_one_line_and_status_2(case, folder, capsys):
    words, *parts = case
    before = sorted(path.name for path in folder.iterdir())
    assert run_app(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("jaxsgd: ")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    for part in parts:
        assert part in captured.err
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (InputError("m must be 1"), 2, "jaxsgd: m must be 1\n"),
        (CommandFailure("it broke"), 1, "jaxsgd: it broke\n"),
        (OSError(errno.ENOSPC, "No space left on device", "out/a.png"), 1, "jaxsgd: out/a.png: No space left on device\n"),
        (OSError("odd"), 1, "jaxsgd: odd\n"),
        (MemoryError(), 1, "jaxsgd: not enough memory: try fewer samples or a smaller network\n"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory"),
            1,
            "jaxsgd: not enough memory: try fewer samples or a smaller network\n",
        ),
        (KeyboardInterrupt(), 130, "jaxsgd: interrupted\n"),
        (InputError("two\nlines"), 2, "jaxsgd: two lines\n"),
    ],
)
def test_what_a_command_raises_becomes_a_line_and_a_status(raised, status, line, monkeypatch, capsys):
    _raise_in_article(monkeypatch, raised)
    assert run_app(["article"]) == status
    assert capsys.readouterr() == ("", line)


def test_a_defect_is_a_line_that_says_how_to_see_more(monkeypatch, capsys):
    _raise_in_article(monkeypatch, ZeroDivisionError("a defect"))
    fault = "this may be a fault of jaxsgd: see the traceback with jaxsgd --traceback article"
    line = f"jaxsgd: ZeroDivisionError: a defect; {fault}\n"
    assert run_app(["article"]) == 1
    assert capsys.readouterr() == ("", line)
    assert run_app(["--traceback", "article"]) == 1
    output = capsys.readouterr().err
    assert output.startswith("Traceback (most recent call last):\n")
    assert "article_command.py" in output
    assert output.endswith("ZeroDivisionError: a defect\n" + line)


def _raise_in_article(monkeypatch, raised):
    import jaxsgd.cli.article_command as command

    # The exception comes out of Python's library, as from a call of the command's own: no line of the user's is on its way.
    failed = Future()
    failed.set_exception(raised)
    monkeypatch.setattr(command, "check_output_folder", failed.result)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--epochs", "jaxsgd run has no option --epochs: to set a field of the study, write --set epochs=VALUE"),
        ("--learning-rates", "to set a field of the study, write --set learning_rates=VALUE"),
        ("--lane", "did you mean --lanes?"),
        ("--frobnicate", "jaxsgd run has no option --frobnicate; it has"),
    ],
)
def test_only_an_option_that_is_near_is_suggested(option, message, capsys):
    assert run_app(["run", "stripes_by_batch_count", option, "5"]) == 2
    assert message in capsys.readouterr().err
