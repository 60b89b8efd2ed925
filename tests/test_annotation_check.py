import jaxtyping
import numpy as np
import pytest
from jaxtyping import Float, TypeCheckError

from jaxsgd.measure.stripes import stripes
from tests import annotation_check


def defined_again(unit):
    """A function that is defined at each call, with the check of annotations that tests have."""

    @jaxtyping.jaxtyped(typechecker=annotation_check.beartype)
    def scaled(values: Float[np.ndarray, "N"], weights: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
        return values * weights * unit

    return scaled


def test_an_inner_function_is_checked_when_it_is_first_defined_and_does_its_own_work_each_time():
    annotation_check._inner.clear()
    first = defined_again(np.ones((2, 1)))
    with pytest.raises(TypeCheckError, match="weights"):
        first(np.ones(2), np.ones(3))
    with pytest.raises(TypeCheckError, match="values"):
        first([1.0, 2.0], np.ones(2))
    with pytest.raises(TypeCheckError, match="return"):
        first(np.ones(2), np.ones(2))
    second = defined_again(3.0)
    assert second(np.ones(2), np.ones(2)).tolist() == [3, 3]
    assert not hasattr(second, "__wrapped__")


def test_the_packages_functions_are_checked():
    with pytest.raises(TypeCheckError, match="eval_interval"):
        stripes(np.ones((2, 12)), "3")
