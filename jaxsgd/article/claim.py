"""The article's claim, measured: "a given batch's loss falls mainly through that batch's own step"."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.article.claim_training import MAP_COUNTS, ClaimRuns, Territory, map_epochs, territories
from jaxsgd.article.experiment import Experiment
from jaxsgd.measure import Influence, gap_sources, own_share, visit_to_visit


class Claim(NamedTuple):
    """What the first two epochs of R runs say of the claim; shares are numbers, 1 for all of it, as `share_of_fall` has them.

    Attributes:
      batch_count: m.
      own_share: [R], the own steps' part of the summed fall, over both epochs.
      visit_share: [R], the same from one visit of a batch to its next, as the article counts.
      first_order_share: [R], the same from the gradients alone.
      cosine: [R], mean cosine between the gradients of two different batches.
      composition: [R], the part of the gap between stripes that is there when all batches are evaluated at the same
        parameters; the steps make the rest. NaN for a single stripe.
      late_share: own share in the shown run's last epoch.
      late_epoch: which one, 0-based.
    """

    batch_count: int
    own_share: Float[np.ndarray, " R"]
    visit_share: Float[np.ndarray, " R"]
    first_order_share: Float[np.ndarray, " R"]
    cosine: Float[np.ndarray, " R"]
    composition: Float[np.ndarray, " R"]
    late_share: float
    late_epoch: int


def joined(parts: Sequence[Influence]) -> Influence:
    """The runs of several calls, one after another along their leading axis, as NumPy arrays."""
    return Influence(*(np.concatenate([np.asarray(leaf) for leaf in leaves]) for leaves in zip(*parts, strict=True)))  # type: ignore[arg-type]


def measure_claims(runs: ClaimRuns, experiments: dict[str, Experiment]) -> dict[str, Claim]:
    """The claim in each experiment, by name."""
    settings = zip(runs.seeds, runs.shown, experiments.values(), strict=True)
    measured = [measure_claim(joined(parts), shown, experiment.eval_interval) for parts, shown, experiment in settings]
    return dict(zip(experiments, measured, strict=True))


def measure_claim(seeds: Influence, shown: Influence, eval_interval: int) -> Claim:
    """Measures the claim.

    Args:
      seeds: of R runs in two epochs in a row.
      shown: of the shown run's first and last epoch, [1, 2, ...].
      eval_interval: w.
    """
    effect = np.asarray(seeds.effect, np.float64)
    m = effect.shape[-1]
    visits = visit_to_visit(effect[:, 0], effect[:, 1])
    other = ~np.eye(m, dtype=bool)
    sources = gap_sources(seeds, eval_interval)
    gap = sources.gap.mean(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        composition = sources.composition.mean(axis=-1) / np.where(gap > 0, gap, np.nan)
    return Claim(
        batch_count=m,
        own_share=share_of_fall(own_changes(effect).sum(axis=1), effect.sum(axis=(1, 2, 3))),
        visit_share=share_of_fall(visits[..., 0].sum(axis=-1), visits.sum(axis=(-2, -1))),
        first_order_share=own_share(np.asarray(seeds.gram, np.float64).sum(axis=1)),
        cosine=seeds.cosine[..., other].mean(axis=(-2, -1)) if m > 1 else np.full(len(effect), np.nan),
        composition=composition,
        late_share=float(shown.own_share[0, -1]),
        late_epoch=int(shown.epoch[0, -1]),
    )


def share_of_fall(own: ArrayLike, total: ArrayLike) -> Float[np.ndarray, "..."]:
    """The part that own steps have in a fall of the loss.

    Infinite where the own steps lower the loss and all steps together do not. NaN where the own steps do not lower it.

    Args:
      own: change of the loss by the own steps.
      total: by all steps.
    """
    own, total = np.asarray(own, np.float64), np.asarray(total, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(total < 0, own / total, np.inf)
    return np.where((own < 0) & np.isfinite(total), share, np.nan)


def own_changes(effect: Float[np.ndarray, "*runs m m"]) -> Float[np.ndarray, "*runs"]:
    """What own steps do, summed over the batches; places without a batch are left out."""
    return np.nansum(np.diagonal(effect, axis1=-2, axis2=-1), axis=-1)


def pooled_share(effect: Float[np.ndarray, "R *cells m m"]) -> Float[np.ndarray, "*cells"]:
    """Own share with the falls of all runs added up first, so that a run in which little falls weighs little."""
    effect = np.asarray(effect, np.float64)
    finite = np.isfinite(np.diagonal(effect, axis1=-2, axis2=-1)).any(axis=-1).all(axis=0)
    total = np.nansum(effect, axis=(-2, -1)).sum(axis=0)
    return np.where(finite, share_of_fall(own_changes(effect).sum(axis=0), total), np.nan)


class ClaimMap(NamedTuple):
    """One panel of the map, measured.

    Attributes:
      name: what is trained.
      batch_counts: [M].
      epochs: [C], 0-based.
      share: [M, C], as `pooled_share` gives it.
      loss: [C], mean loss over seeds, batch counts and batches.
      seeds: R.
    """

    name: str
    batch_counts: tuple[int, ...]
    epochs: tuple[int, ...]
    share: Float[np.ndarray, "M C"]
    loss: Float[np.ndarray, " C"]
    seeds: int


def claim_maps(runs: ClaimRuns, quick: bool) -> list[ClaimMap]:
    """The measured maps, one for each territory."""
    return [claim_map(land, joined(parts), map_epochs(quick)) for land, parts in zip(territories(), runs.maps, strict=True)]


def claim_map(territory: Territory, seen: Influence, epochs: tuple[int, ...]) -> ClaimMap:
    """The map of one territory.

    Args:
      territory: what was trained.
      seen: [R, counts, C, ...].
      epochs: C of them.
    """
    loss = np.asarray(seen.loss, np.float64)
    known = np.isfinite(loss)
    total, count = np.where(known, loss, 0).sum(axis=(0, 1, 3)), known.sum(axis=(0, 1, 3))
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return ClaimMap(territory.name, MAP_COUNTS, epochs, pooled_share(np.asarray(seen.effect)), mean, len(loss))
