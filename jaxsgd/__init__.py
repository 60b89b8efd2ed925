"""A functional simulator of mini-batch SGD, with vectorized sweeps.

The folders are the data flow:

    problem, order  ->  simulator  ->  measure    ->  study        ->  engine     ->  results  ->  analysis  ->  plot
    what to train,      one run by     functions      many runs        runs them      folder,      tables        figures
    in what order       lax.scan       of a run       described                       dataset

`cli` has the commands, `article` the article's experiments, and `diagnosis` the causes of patterns in a real log.

The public names are in `__init__.pyi`, and all others are reached by their package or module: `jaxsgd.measure.windows`,
`jaxsgd.analysis.paired_difference`. They are loaded when first used, so that help texts open without waiting for JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
