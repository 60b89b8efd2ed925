"""The page in a real browser: what a reader does, and what the page then shows, against the dataset and the commands."""

import json

import numpy as np
import pandas as pd
import pytest

import jaxsgd
from jaxsgd.results.axes import selected
from jaxsgd.results.export import export
from jaxsgd.results.metric import cost
from tests.report.conftest import Opened


def place(ds, row):
    """The values of a heat map's place: its learning rate and batch count."""
    return {"learning_rate": ds.learning_rate.values[row["i"]], "batch_count": ds.batch_count.values[row["j"]]}


def test_it_opens_without_a_complaint_and_asks_for_nothing_but_its_own_file(first, report_file):
    assert first.complaints == []
    assert [url for url in first.requests if not url.startswith("data:")] == [report_file.as_uri()]
    assert first.page.inner_text("h1") == "Which rate is best?"
    assert first.page.inner_text("#status") == "all 168 runs selected"
    assert "jaxsgd verify results/mine" in first.page.text_content("#facts")


def test_every_figure_has_its_values_as_a_table_and_its_command(opened, result):
    for view in ("parallel", "plane", "curves", "scaling", "compare", "stripes"):
        section = opened.page.locator(f"#{view}")
        section.locator("details").nth(0).evaluate("(details) => { details.open = true }")
        section.locator("td").first.wait_for(state="attached")
        assert section.locator("[role=img]").first.get_attribute("aria-label")
        assert section.locator("pre").text_content(), view
    rows = opened.page.locator("#plane tbody tr")
    assert rows.count() == result.sizes["learning_rate"] * result.sizes["batch_count"]


def test_positions_are_marked_with_whole_numbers(opened):
    figures = "Bokeh.documents.flatMap((document) => [...document.all_models])"
    ticks = opened[
        f"{figures}.filter((model) => model.axis_label === 'position of the print in the epoch')"
        ".map((axis) => axis.ticker.get_ticks(0.9, 2.1, null, NaN).major)"
    ]
    assert ticks
    assert all(row == [1, 2] for row in ticks)


def test_the_heat_map_has_the_best_of_the_medians_over_the_seeds(opened, result):
    medians = cost(result, "loss_epoch").median("seed").min("order")
    rows = opened.values("plane")
    assert len(rows) == 12
    for row in rows:
        # The median of seven numbers is one of them: nothing is rounded.
        assert row["cost"] == medians.sel(place(result, row)).item()
    lost = {row["i"]: row["diverged"] for row in rows}
    assert lost == {0: 0, 1: 0, 2: 0, 3: 7}


def test_a_brush_in_one_view_selects_in_all(opened, result):
    """A drag over the upper half of the axis of batch counts: of 2, 4 and 12 only 12 is there."""
    before = len(opened.values("best"))
    box = opened.page.locator("#parallel-figure").bounding_box()
    axis = [axis["name"] for axis in opened["PAGE.description.axes"]].index("batch_count")
    # The figure's frame begins at -0.35 and ends at 0.45 past the last axis.
    frame = opened["(() => { const f = document.querySelector('#parallel-figure'); return f.clientWidth })()"]
    x = box["x"] + frame * (axis + 0.35) / (len(opened["PAGE.description.axes"]) + 0.8)
    opened.page.mouse.move(x - 25, box["y"] + 8)
    opened.page.mouse.down()
    opened.page.mouse.move(x, box["y"] + 90, steps=4)
    opened.page.mouse.move(x + 25, box["y"] + 150, steps=4)
    opened.page.mouse.up()
    opened.until("STATE.count < PAGE.count")
    kept = selected(result, {"batch_count": 12})
    assert opened["STATE.count"] == kept.diverged.size
    assert {row["batch_count"] for row in opened.values("best")} == {12}
    assert len(opened.values("best")) < before
    assert {place(result, row)["batch_count"] for row in opened.values("plane")} == {12}
    assert opened.page.inner_text("#status") == f"{kept.diverged.size} of 168 runs selected"


def test_a_brush_that_passes_over_no_value_changes_nothing_and_says_so(opened):
    axis = [axis["name"] for axis in opened["PAGE.description.axes"]].index("order")
    # Of two orders one is at the bottom and one at the top: there is none in the middle.
    opened.page.evaluate(f"VIEWS[0].brush({{ x0: {axis} - 0.1, x1: {axis} + 0.1, y0: 0.4, y1: 0.6 }})")
    text = "all 168 runs selected; no value of order lies in the part that was dragged over"
    assert opened.page.inner_text("#status") == text
    opened.page.evaluate("selectAll()")
    assert opened.page.inner_text("#status") == "all 168 runs selected"


def test_the_keyboard_selects_too(opened):
    opened.page.locator("#filters summary").focus()
    opened.page.keyboard.press("Enter")
    box = opened.page.locator("#filters input[data-dim=order]").first
    box.focus()
    opened.page.keyboard.press("Space")
    opened.until("STATE.count === 84")
    assert {row["order"] for row in opened.values("best")} == {"reshuffle"}
    opened.page.locator("#all").focus()
    opened.page.keyboard.press("Enter")
    opened.until("STATE.count === 168")
    opened.page.locator("#filters").evaluate("(details) => { details.open = false }")


def test_a_click_on_a_setting_opens_its_seeds_curves_with_the_datasets_values(opened, result):
    """A click on the place at the left and at the bottom: the smallest rate and batch count."""
    opened.page.locator("#plane-figure canvas").first.wait_for(state="attached")
    opened.page.locator("#plane-figure").scroll_into_view_if_needed()
    box = opened.page.locator("#plane-figure").bounding_box()
    opened.page.mouse.click(box["x"] + 0.22 * box["width"], box["y"] + 0.72 * box["height"])
    opened.until("axisOf('learning_rate').texts[PAGE.place.learning_rate[PAGE.cellsOf[STATE.setting][0]]] === '0.01'")
    cell = opened["PAGE.cellsOf[STATE.setting][0]"]
    where = {dim: opened[f"PAGE.place['{dim}'][{cell}]"] for dim in ("optimizer", "order", "learning_rate", "batch_count")}
    assert (where["learning_rate"], where["batch_count"]) == (0, 0)
    own = result.loss_epoch.isel(where)
    rows = opened.values("curves")
    np.testing.assert_array_equal([row["values"] for row in rows], own.transpose("epoch", "seed").values)
    np.testing.assert_array_equal([row["median"] for row in rows], own.median("seed").values)
    np.testing.assert_array_equal([row["x"] for row in rows], np.arange(1, 9))


def test_another_metric_and_another_epoch_are_shown(opened, result):
    opened.page.locator("#record").evaluate("(slider) => { slider.value = 2; slider.dispatchEvent(new Event('change')) }")
    opened.until("STATE.record === 2 && document.getElementById('record-text').textContent === 'after epoch 3'")
    third = result.loss_epoch.isel(epoch=2)
    third = third.where(np.isfinite(third), np.inf).median("seed").min("order")
    opened.until("VIEWS[1].values().every((row) => row.i === 3 || Number.isFinite(row.cost))")
    assert {row["cost"] for row in opened.values("plane")} == set(third.values.flat)
    opened.page.select_option("#metric", "stripe_gap")
    opened.until("STATE.metric === 'stripe_gap' && STATE.record === null")
    gaps = cost(result, "stripe_gap").median("seed").min("order")
    opened.until("VIEWS[1].values()[0].cost < 100")
    assert opened.values("plane")[0]["cost"] == pytest.approx(gaps.isel(learning_rate=0, batch_count=0).item(), rel=1e-12)
    opened.page.select_option("#metric", "loss_epoch")
    opened.until("STATE.metric === 'loss_epoch'")


@pytest.mark.parametrize("share", [0.9, 0.5, 0.02])
def test_a_target_by_hand_gives_the_numbers_of_the_command(opened, result, share):
    """At three targets between the first and the last losses of the runs that stay finite."""
    finite = result.loss_epoch.isel(learning_rate=slice(0, 3))
    target = float(np.quantile(finite, share))
    opened.page.fill("#scaling input", repr(target))
    opened.page.locator("#scaling input").press("Tab")
    opened.until(f"document.querySelector('#scaling pre').textContent.includes(String({target!r}))")
    scaled = jaxsgd.scaling(result, target).sel(order="fixed").squeeze("optimizer")
    rows = opened.values("scaling")
    assert [row["batch_count"] for row in rows] == scaled.batch_count.values.tolist()
    names = {"steps": "steps", "low": "steps_low", "high": "steps_high", "epochs": "epochs", "samples": "samples"}
    names |= {"value": "learning_rate", "edge": "at_edge", "reached": "reached", "bounds": "bounds"}
    for own, name in names.items():
        np.testing.assert_allclose([row[own] for row in rows], scaled[name].values.astype(float), rtol=1e-12, err_msg=name)
    assert [row["regime"] for row in rows] == scaled.regime.values.tolist()
    critical = opened["VIEWS.find((view) => view.id === 'scaling').critical()"]
    names = {"critical": "critical_batch_size", "low": "critical_low", "high": "critical_high", "fewest": "fewest_steps"}
    for own, name in {**names, "most": "fewest_samples"}.items():
        np.testing.assert_allclose(critical[own], scaled[name].item(), rtol=1e-9, err_msg=name)


def test_the_comparison_has_the_intervals_of_the_command(opened, result):
    compared = jaxsgd.compare(result, "order").sel(order="reshuffle").squeeze("optimizer")
    rows = opened.values("compare")
    assert len(rows) == 12
    for row in rows:
        own = compared.sel({name: row[name] for name in ("learning_rate", "batch_count")})
        np.testing.assert_array_equal(
            [row[name] for name in ("difference", "low", "high")], [own[name].item() for name in ("difference", "low", "high")]
        )


def test_the_best_settings_are_sorted_by_the_head_that_is_clicked(opened, result):
    best = jaxsgd.best(result)
    opened.page.get_by_role("button", name="batch count", exact=True).click()
    counts = [row["batch_count"] for row in opened.values("best")]
    assert counts == sorted(counts)
    assert {row["low"] for row in opened.values("best")} == set(best.low.values.flat)


def test_the_selected_runs_are_downloaded_with_the_values_of_export(opened, result, tmp_path):
    opened.page.evaluate("STATE.allowed.batch_count.set([0, 1, 0]); selectionChanged()")
    with opened.page.expect_download() as download:
        opened.page.locator("#download").click()
    download.value.save_as(tmp_path / "selected.csv")
    # The page has no losses of single batches.
    whole = export(selected(result, {"batch_count": 4}).drop_vars("loss").drop_dims("batch"), tmp_path / "export.csv", "csv")
    ours, theirs = pd.read_csv(tmp_path / "selected.csv"), pd.read_csv(whole)
    keys = ["order", "learning_rate", "seed", "epoch"]
    assert len(ours) == 56 * 8
    assert set(ours.columns) == set(theirs.columns)
    ours, theirs = (frame.sort_values(keys).reset_index(drop=True)[sorted(frame.columns)] for frame in (ours, theirs))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_texts_of_a_study_are_shown_as_text(browser, result, tmp_path):
    evil = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
    study = json.dumps({**json.loads(result.attrs["study"]), "problem": evil})
    renamed = result.assign_coords(order=["fixed", f"{evil}$$x$$"]).assign_attrs(study=study)
    path = jaxsgd.report(renamed, question=evil, folder=evil).save(tmp_path / "evil.html")
    page = Opened(browser, path)
    assert page.page.inner_text("h1") == evil
    assert evil in page.page.text_content("#facts")
    assert evil in page.page.text_content("#filters")
    assert page.page.title() == evil
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("data:")] == [path.as_uri()]
    page.page.close()


def test_it_fits_a_phone_and_is_dark_where_the_reader_wants_it(browser, report_file):
    page = Opened(browser, report_file, width=400, color_scheme="dark")
    assert page["document.documentElement.scrollWidth"] <= 400
    red, green, blue = map(
        int, page["getComputedStyle(document.body).backgroundColor"].removeprefix("rgb(").rstrip(")").split(",")
    )
    assert max(red, green, blue) < 64
    assert page.complaints == []
    page.page.close()
