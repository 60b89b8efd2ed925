"""`jaxsgd run` as a process: Ctrl-C, once, twice and while it compiles; two at once on one folder; too little memory."""

import json
import signal
import subprocess
import time

import pytest

import jaxsgd
from jaxsgd import Study
from jaxsgd.error import counted
from jaxsgd.results.store import Folder
from tests.cli.conftest import COMMAND
from tests.dask_processes import PATIENCE, ROOT, process, wait_until
from tests.study_parts import hold, let_go

FIELDS = {"seeds": range(8), "batch_counts": [4], "learning_rates": [0.1], "epochs": 2}


@pytest.fixture
def folder(tmp_path):
    """A folder with the file of a study of eight runs, a chunk each, that do what files in it tell their seeds."""
    obedient = Study(problem="tests.study_parts:obedient", problem_args={"folder": str(tmp_path)}, **FIELDS)
    (tmp_path / "study.json").write_text(json.dumps(obedient.resolved()))
    return tmp_path


def run(folder, environment, *words):
    """The command, begun."""
    words = (*words, "run", "study.json", "--out", "result", "--chunk-width", "1", "--vectorize", "one_program")
    return process(*COMMAND, *words, environment=environment | {"PYTHONPATH": str(ROOT)}, cwd=folder, stdout=subprocess.PIPE)


def in_hand(folder):
    """The seeds whose runs have begun and wait."""
    begun = {path.name.partition(".")[0] for path in folder.glob("*.begun.*")}
    return begun & {path.name.partition(".")[0] for path in folder.glob("*.wait")}


def kept(folder):
    """The numbers of the chunks that are there, all of them whole."""
    study = Study(**json.loads((folder / "study.json").read_text()))
    numbers = [int(path.stem) for path in (folder / "result" / "chunks").glob("0*.npz")]
    assert all(Folder(folder / "result").read_chunk(number, study.fixed_identity) for number in numbers)
    return sorted(numbers)


def test_ctrl_c_finishes_the_chunks_in_hand_and_a_second_one_ends_at_once(folder, environment):
    hold(folder, range(2, 8))
    with run(folder, environment) as first:
        wait_until(lambda: kept(folder) == [0, 1] and in_hand(folder), "two chunks and another in hand")
        first.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):  # the chunks in hand wait, and so does it
            first.wait(timeout=1)
        waited = {int(seed) for seed in in_hand(folder)}
        let_go(folder)
        output, wrong = first.communicate(timeout=PATIENCE)
    finished = [0, 1, *sorted(waited)]
    assert (first.returncode, output) == (130, "")
    assert wrong == (
        f"jaxsgd: interrupted: finishing {counted(len(waited), 'chunk')}; press Ctrl-C again to end at once\n"
        f"jaxsgd: interrupted: {len(finished)} of 8 cells are kept in result; run the command again to finish\n"
    )
    assert kept(folder) == finished

    for begun in folder.glob("*.begun.*"):
        begun.unlink()
    hold(folder, range(8))
    with run(folder, environment) as second:
        wait_until(lambda: in_hand(folder), "a chunk in hand")
        give_up = time.monotonic() + PATIENCE
        while second.poll() is None and time.monotonic() < give_up:
            second.send_signal(signal.SIGINT)
            time.sleep(0.3)
        output, wrong = second.communicate()
    assert (second.returncode, output) == (130, "")
    assert wrong.startswith("jaxsgd: interrupted")
    assert wrong.count("\n") == 2
    assert kept(folder) == finished
    let_go(folder)


def test_ctrl_c_while_it_compiles_is_130_and_leaves_a_folder_to_go_on_with(folder, environment):
    with run(folder, environment, "--no-cache") as running:
        wait_until((folder / "result" / "manifest.json").exists, "the result folder")
        running.send_signal(signal.SIGINT)
        output, wrong = running.communicate(timeout=PATIENCE)
    assert (running.returncode, output) == (130, "")
    assert wrong.startswith("jaxsgd: interrupted")
    assert 1 <= wrong.count("\n") <= 2  # the first names the chunks that are being finished, if there are any yet
    assert len(kept(folder)) < 8
    ds = jaxsgd.load(folder / "result")
    assert ds.attrs["missing_cells"] == 8 - len(kept(folder))


def test_of_two_commands_that_are_started_together_one_works_and_one_leaves(folder, environment):
    hold(folder, range(8))
    with run(folder, environment) as first, run(folder, environment) as other:
        left = wait_until(
            lambda: next((command for command in (first, other) if command.poll() is not None), None), "one's end"
        )
        works = other if left is first else first
        output, wrong = left.communicate()
        assert (left.returncode, output) == (2, "")
        assert wrong == "jaxsgd: result: another command is writing here; wait for it, or choose another folder\n"
        wait_until(lambda: in_hand(folder), "a chunk in hand")
        works.kill()
    # The lock file of the one that was killed is there still, and does not block.
    assert (folder / "result" / "lock").exists()
    let_go(folder)
    study = Study(**json.loads((folder / "study.json").read_text()))
    assert jaxsgd.sweep(study, folder / "result").attrs["missing_cells"] == 0
