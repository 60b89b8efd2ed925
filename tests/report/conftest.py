"""One small result, and one browser that opens its report."""

import importlib.util
import json
import os
import time

import pytest

import jaxsgd
from benchmarks.report_page import chromium as installed_chromium

STUDY = jaxsgd.Study(
    problem="least_squares",
    problem_args={"num_samples": 24, "num_inputs": 3},
    seeds=range(7),
    batch_counts=[2, 4, 12],
    orders=["fixed", "reshuffle"],
    learning_rates=[0.01, 0.03, 0.1, 1000.0],
    epochs=8,
    eval_interval=2,
)
"""168 runs, of which those at the largest rate diverge."""


@pytest.fixture(scope="session")
def result():
    return jaxsgd.sweep(STUDY)


@pytest.fixture(scope="session")
def browser():
    absent = pytest.fail if os.environ.get("JAXSGD_TESTS_NEED_BROWSER") else pytest.skip
    program = installed_chromium()
    if program is None:
        absent("no Chromium is installed, which opens the pages of these tests: apt-get install chromium")
    if importlib.util.find_spec("playwright") is None:
        absent("playwright is not installed, which drives the browser: pip install -e '.[test]'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # A container's root user has no sandbox for a browser; the pages are this repository's own.
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Opened:
    """A page that is open in the browser, with what it complained about and asked for."""

    def __init__(self, browser, path, width=1600, **options):
        self.complaints, self.requests = [], []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        self.page.set_default_timeout(90_000)
        self.page.on("console", lambda message: message.type in ("error", "warning") and self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.until("document.documentElement.dataset.ready === 'true'")

    def until(self, condition):
        """Waits until an expression is true in the page. The page's policy refuses the driver's own way to wait."""
        give_up = time.monotonic() + 90
        while not self.page.evaluate(condition):
            assert time.monotonic() < give_up, (condition, self.complaints)
            self.page.wait_for_timeout(50)

    def __getitem__(self, expression):
        """The value of an expression in the page, with numbers that are not finite."""
        code = "(value) => JSON.stringify(value, (_, v) => typeof v === 'number' && !Number.isFinite(v) ? String(v) : v)"
        return json.loads(
            self.page.evaluate(f"({code})({expression})"), object_hook=lambda row: {k: _number(row[k]) for k in row}
        )

    def values(self, view):
        """The rows of numbers that a view shows."""
        return self[f"VIEWS.find((view) => view.id === '{view}').values()"]


def _number(value):
    if isinstance(value, list):
        return [_number(inner) for inner in value]
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


@pytest.fixture(scope="session")
def report_file(result, tmp_path_factory):
    page = jaxsgd.report(result, question="Which rate is best?", folder="results/mine")
    return page.save(tmp_path_factory.mktemp("report") / "mine.html")


@pytest.fixture(scope="session")
def first(browser, report_file):
    """The report at 1,600 pixels; each test begins with `anew`."""
    return Opened(browser, report_file, accept_downloads=True)


@pytest.fixture
def opened(first):
    """The report with everything selected, as it is when it opens."""
    first.page.evaluate("scrollTo(0, 0); document.querySelectorAll('section details').forEach((part) => { part.open = false })")
    first.page.evaluate("selectAll()")
    return first
