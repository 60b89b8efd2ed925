"""The machine as `jaxsgd info` shows it is the one that a sweep runs on."""

from jaxsgd import machine
from jaxsgd.engine.execution import workers


def test_as_many_threads_are_shown_as_run_chunks():
    assert machine.threads() == len(workers())
