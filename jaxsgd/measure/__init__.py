"""What to read off a run.

The names stand in `__init__.pyi`. They are loaded when first used: the stripes of a log need no JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
