"""The page of the article in a real browser: its figures have the values of the runs, and its texts are text."""

import numpy as np
import pytest

from jaxsgd.article.claim import Claim, ClaimMap
from jaxsgd.article.claim_steps import shown_influence
from jaxsgd.article.experiment import Experiment
from jaxsgd.article.page import (
    article_page,
    averaged_chart,
    band_chart,
    influence_chart,
    map_charts,
    share_chart,
    striped_chart,
)
from jaxsgd.measure.stripes import stripes
from jaxsgd.problems import least_squares
from tests.report.conftest import Opened

EVIL = "</script><script>document.title = 'taken'</script>"

LOSS = np.random.default_rng(0).normal(size=(12, 4)) * 0.01 + np.linspace(2, 1, 12)[:, None] + np.arange(4)


@pytest.fixture(scope="module")
def striped():
    return stripes(LOSS, 1)


@pytest.fixture(scope="module")
def measured():
    """The influence of four batches on each other in one epoch of a small problem."""
    return shown_influence(least_squares(12, num_inputs=2), 0, Experiment("striped", 12, 4, 1, 3, learning_rate=0.1))


@pytest.fixture(scope="module")
def charts(striped, measured):
    shares = np.array([0.2, 0.25, np.nan])
    claim = Claim(4, shares, shares, shares, shares, shares, 0.3, 11)
    panel = ClaimMap("a line", (2, 5), (0, 10), np.array([[0.6, 0.8], [0.3, np.inf]]), np.array([1.0, 0.1]), 3)
    averaged = stripes(LOSS, 4)
    return [
        striped_chart(striped, f"Experiment 1 {EVIL}"),
        band_chart(striped, "Experiment 2"),
        averaged_chart(averaged, striped, "Experiment 3"),
        influence_chart(measured, "Experiment 1, first epoch"),
        share_chart({"Experiment 1": claim}),
        *map_charts([panel]),
    ]


@pytest.fixture(scope="module")
def article(browser, charts, tmp_path_factory):
    numbers = [["", "run"], ["1 striped: gap", "3.0000"]]
    text = article_page("Stripes?", "Four batches.", [f"A finding {EVIL}"], charts, numbers, "jaxsgd article")
    path = tmp_path_factory.mktemp("article") / "article.html"
    path.write_text(text)
    return Opened(browser, path, width=400, color_scheme="dark")


def test_it_opens_on_a_phone_and_asks_for_nothing_but_its_own_file(article):
    assert article.complaints == []
    assert [url.partition("://")[0] for url in article.requests if not url.startswith("data:")] == ["file"]
    assert article["document.documentElement.scrollWidth"] <= 400
    assert article["getComputedStyle(document.body).backgroundColor"] == "rgb(21, 24, 27)"
    assert article.page.title() == "Stripes?"
    assert f"A finding {EVIL}" in article.page.text_content("#findings")
    assert f"Experiment 1 {EVIL}" in article.page.text_content("#striped")
    assert "3.0000" in article.page.text_content("#numbers")


def test_its_figures_have_the_values_of_the_runs(article, striped, measured):
    rows = article.values("striped")
    assert {row["name"] for row in rows} == {f"stripe {number}" for number in (1, 2, 3, 4)}
    by_time = sorted(rows, key=lambda row: row["x"])
    np.testing.assert_array_equal([row["y"] for row in by_time], striped.windows)
    means = [row["y"] for row in article.values("averaged") if row["name"] == "mean of each epoch"]
    np.testing.assert_allclose(means, LOSS.mean(axis=1), rtol=1e-12)
    effect = np.asarray(measured.effect[0, 0], np.float64)
    np.testing.assert_array_equal([row["value"] for row in article.values("influence")], effect.ravel())
    # Of the map, a share in percent for each epoch and batch count.
    assert [row["y"] for row in article.values("claim_map_1")] == [60, 80, 30, np.inf]


def test_every_figure_has_its_values_as_a_table(article, charts):
    for chart in charts:
        section = article.page.locator(f"#{chart.name}")
        section.locator("details").nth(0).evaluate("(details) => { details.open = true }")
        section.locator("td").first.wait_for(state="attached")
        assert section.locator("[role=img]").first.get_attribute("aria-label") == chart.title
