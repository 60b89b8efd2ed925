"""Barriers between forks: each against the line between its two runs' own parameters, and what cannot be compared."""

import jax
import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.analysis import branches
from jaxsgd.measure import linear_barrier
from tests.single_run import NETWORK, SIZES, drawn

PARENT = Study(
    problem="square_regression", problem_args=SIZES, data_seeds=[0, 3], order_seeds=[0], batch_counts=[5], orders=["reshuffle"],
    learning_rates=[0.5], epochs=2, keep=[0, 2],
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("branches")
    jaxsgd.sweep(PARENT, place / "parent")
    for epoch in (0, 2):
        fork = PARENT.replaced(order_seeds=[1, 2, 4], keep="final", start=place / "parent", start_epoch=epoch)
        jaxsgd.sweep(fork, place / f"from_{epoch}")
    return [place / "from_2", place / "from_0"]


barrier = jax.jit(lambda first, second, data: linear_barrier(NETWORK, first, second, data, points=5))


def test_every_pair_of_forks_has_the_barrier_of_the_line_between_its_ends(folders):
    ds = branches(folders, points=5)
    assert ds.start_epoch.values.tolist() == [0, 2]
    assert list(zip(ds.order_seed_a.values.tolist(), ds.order_seed_b.values.tolist(), strict=True)) == [(1, 2), (1, 4), (2, 4)]
    assert ds.loss.dims == ("start_epoch", "data_seed", "optimizer", "order", "learning_rate", "batch_count", "pair", "share")
    for folder, epoch in zip(folders, (2, 0), strict=True):
        for data_seed in (0, 3):
            _, data = drawn(data_seed)
            own = {"order": "reshuffle", "optimizer": "sgd", "learning_rate": 0.5, "batch_count": 5, "data_seed": data_seed}
            ends = [jaxsgd.parameters(folder, order_seed=seed, **own) for seed in (1, 4)]
            expected = barrier(*ends, data)
            line = ds.sel(start_epoch=epoch, data_seed=data_seed).squeeze().isel(pair=1)
            np.testing.assert_allclose(line.loss, expected.loss, rtol=1e-5)
            np.testing.assert_allclose(line.barrier, expected.barrier, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(ds.barrier_median, [np.median(ds.barrier.sel(start_epoch=epoch)) for epoch in (0, 2)])
    assert ds.barrier.attrs["long_name"] == "barrier of the training loss between two forks"


def test_what_has_no_forks_to_compare_is_one_line(folders, tmp_path):
    parent = folders[0].parent / "parent"
    with pytest.raises(InputError, match="its runs begin at the problem's own parameters, so it has no forks to compare"):
        branches(parent)
    with pytest.raises(InputError, match="needs at least two values of init_seed: give init_seeds in the study"):
        branches(folders[0], axis="init_seed")
    with pytest.raises(InputError, match="branches needs at least one result of forks, got none"):
        branches([])
    few = PARENT.replaced(order_seeds=[1, 2], keep="final", start=parent, start_epoch=2)
    jaxsgd.sweep(few, tmp_path / "few")
    with pytest.raises(InputError, match="has other axes than the other results"):
        branches([folders[1], tmp_path / "few"])
