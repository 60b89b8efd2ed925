"""What a sweep's progress looks like at a terminal."""

import pytest
from rich.console import Console

from jaxsgd import Progress
from jaxsgd.cli import watched_sweep
from jaxsgd.cli.watched_sweep import ProgressLines, describe, progress_shown

FAR = Progress(cells=32, done=12, resumed=4, chunks=8, chunks_done=3, chunks_failed=1, chunks_retried=2, workers=2)


@pytest.mark.parametrize(
    ("progress", "elapsed", "said"),
    [
        (Progress(32, 0, 0, chunks=8), 0.0, "compiling"),
        (Progress(32, 4, 4, chunks=8, chunks_done=1), 3.0, "compiling"),  # four were there before
        (Progress(32, 12, 4, chunks=8, chunks_done=3), 2.0, "4.0 cells/s"),
        (FAR, 2.0, "4.0 cells/s, 3 of 8 chunks, 2 workers, 1 failed, 2 retried"),
    ],
)
def test_progress_in_words(progress, elapsed, said):
    assert describe(progress, elapsed) == said


def test_the_bar_is_on_stderr_and_has_the_chunks_of_all_workers_and_the_time_left(monkeypatch, capsys):
    monkeypatch.setattr(watched_sweep, "Console", lambda stderr: Console(stderr=stderr, force_terminal=True, width=140))
    with progress_shown() as shown:
        shown(FAR)
        shown.bar.refresh()
        # 150 minutes and half a minute more, of which the test may take some.
        shown(FAR._replace(seconds_left=150 * 60 + 30))
        shown.bar.refresh()
    said = capsys.readouterr()
    assert said.out == ""
    assert "12/32" in said.err
    assert "3 of 8 chunks, 2 workers, 1 failed, 2 retried" in said.err
    assert "about 2.5 h left" in said.err
    assert shown.last.done == FAR.done


@pytest.mark.parametrize("quiet", [False, True])
def test_without_a_terminal_a_first_minute_is_quiet(quiet, capsys):
    with progress_shown(quiet) as shown:
        shown(FAR)
    assert capsys.readouterr() == ("", "")
    assert shown.last == FAR


def test_without_a_terminal_it_is_a_line_a_minute():
    lines, times = [], iter([0.0, 1.0, 59.0, 61.0, 100.0, 130.0])
    shown = ProgressLines(lines.append, lambda: next(times))
    for done, left in ((0, None), (4, 200.0), (8, 130.0), (12, 100.0), (16, 61.0)):
        shown(Progress(cells=32, done=done, resumed=0, seconds_left=left))
    # At 61 and at 130 seconds: 8 cells and 16.
    assert lines == ["8 of 32 cells, 0.1 cells/s, about 2 min left", "16 of 32 cells, 0.1 cells/s, about 61 s left"]


def test_an_interruption_is_said_at_once():
    lines = []
    shown = ProgressLines(lines.append, lambda: 0.0)
    shown(FAR._replace(finishing=2))
    shown(FAR._replace(finishing=2, done=16))  # once is enough
    assert lines == ["interrupted: chunks that are being finished: 2; press Ctrl-C again to end at once"]
