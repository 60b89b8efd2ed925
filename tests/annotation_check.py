"""The check of annotations in tests: beartype's, written only once for functions that are defined alike.

`jaxtyping` has a check written for each function when it is defined, and a function within a function is defined at each call
of the outer one. Tracing calls such functions again and again, and writing their checks took a tenth of its time.
"""

from typing import get_args, get_origin

import beartype as checker
from jaxtyping import AbstractArray

_checks = {}


def beartype(function):
    """Return the function with a check of its arguments and of its return value, that of an earlier one that is defined alike.

    The functions that `jaxtyping` gives have a name, a signature and no content of their own, so those that are defined alike
    are the same function. Only those with default values are checked each on its own.
    """
    if function.__defaults__ or function.__kwdefaults__:
        return checker.beartype(function)
    annotations = [(name, spelled(annotation)) for name, annotation in function.__annotations__.items()]
    definition = (function.__module__, function.__qualname__, function.__code__, *annotations)
    try:
        check = _checks.get(definition)
    except TypeError:  # an annotation that has no hash
        return checker.beartype(function)
    if check is None:
        check = _checks[definition] = checker.beartype(function)
    return check


def spelled(annotation):
    """Return what an annotation consists of: those of `jaxtyping` are equal only to themselves."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return AbstractArray, annotation.dtype, annotation.array_type, annotation.dim_str
    parts = annotation if isinstance(annotation, list) else get_args(annotation)
    if parts:
        return get_origin(annotation), *map(spelled, parts)
    return type(annotation), annotation
