"""Answers from a finished result.

best            the best setting for each optimizer, order, schedule and batch count; one axis tuned away; benchmarks
collapse        how nearly the curves of an axis lie on one another
compare         differences between the values of one axis, paired over the seeds
seeds_needed    the number of seeds that a comparison needs, and the width of its intervals there, from a pilot
performance_profile  the share of problems on which a setting is within a factor of the best
scaling         steps to a target at every batch count, tuned anew at each
steps_by_size   the curve of steps against batch size: the critical batch size, the regimes
noise           the gradient noise of a result's own runs
seed_variance   the variance of a result by kind of seed
trials          one value for each setting that a search proposes
branches        the loss on the straight lines between the ends of forks
choice          the rule that chooses the best setting
confidence      intervals over seeds, and the reasons for none

The names stand in `__init__.pyi`. They are loaded when first used.
"""

from jaxsgd._facade import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
