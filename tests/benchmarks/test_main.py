"""`python -m benchmarks` on tiny sizes: every part runs and says what it timed; no number is held to anything."""

import json

import pytest

from benchmarks import floor, report
from benchmarks.__main__ import main
from benchmarks.fresh_process import Many, run_many, short_runs
from benchmarks.side_by_side import FLOOR

pytestmark = pytest.mark.usefixtures("unchecked")

TINY = ["--runs", "2", "--epochs", "2", "--few", "1", "--hidden", "4", "--repeats", "2"]


@pytest.fixture
def small(monkeypatch):
    """Fewer numbers and layouts to try."""
    monkeypatch.setattr(floor, "LAYOUTS", floor.LAYOUTS[:2])
    monkeypatch.setattr(report, "RUNS", (1, 3))
    monkeypatch.setattr(report, "RUNS_STEPS", 120)
    monkeypatch.setattr(report, "LANES", (1,))
    monkeypatch.setattr(report, "COUNTS", (2, 5))


def run_json(capsys, *words):
    assert main([*words, *TINY, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def test_peers_are_timed_beside_the_simulator_and_the_floor(small, capsys):
    payload = run_json(capsys)
    rows = {row["name"]: row for row in payload["rows"]}
    assert {"jaxsgd", "NumPy loop, one process", "jit(vmap(scan)) at full width", FLOOR} <= set(rows)
    assert rows["jaxsgd"]["ratio"] == {"median": 1, "low": 1, "high": 1}
    for row in rows.values():
        assert 0 < row["low"] <= row["milliseconds"] <= row["high"]
        assert 0 < row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
    assert (payload["part"], payload["runs"], payload["repeats"]) == ("peers", 2, 2)
    left_out = "PyTorch loop: left out, for torch is not installed"
    assert (left_out in payload["notes"]) == ("PyTorch loop" not in rows)


@pytest.mark.slow
def test_the_products_by_each_library_of_xla(capsys):
    report = run_json(capsys, "libraries")
    groups = {row["group"] for row in report["rows"]}
    assert groups == {"x w1", "h w2", "dz w2'", "h' dz", "x' dh"}
    assert {"XLA's choice", "Eigen"} <= {row["name"] for row in report["rows"]}
    assert all(row["ratio"]["median"] == 1 for row in report["rows"] if row["name"] == "XLA's choice")


@pytest.mark.slow
def test_over_the_number_of_runs(small, capsys):
    payload = run_json(capsys, "runs")
    assert [row["group"] for row in payload["rows"]] == ["1 runs"] * 4 + ["3 runs"] * 4
    assert [note.split(":")[0] for note in payload["notes"]] == ["1 runs", "3 runs"]


@pytest.mark.slow
def test_the_plans_widths_beside_others(small, capsys):
    rows = run_json(capsys, "widths")["rows"]
    assert sum(", chosen" in row["name"] for row in rows) == 3
    assert len({row["group"] for row in rows}) == 3
    assert all(row["ratio"]["median"] == 1 for row in rows if ", chosen" in row["name"])


@pytest.mark.slow
def test_mixed_batch_counts_beside_uniform_sweeps(small, capsys):
    assert main(["counts", *TINY]) == 0
    out = capsys.readouterr().out
    assert "batch counts 2, 5" in out
    assert "a sweep for each, in sum" in out


@pytest.mark.slow
def test_many_runs_are_stored_as_a_sweep_stores_them(tmp_path):
    result = run_many(200, tmp_path / "result")
    assert isinstance(result, Many)
    assert result.runs == 200
    assert 0 < result.store_seconds < result.seconds
    assert result.result_bytes > 200 * 10 * 4
    assert result.peak_bytes > 2**20
    assert len(short_runs(200).seeds) == 2


def test_an_unknown_part_is_one_line(capsys):
    assert main(["peer"]) == 2
    assert capsys.readouterr().err == (
        "benchmarks: unknown part 'peer': did you mean 'peers'? "
        "valid: counts, libraries, peers, problems, runs, scale, start, widths\n"
    )
