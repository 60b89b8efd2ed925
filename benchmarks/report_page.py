"""`python -m benchmarks.report_page`: the time to open a report of many runs in headless Chromium, and to answer a brush."""

import importlib.util
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

import typer

import jaxsgd
from jaxsgd.error import InputError

PATIENCE = 180_000
"""Milliseconds after which a page that has not opened counts as broken."""

BRUSHES = 5
"""Selections that are timed in an open page."""


class PageTimes(NamedTuple):
    """The times of a page, as its own script measures them.

    Attributes:
      open: milliseconds from the first line of its script until all views are drawn.
      brush: milliseconds from a selection until all views have drawn it, the median of `BRUSHES`.
    """

    open: float
    brush: float


def many_cells(rates: int, epochs: int) -> jaxsgd.Study:
    """Return a study of least squares with 1,000 runs for each rate."""
    return jaxsgd.Study(
        problem="least_squares",
        problem_args={"num_samples": 60, "num_inputs": 3},
        seeds=range(10),
        batch_counts=[1, 2, 4, 10, 20],
        orders=["fixed", "reshuffle"],
        optimizer="momentum",
        learning_rates=[0.001 * 1.7**k for k in range(rates)],
        hyper={"momentum": [k / 10 for k in range(10)]},
        epochs=epochs,
        record="epoch",
    )


def chromium() -> str | None:
    """Return the path of an installed Chromium, or of Chrome; None without one."""
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


def page_times(file: Path, repeats: int) -> list[PageTimes]:
    """Return the times of a report that is opened so many times, each in a browser page of its own.

    Raises:
      InputError: without Chromium or Playwright.
    """
    program = chromium()
    if program is None or importlib.util.find_spec("playwright") is None:
        raise InputError("opening a report needs Chromium (apt-get install chromium) and playwright (pip install playwright)")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415, it is in the extra `test` only

    times = []
    with sync_playwright() as driver:
        # A container's root user has no sandbox for a browser.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(repeats):
            page = browser.new_page(viewport={"width": 1600, "height": 900})
            page.set_default_timeout(PATIENCE)
            page.goto(file.as_uri())
            page.locator("html[data-ready=true]").wait_for(state="attached")
            brushes = []
            for number in range(BRUSHES):
                page.evaluate("TIMES.brush = 0")
                # Another half of the first axis each time, and then all again.
                low = 0.5 * (number % 2)
                page.evaluate(f"VIEWS[0].brush({{ x0: -0.1, x1: 0.1, y0: {low}, y1: {low + 0.5} }})")
                while not page.evaluate("TIMES.brush"):
                    page.wait_for_timeout(20)
                brushes.append(page.evaluate("TIMES.brush"))
                page.evaluate("selectAll()")
                page.wait_for_timeout(500)
            times.append(PageTimes(page.evaluate("TIMES.open"), statistics.median(brushes)))
            page.close()
        browser.close()
    return times


def main(rates: int = 10, epochs: int = 100, repeats: int = 3) -> None:
    """Print the size of the report and its times."""
    with tempfile.TemporaryDirectory() as folder:
        ds = jaxsgd.sweep(many_cells(rates, epochs))
        file = jaxsgd.report(ds, question="How fast is a large report?").save(Path(folder) / "report.html")
        typer.echo(f"{rates * 1000:,} runs of {epochs} epochs: {file.stat().st_size / 1e6:.1f} MB")
        for times in page_times(file, repeats):
            typer.echo(f"opened in {times.open / 1000:.1f} s, a selection shown in {times.brush:.0f} ms")


if __name__ == "__main__":
    typer.run(main)
