"""Sweeps on real Dask schedulers and workers: the same bits from one, two and three, and through real kills."""

import json
import os
import signal
import sys

import pytest

import jaxsgd
from jaxsgd import Study
from jaxsgd.cli.errors import run_app
from tests.dask_processes import scheduler, wait_until, worker
from tests.study_parts import hold, let_go

distributed = pytest.importorskip("distributed")

NETWORK = Study(
    problem="square_regression", problem_args={"num_samples": 60, "num_hidden": 10}, seeds=range(6), batch_counts=[2, 5],
    orders=["reshuffle"], learning_rates=[0.1], epochs=3, eval_interval=2,
)  # fmt: skip


FIELDS = {"seeds": range(8), "batch_counts": [4], "learning_rates": [0.1], "epochs": 2}
ONE_BY_ONE = {"vectorize": "one_program", "chunk_width": 1}


def obedient(folder):
    """Eight runs, a chunk each, that do what files in a folder tell their seeds."""
    return Study(problem="tests.study_parts:obedient", problem_args={"folder": str(folder)}, **FIELDS)


@pytest.fixture(scope="module")
def alone():
    """Their bits when this process runs them and nothing is in the way."""
    return bits(jaxsgd.sweep(Study(problem="tests.study_parts:waves", **FIELDS), **ONE_BY_ONE))


def bits(ds):
    return {name: array.values.tobytes() for name, array in ds.data_vars.items()}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of a scheduler with three workers, which share a nanny's process."""
    # A chunk whose worker dies is given to another, as often as `retries` says and not beyond.
    failures = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with (
        scheduler(tmp_path_factory.mktemp("scheduler"), environment=failures) as (address, _),
        worker(address, "--nworkers", "3"),
        distributed.Client(address, timeout=60, set_as_default=False) as client,
    ):
        client.wait_for_workers(3, timeout=120)
        yield client


def some(client, count):
    """An executor of so many of the client's workers."""
    addresses = wait_until(lambda: _at_least(client, count), f"{count} workers")
    return client.get_executor(pure=False, workers=addresses[:count])


def _at_least(client, count):
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    return workers if len(workers) >= count else None


def test_one_two_and_three_workers_and_this_process_give_the_same_bits(client):
    how = {"vectorize": "one_program", "chunk_width": 2, "lanes": 2}
    alone = bits(jaxsgd.sweep(NETWORK, **how))
    for count in (3, 2, 1):
        progress = []
        with some(client, count) as executor:
            assert bits(jaxsgd.sweep(NETWORK, executor=executor, on_progress=progress.append, **how)) == alone
        assert progress[-1].chunks_done == progress[-1].chunks == 6
        assert 1 <= progress[-1].workers <= count
    # Workers, which only run, do not wait for these.
    assert not any(client.run(lambda: {"xarray", "pandas"} & set(sys.modules)).values())


def test_a_worker_killed_in_mid_run_loses_no_chunk_and_changes_no_bit(client, alone, tmp_path):
    study = obedient(tmp_path)
    hold(tmp_path, range(2, 8))
    killed = []

    def kill_one(progress):
        # Two chunks are done. Both workers have begun one of those that wait; one of the workers is killed, and all go on.
        if progress.chunks_done == 2 and not killed:
            running = wait_until(lambda: _two(tmp_path, range(2, 8)), "two chunks in hand")
            killed.append(running.pop())
            os.kill(killed[0], signal.SIGKILL)
            let_go(tmp_path)

    progress = []
    # A worker that comes back has another address, so all may be used.
    with client.get_executor(pure=False) as executor:
        ds = jaxsgd.sweep(
            study, tmp_path / "result", executor=executor, on_progress=lambda p: (progress.append(p), kill_one(p)), **ONE_BY_ONE
        )
    assert killed
    assert progress[-1].chunks_done == 8
    assert bits(ds) == bits(jaxsgd.load(tmp_path / "result")) == alone


def _two(folder, seeds):
    pids = {int(path.suffix[1:]) for seed in seeds for path in folder.glob(f"{seed}.begun.*")}
    return pids if len(pids) >= 2 else None


def test_chunks_that_always_fail_or_kill_their_worker_are_reported_by_cell_and_all_others_finish(
    client, alone, tmp_path, capsys, monkeypatch, unchecked
):
    """By the command: its exit status, its one line and its JSON."""
    study = obedient(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps(study.resolved()))
    (tmp_path / "3.raise").touch()
    (tmp_path / "5.kill").touch()
    out, address = tmp_path / "result", client.scheduler.address
    command = ["run", str(tmp_path / "study.json"), "--out", str(out), "--chunk-width", "1", "--vectorize", "one_program"]
    assert run_app([*command, "--scheduler", address, "--retries", "1", "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"jaxsgd: {address}: 2 of 8 chunks failed, all others are finished: chunk ")
    assert captured.err.endswith(f"; 6 of 8 cells are kept in {out}; run the command again for the rest\n")
    assert captured.err.count("\n") == 1
    payload = json.loads(captured.out)
    failed = {chunk["chunk"]: chunk for chunk in payload["failed"]}
    assert set(failed) == {3, 5}
    for number, error in ((3, "seed 3 is told to fail"), (5, "every worker that ran it died")):
        assert failed[number]["cells"] == [f"seed={number}, optimizer=sgd, order=fixed, learning_rate=0.1, batch_count=4"]
        assert failed[number]["tries"] == 2
        assert failed[number]["error"].endswith(error)
    assert len(list(tmp_path.glob("5.begun.*"))) == 2  # as many processes as attempts
    # What waits on a worker when it dies fails with it, for Dask cannot know which one it was: it is tried again too.
    assert payload["chunks"]["retried"] >= 2
    assert payload["chunks"] | {"retried": 2} == {"all": 8, "done": 6, "failed": 2, "retried": 2}
    assert (payload["cells"], payload["done_cells"]) == (8, 6)
    assert names(out) == [f"{number:06d}.npz" for number in range(8) if number not in (3, 5)]
    # Once they behave, another call does those two and no other.
    (tmp_path / "3.raise").unlink()
    (tmp_path / "5.kill").unlink()
    before = {path: path.stat().st_mtime_ns for path in (out / "chunks").iterdir()}
    assert run_app([*command, "--scheduler", address]) == 0
    assert capsys.readouterr().out == f"ran 8 cells, 6 of them in an earlier run; the result is in {out}\n"
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert bits(jaxsgd.load(out)) == alone


def names(folder):
    return sorted(path.name for path in (folder / "chunks").iterdir())
