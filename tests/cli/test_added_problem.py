"""A problem that is added to the table of built-in problems, in a study, a figure and the commands."""

import jax
import jax.numpy as jnp

import jaxsgd
from jaxsgd.problems import PROBLEMS
from tests.plot.drawn import words


def _mean(num_samples=12):
    return jaxsgd.Problem(
        init=lambda key: jnp.zeros(2),
        loss=lambda params, batch: jnp.sum((batch - params[None]) ** 2, axis=1),
        data=lambda key: jax.random.normal(key, (num_samples, 2)),
        name="mean",
        loss_unit="square metres",
    )


def test_a_problem_is_added_by_one_entry(monkeypatch, tmp_path, jaxsgd_command):
    monkeypatch.setitem(PROBLEMS, "mean", _mean)
    study = {"problem": "mean", "problem_args": {"num_samples": 8}, "seeds": [0, 1], "batch_counts": [2], "epochs": 2}
    study |= {"orders": ["fixed", "reshuffle"], "learning_rates": [0.1]}
    ds = jaxsgd.sweep(jaxsgd.Study(**study))
    # 8 samples in 2 batches of 4
    assert ds.batch_size.item() == 4
    assert ds.loss.attrs["units"] == "loss"
    figure = jaxsgd.plot.curves(ds, axis="order")
    assert "square metres" in words(figure)
    (tmp_path / "study.py").write_text(f"import jaxsgd\nSTUDY = jaxsgd.Study(**{study})\n")
    done = jaxsgd_command("run", "study.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "ran 4 cells; the result is in results/study\n")
    again = jaxsgd_command("verify", "results/study", cwd=tmp_path)
    assert again.returncode == 0
    wrong = jaxsgd_command("run", "study.py", "--set", "problem=meen", cwd=tmp_path)
    assert "did you mean 'mean'?" in wrong.stderr
