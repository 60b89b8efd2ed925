"""Sentences and titles on the measured claim, derived from the numbers."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxsgd.article.claim import Claim, ClaimMap
from jaxsgd.article.comparison import spread

MAJORITY = 0.5
"""The own share above which a batch's loss falls mainly through its own step."""


def share_sentence(claim: Claim) -> str:
    """Return the sentence on the share of a batch's own step in the fall of its loss."""
    shares = claim.visit_share[~np.isnan(claim.visit_share)]
    if not len(shares):
        return "In no seed does a batch's own step lower its loss, so the claim cannot be tested here."
    holding = int((shares > MAJORITY).sum())
    verdict = {0: "the claim does not hold", len(shares): "the claim holds"}.get(
        holding, f"the claim holds for {holding} of {len(shares)} seeds"
    )
    finite = shares[np.isfinite(shares)]
    if not len(finite):
        return f"A batch's own step lowers its loss and the other steps undo that, in all {len(shares)} seeds: {verdict}."
    over = spread(finite)
    many = len(finite) > 1
    error = f", standard error {_percent(over.error)}" if many else ""
    between = f"; the seeds lie between {_percent(finite.min())} and {_percent(finite.max())}" if many else ""
    undone = len(shares) - len(finite)
    rest = f"; in {undone} more seeds the other steps undo the fall" if undone else ""
    return (
        f"From one visit of a batch to the next, its own step makes {_percent(over.mean)} of its fall "
        f"(mean of {len(finite)} {'seeds' if many else 'seed'}{error}{between}{rest}): {verdict}."
    )


def _reason_sentence(claim: Claim) -> str:
    """Return the sentence on the reason: the agreement between the batches' gradients."""
    cosine, first = spread(claim.cosine), spread(claim.first_order_share)
    if not (cosine.finite and first.finite):
        return ""
    agree = (
        "point in similar directions" if cosine.mean > 0.2 else "hardly agree" if cosine.mean > -0.2 else "oppose each other"
    )
    return (
        f"Gradients of different batches {agree} (mean cosine {cosine.mean:.2f}), so each step moves all batches; "
        f"the gradients alone give an own share of {_percent(first.mean)}, where equal steps would give "
        f"{_percent(1 / claim.batch_count)}."
    )


def late_sentence(claim: Claim) -> str:
    """Return the sentence on the own share at the end of the shown run."""
    if not math.isfinite(claim.late_share):
        return ""
    return f"In the shown run's last epoch, number {claim.late_epoch + 1}, the own share is {_percent(claim.late_share)}."


def _sources_sentence(claim: Claim) -> str:
    """Return the sentence on the two sources of the gap between stripes: the batches' composition and the steps."""
    known = claim.composition[np.isfinite(claim.composition)]
    if not len(known):
        return ""
    rest = np.abs(1 - known).max()
    if rest < 0.05:
        return (
            "Evaluated at the same weights, the batches differ as much as in the printed loss: the composition of the batches "
            f"makes the whole gap, and the steps between them change it by at most {_percent(rest)} in any seed."
        )
    return (
        f"The composition of the batches makes {_percent(float(np.median(known)))} of the gap between stripes "
        f"(median of {len(known)} seeds), the steps between them the rest."
    )


def map_sentence(panel: ClaimMap) -> str:
    """Return the sentence on the part of a map where the claim holds."""
    holds = panel.share > MAJORITY
    known = np.isfinite(panel.share) | np.isposinf(panel.share)
    if not known.any():
        return f"On {panel.name} no run stayed finite."
    if not holds.any():
        return f"On {panel.name} the claim holds at none of the measured batch counts and epochs."
    turns = []
    for m, row, seen in zip(panel.batch_counts, holds, known, strict=True):
        since = next((epoch for i, epoch in enumerate(panel.epochs) if row[i:].all() and seen[i:].all()), None)
        turns.append((m, since))
    listed = "; ".join(
        f"{m} batches: {'never' if since is None else 'always' if since == panel.epochs[0] else f'from epoch {since} on'}"
        for m, since in turns
    )
    return f"On {panel.name} the claim holds with {listed}."


def claim_findings(name: str, claim: Claim) -> list[str]:
    """Return an experiment's sentences on the claim, each with the experiment's name."""
    sentences = (share_sentence(claim), _reason_sentence(claim), late_sentence(claim), _sources_sentence(claim))
    return [f"{name}: {sentence}" for sentence in sentences if sentence]


def map_findings(maps: Sequence[ClaimMap]) -> list[str]:
    """Return the map's sentences on the claim, one for each panel."""
    return [map_sentence(panel) for panel in maps]


def influence_title(effect: Float[np.ndarray, "m m"]) -> str:
    """Return the title for the two matrices."""
    m = len(effect)
    share = np.trace(effect) / effect.sum() if np.isfinite(effect).all() and effect.sum() else math.nan
    if not math.isfinite(share):
        return "The run did not stay finite"
    if m == 1:
        return "With one batch there is no other step"
    if (effect < 0).all():
        return f"Every step lowers the loss of every batch; the own one makes {_percent(float(share))} of the fall"
    return f"A batch's own step makes {_percent(float(share))} of its fall, the other {m - 1} make the rest"


def share_title(claims: Sequence[Claim]) -> str:
    """Return the title for the own shares over the seeds."""
    shares = np.concatenate([claim.visit_share for claim in claims])
    shares = shares[~np.isnan(shares)]
    if not len(shares):
        return "In no run does a batch's own step lower its loss"
    if (shares < MAJORITY).all():
        return "A batch's loss falls mainly through the other batches' steps, in every seed"
    if (shares > MAJORITY).all():
        return "A batch's loss falls mainly through its own step, in every seed"
    return f"A batch's loss falls mainly through its own step in {(shares > MAJORITY).sum()} of {len(shares)} runs"


def map_title(panels: Sequence[ClaimMap]) -> str:
    """Return the title of the map."""
    rows = [panel.share[np.asarray(panel.batch_counts) > 2] for panel in panels]
    early = all((row[:, 0] < MAJORITY).all() for row in rows)
    late = all((row[:, -1] > MAJORITY).all() for row in rows)
    if early and late:
        return "Early on, other steps lower a batch's loss; near the optimum, its own"
    if early:
        return "Early on, other steps lower a batch's loss"
    return "Where a batch's loss falls mainly through its own step"


def _percent(share: float) -> str:
    """Return a share in percent, with two digits."""
    value = 100 * share
    if not math.isfinite(value):
        return "an unbounded share"
    return f"{value:.1f} %" if abs(value) >= 1 else f"{value:.2g} %"
