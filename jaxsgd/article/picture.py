"""The three views of an experiment as figures, with their titles."""

from matplotlib.figure import Figure

from jaxsgd.article.title import averaged_title, band_title, striped_title
from jaxsgd.measure import Stripes
from jaxsgd.plot import averaged_figure, band_figure, figure_file, striped_figure


def striped_view(measured: Stripes, subtitle: str) -> Figure:
    """The printouts one by one."""
    return striped_figure(measured, striped_title(measured), subtitle)


def band_view(measured: Stripes, subtitle: str) -> Figure:
    """The whole run's plot."""
    return band_figure(measured, band_title(measured), subtitle)


def averaged_view(averaged: Stripes, striped: Stripes, subtitle: str) -> Figure:
    """The averaged curve over the stripes of the same run."""
    return averaged_figure(averaged, striped, averaged_title(averaged, striped), subtitle)


def picture_files(name: str, figure: Figure) -> dict[str, bytes]:
    """The figure as PNG and SVG: file contents by file name."""
    return {f"{name}.{kind}": figure_file(figure, kind) for kind in ("png", "svg")}
