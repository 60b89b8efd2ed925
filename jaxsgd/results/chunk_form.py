"""The arrays of a chunk file: their names, shapes and types."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxsgd.results.dataset import kept_arrays
from jaxsgd.study.cells import Cells
from jaxsgd.study.kept import Kept, KeptLeaf, stored_kept
from jaxsgd.study.observed import Record, stored_records
from jaxsgd.study.study import StudyFields


class ChunkForm(NamedTuple):
    """The arrays that a chunk of a study has besides its cells' keys.

    Attributes:
      numbers: by name, the inner shape of the losses, the observables and the measures, as `kept_arrays` has them.
      kept: the parameters and the optimizers' states.
    """

    numbers: dict[str, tuple[int, ...]]
    kept: Kept

    @staticmethod
    def of(study: StudyFields, own: Cells, observed: Mapping[str, Record], kept: Kept) -> "ChunkForm":
        """Return the form of a study's chunks.

        Args:
          study: the study.
          own: its cells.
          observed: its observables, by the names of their variables.
          kept: the parameters and states that it keeps.
        """
        return ChunkForm(kept_arrays(study, own, observed), kept)

    def leaves(self, optimizer: str | None) -> dict[str, KeptLeaf]:
        """Return the leaves in a chunk of runs with an optimizer, by the names of their arrays; None for an unknown one."""
        return self.kept.leaves(optimizer or "")

    def names(self, optimizer: str | None) -> list[str]:
        """Return the names of the arrays in a chunk of runs with an optimizer."""
        return [*self.numbers, *self.leaves(optimizer)]


def stored_form(study: StudyFields, own: Cells, manifest: Mapping[str, Any]) -> ChunkForm:
    """Return the form of the chunks of a result, from its study and its manifest; no code that they name is run."""
    kept = stored_kept(study.keep, manifest)
    assert kept, "a manifest that was read is sound"
    return ChunkForm.of(study, own, stored_records(dict(manifest)) or {}, kept)
