"""The comparison as a table."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

QUANTITIES = {
    "first_loss": ("first printed loss", "{:.4f}"),
    "gap": ("gap between stripes", "{:.4f}"),
    "expected_gap": ("gap sampling alone gives", "{:.4f}"),
    "slope": ("slope per epoch", "{:.2e}"),
    "stripe_count": ("stripe count", "{:.0f}"),
    "stripe_index": ("stripe index", "{:.4f}"),
}
"""Rows: label and number format by name."""

OF_STRIPES = ("gap", "expected_gap", "stripe_index")
"""What a single curve has none of."""


class Section(NamedTuple):
    """One experiment in the table.

    Attributes:
      title: written above its rows.
      report: as `jaxsgd.article.outcome_report` makes it.
      article: the article's numbers by the same names, with `percentile` among the seeds; empty where it printed none.
    """

    title: str
    report: Mapping[str, Any]
    article: Mapping[str, Any] = {}


def comparison_table(sections: Sequence[Section], caption: str = "") -> Table:
    """The numbers of experiments: the article's, the shown run's, and their spread over seeds.

    Columns that no section fills are left out, and so are the rows about stripes where there is one curve.
    """
    seeds = next((section.report["seeds"] for section in sections if "seeds" in section.report), None)
    with_article = any(section.article for section in sections)
    early = sections[0].report["first_epochs"]["epochs"]
    table = Table(caption=caption or None, caption_justify="left")
    table.add_column("", no_wrap=True)
    if with_article:
        table.add_column("article", justify="right", no_wrap=True)
        table.add_column("percentile\nof article", justify="right", no_wrap=True)
    table.add_column(f"this run,\nepochs 1-{early:.0f}", justify="right", no_wrap=True)
    table.add_column("this run,\nall epochs", justify="right", no_wrap=True)
    if seeds is not None:
        table.add_column(f"{seeds['count']} seeds,\nmedian", justify="right", no_wrap=True)
        table.add_column(f"epochs 1-{seeds['epochs']}:\ncentral 90 %", justify="right", no_wrap=True)
    for section in sections:
        table.add_section()
        table.add_row(f"[bold]{section.title}[/bold]")
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
        one = report["seeds"][name]
        ends = "-" if one["finite"] == 0 else f"{_cell(one['low'], form)} to {_cell(one['high'], form)}"
        cells += [_cell(one["median"], form), ends]
    return cells


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None or value != value else form.format(value)
