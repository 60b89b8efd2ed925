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


def test_a_form_that_passed_is_not_checked_again_and_each_other_form_is():
    results = [np.ones(2), np.ones(2), np.ones(3), np.ones(2, np.float32), [1.0, 1.0], np.ones(2)]
    calls = iter(results)

    def given(values, *, factor: int = 1):
        return next(calls)

    given.__qualname__ = "given"
    given.__annotations__ |= {"values": Float[np.ndarray, " N"], "return": annotation_check.jaxtyping.Float64[np.ndarray, " N"]}
    checked = annotation_check.jaxtyped(given, typechecker=annotation_check.beartype)
    assert checked(np.zeros(2)) is results[0]
    assert checked(np.zeros(2)) is results[1]
    for _ in results[2:5]:
        with pytest.raises(TypeCheckError, match="return"):
            checked(np.zeros(2))
    # The arguments are checked before the call.
    for args, options in [
        ((np.zeros((2, 2)),), {}),
        ((np.zeros(2, int),), {}),
        ((np.zeros(2),), {"factor": "1"}),
        (([0.0],), {}),
    ]:
        with pytest.raises(TypeCheckError, match=r"values|factor"):
            checked(*args, **options)
    assert checked(np.zeros(2)) is results[5]


def test_the_packages_functions_are_checked():
    with pytest.raises(TypeCheckError, match="eval_interval"):
        stripes(np.ones((2, 12)), "3")
