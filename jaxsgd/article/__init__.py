"""The article end to end: its experiments, its printed log, and the comparison of a run with them.

The public names are in `__init__.pyi`. They are loaded when first used: a wrong option is reported before figures are loaded.
"""

from jaxsgd._facade import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
