"""The progress of a sweep, as it is shown at a terminal, in a notebook and in a log, and nowhere unless it is asked for."""

import io
import re

import pytest
from rich.console import Console

import jaxsgd
from jaxsgd import InputError, Progress, Study
from jaxsgd.engine import progress as progress_module
from jaxsgd.engine.progress import NotebookBar, ProgressLines, describe, progress_shown

FAR = Progress(cells=32, done=12, resumed=4, chunks=8, chunks_done=3, chunks_failed=1, chunks_retried=2, workers=2)


def plain(text):
    """The text without colours and moves of the cursor."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize(
    ("progress", "elapsed", "text"),
    [
        (Progress(32, 0, 0, chunks=8), 0.0, "compiling"),
        (Progress(32, 4, 4, chunks=8, chunks_done=1), 3.0, "compiling"),  # four were there before
        (Progress(32, 12, 4, chunks=8, chunks_done=3), 2.0, "4.0 cells/s"),
        (Progress(32, 2, 0, chunks=8, chunks_done=1), 61.0, "30 s a cell"),
        (FAR, 2.0, "4.0 cells/s, 3 of 8 chunks, 2 workers, 1 failed, 2 retried"),
    ],
)
def test_progress_in_words(progress, elapsed, text):
    assert describe(progress, elapsed) == text


def test_the_bar_is_on_stderr_and_has_the_chunks_of_all_workers_and_the_time_left(monkeypatch, capsys):
    monkeypatch.setattr(progress_module, "Console", lambda stderr: Console(stderr=stderr, force_terminal=True, width=140))
    with progress_shown() as shown:
        shown(FAR)
        shown.bar.refresh()
        # 150 minutes and half a minute more, of which the test may take some.
        shown(FAR._replace(seconds_left=150 * 60 + 30))
        shown.bar.refresh()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "12/32 37 %" in plain(captured.err)
    assert "3 of 8 chunks, 2 workers, 1 failed, 2 retried" in captured.err
    assert "about 2.5 h left" in captured.err
    assert shown.last.done == FAR.done


@pytest.mark.parametrize("show", [False, True])
def test_without_a_terminal_a_first_minute_is_quiet(show, capsys):
    with progress_shown(show) as shown:
        shown(FAR)
    assert capsys.readouterr() == ("", "")
    assert shown.last == FAR


def test_without_a_terminal_it_is_a_line_a_minute():
    lines, times = [], iter([0.0, 1.0, 59.0, 61.0, 100.0, 130.0])
    shown = ProgressLines(lines.append, lambda: next(times))
    for done, left in ((0, None), (4, 200.0), (8, 130.0), (12, 100.0), (16, 61.0)):
        shown(Progress(cells=32, done=done, resumed=0, seconds_left=left))
    # At 61 and at 130 seconds: 8 cells and 16.
    assert lines == [
        "8 of 32 cells (25 %), 0.1 cells/s, about 2 min left",
        "16 of 32 cells (50 %), 0.1 cells/s, about 61 s left",
    ]


def test_an_interruption_is_said_at_once():
    lines = []
    shown = ProgressLines(lines.append, lambda: 0.0)
    shown(FAR._replace(finishing=2))
    shown(FAR._replace(finishing=2, done=16))  # once is enough
    assert lines == ["interrupted: finishing 2 chunks; press Ctrl-C again to end at once"]


STUDY = Study(
    problem="least_squares", problem_args={"num_samples": 12}, seeds=range(4), batch_counts=[3], learning_rates=[0.1], epochs=2
)  # fmt: skip


def test_the_bar_of_a_notebook_has_the_cells_the_percent_and_the_time_left():
    console = Console(force_jupyter=False, file=io.StringIO(), width=120)
    bar = NotebookBar(console.print)
    bar(Progress(cells=32, done=0, resumed=0))
    bar(FAR._replace(seconds_left=150 * 60 + 30, done=16))
    bar(FAR._replace(seconds_left=0.0, done=32))
    first, middle, last = (" ".join(line.split()) for line in console.file.getvalue().splitlines())
    assert first.endswith("0/32 0 % compiling")
    assert "16/32 50 %" in middle
    assert middle.endswith("about 2.5 h left")
    assert "32/32 100 %" in last
    assert not last.endswith("left")


def test_a_sweep_shows_nothing_outside_a_notebook_unless_asked(monkeypatch, capsys):
    jaxsgd.sweep(STUDY, chunk_width=2)
    jaxsgd.sweep(STUDY, chunk_width=2, progress=True)  # there is no terminal, and it takes less than a minute
    assert capsys.readouterr() == ("", "")

    monkeypatch.setattr(progress_module, "Console", lambda stderr: Console(stderr=stderr, force_terminal=True, width=140))
    jaxsgd.sweep(STUDY, chunk_width=2)
    assert capsys.readouterr() == ("", "")
    reports = []
    jaxsgd.sweep(STUDY, chunk_width=2, progress=True, on_progress=reports.append)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "4/4 100 %" in plain(captured.err)
    assert [progress.done for progress in reports] == [0, 2, 4]


def test_what_is_no_choice_of_progress_is_refused(unchecked):
    with pytest.raises(InputError, match=r"^progress must be True, False or None, got .*; give a function as on_progress$"):
        jaxsgd.sweep(STUDY, progress=print)
