"""What a sweep's progress looks like at a terminal."""

import pytest
from rich.console import Console

from jaxsgd import Progress
from jaxsgd.cli import watched_sweep
from jaxsgd.cli.watched_sweep import describe, progress_bar

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


def test_the_bar_is_on_stderr_and_has_the_chunks_of_all_workers(monkeypatch, capsys):
    monkeypatch.setattr(watched_sweep, "Console", lambda stderr: Console(stderr=stderr, force_terminal=True, width=120))
    with progress_bar() as shown:
        shown(FAR)
        shown.bar.refresh()
    said = capsys.readouterr()
    assert said.out == ""
    assert "12/32" in said.err
    assert "3 of 8 chunks, 2 workers, 1 failed, 2 retried" in said.err
    assert shown.last == FAR


def test_without_a_terminal_it_is_quiet(capsys):
    with progress_bar() as shown:
        shown(FAR)
    assert capsys.readouterr() == ("", "")
    assert shown.last == FAR
