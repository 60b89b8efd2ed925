"""The whole making of a small model, from runs to the files that it leaves."""

import json

import numpy as np
import pytest

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.features import cause_readings
from tools.diagnosis_model import __main__ as command
from tools.diagnosis_model import train
from tools.diagnosis_model.recordings import Side, TrainedProblem


@pytest.mark.slow
def test_a_small_training_leaves_a_model_a_report_and_a_figure(tmp_path, monkeypatch, capsys):
    problem = TrainedProblem("noisy_quadratic", {"num_samples": 96, "num_inputs": 8}, (0.1, 0.05))
    sides = {
        "taught": Side((problem,), tuple(range(4)), (4, 12), (0.2,), logs=20),
        "held_out": Side((problem,), tuple(range(10, 14)), (6,), (0.3,), logs=20),
    }
    monkeypatch.setattr(command, "SIDES", sides)
    monkeypatch.setattr(command, "PLAIN_LOGS", 5)
    monkeypatch.setattr(train, "STAIRCASES", 40)
    command.main(["--out", str(tmp_path)])
    stored = json.loads((tmp_path / "model.json").read_text())
    assert tuple(stored["causes"]) == CAUSE_NAMES
    for name, model in stored["causes"].items():
        assert tuple(model["weights"]) == cause_readings()[name]
        assert np.isfinite([model["intercept"], *model["weights"].values()]).all()
    assert stored["staircase"]["slope"] > 0
    assert (tmp_path / "report.md").read_text() == capsys.readouterr().out
    assert all((tmp_path / f"reliability.{kind}").stat().st_size > 1000 for kind in ("png", "svg"))
    # Again from the runs that are there: the same model.
    before = (tmp_path / "model.json").read_bytes()
    command.main(["--out", str(tmp_path)])
    assert (tmp_path / "model.json").read_bytes() == before
