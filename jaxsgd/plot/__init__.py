"""Labelled data to figures. Nothing here runs a simulation, and no setting of Matplotlib outside the figure is touched.

The names stand in `__init__.pyi`. They are loaded when first used: the figures of a log need no JAX.
"""

from jaxsgd._facade import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
