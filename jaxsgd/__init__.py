"""A functional simulator of mini-batch SGD, with vectorized sweeps.

The folders are the way from a question to a figure:

    problem, order, optimizer   what to train, in what order, how
    simulator, microstep        one run, by lax.scan
    measure                     functions of losses, or of a problem
    study                       what to run: axes and cells
    results                     a folder of chunks, and its dataset
    engine                      runs the cells, here or on workers
    analysis                    best settings, comparisons, scaling
    plot, report                a dataset as a figure, or as one HTML page
    diagnosis, article          a real training log; the article
    cli                         the commands

The public names are in `__init__.pyi`, and all others are reached by their package or module: `jaxsgd.measure.windows`,
`jaxsgd.analysis.paired_difference`. They are loaded when first used, so that help texts open without waiting for JAX.
"""

from importlib.metadata import version

from jaxsgd._facade import attach

__version__ = version("jaxsgd")

__getattr__, __dir__, __all__ = attach(__name__, __file__)
