"""The report as a file: its size, what is left out, and what is refused."""

import base64
import gzip
import html
import json
import re
import sys

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError
from jaxsgd.report import contents
from jaxsgd.report.packing import pack_array
from tests.cli.conftest import jaxsgd_command  # noqa: F401, a fixture


@pytest.mark.parametrize(
    "values", [np.array([[1.5, -2.25], [np.nan, np.inf]], np.float32), np.array([0.1, 1e300]), np.arange(5)]
)
def test_an_array_is_packed_without_loss(values):
    packed = pack_array(values)
    kind = np.dtype("<f4" if packed["type"] == "float32" else "<f8")
    planes = np.frombuffer(gzip.decompress(base64.b64decode(packed["data"])), np.uint8).reshape(kind.itemsize, -1)
    np.testing.assert_array_equal(planes.T.copy().view(kind).reshape(packed["shape"]), values)


def test_a_large_result_is_thinned_and_the_page_says_how(result, monkeypatch):
    losses = result.drop_vars(["loss", "distance", "excess_loss"]).drop_dims("batch")
    whole = contents.contents(losses, None, None, "", "r")
    assert whole.description["notes"] == []
    assert whole.arrays["loss_epoch"]["records"] is None
    size = sum(
        len(array["data"]) for name, array in whole.arrays.items() if name != "loss_epoch" and not name.startswith("drawn")
    )
    # Half of the room that the losses take.
    monkeypatch.setattr(contents, "MOST_ARRAY_LETTERS", size + len(whole.arrays["loss_epoch"]["data"]) // 2)
    thin = contents.contents(losses, None, None, "", "r")
    records = thin.arrays["loss_epoch"]["records"]
    assert records[-1] == 7
    assert 1 < len(records) < 8
    assert thin.description["notes"] == [f"loss: {len(records)} of 8 records of a run are in this page, evenly spaced"]
    assert thin.description["scaling"]["loss_epoch"]["fixed"] == "the records are thinned"


@pytest.fixture(scope="module")
def fixed_page(result):
    """The page of the fixed order alone, with a target."""
    return jaxsgd.report(result, select={"order": "fixed"}, target=0.5)


def test_a_part_of_the_axes_can_be_shown(fixed_page):
    assert repr(fixed_page).startswith("Report(0.")
    packed = re.search(r'id="contents">([^<]*)<', fixed_page.html)
    assert packed
    description = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    assert description["dims"]["order"] == 1
    assert description["scaling"]["loss_epoch"]["target"] == 0.5


def test_a_notebook_shows_the_page_in_a_frame(fixed_page):
    inner = re.search(r'srcdoc="([^"]*)"', fixed_page._repr_html_())
    assert inner
    assert html.unescape(inner[1]) == fixed_page.html


def test_without_bokeh_one_line_says_how_to_get_it(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh.resources", None)  # as if it were not installed
    with pytest.raises(InputError, match=r"^a report needs bokeh: pip install 'jaxsgd\[report\]'$"):
        jaxsgd.report(result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "x.html"}, r"^metric must be a metric, got the file 'x.html': write jaxsgd.report\(ds\).save\('x.html'\)$"),
        ({"metric": "los"}, "unknown metric 'los'"),
        ({"select": {"order": "fix"}}, "unknown order 'fix'"),
    ],
)
def test_what_is_not_in_the_result_is_refused(result, arguments, message):
    with pytest.raises(InputError, match=message):
        jaxsgd.report(result, **arguments)


def test_the_command_writes_the_page_beside_the_result(tmp_path, jaxsgd_command):  # noqa: F811
    study = jaxsgd.Study(
        problem_args={"num_samples": 24, "num_hidden": 5}, seeds=range(2), batch_counts=[2, 4], learning_rates=[0.01], epochs=2
    )
    jaxsgd.sweep(study, tmp_path / "orders")
    done = jaxsgd_command("report", "orders", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["file"] == "orders.html"
    text = (tmp_path / "orders.html").read_text()
    assert len(text.encode()) == printed["bytes"] < 1e6
    # The question of the shipped study of this name.
    assert "<title>Which of the six orders ends nearest the optimum" in text
    # A published study's result has no folder in its name.
    jaxsgd.sweep(study, tmp_path / "catapult")
    assert jaxsgd_command("report", "catapult", cwd=tmp_path).returncode == 0
    assert "<title>Does a learning rate above 2 / curvature make" in (tmp_path / "catapult.html").read_text()
    # That of a study file, which is read and not run: it would end Python.
    (tmp_path / "mine.py").write_text('"""Is my rate right?\n\nMore."""\nraise SystemExit(9)\n')
    (tmp_path / "bare.py").write_text("STUDY = None\n")
    done = jaxsgd_command("report", "orders", "--study", "mine.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "<title>Is my rate right?</title>" in (tmp_path / "orders.html").read_text()
    done = jaxsgd_command("report", "orders", "--study", "bare.py", cwd=tmp_path)
    message = "jaxsgd: --study bare.py: has no docstring with a question; give one with --question\n"
    assert (done.returncode, done.stderr) == (2, message)
    done = jaxsgd_command("report", "orders", "--select", "seed", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "jaxsgd: --select seed: must be AXIS=VALUE, such as learning_rate=0.01\n")
