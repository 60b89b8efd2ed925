"""A figure of one's own: a study file says itself how its result is drawn."""

import xarray as xr
from matplotlib.figure import Figure

from jaxsgd.error import InputError, shown
from jaxsgd.plot.axis import Selection
from jaxsgd.plot.style import styled
from jaxsgd.results.axes import selected
from jaxsgd.study.study_file import look_beside, read_figure, study_path


@styled
def own(ds: xr.Dataset, study: str, select: Selection | None = None) -> Figure:
    """The figure that a study file draws of its own result, by its function `figure(ds)`.

    Args:
      ds: a result of the study.
      study: the study file, or the name of a study of the package, such as published/catapult.
      select: by axis, the value or values to show.

    Raises:
      InputError: for a file without such a function, or one that returns something else than a figure with a title.
    """
    path = study_path(study)
    look_beside(path)
    drawn = read_figure(path)(selected(ds, select))
    if not isinstance(drawn, Figure) or not drawn.texts:
        raise InputError(f"{path}: figure(ds) must return a Matplotlib figure with a title (figure.text), got {shown(drawn)}")
    return drawn
