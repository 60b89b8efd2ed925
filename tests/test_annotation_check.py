from collections.abc import Callable

import numpy as np
import pytest
from jaxtyping import Float, Int, TypeCheckError, jaxtyped

from tests import annotation_check
from tests.annotation_check import spelled


def defined_again(unit):
    """A function that is defined at each call, with the check of annotations that tests have."""

    @jaxtyped(typechecker=annotation_check.beartype)
    def scaled(values: Float[np.ndarray, "N"], weights: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
        return values * weights * unit

    return scaled


def test_functions_that_are_defined_alike_do_their_own_work_and_share_one_check():
    checks = len(annotation_check._checks)
    first, second = defined_again(2.0), defined_again(3.0)
    added = len(annotation_check._checks) - checks
    assert added <= 2  # of the arguments, and of the arguments and the return value
    defined_again(4.0)
    assert len(annotation_check._checks) - checks == added
    ones = np.ones(2)
    assert first(ones, ones).tolist() == [2, 2]
    assert second(ones, ones).tolist() == [3, 3]
    assert first(ones, ones).tolist() == [2, 2]


@pytest.mark.parametrize("unit", [1.0, 2.0])
def test_each_of_them_refuses_wrong_types_and_shapes(unit):
    scaled = defined_again(unit)
    with pytest.raises(TypeCheckError, match="weights"):
        scaled(np.ones(2), np.ones(3))
    with pytest.raises(TypeCheckError, match="values"):
        scaled([1.0, 2.0], np.ones(2))


def test_each_of_them_refuses_a_wrong_return_value():
    with pytest.raises(TypeCheckError, match="return value"):
        defined_again(np.ones((2, 1)))(np.ones(2), np.ones(2))


def test_another_annotation_or_name_or_a_default_value_is_another_check():
    def number(value: int):
        return value

    def text(value: str):
        return value

    text.__qualname__ = number.__qualname__
    assert annotation_check.beartype(number)(3) == 3
    with pytest.raises(Exception, match="violates type hint"):
        annotation_check.beartype(text)(3)

    def defaulted(value: int = 3):
        return value

    assert annotation_check.beartype(defaulted) is not annotation_check.beartype(defaulted)


def test_annotations_are_alike_by_their_parts_down_to_shapes_and_types_of_numbers():
    def annotation(number=Float, shape="N"):
        return tuple[number[np.ndarray, shape], Callable[[int], number[np.ndarray, ""]]] | None

    assert annotation() != annotation()
    assert spelled(annotation()) == spelled(annotation())
    assert spelled(annotation(shape="M")) != spelled(annotation())
    assert spelled(annotation(number=Int)) != spelled(annotation())
    assert spelled(int) != spelled(float)
