"""What to read off a run.

The names stand in `__init__.pyi`. They are loaded when first used: the stripes of a log need no JAX.
"""

from jaxsgd._facade import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
