"""A diagnosis as a notebook shows it."""

import numpy as np
import pytest

import jaxsgd
from jaxsgd.diagnosis import diagnosis_card
from tests.card import SCRIPT, read_card

LEVELS = np.array([0.0, 0.4, 0.1])


@pytest.fixture(scope="module")
def diagnosis():
    scatter = np.random.default_rng(0).normal(scale=0.01, size=(60, 3))
    return jaxsgd.diagnose(2 + LEVELS + scatter)


def test_a_diagnosis_shows_the_answer_what_to_do_the_losses_and_the_evidence(diagnosis):
    shown = read_card(diagnosis._repr_html_())
    assert shown.text.startswith("Fixed order (over 99 %): the same levels return")
    assert "What to do: Shuffle the samples anew in every epoch" in shown.text
    assert "Evidence for fixed order (over 99 %): The position in the epoch explains" in shown.text
    assert "Read: array, 180 losses in column 'loss'; 3 batches an epoch" in shown.text
    # The axis, a path of dots for each of the three positions, and the mean of each epoch.
    assert shown.elements.count("path") == 5


def test_of_a_long_log_the_last_losses_are_drawn_without_gaps():
    losses = np.tile(2 + LEVELS, (200, 1)) + np.random.default_rng(0).normal(scale=0.01, size=(200, 3))
    html = jaxsgd.diagnose(losses)._repr_html_()
    assert f"the last {diagnosis_card.MOST_PRINTS} of 600 losses" in read_card(html).text
    assert html.count("h0") == diagnosis_card.MOST_PRINTS


def test_a_log_that_is_too_short_says_what_it_lacks():
    shown = read_card(jaxsgd.diagnose([2.0, 1.9, 1.8])._repr_html_())
    assert shown.text.startswith("The log is too short")
    assert "What to do: " in shown.text
    assert "svg" not in shown.elements


def test_hostile_texts_of_a_log_are_text(diagnosis):
    hostile = diagnosis._replace(log=diagnosis.log._replace(column=SCRIPT, form=SCRIPT, samples=(SCRIPT,), left_out=(SCRIPT,)))
    assert read_card(hostile._repr_html_()).text.count(SCRIPT) >= 3
