"""A functional simulator of mini-batch SGD, with vectorized sweeps.

The folders are the data flow:

    problem, order  ->  simulator  ->  measure  ->  engine  ->  plot  ->  cli
    what to train,      one run by     what to     many runs    figures   commands
    in what order       lax.scan       read off

Beside the commands stand `article`, which goes through the article, and `diagnosis`, which tells what a real log shows.

The public names stand in `__init__.pyi`. They are loaded when first used, so that help texts open without waiting for JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
