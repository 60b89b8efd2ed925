"""Labelled data to figures. Nothing here runs a simulation, and no setting of Matplotlib outside the figure is touched."""

from jaxsgd.plot.file import figure_file
from jaxsgd.plot.label import spread_apart
from jaxsgd.plot.stripe import averaged_figure, band_figure, striped_figure

__all__ = ["averaged_figure", "band_figure", "figure_file", "spread_apart", "striped_figure"]
