"""Every peer trains the same, what is timed is timed in turn, and a peer that trains otherwise is found out."""

from contextlib import ExitStack

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from benchmarks import peer as peers
from benchmarks.peer import OURS, PEERS, check_same_losses, contenders
from benchmarks.workload import Workload, start
from jaxsgd import InputError

SMALL = Workload(runs=3, epochs=4, batch_count=5, num_samples=20, num_hidden=6, rate=0.5)


@pytest.fixture(scope="module")
def begun():
    return start(SMALL)


def test_runs_begin_with_what_the_simulator_draws(begun):
    problem = jaxsgd.problems.square_regression(num_samples=20, num_hidden=6)
    keys = jaxsgd.streams(jax.random.key(2))
    x, target = problem.sample_data(keys.data)
    params = problem.init(keys.init)
    np.testing.assert_allclose(begun.x[2], x, rtol=1e-6)
    np.testing.assert_allclose(begun.target[2], target, rtol=1e-6)
    np.testing.assert_allclose(begun.w1[2], params["w1"], rtol=1e-5)
    np.testing.assert_allclose(begun.w2[2].T, params["w2"], rtol=1e-5)


def test_every_peer_has_the_losses_of_the_simulator(begun):
    expected = [
        jaxsgd.simulate(
            jaxsgd.problems.square_regression(num_samples=20, num_hidden=6), jax.random.key(seed), batch_count=5, epochs=4,
            optimizer=optax.sgd(0.5),
        ).loss
        for seed in range(3)
    ]  # fmt: skip
    with ExitStack() as stack:
        by_name = contenders(SMALL, begun, list(PEERS), 2, stack)
        # Those whose package is missing are left out.
        assert list(by_name) == [OURS, *(name for name, peer in PEERS.items() if peer.is_there)]
        for name, contender in by_name.items():
            losses = contender.call()
            assert losses.shape == (contender.runs, 4, 5)
            np.testing.assert_allclose(losses, expected[: contender.runs], rtol=1e-4)
            # One that goes through the runs one by one does a few of them alone.
            assert contender.runs == (2 if name != "numpy_processes" and name != OURS and PEERS[name].loops else 3)
    assert float(np.ptp(jnp.asarray(expected))) > 0.1  # the losses do fall


def test_a_peer_that_trains_otherwise_is_named(begun):
    with ExitStack() as stack:
        losses = {name: contender.call() for name, contender in contenders(SMALL, begun, ["jit_run"], 3, stack).items()}
    check_same_losses(losses)
    with pytest.raises(InputError, match=r"jit_run has not trained the same: its losses differ by a share of 0\.01"):
        check_same_losses({**losses, "jit_run": losses["jit_run"] * 1.01})
    with pytest.raises(InputError, match="jit_run has not trained the same"):
        check_same_losses({**losses, "jit_run": losses["jit_run"] * np.nan})


def test_an_unknown_peer_is_named(begun):
    with ExitStack() as stack, pytest.raises(InputError, match="unknown peer 'numpi': did you mean 'numpy'"):
        contenders(SMALL, begun, ["numpi"], 2, stack)


def test_a_missing_package_leaves_its_peers_out(begun, monkeypatch):
    monkeypatch.setattr(peers.torch_loop, "torch", None)
    with ExitStack() as stack:
        assert list(contenders(SMALL, begun, ["torch", "jit_run", "torch_vmap"], 2, stack)) == [OURS, "jit_run"]
