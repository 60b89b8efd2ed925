"""Successive halving: the settings of a study that compete, and the rungs at which they are judged.

Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization"; the rungs are those of a
bracket of Hyperband (Li et al. 2018, "Hyperband: a novel bandit-based approach to hyperparameter optimization").
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxsgd.error import InputError
from jaxsgd.study.cells import Cells
from jaxsgd.study.dimensions import KEPT, SEED_AXES
from jaxsgd.study.fields import StudyFields


class Settings(NamedTuple):
    """The S settings of a study: one for all seeds, with a value on every other axis.

    Attributes:
      of_cell: [R], the number of each cell's setting.
      group: [S], the number of each setting's group, whose settings compete.
    """

    of_cell: Int[np.ndarray, " R"]
    group: Int[np.ndarray, " S"]

    @property
    def most_competing(self) -> int:
        """The number of settings of the largest group."""
        return int(np.bincount(self.group).max())

    def survivors(self, cost: Float[np.ndarray, " S"], alive: Bool[np.ndarray, " S"], eta: int) -> Bool[np.ndarray, " S"]:
        """Return True for the settings that go on: of each group the best n // eta of its n, and at least one.

        Args:
          cost: of each setting; lower is better. Of equal ones the first is better.
          alive: True for the settings that have not stopped.
          eta: one of so many goes on.
        """
        going_on = np.zeros(len(cost), bool)
        for number in np.unique(self.group):
            own = np.flatnonzero(alive & (self.group == number))
            going_on[own[np.argsort(cost[own], kind="stable")[: max(1, len(own) // eta)]]] = True
        return going_on


def settings_of(own: Cells) -> Settings:
    """Return the settings of a study's cells."""
    index = np.indices(own.shape).reshape(len(own.dims), -1)
    place, group = np.zeros((2, own.num_cells), int)
    for dim, position in zip(own.dims, index, strict=True):
        axes = set(dim.values)
        if not axes <= set(SEED_AXES):
            place = place * dim.length + position
        if dim.name != "draw" and axes & set(KEPT):
            group = group * dim.length + position
    _, first, of_cell = np.unique(place, return_index=True, return_inverse=True)
    return Settings(of_cell.reshape(-1), np.unique(group[first], return_inverse=True)[1].reshape(-1))


def rungs_of(study: StudyFields, own: Cells) -> tuple[int, ...]:
    """Return the rungs of a study with `halving`: numbers of epochs done, ascending, before the last.

    Args:
      study: the study.
      own: its cells.

    Raises:
      InputError: if there are too few settings or epochs for a rung.
    """
    assert study.halving, "the study has no halving"
    assert study.epochs is not None, "halving needs epochs"
    eta, most = study.halving.eta, settings_of(own).most_competing
    if most < eta:
        same = f"{', '.join(KEPT[:-1])} and {KEPT[-1]}"
        raise InputError(f"halving needs {eta} settings (eta) or more with the same {same}, got {most}")
    if study.halving.rungs is not None:
        return study.halving.rungs
    if study.epochs < eta:
        raise InputError(f"halving needs {eta} epochs (eta) or more, got {study.epochs}")
    count = 1
    while eta ** (count + 1) <= min(most, study.epochs):
        count += 1
    return tuple(study.epochs // eta**power for power in range(count, 0, -1))


def trained_share(study: StudyFields, own: Cells) -> float:
    """Return the epochs that all runs of a study train, over those of the full grid: below 1 with `halving`, otherwise 1.

    Args:
      study: the study.
      own: its cells.

    Raises:
      InputError: as `rungs_of`.
    """
    if not study.halving:
        return 1.0
    settings = settings_of(own)
    # How many settings of a group go on does not depend on which.
    cost, alive, trained = np.zeros(len(settings.group)), np.ones(len(settings.group), bool), 0
    for first, last in pairwise((0, *rungs_of(study, own), own.epochs)):
        trained += int(alive[settings.of_cell].sum()) * (last - first)
        alive = settings.survivors(cost, alive, study.halving.eta)
    return trained / (own.num_cells * own.epochs)
