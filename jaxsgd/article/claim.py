"""The article's claim, measured: "a given batch's loss falls mainly through that batch's own step"."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.article.claim_steps import MAP_COUNTS, Territory
from jaxsgd.measure.influence import Influence, gap_sources, own_share
from jaxsgd.measure.own_step import OwnSteps


class Claim(NamedTuple):
    """The measures of the claim in the first two epochs of R runs; a share of 1 is the whole fall.

    Attributes:
      batch_count: m.
      own_share: [R], the own steps' share of the summed fall, over both epochs.
      visit_share: [R], the same from one visit of a batch to its next, as the article counts.
      first_order_share: [R], the same from the gradients alone.
      cosine: [R], mean cosine between the gradients of two different batches.
      composition: [R], the share of the gap between stripes that remains if all batches are evaluated at the same
        parameters; the rest comes from the steps. NaN for a single stripe.
      late_share: own share in the shown run's last epoch.
      late_epoch: the number of that epoch, 0-based.
    """

    batch_count: int
    own_share: Float[np.ndarray, " R"]
    visit_share: Float[np.ndarray, " R"]
    first_order_share: Float[np.ndarray, " R"]
    cosine: Float[np.ndarray, " R"]
    composition: Float[np.ndarray, " R"]
    late_share: float
    late_epoch: int


def measure_claim(seeds: OwnSteps | Influence, shown: OwnSteps | Influence, late_epoch: int, eval_interval: int) -> Claim:
    """Return the measures of the claim.

    Args:
      seeds: of R runs in two epochs in a row.
      shown: of the shown run, [1, C, ...]; its last measured epoch is read.
      late_epoch: the number of that epoch, 0-based.
      eval_interval: w.
    """
    own, change, earlier = (np.asarray(part, np.float64) for part in (seeds.own_change, seeds.change, seeds.earlier_change))
    m = own.shape[-1]
    other = ~np.eye(m, dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        # From just before a batch's own step to the same moment in the next epoch.
        visit = change[:, 0] - earlier[:, 0] + earlier[:, 1]
        sources = gap_sources(seeds, eval_interval)
        gap = sources.gap.mean(axis=-1)
        composition = sources.composition.mean(axis=-1) / np.where(gap > 0, gap, np.nan)
        late_share = np.sum(shown.own_change[0, -1], dtype=np.float64) / np.sum(shown.change[0, -1], dtype=np.float64)
    return Claim(
        batch_count=m,
        own_share=_share_of_fall(own.sum(axis=(1, 2)), change.sum(axis=(1, 2))),
        visit_share=_share_of_fall(own[:, 0].sum(axis=-1), visit.sum(axis=-1)),
        first_order_share=own_share(np.asarray(seeds.gram, np.float64).sum(axis=1)),
        cosine=seeds.cosine[..., other].mean(axis=(-2, -1)) if m > 1 else np.full(len(own), np.nan),
        composition=composition,
        late_share=float(late_share),
        late_epoch=late_epoch,
    )


def _share_of_fall(own: ArrayLike, total: ArrayLike) -> Float[np.ndarray, "..."]:
    """Return the share of the own steps in a fall of the loss.

    It is infinite where the own steps lower the loss and all steps together do not, and NaN where the own steps do not lower
    it.

    Args:
      own: change of the loss by the own steps.
      total: by all steps.
    """
    own, total = np.asarray(own, np.float64), np.asarray(total, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(total < 0, own / total, np.inf)
    return np.where((own < 0) & np.isfinite(total), share, np.nan)


def pooled_share(own: Float[np.ndarray, "R *cells m"], change: Float[np.ndarray, "R *cells m"]) -> Float[np.ndarray, "*cells"]:
    """Return the own share of the summed falls of all runs, so that a run with a small fall has a small weight.

    Args:
      own: change of each batch's loss by its own step; NaN at positions without a batch.
      change: by all steps.
    """
    own, change = np.asarray(own, np.float64), np.asarray(change, np.float64)
    finite = np.isfinite(own).any(axis=-1).all(axis=0)
    fall, total = (np.nansum(values, axis=-1).sum(axis=0) for values in (own, change))
    return np.where(finite, _share_of_fall(fall, total), np.nan)


class ClaimMap(NamedTuple):
    """A panel of the map, measured.

    Attributes:
      name: the problem, in words.
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


def claim_map(territory: Territory, seen: OwnSteps, epochs: tuple[int, ...]) -> ClaimMap:
    """Return the map of a territory.

    Args:
      territory: the problem and its rate.
      seen: [R, counts, C, ...].
      epochs: C of them.
    """
    loss = np.asarray(seen.loss, np.float64)
    known = np.isfinite(loss)
    total, count = np.where(known, loss, 0).sum(axis=(0, 1, 3)), known.sum(axis=(0, 1, 3))
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return ClaimMap(
        territory.name, MAP_COUNTS, epochs, pooled_share(np.asarray(seen.own_change), np.asarray(seen.change)), mean, len(loss)
    )
