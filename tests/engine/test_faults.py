"""What survives: real kills, a real full disk, real Ctrl-C and a real want of memory, each in a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

import jaxsgd
from jaxsgd.engine.store import Folder

SWEEP = """
import sys
import jaxsgd

STUDY = jaxsgd.Study(
    problem="square_regression", problem_args={"num_samples": 60, "num_hidden": 10}, seeds=range(4), batch_counts=[2, 5],
    orders=["fixed", "reshuffle"], learning_rates=[0.1, 1.0], epochs=3, eval_interval=2)

def run(**how):
    return jaxsgd.sweep(STUDY, sys.argv[1], vectorize="one_program", chunk_width=4, lanes=2, **how)
"""


CACHED = {
    "JAX_COMPILATION_CACHE_DIR": str(Path(tempfile.gettempdir()) / f"jaxsgd-faults-{os.getpid()}"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
"""Each process compiles the same two programs: they are kept, for the sake of the tests' time."""


@pytest.fixture(scope="module", autouse=True)
def _remove_the_cache():
    yield
    shutil.rmtree(CACHED["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


def child(program, folder):
    """A process that runs `program` after the definitions above."""
    return subprocess.Popen(
        [sys.executable, "-c", SWEEP + textwrap.dedent(program), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | CACHED,
    )


def finish(program, folder):
    process = child(program, folder)
    said, wrong = process.communicate(timeout=300)
    return process.returncode, said, wrong


def same_bits(folder, whole):
    """Every chunk file of the two results holds the same bytes, array by array; there are 8 = 4 x 2 x 2 x 2 / 4 of them."""
    numbers = range(8)
    identity = jaxsgd.load(whole).attrs["identity"]
    for number in numbers:
        one, other = (Folder(place).read_chunk(number, identity) for place in (folder, whole))
        assert one is not None
        assert {name: array.tobytes() for name, array in one.items()} == {name: a.tobytes() for name, a in other.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The result of the sweep when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("whole") / "result"
    status, _, wrong = finish("run()", folder)
    assert (status, wrong) == (0, "")
    return folder


# The n-th time that the system call is reached, the process kills itself: before the call, or after it.
KILLED = """
import os, signal
reached = 0
real = os.{call}
def killing(*args, **kwargs):
    global reached
    reached += 1
    if reached == {number} and not {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    done = real(*args, **kwargs)
    if reached == {number} and {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
os.{call} = killing
run()
"""


# A chunk is one fsync of its file, one rename and one fsync of its folder; study.json and manifest.json come before the first.
@pytest.mark.parametrize(
    ("call", "number", "after"),
    [
        ("fsync", 1, False),  # study.json is written under its temporary name
        ("replace", 2, False),  # study.json is there, manifest.json is not
        ("fsync", 5, False),  # the first chunk is written under its temporary name
        ("replace", 4, True),  # the second chunk has just been renamed
        ("replace", 7, False),  # before the fifth chunk is renamed
    ],
)
def test_killed_at_any_moment_the_rerun_has_the_same_bits(call, number, after, whole, tmp_path):
    folder = tmp_path / "result"
    status, _, wrong = finish(KILLED.format(call=call, number=number, after=after), folder)
    assert status == -signal.SIGKILL, wrong
    status, _, wrong = finish("run()", folder)
    assert (status, wrong) == (0, "")
    same_bits(folder, whole)
    assert list(folder.rglob(".*.tmp")) == []
    assert jaxsgd.load(folder).drop_attrs().identical(jaxsgd.load(whole).drop_attrs())


@pytest.mark.parametrize("chunks", [1, 4])
def test_killed_from_outside_while_it_computes_the_rerun_finishes_what_is_missing(chunks, whole, tmp_path):
    folder = tmp_path / "result"
    process = child("run(on_progress=lambda p: print(p.done, flush=True))", folder)
    # The first line comes before the first chunk, and each chunk holds 4 cells.
    for _ in range(chunks + 1):
        process.stdout.readline()
    process.kill()
    process.communicate()
    kept = len(list((folder / "chunks").glob("0*.npz")))
    assert kept >= chunks
    status, said, wrong = finish("run(on_progress=lambda p: print(p.resumed, flush=True))", folder)
    assert (status, wrong) == (0, "")
    assert int(said.split()[0]) == 4 * kept
    same_bits(folder, whole)


def test_a_full_disk_is_an_error_keeps_whole_chunks_and_is_resumed(whole, tmp_path):
    # The system refuses to let any file grow past a limit between the manifest's size and a chunk's.
    limit = (whole / "chunks/000000.npz").stat().st_size - 100
    assert limit > (whole / "manifest.json").stat().st_size
    program = f"""
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = lambda p: p.done >= 8 and resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
    run(on_progress=limit)
    """
    folder = tmp_path / "result"
    status, _, wrong = finish(program, folder)
    assert status == 1
    assert "OSError: [Errno 27] File too large" in wrong
    kept = sorted(path.name for path in (folder / "chunks").iterdir())
    assert kept == [path for path in kept if path.endswith(".npz") and not path.startswith(".")]
    assert 2 <= len(kept) < 8
    identity = jaxsgd.load(whole).attrs["identity"]
    assert all(Folder(folder).read_chunk(int(name[:6]), identity) is not None for name in kept)
    assert finish("run()", folder)[0] == 0
    same_bits(folder, whole)


def test_ctrl_c_hands_over_the_chunks_in_hand_and_ends(whole, tmp_path):
    folder = tmp_path / "result"
    program = """
    import _thread
    def stop(progress):
        if progress.done == 8:
            _thread.interrupt_main()
    try:
        run(on_progress=stop)
    except KeyboardInterrupt:
        print("interrupted")
    """
    status, said, wrong = finish(program, folder)
    assert (status, said, wrong) == (0, "interrupted\n", "")
    kept = len(list((folder / "chunks").glob("0*.npz")))
    # Two were done; at most one more for each core was in hand.
    assert 2 <= kept <= 2 + len(os.sched_getaffinity(0))
    assert finish("run()", folder)[0] == 0
    same_bits(folder, whole)


def test_two_commands_on_one_folder_the_second_leaves_and_damages_nothing(whole, tmp_path):
    folder = tmp_path / "result"
    program = """
    import signal
    def hold(progress):
        print(progress.done, flush=True)
        signal.pause()
    run(on_progress=hold)
    """
    first = child(program, folder)
    assert first.stdout.readline() == "0\n"  # it holds the folder now, and waits
    second = subprocess.run(
        [sys.executable, "-c", SWEEP + "run()", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | CACHED,
    )
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].endswith("another command is writing here; wait for it, or choose another folder")
    first.kill()
    first.communicate()
    # The lock file of the killed command is still there, and does not block.
    assert (folder / "lock").exists()
    assert finish("run()", folder)[0] == 0
    same_bits(folder, whole)
