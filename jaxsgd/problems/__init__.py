"""The built-in problems: functions of sizes that return a `Problem`."""

from collections.abc import Callable

from jaxsgd._facade import no_attribute
from jaxsgd.error import no_such
from jaxsgd.optimizer import POINTERS
from jaxsgd.problem import Problem
from jaxsgd.problems.article_network import square_regression
from jaxsgd.problems.char_lm import char_lm
from jaxsgd.problems.convnet import convnet
from jaxsgd.problems.data_file import from_file
from jaxsgd.problems.handwriting import digits
from jaxsgd.problems.linear_model import least_squares
from jaxsgd.problems.linear_network import deep_linear
from jaxsgd.problems.mnist1d import mnist1d
from jaxsgd.problems.power_law_regression import power_law_regression
from jaxsgd.problems.quadratic_model import noisy_quadratic
from jaxsgd.problems.tanh_network import tanh_network

PROBLEMS: dict[str, Callable[..., Problem]] = {
    "square_regression": square_regression,
    "least_squares": least_squares,
    "noisy_quadratic": noisy_quadratic,
    "power_law_regression": power_law_regression,
    "digits": digits,
    "mnist1d": mnist1d,
    "convnet": convnet,
    "char_lm": char_lm,
    "tanh_network": tanh_network,
    "deep_linear": deep_linear,
    "from_file": from_file,
}
"""The built-in problems by name."""


def problem_named(name: str) -> Callable[..., Problem]:
    """Return the function that makes the built-in problem called `name`.

    Raises:
      InputError: for an unknown name, with the nearest valid one.
    """
    if name not in PROBLEMS:
        raise no_such("problem", name, PROBLEMS, POINTERS["problem"])
    return PROBLEMS[name]


__all__ = [
    "PROBLEMS",
    "char_lm",
    "convnet",
    "deep_linear",
    "digits",
    "from_file",
    "least_squares",
    "mnist1d",
    "noisy_quadratic",
    "power_law_regression",
    "problem_named",
    "square_regression",
    "tanh_network",
]


def __getattr__(name: str) -> object:
    raise no_attribute(__name__, name, __all__)
