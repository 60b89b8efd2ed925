"""A result survives kills and failures at every call to the system, kills from outside, and a disk that is really full."""

import errno
import json
import os
import textwrap
from pathlib import Path

import pytest

import jaxsgd
from jaxsgd.cli.errors import run_app
from jaxsgd.results.store import Folder
from tests import replay
from tests.python_process import finished, started

STUDY = jaxsgd.Study(
    problem="square_regression", problem_args={"num_samples": 60, "num_hidden": 10}, seeds=range(4), batch_counts=[2, 5],
    orders=["fixed", "reshuffle"], learning_rates=[0.1, 1.0], epochs=3, eval_interval=2,
)  # fmt: skip
DEFINITIONS = """
import sys
from tests.engine.test_faults import run
"""


def run(folder, **how):
    """Run the study into a folder, in 8 chunks of 4 cells."""
    return jaxsgd.sweep(STUDY, folder, vectorize="one_program", chunk_width=4, lanes=2, **how)


def child(program, folder):
    """Return a process that runs `program` on a folder."""
    return started("-c", DEFINITIONS + textwrap.dedent(program), folder)


def same_bits(folder, whole):
    """Every chunk file of the two results holds the same bytes, array by array; there are 8 = 4 x 2 x 2 x 2 / 4 of them."""
    numbers = range(8)
    identity = json.loads(jaxsgd.load(whole).attrs["manifest"])["fixed_identity"]
    for number in numbers:
        chunk, other = (Folder(place).read_chunk(number, identity) for place in (folder, whole))
        assert chunk is not None
        assert {name: array.tobytes() for name, array in chunk.items()} == {name: a.tobytes() for name, a in other.items()}


@pytest.fixture(scope="module")
def replayable(tmp_path_factory):
    """A result to take chunks from."""
    folder = tmp_path_factory.mktemp("replayable") / "result"
    jaxsgd.sweep(replay.STUDY, folder, **replay.HELD)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The result of the sweep when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("whole") / "result"
    run(folder)
    return folder


def test_killed_at_every_write_flush_and_rename_the_rerun_has_the_same_bits(replayable, tmp_path):
    words = ("-W", "ignore", Path(__file__).parent / "killed_store.py", replayable, tmp_path)
    status, output, wrong = finished(started(*words))
    assert status == 0, wrong
    # study.json, manifest.json, three chunks, and manifest.json again: each is written, flushed and renamed, and its folder
    # flushed. A write is killed before it, in its middle and after it, the others before and after.
    assert json.loads(output) == {"write": 6 * 3, "fsync": 12 * 2, "replace": 6 * 2}


@pytest.fixture
def replayed(replayable, monkeypatch):
    """Sweeps of this process take their chunks from there."""
    for module, name, value in replay.replaying(replayable):
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("wrong", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_whichever_call_to_the_system_fails_it_is_an_error_and_no_broken_chunk_is_counted(
    wrong, replayable, replayed, tmp_path, monkeypatch, capsys, unchecked
):
    """By the command, at every write, flush and rename: a write that fails has written half."""
    (tmp_path / "study.json").write_text(json.dumps(replay.STUDY.resolved()))
    wanted, failed = replay.files(replayable), 0

    def run(folder):
        return run_app(["run", str(tmp_path / "study.json"), "--out", str(folder)])

    def failing(at):
        def change(count, name, real, args):
            if count < at:
                return real(*args)
            # A disk that is full stays full; it may take a part of what is written.
            if name == "write" and count == at:
                return real(args[0], args[1][: len(args[1]) // 2])
            raise OSError(wrong, os.strerror(wrong), "the disk")

        return change

    while True:
        folder = tmp_path / f"{failed}"
        with replay.spoiled(failing(failed + 1)) as calls:
            status = run(folder)
            reached = calls()
        captured = capsys.readouterr()
        if reached <= failed:
            break
        failed += 1
        assert status == 1
        assert captured.err == f"jaxsgd: the disk: {os.strerror(wrong)}\n"
        stored = replay.files(folder) if (folder / "chunks").exists() else {}
        assert stored == {name: wanted[name] for name in stored}
        assert list(folder.rglob(".*.tmp")) == []
        assert run(folder) == 0
        before = f", {2 * len(stored)} of them in an earlier run" if stored else ""
        assert capsys.readouterr().out.startswith("nothing to do" if len(stored) == 3 else f"ran 6 cells{before};")
        assert replay.files(folder) == wanted
    assert (status, failed) == (0, 6 + 12 + 6)


def test_killed_from_outside_while_it_computes_the_rerun_finishes_what_is_missing(whole, tmp_path):
    chunks = 4
    folder = tmp_path / "result"
    process = child("run(sys.argv[1], on_progress=lambda p: print(p.done, flush=True))", folder)
    # The first line comes before the first chunk, and each chunk holds 4 cells.
    for _ in range(chunks + 1):
        process.stdout.readline()
    process.kill()
    process.communicate()
    kept = len(list((folder / "chunks").glob("0*.npz")))
    assert kept >= chunks
    resumed = []
    run(folder, on_progress=lambda progress: resumed.append(progress.resumed))
    assert resumed[0] == 4 * kept
    same_bits(folder, whole)


def test_a_full_disk_is_an_error_keeps_whole_chunks_and_is_resumed(whole, tmp_path):
    # The system refuses to let any file grow past a limit between the manifest's size and a chunk's.
    limit = (whole / "chunks/000000.npz").stat().st_size - 100
    assert limit > (whole / "manifest.json").stat().st_size
    program = f"""
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = lambda p: p.done >= 8 and resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
    run(sys.argv[1], on_progress=limit)
    """
    folder = tmp_path / "result"
    status, _, wrong = finished(child(program, folder))
    assert status == 1
    assert "OSError: [Errno 27] File too large" in wrong
    kept = sorted(path.name for path in (folder / "chunks").iterdir())
    assert kept == [path for path in kept if path.endswith(".npz") and not path.startswith(".")]
    assert 2 <= len(kept) < 8
    identity = json.loads(jaxsgd.load(whole).attrs["manifest"])["fixed_identity"]
    assert all(Folder(folder).read_chunk(int(name[:6]), identity) is not None for name in kept)
    run(folder)
    same_bits(folder, whole)
