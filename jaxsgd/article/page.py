"""The article's reproduction as one HTML page: its findings, figures with values on hover, and its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.article.claim import Claim, ClaimMap
from jaxsgd.article.claim_finding import MAJORITY, influence_title, map_title, share_title
from jaxsgd.article.title import averaged_title, band_title, striped_title
from jaxsgd.measure.influence import Influence
from jaxsgd.measure.stripes import Stripes
from jaxsgd.plot.scale import LOG_FROM
from jaxsgd.report.packing import plain
from jaxsgd.report.page import page

SCRIPTS = ("charts.js",)
"""The page's own script, after the shared ones of `jaxsgd.report`."""

MOST_SHARE = 200
"""End of the axis of the own share, in percent: near the optimum it may be thousands of times as large."""


class Chart(NamedTuple):
    """A figure of a page as plain values.

    Attributes:
      name: of the figure's file.
      title: the finding in a few words.
      about: the settings.
      x, y: labels of the axes.
      series: curves or points with the keys `name`, `x`, `y` and `look`: "line", "dots" or "both".
      log_x: True for a logarithmic axis.
      most: end of the y axis, where larger values would hide the others; None for all.
      mark: height of a dashed line; None for none.
      cells: in place of series, [rows, columns] of a matrix with its values written in.
    """

    name: str
    title: str
    about: str
    x: str
    y: str
    series: Sequence[Mapping[str, Any]] = ()
    log_x: bool = False
    most: float | None = None
    mark: float | None = None
    cells: Any = None


def article_page(
    question: str, ran: str, findings: Sequence[str], charts: Sequence[Chart], numbers: Sequence[Sequence[str]], command: str
) -> str:
    """Return the page as HTML, which needs no other file and no network.

    Args:
      question: the title.
      ran: what was run, in a sentence.
      findings: sentences on the runs.
      charts: the figures.
      numbers: rows of the table of numbers, the first its head.
      command: the command that gives the page.

    Raises:
      InputError: if Bokeh is not installed (extra `report`).
    """
    description = {
        "question": question,
        "ran": ran,
        "facts": [["command", command]],
        "notes": [],
        "findings": list(findings),
        "charts": [chart._asdict() for chart in charts],
        "numbers": [list(row) for row in numbers],
        "command": command,
        "constants": {"log_from": LOG_FROM},
    }
    return page(question, plain(description), {}, SCRIPTS)


def _stripe_series(measured: Stripes, look: str) -> list[dict[str, Any]]:
    """Return a series for each stripe."""
    series = []
    for stripe in range(measured.stripe_count):
        own = measured.stripe == stripe
        name = f"stripe {stripe + 1}" if measured.stripe_count > 1 else "printed loss"
        series.append({"name": name, "x": measured.time[own], "y": np.asarray(measured.windows)[own], "look": look})
    return series


def striped_chart(measured: Stripes, about: str) -> Chart:
    """Return the chart of the printed values, a series for each stripe."""
    return Chart("striped", striped_title(measured), about, "epoch", "printed loss", _stripe_series(measured, "both"))


def band_chart(measured: Stripes, about: str) -> Chart:
    """Return the chart of a run with more printed values an epoch."""
    return Chart("band", band_title(measured), about, "epoch", "printed loss", _stripe_series(measured, "dots"))


def averaged_chart(averaged: Stripes, striped: Stripes, about: str) -> Chart:
    """Return the chart of the loss averaged over each epoch, over the printed values of the same run."""
    series = [
        {"name": "mean of each epoch", "x": averaged.time, "y": np.asarray(averaged.windows), "look": "line"},
        {"name": "printed more often", "x": striped.time, "y": np.asarray(striped.windows), "look": "dots"},
    ]
    return Chart("averaged", averaged_title(averaged, striped), about, "epoch", "loss", series)


def influence_chart(shown: Influence, about: str) -> Chart:
    """Return the chart of the effect of each batch's step on each batch's loss in the first measured epoch."""
    effect = np.asarray(shown.effect[0, 0], np.float64)
    return Chart("influence", influence_title(effect), about, "batch of the step", "batch of the loss", cells=effect)


def share_chart(claims: Mapping[str, Claim]) -> Chart:
    """Return the chart of every seed's own share, a series for each setting."""
    seeds = max(len(claim.visit_share) for claim in claims.values())
    about = f"{seeds} seeds, from the first visit of each batch to its second"
    series = [
        {"name": name, "x": np.arange(len(claim.visit_share)), "y": 100 * claim.visit_share, "look": "dots"}
        for name, claim in claims.items()
    ]
    return Chart("own_share", share_title(list(claims.values())), about, "seed", "own step's share of the fall (%)", series)


def map_charts(maps: Sequence[ClaimMap]) -> list[Chart]:
    """Return a chart for each panel of the map: the own share by epoch, a series for each batch count."""
    return [
        Chart(
            f"claim_map_{number}",
            map_title(maps),
            f"{panel.name[0].upper()}{panel.name[1:]}: {panel.seeds} seeds. Dashed: half of the fall. Above 100 %: the other "
            f"steps raise the loss that the own step lowers; the figure ends at {MOST_SHARE} %, the table has all values.",
            "epoch + 1",
            "own step's share of the fall (%)",
            [
                {"name": f"{m} batches", "x": np.asarray(panel.epochs) + 1, "y": 100 * share, "look": "both"}
                for m, share in zip(panel.batch_counts, panel.share, strict=True)
            ],
            log_x=True,
            most=MOST_SHARE,
            mark=100 * MAJORITY,
        )
        for number, panel in enumerate(maps, 1)
    ]
