"""Figures with titles: the three views of an experiment, and the test of the claim."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxsgd.article.claim import Claim, ClaimMap
from jaxsgd.article.claim_finding import influence_title, map_title, share_title
from jaxsgd.article.experiment import Experiment
from jaxsgd.article.title import averaged_title, band_title, striped_title
from jaxsgd.measure.influence import Influence
from jaxsgd.measure.stripes import Stripes
from jaxsgd.plot.influence import influence_figure
from jaxsgd.plot.share import ShareGroup, ShareMap, share_figure, share_map_figure
from jaxsgd.plot.stripes import averaged_figure, band_figure, striped_figure
from jaxsgd.plot.style import figure_file


def striped_view(measured: Stripes, subtitle: str) -> Figure:
    """Return the figure of the printed values."""
    return striped_figure(measured, striped_title(measured), subtitle)


def band_view(measured: Stripes, subtitle: str) -> Figure:
    """Return the figure of the whole run."""
    return band_figure(measured, band_title(measured), subtitle)


def averaged_view(averaged: Stripes, striped: Stripes, subtitle: str) -> Figure:
    """Return the figure of the averaged curve over the stripes of the same run."""
    return averaged_figure(averaged, striped, averaged_title(averaged, striped), subtitle)


def influence_view(shown: Influence, experiment: Experiment) -> Figure:
    """Return the figure of the effects in the first measured epoch, beside the cosines between the batches' gradients.

    Args:
      shown: of the shown run, [1, C, ...].
      experiment: its settings.
    """
    effect = np.asarray(shown.effect[0, 0], np.float64)
    subtitle = f"Experiment 1, first epoch: {experiment}"
    return influence_figure(effect, shown.cosine[0, 0], influence_title(effect), subtitle)


def share_view(claims: Mapping[str, Claim]) -> Figure:
    """Return the figure of every seed's own share from visit to visit, by the settings' names."""
    groups = [
        ShareGroup(f"{name}:\n{claim.batch_count} batches", claim.visit_share, 1 / claim.batch_count)
        for name, claim in claims.items()
    ]
    seeds = len(groups[0].values)
    subtitle = f"{seeds} seeds, from the first visit of each batch to its second"
    return share_figure(groups, share_title(list(claims.values())), subtitle)


def map_view(maps: Sequence[ClaimMap]) -> Figure:
    """Return the figure of the map on which the claim holds or not."""
    panels = [
        ShareMap(panel.name[0].upper() + panel.name[1:], panel.batch_counts, panel.epochs, panel.share, panel.loss)
        for panel in maps
    ]
    subtitle = (
        f"200 samples, plain SGD, {maps[0].seeds} seeds. Above 100 %: the other steps raise the loss that the own step lowers"
    )
    return share_map_figure(panels, map_title(maps), subtitle)


def picture_files(name: str, figure: Figure, svg: bool = False) -> dict[str, bytes]:
    """Return the figure as PNG, and also as SVG if `svg` is True: file contents by file name."""
    return {f"{name}.{kind}": figure_file(figure, kind) for kind in (("png", "svg") if svg else ("png",))}
