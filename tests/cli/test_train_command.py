"""`jaxsgd train` on a file of one's own."""

import json

import numpy as np
import pytest

from jaxsgd.article.log_line import parse_log


def test_a_file_is_trained_on_and_explained(samples, jaxsgd_command, tmp_path):
    done = jaxsgd_command("train", samples, "--epochs", 6, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "results" / "samples"
    log = (folder / "training_log.txt").read_text()
    # By default 10 batches an epoch, printed every 5.
    assert [(line.epoch, line.iteration) for line in parse_log(log)] == [(e, i) for e in range(1, 7) for i in (5, 10)]
    assert log in done.stdout
    report = json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    assert report["striped"]["whole_run"]["stripe_count"] == 2
    assert report["averaged"]["whole_run"]["stripe_count"] == 1
    assert "seeds" not in report["striped"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(report["files"])


def test_json_alone_is_on_stdout(samples, jaxsgd_command, tmp_path):
    words = ("train", samples, "--epochs", 3, "--batch-count", 6, "--eval-interval", 1, "--out", "deep/er", "--svg", "--json")
    done = jaxsgd_command(*words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout, parse_constant=pytest.fail)
    assert report["striped"]["whole_run"]["stripe_count"] == 6
    pictures = [f"{name}.{kind}" for name in ("striped", "band", "averaged") for kind in ("png", "svg")]
    assert report["files"] == ["training_log.txt", *pictures, "report.json"]
    assert sorted(path.name for path in (tmp_path / "deep" / "er").iterdir()) == sorted(report["files"])


def test_a_run_that_becomes_non_finite_says_when(samples, jaxsgd_command, tmp_path):
    # Targets of 1e20 have squared errors of 1e40, and float32 ends at 3.4e38.
    np.savez(tmp_path / "large.npz", x=np.ones((20, 1)), t=np.full(20, 1e20))
    done = jaxsgd_command("train", "large.npz", "--out", "gone", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "jaxsgd: large.npz became non-finite in epoch 1 at learning rate 0.001; "
        "try a smaller rate, such as --learning-rate 0.0001\n"
    )
    assert not (tmp_path / "gone").exists()


def test_a_single_sample_is_enough(jaxsgd_command, tmp_path):
    (tmp_path / "one.csv").write_text("a,t\n1,2\n")
    done = jaxsgd_command("train", "one.csv", "--epochs", 1, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "one curve and there are no stripes" in " ".join(done.stdout.split())
