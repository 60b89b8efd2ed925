"""Labelled data to figures. Nothing here runs a simulation, and no setting of Matplotlib outside the figure is touched."""

from jaxsgd.plot.cell_map import heatmap
from jaxsgd.plot.curve import curves
from jaxsgd.plot.difference import differences
from jaxsgd.plot.file import figure_file
from jaxsgd.plot.label import spread_apart
from jaxsgd.plot.matrix import influence_figure
from jaxsgd.plot.sampling_law import stripe_law
from jaxsgd.plot.share import ShareGroup, ShareMap, share_figure, share_map_figure
from jaxsgd.plot.slice import slices
from jaxsgd.plot.stripe import averaged_figure, band_figure, striped_figure
from jaxsgd.plot.stripe_grid import grid
from jaxsgd.plot.target import scaling

__all__ = [
    "ShareGroup",
    "ShareMap",
    "averaged_figure",
    "band_figure",
    "curves",
    "differences",
    "figure_file",
    "grid",
    "heatmap",
    "influence_figure",
    "scaling",
    "share_figure",
    "share_map_figure",
    "slices",
    "spread_apart",
    "stripe_law",
    "striped_figure",
]
