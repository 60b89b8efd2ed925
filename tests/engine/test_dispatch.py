"""Chunks by any executor: the same bits, each chunk once, retried when it fails, refused by a worker that would differ."""

import json
import multiprocessing
import os
import signal
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, RunFailure, Study
from jaxsgd.engine import dispatch, manifest, task
from jaxsgd.engine.dispatch import ChunksFailed
from jaxsgd.engine.plan import Chunk, plan
from jaxsgd.engine.task import UnfitWorker
from jaxsgd.error import counted
from jaxsgd.results.store import BrokenChunk, Folder

STUDY = Study(
    problem="least_squares", problem_args={"num_samples": 30}, seeds=range(4), batch_counts=[2, 3], orders=["reshuffle"],
    learning_rates=[0.1], epochs=3, eval_interval=2,
)  # fmt: skip
HELD = {"vectorize": "one_program", "chunk_width": 2, "lanes": 1}


def number(args):
    """The number of the chunk of a task of the whole study: its cells are two in a row, of one program."""
    return json.loads(args[1])["cells"][0] // 2


class Here(Executor):
    """Runs what it is given at once, in this thread; `spoil(function, args)` may raise, or return something in its place."""

    def __init__(self, spoil=lambda function, args: None):
        self.spoil, self.given = spoil, []

    def submit(self, function, /, *args, **kwargs):
        self.given.append((function, args))
        future = Future()
        try:
            future.set_result(self.spoil(function, args) or function(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    @property
    def chunks(self):
        return [number(args) for function, args in self.given if function is task.run_task]


@pytest.fixture(scope="module")
def alone():
    """The result of this process alone."""
    return jaxsgd.sweep(STUDY, **HELD)


def bits(ds):
    return {name: array.values.tobytes() for name, array in ds.data_vars.items()}


def test_an_executor_gives_the_bits_of_this_process(alone):
    with ThreadPoolExecutor(2) as pool:
        assert bits(jaxsgd.sweep(STUDY, executor=pool, **HELD)) == bits(alone)


def test_processes_that_fork_are_refused_before_they_can_hang():
    # A pool starts its processes with its first call, so none is started here.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        with pytest.raises(InputError, match="forks its processes") as caught:
            jaxsgd.sweep(STUDY, executor=pool, **HELD)
        assert not pool._processes
    line = 'ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))'
    assert str(caught.value).endswith(line)
    with eval(line) as pool:
        dispatch.check_executor(pool)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver")) as pool:
        dispatch.check_executor(pool)


def test_a_pool_with_no_start_method_given_is_judged_by_the_default():
    forks = multiprocessing.get_start_method() == "fork"
    with ProcessPoolExecutor(3) as pool, pytest.raises(InputError, match="3, mp_context") if forks else nullcontext():
        dispatch.check_executor(pool)


def test_processes_give_the_same_bits_and_one_that_is_killed_loses_nothing_that_is_finished(alone, tmp_path, monkeypatch):
    reports = []

    def kill_one(progress):
        reports.append(progress)
        if progress.chunks_done == 1:
            os.kill(next(iter(pool._processes)), signal.SIGKILL)

    monkeypatch.setattr(dispatch, "MOST_WAITING", 1)
    monkeypatch.setattr(dispatch, "FEWEST_WAITING", 1)
    with (
        pytest.raises(RunFailure, match="the connection to the workers is lost"),
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        jaxsgd.sweep(STUDY, tmp_path / "result", executor=pool, on_progress=kill_one, **HELD)
    assert reports[-1].done == 2
    (kept,) = (tmp_path / "result" / "chunks").glob("*.npz")
    before = kept.stat().st_mtime_ns
    assert bits(jaxsgd.sweep(STUDY, tmp_path / "result")) == bits(alone)
    assert kept.stat().st_mtime_ns == before


def test_what_travels_is_json_and_numbers_by_one_function_of_the_package(alone):
    here = Here()
    jaxsgd.sweep(STUDY, executor=here, **HELD)
    for function, args in here.given:
        assert function.__module__ == "jaxsgd.engine.task"
        assert all(type(arg) in (str, int) for arg in args)
    common = json.loads(here.given[-1][1][0])
    assert Study(**common["study"]) == STUDY
    assert common["facts"]["held"] == json.loads(alone.attrs["manifest"])["held"]
    assert sorted(here.chunks) == [0, 1, 2, 3]


def test_a_finished_chunk_is_never_handed_over_again(alone, tmp_path):
    jaxsgd.sweep(STUDY, tmp_path / "result", **HELD)
    Folder(tmp_path / "result").chunk_file(2).unlink()
    here = Here()
    assert bits(jaxsgd.sweep(STUDY, tmp_path / "result", executor=here)) == bits(alone)
    assert here.chunks == [2]
    assert (tmp_path / "result" / "chunks" / "000002.npz").exists()


def test_no_more_chunks_are_handed_over_at_once_than_may_wait(alone, monkeypatch):
    monkeypatch.setattr(dispatch, "MOST_WAITING", 3)
    monkeypatch.setattr(dispatch, "FEWEST_WAITING", 1)
    outstanding = []

    class Counting(Here):
        def submit(self, function, /, *args, **kwargs):
            outstanding.append(len(self.chunks) - len(kept))
            return super().submit(function, *args, **kwargs)

    kept = []
    jaxsgd.sweep(STUDY, executor=Counting(), on_progress=lambda p: kept.append(p) if p.done else None, **HELD)
    assert max(outstanding) == 2  # besides the one being handed over


@pytest.mark.parametrize("stopped_by", [KeyboardInterrupt, OSError])
def test_what_stops_a_sweep_calls_back_what_no_worker_has_begun_and_keeps_what_is_finished(stopped_by, alone, tmp_path):
    reports = []

    def stop(progress):
        reports.append(progress)
        if (progress.chunks_done == 1 and stopped_by is KeyboardInterrupt) or progress.chunks_done == 2:
            raise stopped_by

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(stopped_by):
            jaxsgd.sweep(STUDY, tmp_path / "result", executor=pool, on_progress=stop, **HELD)
        assert pool.submit(len, "free again").result(60) == 10
    kept = len(list((tmp_path / "result" / "chunks").glob("*.npz")))
    assert reports[-1].chunks_done <= kept <= 4
    assert bits(jaxsgd.sweep(STUDY, tmp_path / "result")) == bits(alone)


def test_chunks_that_were_lost_with_their_worker_are_tried_again_by_themselves_when_all_others_are_back(alone):
    """One of them may be what kills the workers, and would take whatever waits there with it."""
    killed = pytest.importorskip("distributed").scheduler.KilledWorker
    done = [0]
    done_at_second_attempt = {}

    def lose(function, args):
        if function is task.run_task and number(args) in (0, 1):
            if args[2] == 1:
                raise killed(f"chunk {number(args)}", None, 0)
            done_at_second_attempt[number(args)] = done[-1]

    ds = jaxsgd.sweep(STUDY, executor=Here(lose), on_progress=lambda progress: done.append(progress.chunks_done), **HELD)
    assert done_at_second_attempt == {0: 2, 1: 3}
    assert bits(ds) == bits(alone)


def test_a_chunk_that_fails_by_itself_and_is_lost_with_a_worker_is_reported_with_its_own_error():
    """As where it waits for its second attempt behind a chunk that kills the worker."""
    killed = pytest.importorskip("distributed").scheduler.KilledWorker

    def spoil(function, args):
        if function is task.run_task and number(args) == 1:
            raise ValueError("no such luck") if args[2] == 1 else killed("chunk 1", None, 0)

    with pytest.raises(ChunksFailed) as error:
        jaxsgd.sweep(STUDY, executor=Here(spoil), retries=1, **HELD)
    (failed,) = error.value.failed
    assert (failed.chunk, failed.tries, failed.error) == (1, 2, "no such luck")


@pytest.mark.parametrize("retries", [0, 2])
def test_a_chunk_that_always_fails_is_tried_again_and_reported_by_cell_and_all_others_finish(retries, alone, tmp_path):
    def spoil(function, args):
        if function is task.run_task and number(args) == 1:
            raise ValueError("no such luck")

    here, reports = Here(spoil), []
    with pytest.raises(ChunksFailed) as error:
        jaxsgd.sweep(STUDY, tmp_path / "result", executor=here, retries=retries, on_progress=reports.append, **HELD)
    assert here.chunks.count(1) == retries + 1
    last = reports[-1]
    assert (last.chunks, last.chunks_done, last.chunks_failed, last.chunks_retried) == (4, 3, 1, retries)
    (failed,) = error.value.failed
    # Cells run through seeds and, fastest, through the two batch counts: chunk 1 holds cells 2 and 3, of seed 1.
    cell = "seed=1, optimizer=sgd, order=reshuffle, learning_rate=0.1, batch_count="
    assert failed == (1, (f"{cell}2", f"{cell}3"), retries + 1, "no such luck")
    tries = counted(retries + 1, "time")
    assert str(error.value) == (
        f"1 of 4 chunks failed, all others are finished: chunk 1 (2 cells, the first: {cell}2), tried {tries}: no such luck"
    )
    assert jaxsgd.load(tmp_path / "result").attrs["missing_cells"] == 2
    assert json.loads(jaxsgd.load(tmp_path / "result").attrs["manifest"])["times"]["finished"] is None
    assert bits(jaxsgd.sweep(STUDY, tmp_path / "result")) == bits(alone)


@pytest.mark.parametrize("answer", [b"", b"{}\n", b"no json\nno archive"])
def test_an_answer_that_is_no_chunk_is_a_failed_attempt(answer, alone):
    spoiled = []

    def spoil(function, args):
        if function is task.run_task and number(args) == 3 and not spoiled:
            spoiled.append(answer)
            return answer or b"\n"
        return None

    reports = []
    assert bits(jaxsgd.sweep(STUDY, executor=Here(spoil), on_progress=reports.append, **HELD)) == bits(alone)
    assert (reports[-1].chunks_retried, reports[-1].chunks_failed) == (1, 0)


def test_another_chunk_in_its_place_is_not_taken(alone):
    common = task.described(*dispatch.surveyed(Here(), STUDY, HELD))
    cells = np.arange(2)
    first, second = (task.chunk_text(Chunk(0, np.arange(start, start + 2))) for start in (0, 2))
    assert task.read_done(task.run_task(common, first), 0, STUDY.identity, cells).lanes == 1
    with pytest.raises(BrokenChunk, match="holds other cells"):
        task.read_done(task.run_task(common, second), 0, STUDY.identity, cells)


def test_a_worker_that_ran_with_fewer_lanes_for_want_of_memory_is_written_down(alone):
    def spoil(function, args):
        if function is task.run_task and number(args) in (1, 2):
            head, _, content = task.run_task(*args).partition(b"\n")
            return json.dumps(json.loads(head) | {"lanes": 1}).encode() + b"\n" + content
        return None

    ds = jaxsgd.sweep(STUDY, executor=Here(spoil), **{**HELD, "lanes": 2})
    stored = json.loads(ds.attrs["manifest"])
    assert (stored["held"]["lanes"], stored["lanes_narrowed"]) == (2, [{"program": 0, "lanes": 1}])


@pytest.mark.parametrize("lost", [BrokenExecutor("a process died"), RuntimeError("cannot schedule new futures")])
def test_workers_that_are_lost_are_one_line(lost, alone, tmp_path):
    class Losing(Here):
        def submit(self, function, /, *args, **kwargs):
            if len(self.chunks) == 2:
                raise lost
            return super().submit(function, *args, **kwargs)

    with pytest.raises(RunFailure, match=r"^the connection to the workers is lost"):
        jaxsgd.sweep(STUDY, tmp_path / "result", executor=Losing(), **HELD)
    # What came back before is kept.
    assert jaxsgd.load(tmp_path / "result").attrs["missing_cells"] == 4


@pytest.mark.parametrize("package", ["jax", "jaxsgd"])
def test_a_worker_with_other_versions_is_refused_naming_both(package, alone, tmp_path, monkeypatch):
    here = manifest.versions()[package]
    facts = manifest.facts

    def older(planned):
        own_facts = facts(planned)
        return own_facts | {"versions": own_facts["versions"] | {package: "0.0.1"}}

    monkeypatch.setattr(task, "facts", older)
    with pytest.raises(UnfitWorker, match=rf"{package}: {here} here, 0.0.1 on the worker"):
        jaxsgd.sweep(STUDY, tmp_path / "result", executor=Here(), **HELD)
    assert not (tmp_path / "result").exists()


def test_a_worker_that_comes_later_with_other_versions_ends_the_sweep_and_keeps_what_is_finished(alone, tmp_path, monkeypatch):
    facts = manifest.facts

    def spoil(function, args):
        if function is task.run_task and number(args) == 2:
            task._execution.cache_clear()
            monkeypatch.setattr(task, "facts", lambda planned: facts(planned) | {"num_samples": 31})

    with pytest.raises(UnfitWorker, match=r"would not give the same bits \(num_samples: 30 at the command, 31 on the worker\)"):
        jaxsgd.sweep(STUDY, tmp_path / "result", executor=Here(spoil), **HELD)
    assert jaxsgd.load(tmp_path / "result").attrs["missing_cells"] == 4


def test_a_problem_that_the_workers_cannot_import_is_refused_and_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("from jaxsgd.problems import least_squares\nmake = least_squares\n")
    monkeypatch.syspath_prepend(tmp_path)
    study = STUDY.replaced(problem="only_here:make")

    def spoil(function, args):
        monkeypatch.undo()
        monkeypatch.delitem(__import__("sys").modules, "only_here")

    with pytest.raises(UnfitWorker, match=r"cannot import 'only_here'.*start it with their folder in PYTHONPATH"):
        jaxsgd.sweep(study, tmp_path / "result", executor=Here(spoil), **HELD)
    assert not (tmp_path / "result").exists()


@pytest.mark.parametrize("cores", [1, 64])
def test_the_plan_of_a_worker_is_the_one_that_was_made_here_however_many_cores_it_has(cores, monkeypatch):
    planned, worker_facts = dispatch.surveyed(Here(), STUDY, {"vectorize": "auto"})
    monkeypatch.setattr("jaxsgd.engine.plan.cores", lambda: cores)
    task._execution.cache_clear()
    theirs = task._execution(task.described(planned, worker_facts)).plan
    assert theirs.settings() == planned.settings()
    assert [chunk.cells.tolist() for chunk in theirs.chunks] == [chunk.cells.tolist() for chunk in planned.chunks]


def test_where_the_workers_have_another_kind_of_device_the_plan_is_theirs_and_the_manifest_says_so(alone, monkeypatch):
    """The workers' word is forged: no GPU is needed for the command to take over the plan of one."""
    facts = manifest.facts
    theirs = {"backend": "gpu", "kind": "NVIDIA H100", "count": 1, "cores": 16, "machine": "x86_64", "system": "Linux"}

    def on_a_gpu(planned):
        # A worker that is asked for its own plan has one of 8 cells, all side by side.
        wide = plan(STUDY, vectorize="one_program", chunk_width=8, lanes=8)
        return facts(wide) | {"device": theirs}

    monkeypatch.setattr(task, "facts", on_a_gpu)
    planned, worker_facts = dispatch.surveyed(Here(), STUDY, {"vectorize": "auto"})
    assert (planned.width, planned.lanes, len(planned.chunks)) == (8, 8, 1)
    assert worker_facts["device"] == theirs
    assert worker_facts["held"] == planned.settings()


@pytest.mark.parametrize("retries", [-1, 1.5, True, "2"])
def test_retries_that_are_no_count_are_refused(retries, unchecked):
    with pytest.raises(InputError, match="retries must be a whole number of at least 0"):
        jaxsgd.sweep(STUDY, executor=Here(), retries=retries, **HELD)
