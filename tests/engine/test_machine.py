"""The machine as `jaxsgd info` shows it is the one that a sweep runs on."""

from jaxsgd.engine import machine
from jaxsgd.engine.execution import workers
from jaxsgd.engine.program import compiler_options


def test_what_is_shown_is_what_a_sweep_uses():
    assert machine.threads() == len(workers())
    assert machine.compiler_options() == compiler_options()
