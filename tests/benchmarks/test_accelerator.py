"""The script for an accelerator runs on a CPU in small sizes: it compares what it says, and reports a part that failed."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks.accelerator import correctness, memory, timing
from benchmarks.accelerator.__main__ import PARTS, run
from benchmarks.accelerator.sizes import FULL, SMALL
from benchmarks.peer import LOSS_RTOL
from jaxsgd.engine.plan import plan


def test_a_device_agrees_with_itself_in_its_orders_and_both_paths():
    rows = list(correctness.against_cpu(SMALL, "least squares", ["flip_flop", "reshuffle"]))
    assert [row["path"] for row in rows] == ["grouped", "one_program"]
    for row in rows:
        # The accelerator is the CPU here.
        assert row["passes"]
        assert set(row["largest difference"].values()) == {0.0}
        assert list(row["largest difference"]) == ["flip_flop", "reshuffle"]


def test_losses_that_differ_or_are_missing_do_not_pass():
    losses = np.array([1.0, 2.0, np.nan])
    assert correctness._apart(losses, losses) == 0
    assert correctness._apart(losses * 1.01, losses) == pytest.approx(0.01)
    assert correctness._apart(np.array([1.0, np.nan, np.nan]), losses) == np.inf


def test_the_peers_train_what_the_sweep_trains():
    # The programs of each further number of runs differ in their width alone.
    sizes = SMALL._replace(runs=(4,))
    (row,) = timing.beside_peers(sizes)
    assert row["passes"], row
    assert row["times"][0]["name"] == "jaxsgd"
    assert row["times"][0]["ratio"] == 1.0
    for row in [*timing.digits(sizes), *timing.problems(sizes)]:
        assert row["passes"], row
        # On a CPU the three programs round alike, so that in all epochs no difference has grown.
        assert list(row["largest difference"]) == ["jaxsgd", "jit(vmap(scan))", "two runs, one after another"]
        assert max(row["largest difference"].values()) <= LOSS_RTOL


def test_every_problem_that_is_timed_is_one_of_a_user():
    assert {*FULL.problems, *SMALL.problems} <= set(timing.user_problem.USER_PROBLEMS)


def test_every_form_of_the_products_has_the_same_losses():
    workload = SMALL.workload(2)
    begin, how = timing.start(workload), (workload.batch_count, workload.epochs, workload.rate)
    plain = timing.peers.article(begin, *how)()
    np.testing.assert_allclose(timing.peers.article(begin, *how, product=timing.peers.with_sums)(), plain, rtol=1e-5)
    np.testing.assert_allclose(timing.peers.article(begin, *how, unroll=5)(), plain, rtol=1e-5)


def test_options_of_xla_are_known_to_it_and_those_that_fail_are_listed():
    own = plan(SMALL.workload(2).study())
    program = timing.lowered(own)
    for options in [*timing.OPTIONS.values(), *timing.REPEATABLE.values()]:
        assert timing.compiled(program, options).call().loss.shape == (own.width, 4, 10)


def test_a_chunk_that_fits_is_not_narrowed_and_has_the_losses_of_a_narrow_one():
    outcome = memory.forced_failure(SMALL)
    assert outcome["narrowed"] == []
    assert outcome["passes"]


def test_the_command_writes_each_part_and_says_which_failed(tmp_path: Path, monkeypatch):
    out = tmp_path / "accelerator.json"
    # JAX does not start on a platform that does not exist, so that the parts fail, each in its process.
    monkeypatch.setenv("JAX_PLATFORMS", "no_such_platform")
    command = typer.Typer()
    command.command()(run)
    done = CliRunner().invoke(command, ["--small", "--out", str(out), "--part", "peers", "--part", "paths"])
    assert done.exit_code == 0, done.output
    results = json.loads(out.read_text())
    assert list(results) == ["peers", "paths"]
    assert "no_such_platform" in " ".join(results["paths"]["failed"])
    assert "peers: " in done.stdout


def test_the_epochs_of_a_timing_follow_from_the_runs():
    # 400,000 steps: 4,096 runs of 10 steps an epoch take the fewest epochs, 64 runs the most that are allowed.
    assert [FULL.epochs(runs) for runs in FULL.runs] == [200, 78, 10]
    assert len(PARTS) == len(set(PARTS))
