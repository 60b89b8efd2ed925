"""The table of the article's experiments: the article's numbers beside those of the runs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.table import Table

QUANTITIES = {
    "first_loss": ("first loss", "{:.4f}"),
    "gap": ("gap", "{:.4f}"),
    "expected_gap": ("expected gap", "{:.4f}"),
    "slope": ("slope / epoch", "{:.1e}"),
    "stripe_count": ("stripe count", "{:.0f}"),
    "stripe_index": ("stripe index", "{:.4f}"),
}
"""Rows: label and number format by name."""

OF_STRIPES = ("gap", "expected_gap", "stripe_index")
"""Quantities that a single curve does not have."""


class Section(NamedTuple):
    """One experiment in the table.

    Attributes:
      title: written above its rows.
      report: from `jaxsgd.article.outcome_report`.
      article: the article's numbers by the same names, with `percentile` among the seeds; empty if it printed none.
    """

    title: str
    report: Mapping[str, Any]
    article: Mapping[str, Any] = {}


def comparison_table(sections: Sequence[Section], caption: str = "") -> Table:
    """Return the table of experiments: the article's numbers, the shown run's, and their spread over seeds.

    Columns that no section fills are left out, and so are the rows about stripes if there is a single curve.
    """
    seeds = next((section.report["seeds"] for section in sections if "seeds" in section.report), None)
    with_article = any(section.article for section in sections)
    early = sections[0].report["first_epochs"]["epochs"]
    # As narrow as the numbers allow, to fit a terminal of 80 columns.
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption=caption or None, caption_justify="left")
    headings = [""]
    if with_article:
        headings += ["\narticle", "its\nplace"]
    headings += [f"run,\n1-{early:.0f}", "run,\nall"]
    if seeds is not None:
        headings += ["seeds,\n5 %", "seeds,\nmedian", "seeds,\n95 %"]
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for section in sections:
        table.add_section()
        table.add_row(section.title, style="bold")
        for name in QUANTITIES:
            if name not in OF_STRIPES or section.report["whole_run"]["stripe_count"] > 1:
                table.add_row(*_row(name, section, with_article))
    return table


def _row(name: str, section: Section, with_article: bool) -> list[str]:
    label, form = QUANTITIES[name]
    report, article = section.report, section.article
    cells = [label]
    if with_article:
        cells += [_cell(article.get(name), form), _cell(article.get("percentile", {}).get(name), "{:.1f}")]
    cells += [_cell(report["first_epochs"][name], form), _cell(report["whole_run"][name], form)]
    if "seeds" in report:
        spread = report["seeds"][name]
        cells += [_cell(spread[end], form) for end in ("low", "median", "high")]
    return cells


def _cell(value: float | int | None, form: str) -> str:
    # Exponents without their leading zero, -2.6e-4, save a column.
    return "-" if value is None or value != value else form.format(value).replace("e-0", "e-").replace("e+0", "e+")
