"""The arrays of a chunk file: their names, shapes and types."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxsgd.results.dataset import kept_arrays
from jaxsgd.study.cells import Cells
from jaxsgd.study.fields import StudyFields
from jaxsgd.study.kept import Kept, KeptLeaf, stored_kept
from jaxsgd.study.observed import Record, stored_records


class ChunkKind(NamedTuple):
    """The problem and the optimizer that all cells of a chunk have; the leaves of their parameters and states follow from them.

    Attributes:
      problem: the number of the problem.
      optimizer: the name of the optimizer.
    """

    problem: int
    optimizer: str


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

    def leaves(self, kind: ChunkKind | None) -> dict[str, KeptLeaf]:
        """Return the leaves in a chunk of a kind, by the names of their arrays; none in one of an unknown kind."""
        return self.kept.leaves(*kind) if kind else {}

    def names(self, kind: ChunkKind | None) -> list[str]:
        """Return the names of the arrays in a chunk of a kind."""
        return [*self.numbers, *self.leaves(kind)]


def stored_form(study: StudyFields, own: Cells, manifest: Mapping[str, Any]) -> ChunkForm:
    """Return the form of the chunks of a result, from its study and its manifest; no code that they name is run."""
    return ChunkForm.of(study, own, stored_records(dict(manifest)) or {}, stored_kept(study, manifest))
