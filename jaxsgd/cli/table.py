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


def comparison_rows(sections: Sequence[Section]) -> tuple[list[str], list[tuple[str, list[list[str]]]]]:
    """Return (headings, (title, rows) of each section): the article's numbers, the shown run's, and their spread over seeds.

    Columns that no section fills are left out, and so are the rows about stripes if there is a single curve.
    """
    with_article = any(section.article for section in sections)
    early = sections[0].report["first_epochs"]["epochs"]
    headings = [""]
    if with_article:
        headings += ["\narticle", "its\nplace"]
    headings += [f"run,\n1-{early:.0f}", "run,\nall"]
    if any("seeds" in section.report for section in sections):
        headings += ["seeds,\n5 %", "seeds,\nmedian", "seeds,\n95 %"]
    parts = []
    for section in sections:
        is_striped = section.report["whole_run"]["stripe_count"] > 1
        names = [name for name in QUANTITIES if name not in OF_STRIPES or is_striped]
        parts.append((section.title, [_row(name, section, with_article) for name in names]))
    return headings, parts


def comparison_table(sections: Sequence[Section], caption: str = "") -> Table:
    """Return the table of experiments (`comparison_rows`), as narrow as the numbers allow, to fit a terminal of 80 columns."""
    headings, parts = comparison_rows(sections)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption=caption or None, caption_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for title, rows in parts:
        table.add_section()
        table.add_row(title, style="bold")
        for row in rows:
            table.add_row(*row)
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
