"""The diagnosis of a real training log: the causes of stripes, sawteeth or stairs with the period of an epoch.

    source, readers, reading, table   a file in any format, as rows of numbers
    column, log, period               one run's losses, and the position in the epoch of each
    series, fold, stair               the loss laid over the epoch, and the level of each epoch
    features                          the table of all features: what is measured, and how it is read and explained
    model, cause                      the coefficients of each cause; the causes, with the evidence for them
    diagnosis, diagnose               the answer; all of that in one call
    remedy, nearest                   the loss averaged over whole epochs; a simulated case like the log
    report, picture, diagnosis_card   lines, JSON and figures; a card in a notebook
    habit                             the ways in which trainers log

`python -m tools.diagnosis_model` makes the coefficients from simulated logs with known causes. The public names are listed in
`__init__.pyi` and loaded when first used: a diagnosis does not need JAX.
"""

from jaxsgd._facade import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
