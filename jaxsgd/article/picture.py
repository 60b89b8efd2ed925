"""The three views of an experiment, and the claim put to the test, as figures with their titles."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxsgd.article.claim import Claim, ClaimMap
from jaxsgd.article.claim_finding import influence_title, map_title, share_title
from jaxsgd.article.experiment import Experiment
from jaxsgd.article.title import averaged_title, band_title, striped_title
from jaxsgd.measure import Influence, Stripes
from jaxsgd.plot import (
    ShareGroup,
    ShareMap,
    averaged_figure,
    band_figure,
    figure_file,
    influence_figure,
    share_figure,
    share_map_figure,
    striped_figure,
)


def striped_view(measured: Stripes, subtitle: str) -> Figure:
    """The printouts one by one."""
    return striped_figure(measured, striped_title(measured), subtitle)


def band_view(measured: Stripes, subtitle: str) -> Figure:
    """The whole run's plot."""
    return band_figure(measured, band_title(measured), subtitle)


def averaged_view(averaged: Stripes, striped: Stripes, subtitle: str) -> Figure:
    """The averaged curve over the stripes of the same run."""
    return averaged_figure(averaged, striped, averaged_title(averaged, striped), subtitle)


def influence_view(seen: Influence, subtitle: str) -> Figure:
    """The first run's effects in its first measured epoch, beside the cosines between its batches' gradients."""
    effect = np.asarray(seen.effect[0, 0], np.float64)
    return influence_figure(effect, seen.cosine[0, 0], influence_title(effect), subtitle)


def share_view(claims: Sequence[tuple[str, Claim]], subtitle: str) -> Figure:
    """Every seed's own share from visit to visit, by setting."""
    groups = [ShareGroup(name, claim.visit_share, 1 / claim.batch_count) for name, claim in claims]
    return share_figure(groups, share_title([claim for _, claim in claims]), subtitle)


def map_view(maps: Sequence[ClaimMap], subtitle: str) -> Figure:
    """Where the claim would hold."""
    panels = [ShareMap(each.name, each.batch_counts, each.epochs, each.share, each.loss) for each in maps]
    return share_map_figure(panels, map_title(maps), subtitle)


def claim_files(
    claims: dict[str, Claim], maps: Sequence[ClaimMap], shown: Influence, experiment: Experiment
) -> dict[str, bytes]:
    """The three figures of the claim.

    Args:
      claims: by the settings' names.
      maps: the map's panels.
      shown: the shown run of `experiment`, [1, 2, ...].
      experiment: whose matrices are drawn.
    """
    rows = [(f"{name}:\n{claim.batch_count} batches", claim) for name, claim in claims.items()]
    seeds = len(next(iter(claims.values())).own_share)
    settings = (
        f"200 samples, plain SGD, {maps[0].seeds} seeds. Above 100 %: the other steps raise the loss that the own step lowers"
    )
    return (
        picture_files("influence", influence_view(shown, f"Experiment 1, first epoch: {experiment}"))
        | picture_files("own_share", share_view(rows, f"{seeds} seeds, from the first visit of each batch to its second"))
        | picture_files("claim_map", map_view(maps, settings))
    )


def picture_files(name: str, figure: Figure) -> dict[str, bytes]:
    """The figure as PNG and SVG: file contents by file name."""
    return {f"{name}.{kind}": figure_file(figure, kind) for kind in ("png", "svg")}
