"""The report of a result: one HTML file whose views answer the reader."""

import html
from pathlib import Path

import xarray as xr

from jaxsgd.error import InputError
from jaxsgd.plot.axis import Selection
from jaxsgd.report.contents import contents
from jaxsgd.report.page import library_script, page
from jaxsgd.results.axes import selected


class Report:
    """A page about a result. A notebook shows it in place.

    Attributes:
      html: the whole page; it needs no other file and no network.
      notes: what is not in it, in words.
    """

    def __init__(self, text: str, notes: list[str]):
        """Take the page and its notes."""
        self.html, self.notes = text, notes

    def __repr__(self) -> str:
        """Return the size of the page, and the call that writes it."""
        return f"Report({len(self.html) / 1e6:.1f} MB; report.save('report.html') writes it)"

    def _repr_html_(self) -> str:
        """Return the page as a frame within a notebook."""
        inner = html.escape(self.html, quote=True)
        look = "width:100%;height:900px;border:1px solid #9A9A9A"
        return f'<iframe title="report" sandbox="allow-scripts allow-downloads" style="{look}" srcdoc="{inner}"></iframe>'

    def save(self, path: str | Path) -> Path:
        """Write the page into a file, and return the file's path."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(self.html, encoding="utf-8")
        return temporary.replace(path)


def report(
    ds: xr.Dataset,
    metric: str | None = None,
    *,
    target: float | None = None,
    select: Selection | None = None,
    question: str = "",
    folder: str = "RESULT",
) -> Report:
    """Return a page about a result with linked views: what is selected in one view is selected in all.

    It has all cells on parallel axes, two axes as a heat map, the seeds' curves of a setting, the best settings with their
    intervals, paired comparisons, and where the result has them stripes and the steps to a target that the reader can change.
    The records of a large result are thinned, so that the page stays below 6 MB; it says how.

    Args:
      ds: a result.
      metric: the metric that is shown first; by default "validation_loss" if the result has it, else "train_loss", else
        "loss_epoch". The reader can choose any other.
      target: of that metric, for the steps to it; by default one that every batch count reaches.
      select: by axis, the value or values to show; all others are left out of the page.
      question: the question that the study answers, for the title.
      folder: of the result, for the commands that the page shows.

    Raises:
      InputError: for anything that is no result, a metric, axis or value that it does not have, or if Bokeh is not installed
        (extra `report`).
    """
    if metric and str(metric).endswith((".html", ".htm")):
        raise InputError(f"metric must be a metric, got the file {metric!r}: write jaxsgd.report(ds).save({metric!r})")
    library_script()  # a missing library is reported before the contents are worked out
    description, arrays = contents(selected(ds, select), metric, target, question, folder)
    return Report(page(description["question"], description, arrays), description["notes"])
