"""What survives: real kills, a real full disk, real Ctrl-C and two real commands at once, each in a process of its own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import jaxsgd
from jaxsgd.engine.store import Folder

pytestmark = pytest.mark.usefixtures("compiled_once")

ROOT = Path(__file__).parents[2]
CHUNKS = 8  # 4 seeds x 2 batch counts x 2 orders x 2 rates, 4 cells to a chunk
FIELDS = {
    "problem": "tests.probe:line",
    "seeds": [0, 1, 2, 3],
    "batch_counts": [2, 5],
    "orders": ["fixed", "reshuffle"],
    "learning_rates": [0.01, 0.02],
    "epochs": 3,
    "eval_interval": 2,
}
HELD = {"vectorize": "one_program", "chunk_width": 4, "lanes": 2}

SWEEP = f"""
import sys
import jaxsgd

def run(**how):
    return jaxsgd.sweep(jaxsgd.Study(**{FIELDS}), sys.argv[1], **{HELD}, **how)
"""


@contextlib.contextmanager
def child(program, folder, *before):
    """A process that runs `program` after the definitions above; it does not outlive the block."""
    words = [*before, sys.executable, "-c", SWEEP + textwrap.dedent(program), str(folder)]
    pipes = dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.PIPE)
    with subprocess.Popen(words, **pipes, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(program, folder, *before):
    """Exit status, and what was said, of a process that ends by itself."""
    with child(program, folder, *before) as process:
        said, wrong = process.communicate(timeout=120)
    return process.returncode, said, wrong


def rerun(folder, whole):
    """Runs the sweep again, here: it comes to the whole result's bits. How many cells there were to begin with."""
    told = []
    ds = jaxsgd.sweep(jaxsgd.Study(**FIELDS), folder, **HELD, on_progress=told.append)
    same_bits(folder, whole)
    assert list(folder.rglob(".*.tmp")) == []
    assert ds.drop_attrs().identical(jaxsgd.load(whole).drop_attrs())
    assert told[0].done == told[0].resumed
    assert told[-1].done == 4 * CHUNKS
    return told[0].resumed


def same_bits(folder, whole):
    """Every chunk file of the two results holds the same bytes, array by array."""
    identity = jaxsgd.load(whole).attrs["identity"]
    for number in range(CHUNKS):
        one, other = (Folder(place).read_chunk(number, identity) for place in (folder, whole))
        assert one is not None
        assert {name: array.tobytes() for name, array in one.items()} == {name: a.tobytes() for name, a in other.items()}


def kept(folder):
    """How many chunk files are there."""
    return len(list((folder / "chunks").glob("0*.npz")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The result of the sweep when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("whole") / "result"
    status, _, wrong = finish("run()", folder)
    assert (status, wrong) == (0, "")
    assert kept(folder) == CHUNKS
    return folder


# The n-th time that the system call is reached, the process sends itself a signal: before the call, or after it.
SIGNALLED = """
import os, signal
reached = 0
real = os.{call}
def signalling(*args, **kwargs):
    global reached
    reached += 1
    if reached == {number} and not {after}:
        os.kill(os.getpid(), signal.{signal})
    done = real(*args, **kwargs)
    if reached == {number} and {after}:
        os.kill(os.getpid(), signal.{signal})
    return done
os.{call} = signalling
run()
"""


# A chunk is one fsync of its file, one rename and one fsync of its folder; study.json and manifest.json come before the first,
# and the manifest once more after the last.
@pytest.mark.parametrize(
    ("call", "number", "after", "chunks"),
    [
        ("fsync", 1, False, 0),  # study.json is written under its temporary name
        ("replace", 2, False, 0),  # study.json is there, manifest.json is not
        ("fsync", 5, False, 0),  # the first chunk is written under its temporary name
        ("replace", 3, False, 0),  # and flushed, and not renamed
        ("replace", 4, True, 2),  # the second chunk has just been renamed
        ("replace", 2 + CHUNKS, False, CHUNKS - 1),  # before the last chunk is renamed
        ("replace", 3 + CHUNKS, False, CHUNKS),  # before the last manifest is renamed
    ],
)
def test_killed_at_a_write_or_rename_the_rerun_has_the_same_bits(call, number, after, chunks, whole, tmp_path):
    folder = tmp_path / "result"
    program = SIGNALLED.format(call=call, number=number, after=after, signal="SIGKILL")
    status, _, wrong = finish(program, folder)
    assert status == -signal.SIGKILL, wrong
    assert kept(folder) == chunks
    if (folder / "manifest.json").exists():
        assert jaxsgd.load(folder).attrs["missing_cells"] == 4 * (CHUNKS - chunks)
    assert rerun(folder, whole) == 4 * chunks


@pytest.mark.parametrize("chunks", [1, 4, 7])
def test_killed_from_outside_while_it_computes_the_rerun_finishes_what_is_missing(chunks, whole, tmp_path):
    folder = tmp_path / "result"
    with child("run(on_progress=lambda p: print(p.done, flush=True))", folder) as process:
        # The first line comes before the first chunk, and each chunk holds 4 cells.
        for _ in range(chunks + 1):
            process.stdout.readline()
        process.kill()
    there = kept(folder)
    assert there >= chunks
    assert rerun(folder, whole) == 4 * there


def test_a_file_that_may_not_grow_is_an_error_keeps_whole_chunks_and_is_resumed(whole, tmp_path):
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
    names = sorted(path.name for path in (folder / "chunks").iterdir())
    assert all(name.endswith(".npz") and not name.startswith(".") for name in names)
    assert len(names) == 2
    assert jaxsgd.load(folder).attrs["missing_cells"] == 4 * (CHUNKS - 2)
    assert rerun(folder, whole) == 8


def test_a_full_disk_is_an_error_keeps_whole_chunks_and_is_resumed_when_there_is_room(whole, tmp_path):
    # A disk of seven pages, each enough for one small file: study.json, manifest.json, the next file's temporary name and a few
    # chunks. It is the process's own and ends with it, so the process copies it out.
    private = ["unshare", "--user", "--map-root-user", "--mount"]
    (tmp_path / "disk").mkdir()
    tried = ["mount", "-t", "tmpfs", "-o", f"size={7 * os.sysconf('SC_PAGE_SIZE')}", "tmpfs", str(tmp_path / "disk")]
    if not shutil.which("unshare") or subprocess.run([*private, *tried], capture_output=True, check=False).returncode:
        pytest.skip("a process may not mount a disk of its own here")
    program = f"""
    import os, shutil, subprocess
    subprocess.run({tried!r}, check=True)
    try:
        run()
    except OSError as error:
        print(error.strerror)
    shutil.copytree(sys.argv[1], {str(tmp_path / "full")!r})
    subprocess.run(["mount", "-o", "remount,size=4m", {str(tmp_path / "disk")!r}], check=True)
    print(jaxsgd.load(sys.argv[1]).attrs["missing_cells"])
    run()
    shutil.copytree(sys.argv[1], {str(tmp_path / "roomy")!r})
    """
    status, said, wrong = finish(program, tmp_path / "disk" / "result", *private)
    assert (status, wrong) == (0, "")
    why, missing = said.splitlines()
    assert why == "No space left on device"
    there = kept(tmp_path / "full")
    assert 1 <= there < CHUNKS
    assert int(missing) == 4 * (CHUNKS - there)
    assert list((tmp_path / "full").rglob(".*.tmp")) == []
    same_bits(tmp_path / "roomy", whole)


def test_another_process_goes_on_with_the_same_bits(whole, tmp_path):
    folder = tmp_path / "result"
    program = SIGNALLED.format(call="replace", number=6, after=True, signal="SIGKILL")
    assert finish(program, folder)[0] == -signal.SIGKILL
    status, said, wrong = finish("run(on_progress=lambda p: print(p.done, p.resumed))", folder)
    assert (status, wrong) == (0, "")
    assert said.splitlines()[0] == "16 16"
    same_bits(folder, whole)


def test_ctrl_c_ends_the_sweep_with_the_chunks_in_hand_kept(whole, tmp_path):
    folder = tmp_path / "result"
    program = """
    import signal
    def wait(progress):
        if progress.done == 8:
            print("here", flush=True)
            signal.pause()
    run(on_progress=wait)
    """
    with child(program, folder) as process:
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGINT)
        _, wrong = process.communicate(timeout=120)
    # As Python ends on a KeyboardInterrupt that nothing catches.
    assert process.returncode == -signal.SIGINT
    assert wrong.splitlines()[-1] == "KeyboardInterrupt"
    there = kept(folder)
    # Two were done; at most one more for each core was in hand.
    assert 2 <= there <= 2 + len(os.sched_getaffinity(0))
    assert rerun(folder, whole) == 4 * there


def test_ctrl_c_between_a_chunks_rename_and_its_count_is_counted_all_the_same(whole, tmp_path):
    folder = tmp_path / "result"
    program = SIGNALLED.format(call="replace", number=5, after=True, signal="SIGINT").replace("run()", "")
    program += """
counted = []
try:
    run(on_progress=lambda p: counted.append(p.done))
except KeyboardInterrupt:
    print(counted[-1], sorted(counted) == counted)
"""
    status, said, wrong = finish(program, folder)
    assert (status, wrong) == (0, "")
    assert said == f"{4 * kept(folder)} True\n"
    there = kept(folder)
    assert rerun(folder, whole) == 4 * there


def test_two_commands_on_one_folder_the_second_leaves_and_damages_nothing(whole, tmp_path):
    folder = tmp_path / "result"
    program = """
    def hold(progress):
        print(progress.done, flush=True)
        sys.stdin.readline()
    run(on_progress=hold)
    """
    with child(program, folder) as first:
        assert first.stdout.readline() == "0\n"  # it holds the folder now, and waits
        status, _, wrong = finish("run()", folder)
        assert status == 1
        assert wrong.splitlines()[-1].endswith("another command is writing here; wait for it, or choose another folder")
        # Let go on, the first one finishes its work.
        _, wrong = first.communicate("\n" * (CHUNKS + 1), timeout=120)
    assert (first.returncode, wrong) == (0, "")
    same_bits(folder, whole)


def test_the_lock_of_a_killed_command_does_not_block(whole, tmp_path):
    folder = tmp_path / "result"
    with child("run(on_progress=lambda p: (print(p.done, flush=True), sys.stdin.readline()))", folder) as first:
        assert first.stdout.readline() == "0\n"
        first.kill()
    assert (folder / "lock").exists()
    rerun(folder, whole)
