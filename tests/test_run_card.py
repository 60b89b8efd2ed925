"""A run as a notebook shows it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from tests import probe
from tests.card import SCRIPT, read_card


@pytest.fixture(scope="module")
def run():
    return jaxsgd.simulate(probe.network(), jax.random.key(0), optimizer=optax.adam(0.1), epochs=3, batch_count=7)


def test_a_run_shows_its_sizes_its_losses_and_a_plot(run):
    shown = read_card(run._repr_html_())
    assert shown.text.startswith("Run: 3 epochs of 7 batches")
    assert f"mean loss of the first epoch {run.epoch_loss[0]:.4g} of the last epoch {run.epoch_loss[-1]:.4g}" in shown.text
    numbers = sum(leaf.size for leaf in jax.tree.leaves(run.params))
    assert f"parameters {numbers:,} in {len(jax.tree.leaves(run.params))} arrays" in shown.text
    # The axis, five of the seven positions, and the mean.
    assert shown.elements.count("path") == 7
    assert "the batches at 5 of 7 positions" in shown.text


def test_several_runs_show_their_range_and_a_curve_each(run):
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), run)._replace(size=jnp.stack([run.size, run.size]))
    shown = read_card(several._repr_html_())
    assert shown.text.startswith("2 runs: 3 epochs of 7 batches each")
    final = float(run.epoch_loss[-1])
    assert f"of the last epoch {final:.4g} to {2 * final:.4g}" in shown.text
    assert shown.elements.count("path") == 3


def test_a_run_that_diverged_says_where(run):
    diverged = run._replace(loss=run.loss.at[1, 2:].set(jnp.nan))
    assert "diverged: from epoch 2, batch 3 on, the loss is not finite" in read_card(diverged._repr_html_()).text
    several = jax.tree.map(lambda *leaves: jnp.stack(leaves), run, diverged)
    assert "1 run diverged" in read_card(several._repr_html_()).text


def test_hostile_names_and_values_are_text(run):
    named = run._replace(params={SCRIPT: np.zeros(2)}, observed={SCRIPT: SCRIPT})
    assert read_card(named._repr_html_()).text.count(SCRIPT) == 3


def test_a_run_without_numbers_is_shown_by_its_repr(run):
    assert jax.eval_shape(lambda: run)._repr_html_() is None
    assert jax.tree.map(lambda leaf: None, run)._repr_html_() is None
    assert jax.tree.map(lambda leaf: "a", run)._repr_html_() is None
    assert run._replace(loss=run.loss[:0], size=run.size[:0])._repr_html_() is None
