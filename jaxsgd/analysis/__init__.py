"""Answers from a finished result.

best            the best setting for each optimizer, order and batch count
tune            each setting at its own best rate, chosen on seeds that are then set aside
compare         what the values of one axis do, paired over the seeds
scaling         steps to a target at every batch count, tuned anew at each
noise           the gradient noise of a result's own runs
seed_variance   which kind of seed makes a result scatter

The names stand in `__init__.pyi`. They are loaded when first used.
"""

from jaxsgd._facade import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
