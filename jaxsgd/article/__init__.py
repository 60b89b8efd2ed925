"""The article end to end: its experiments, its printed log, and what a run shows when held against them.

The names stand in `__init__.pyi`. They are loaded when first used: a wrong option is told without waiting for figures.
"""

from jaxsgd._facade import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
