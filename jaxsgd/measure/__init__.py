"""Measures of a run: stripes, influence, gradient noise, limit cycles and observables.

The public names are in `__init__.pyi`. They are loaded when first used: the stripes of a log need no JAX.
"""

from jaxsgd._facade import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
