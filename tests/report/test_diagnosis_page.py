"""The page of a diagnosis in a real browser: its fold against Python's, its lines, its causes, and its texts."""

import json

import numpy as np
import pytest

from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.page import MOST_LOSSES, diagnosis_page, page_contents
from jaxsgd.diagnosis.refold import refold
from tests.diagnosis.test_diagnose import FOLDER
from tests.report.conftest import Opened

NAMES = ("torch_shuffle_false_every_7.txt", "torch_ragged_sum.txt", "keras_progress.txt", "torch_staircase.txt")
NAMES += ("lightning_shuffle_true.csv", "torch_warm_restarts_silent.txt")
STEEP = 3 + 9 * np.exp(-np.arange(100) / 3) + 0.1 * np.random.default_rng(0).standard_normal(100)
"""Five epochs of which the first falls steeply."""

SETTINGS = [(None, 1), (None, 2), (None, 5), (7.0, 1), (12.5, 3), (33.0, 2), (2.0, 1), (0.4, 1)]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("diagnosis") / "log.html"
    path.write_text(diagnosis_page(diagnose(FOLDER / NAMES[0]), NAMES[0], f"jaxsgd diagnose {NAMES[0]}"))
    return path


@pytest.fixture(scope="module")
def log_page(browser, page_file):
    return Opened(browser, page_file)


def test_it_opens_with_the_answer_and_asks_for_nothing_but_its_own_file(log_page, page_file):
    assert log_page.complaints == []
    assert [url for url in log_page.requests if not url.startswith("data:")] == [page_file.as_uri()]
    assert log_page.page.inner_text("h1") == "Fixed order (over 99 %) and print interval against epoch (over 99 %)."
    assert log_page.page.inner_text(".lead").startswith("What to do: (1) Shuffle the samples anew")
    assert "line 1: epoch 1, step 7" in log_page.page.text_content("#facts")


@pytest.mark.parametrize("name", [*NAMES, "steep"])
def test_the_fold_that_the_page_works_out_is_that_of_python(log_page, name):
    """Any log's losses, with the log's own period and others: slider positions differ in no other way."""
    diagnosis = diagnose(STEEP.reshape(5, 20) if name == "steep" else FOLDER / name)
    period, loss = diagnosis.period, diagnosis.log.loss
    batch = period.epoch * period.length + period.position
    names = ("left", "phase", "group", "loss", "last", "lastLeft")
    code = "([loss, batch, length, count]) => {"
    code += " const own = refold(Float64Array.from(loss), Float64Array.from(batch), length, count);"
    code += f" return own && [own.share, own.period.places, ...{json.dumps(names)}.map((name) => Array.from(own[name]))] }}"
    for length, count in SETTINGS:
        result = refold(loss, period, length, count)
        shown = log_page.page.evaluate(code, [loss.tolist(), batch.tolist(), length or period.length, count])
        if result is None:
            assert shown is None
            continue
        folded = result.folded
        expected = (folded.left, folded.phase, folded.group, result.loss, result.last, folded.last)
        assert shown[0] == pytest.approx(result.share, rel=1e-9, abs=1e-9), (length, count)
        assert shown[1] == result.period.stripe_count
        for label, own, values in zip(names, shown[2:], expected, strict=True):
            np.testing.assert_allclose(own, values, rtol=1e-7, atol=1e-7, err_msg=f"{label} {length} {count}")


def test_the_sliders_change_the_fold_and_the_button_brings_the_logs_own_back(log_page):
    diagnosis = diagnose(FOLDER / NAMES[0])
    log_page.page.locator("#count").focus()
    log_page.page.keyboard.press("ArrowRight")
    log_page.until("STATE.count === 2")
    log_page.page.fill("#period-exact", "19")
    log_page.page.keyboard.press("Tab")
    log_page.until("STATE.length === 19")
    result = refold(diagnosis.log.loss, diagnosis.period, 19, 2)
    assert result is not None
    np.testing.assert_allclose(log_page.values("series"), result.loss, rtol=1e-12)
    assert log_page["STATE.folded.share"] == pytest.approx(result.share, rel=1e-9)
    log_page.page.locator("#own").focus()
    log_page.page.keyboard.press("Enter")
    log_page.until("STATE.count === 1 && STATE.length === 20")
    assert log_page.page.inner_text("#status") == "printed every 7 batches: the position explains 96 % of the variance"
    assert log_page.complaints == []


def test_every_value_has_the_line_of_the_log(log_page):
    text = (FOLDER / NAMES[0]).read_text().splitlines()
    losses, lines = log_page["Array.from(array('loss').values)"], log_page["Array.from(array('line').values)"]
    assert len(losses) == 120
    assert all(f"{loss:g}" in text[line - 1] for loss, line in zip(losses, lines, strict=True))
    log_page.page.locator("#series details").nth(0).evaluate("(details) => { details.open = true }")
    row = log_page.page.locator("#series tbody tr").nth(2).text_content()
    assert row.startswith(f"line {lines[2]}")


def test_every_cause_has_its_probability_and_its_evidence(log_page):
    diagnosis = diagnose(FOLDER / NAMES[0])
    for verdict in diagnosis.verdicts:
        section = log_page.page.locator(f"[data-cause={verdict.cause.name}]")
        text = section.text_content()
        assert verdict.cause.remedy in text
        assert all(evidence.text in text for evidence in verdict.evidence)
        assert section.evaluate("(details) => details.open") == verdict.is_likely


def test_texts_of_a_log_are_shown_as_text_on_a_phone_in_the_dark(browser, tmp_path):
    evil = "<script>document.title='taken'</script><img src=x onerror=document.title='taken'>"
    # A column of this name, in a log with a value that is left out.
    rows = [f"{k},{1 + (k % 4) / 4}" for k in range(48)]
    (tmp_path / "evil.csv").write_text(f"step,loss {evil}\n" + "\n".join([*rows, "48,nan"]) + "\n")
    diagnosis = diagnose(tmp_path / "evil.csv", batches_per_epoch=4)
    (tmp_path / "evil.html").write_text(diagnosis_page(diagnosis, evil))
    page = Opened(browser, tmp_path / "evil.html", width=400, color_scheme="dark")
    assert evil in page.page.text_content("#facts")
    assert "Left out 1 value that is NaN or infinite." in page.page.text_content("#notes")
    assert "taken" not in page.page.title()
    assert page["document.documentElement.scrollWidth"] <= 400
    assert page["getComputedStyle(document.body).backgroundColor"] == "rgb(21, 24, 27)"
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("data:")] == [(tmp_path / "evil.html").as_uri()]
    page.page.close()


def test_a_long_log_is_cut_and_the_page_says_so():
    loss = np.tile([1.0, 2.0, 3.0, 2.0, 1.5], (MOST_LOSSES // 5 + 1, 1))
    description, arrays = page_contents(diagnose(loss), "losses")
    assert arrays["loss"]["shape"] == [MOST_LOSSES]
    assert description["notes"] == ["Of 100,005 losses the first 100,000 are in this page; the diagnosis is of all."]


def test_a_log_that_is_too_short_has_a_page_that_says_so():
    description, _ = page_contents(diagnose(np.ones((2, 3))), "losses")
    assert description["causes"] == []
    assert description["remedy"].startswith("Give")
