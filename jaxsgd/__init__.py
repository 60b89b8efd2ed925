"""A functional simulator of mini-batch SGD, with vectorized sweeps.

The folders are the data flow:

    problem, order  ->  simulator  ->  measure  ->  engine  ->  plot  ->  cli
    what to train,      one run by     what to     many runs    figures   commands
    in what order       lax.scan       read off

Names are loaded when first used, so that help texts open without waiting for JAX.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxsgd import problems
    from jaxsgd.error import InputError
    from jaxsgd.measure import (
        Stripes,
        diverged_epoch,
        expected_range,
        hiding_interval,
        sampling_spread,
        stripe_count,
        stripes,
        windows,
    )
    from jaxsgd.order import ORDERS, Order, Split, split
    from jaxsgd.problem import Problem
    from jaxsgd.simulator import Keys, Run, simulate, simulator, streams

_HOME = {
    "InputError": "jaxsgd.error",
    "Keys": "jaxsgd.simulator",
    "ORDERS": "jaxsgd.order",
    "Order": "jaxsgd.order",
    "Problem": "jaxsgd.problem",
    "Run": "jaxsgd.simulator",
    "Split": "jaxsgd.order",
    "Stripes": "jaxsgd.measure",
    "diverged_epoch": "jaxsgd.measure",
    "expected_range": "jaxsgd.measure",
    "hiding_interval": "jaxsgd.measure",
    "sampling_spread": "jaxsgd.measure",
    "simulate": "jaxsgd.simulator",
    "simulator": "jaxsgd.simulator",
    "split": "jaxsgd.order",
    "streams": "jaxsgd.simulator",
    "stripe_count": "jaxsgd.measure",
    "stripes": "jaxsgd.measure",
    "windows": "jaxsgd.measure",
}

__all__ = [*_HOME, "problems"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name == "problems":
        return importlib.import_module("jaxsgd.problems")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'jaxsgd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
