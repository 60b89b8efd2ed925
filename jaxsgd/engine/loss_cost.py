"""The cost of a problem's loss and its gradient, read off the traced program."""

import math
from typing import Any, NamedTuple

import jax

from jaxsgd.compiling.convolution import has_convolution
from jaxsgd.compiling.per_owner import PerOwner
from jaxsgd.compiling.work import Work, work
from jaxsgd.engine.draw_program import drawn_shapes
from jaxsgd.study.subject import Subject, precision_of


class LossCost(NamedTuple):
    """The cost of the loss of all samples with its gradient.

    Attributes:
      work: of a pass over all samples.
      params_bytes: size of the parameters.
      data_bytes: size of the data.
      convolves: True if the loss has a convolution.
    """

    work: Work
    params_bytes: int
    data_bytes: int
    convolves: bool


def loss_cost(subject: Subject, dtype: str) -> LossCost:
    """Return the cost of a problem's loss; a problem is traced once, and its cost kept as long as the problem.

    Args:
      subject: the problem.
      dtype: of data and parameters.
    """
    return COSTS.get(subject, dtype, lambda: _traced_cost(subject, dtype))


COSTS: PerOwner[LossCost] = PerOwner()


def _traced_cost(subject: Subject, dtype: str) -> LossCost:
    problem, drawn = subject.problem, drawn_shapes(subject, dtype)
    params, data = drawn.params, drawn.data if subject.data is None else subject.data

    def one_pass(params, data):
        key = jax.random.key(0)
        return jax.value_and_grad(lambda params: problem.training_losses(params, data, key).mean())(params)

    with precision_of(dtype):
        jaxpr = jax.make_jaxpr(one_pass)(params, data)
    return LossCost(work(jaxpr), _bytes(params), _bytes(data), has_convolution(jaxpr))


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
