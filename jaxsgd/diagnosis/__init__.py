"""Why a real training log has stripes, sawteeth or stairs with the period of an epoch.

    source, readers, table   a file in any format, as rows of numbers
    log, period              one run's prints, and where in the epoch each was made
    feature, measures        what is measured of them
    cause, model, evidence   the causes, the small model of each, and what it says in words
    verdict                  all of that in one call
    remedy, nearest          what averaging makes of it; a simulated case like it
    account, picture         for people to read and see
    habit, teaching          how trainers log, and the simulator's runs as logs with known causes
    lesson, learning         the model learned from them: `python -m tools.diagnosis_model`

The names stand in `__init__.pyi`. They are loaded when first used: a log is told without waiting for JAX.
"""

from jaxsgd._facade import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
