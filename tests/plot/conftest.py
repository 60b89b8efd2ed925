"""The results of `results.py` as datasets."""

import pytest

import jaxsgd
from tests.plot.results import stored, unfinished_copy


@pytest.fixture(scope="session")
def striped(tmp_path_factory, worker_id):
    return jaxsgd.load(stored("striped", tmp_path_factory, worker_id))


@pytest.fixture(scope="session")
def diverging(tmp_path_factory, worker_id):
    return jaxsgd.load(stored("diverging", tmp_path_factory, worker_id))


@pytest.fixture(scope="session")
def apart(tmp_path_factory, worker_id):
    return jaxsgd.load(stored("apart", tmp_path_factory, worker_id))


@pytest.fixture(scope="session")
def unfinished(tmp_path_factory, worker_id):
    folder = stored("striped", tmp_path_factory, worker_id)
    return jaxsgd.load(unfinished_copy(folder, tmp_path_factory.mktemp("copy") / "unfinished"))
