"""`jaxsgd diagnose` as its users run it."""

import base64
import gzip
import json
import re
import subprocess
import sys

import pytest

import jaxsgd
from jaxsgd.cli.errors import run_app

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture
def article(tmp_path, monkeypatch):
    """The article's twenty lines in a file, in the current folder."""
    from jaxsgd.article.log_line import printed_text

    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.log").write_text(printed_text())
    return tmp_path


def test_a_verdict_comes_with_probability_evidence_remedy_and_threads(article, capsys):
    assert run_app(["diagnose", "train.log"]) == 0
    output = capsys.readouterr().out
    for part in (
        "10 batches an epoch, printed every 5",
        "2 stripes",
        "Fixed order (over 99 %)",
        "The position in the epoch explains 100 % of the variance of the detrended loss",
        "What to do: Shuffle",
        "https://github.com/BVLC/caffe/issues/1249",
        "The smallest print interval that hides its stripes is 10 batches.",
    ):
        assert part in output


def test_the_report_opens_with_the_answer_what_to_do_and_what_was_read(article, capsys):
    assert run_app(["diagnose", "train.log"]) == 0
    answer, remedy, source, *_ = capsys.readouterr().out.splitlines()
    assert answer.startswith("Fixed order (over 99 %): the same levels return")
    assert remedy.startswith("What to do: Shuffle")
    assert source.startswith("Read: train.log: plain text, 20 losses in column 'loss'; 10 batches an epoch, printed every 5")


@pytest.mark.parametrize(("total", "possible"), [("", [300, 399]), ("/380", [])])
def test_the_json_has_the_range_of_batches_that_a_count_without_its_total_leaves(total, possible, tmp_path, capsys):
    lines = [f"epoch {epoch} step {step}{total} loss {2 - 0.1 * epoch:.2f}" for epoch in range(5) for step in (100, 200, 300)]
    (tmp_path / "train.log").write_text("\n".join(lines))
    assert run_app(["diagnose", str(tmp_path / "train.log"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["period"]["possible_batches_per_epoch"] == possible


def test_json_is_one_object_and_the_folder_holds_figures_and_report(article, capsys):
    assert run_app(["diagnose", "train.log", "--json", "--out", "out"]) == 0
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert report["causes"] == ["fixed_order"]
    assert report["period"] | {"epochs": 10} == report["period"]
    assert set(report["probability"]) == {verdict["cause"] for verdict in report["verdicts"]} | {"nothing"}
    assert sorted(path.name for path in (article / "out").iterdir()) == ["fixed_order.png", "fixed_order.svg", "report.json"]
    assert json.loads((article / "out" / "report.json").read_text()) == report


def test_the_page_is_one_file_with_the_command_that_gives_its_numbers(article, capsys):
    assert run_app(["diagnose", "train.log", "--batches-per-epoch", "10", "--html", "pages/train.html", "--json"]) == 0
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert report["html"] == "pages/train.html"
    text = (article / "pages" / "train.html").read_text()
    assert "<title>Fixed order (over 99 %): the same levels return" in text
    assert [path.name for path in (article / "pages").iterdir()] == ["train.html"]
    packed = re.search(r'id="contents">([^<]*)<', text)
    assert packed
    description = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    assert description["log"]["command"] == "jaxsgd diagnose train.log --batches-per-epoch 10.0"


def test_a_log_that_is_too_short_is_told_how_much_more_it_needs(tmp_path, capsys):
    # Four epochs of four prints are needed; there are nine prints.
    lines = [f"epoch {1 + k // 4} iter {1 + k % 4}/4 loss {1 + k % 4}\n" for k in range(9)]
    (tmp_path / "log").write_text("".join(lines))
    assert run_app(["diagnose", str(tmp_path / "log"), "--out", str(tmp_path / "out")]) == 0
    output = capsys.readouterr().out
    assert (
        "too short: it has 9 losses over 2.25 epochs. At least 16 losses over 4 epochs are needed: 7 more (1.75 more epochs)."
        in output
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]


def test_one_loss_and_one_epoch_are_in_the_singular(tmp_path, capsys):
    (tmp_path / "one").write_text("my loss is 3\n")
    (tmp_path / "epoch").write_text("".join(f"epoch 1 step {k} loss {2 - k / 200:.3f}\n" for k in range(20)))
    assert run_app(["diagnose", str(tmp_path / "one")]) == run_app(["diagnose", str(tmp_path / "epoch")]) == 0
    output = capsys.readouterr().out
    assert "it has 1 loss and does not say where epochs begin" in output
    assert "\n1 epoch, with values at 20 positions" in output


def answer_to(text, *words):
    """Exit status, output and errors of the command in a process of its own, with a text on standard input."""
    command = [sys.executable, "-m", "jaxsgd", "diagnose", "-", *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_log_on_standard_input_is_read_as_a_file(article, capsys):
    assert run_app(["diagnose", "train.log"]) == 0
    expected = capsys.readouterr().out
    status, output, errors = answer_to((article / "train.log").read_text())
    assert (status, output, errors) == (0, expected.replace("train.log", "standard input"), "")


def test_a_mistake_in_standard_input_is_one_line():
    assert answer_to("") == (2, "", "jaxsgd: standard input: is empty; a log with one loss on each line is needed\n")
    assert answer_to("loss 1\n" * 30, "--column", "los")[2].startswith("jaxsgd: unknown loss column in standard input: 'los'")


@pytest.mark.parametrize("words", [["diagnose", "--help"], ["diagnose", "train.log"]])
def test_a_log_is_told_without_jax(words, article):
    program = (
        "import sys\nfrom jaxsgd.cli.errors import run_app\n"
        f"status = run_app({words!r})\n"
        "sys.exit(1 if status or {'jax', 'xarray', 'pandas'} & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_the_simulation_names_the_order_that_prints_most_alike(article, capsys):
    assert run_app(["diagnose", "train.log", "--simulate", "--json", "--out", "out"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["simulated"]["nearest"] in ("fixed", "shuffle_once")
    assert report["simulated"]["nearest_group"] == "the same order in every epoch"
    loaders = {name for name, order in jaxsgd.ORDERS.items() if order.feedback is None}
    assert {case["order"] for case in report["simulated"]["cases"]} == loaders
    assert (article / "out" / "simulated.png").exists()
