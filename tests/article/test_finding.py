"""The sentences follow from the numbers: other numbers, other sentences."""

import math

import numpy as np
import pytest

import jaxsgd
from jaxsgd.article.finding import (
    averaging_sentence,
    chance_sentence,
    in_digits,
    pace_sentence,
    percentile_sentence,
    sampling_sentence,
    stripes_sentence,
)
from jaxsgd.article.title import averaged_title, band_title, striped_title


def printed(levels, slope=-0.01, epochs=40, noise=0.0):
    """The stripes of a loss printed after every batch."""
    count = len(levels)
    loss = np.asarray(levels) + slope * (np.arange(epochs)[:, None] + np.arange(count) / count)
    return jaxsgd.stripes(loss + noise * np.random.default_rng(0).normal(size=loss.shape), 1)


STRIPED = printed([2.0, 1.0])
NOISE = printed([1.0, 1.0], noise=1.0)
FAINT = printed([1.35, 1.0], noise=0.3)
ONE = printed([1.0])
SHORT = printed([2.0, 1.0], epochs=1)


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (STRIPED, "splits into 2 stripes with a gap of 1: the position in the epoch explains more than 99.9 %"),
        (FAINT, "has 2 faint stripes"),
        (NOISE, "has no stripes"),
        (ONE, "one curve and there are no stripes"),
        (SHORT, "too short, or varies too little, to decide"),
    ],
)
def test_whether_there_are_stripes(measured, words):
    assert words in stripes_sentence(measured)


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        # A gap of 1 at 0.01 an epoch.
        (STRIPED, "needs 100 epochs"),
        (printed([2.0, 1.0], slope=0.01), "No stripe falls: their slopes are 0.01 to 0.01"),
        (printed([2.0, 1.0], slope=0.0), "No stripe falls"),
        (
            jaxsgd.stripes(np.stack([2 - 0.01 * np.arange(40), 1 + 0 * np.arange(40)], axis=1), 1),
            "Only 1 of 2 stripes fall",
        ),
    ],
)
def test_whether_the_stripes_fall(measured, words):
    assert words in pace_sentence(measured)


@pytest.mark.parametrize("measured", [NOISE, ONE, SHORT])
def test_nothing_is_said_on_the_pace_of_what_is_no_stripe(measured):
    assert pace_sentence(measured) == ""


def test_averaging_that_hides_the_stripes():
    assert averaging_sentence(ONE, STRIPED).endswith("averaged over the epoch, 0 of 39: averaging hides the stripes.")


def test_averaging_that_does_not_help():
    rising = printed([1.0], slope=0.01)
    assert averaging_sentence(rising, STRIPED).endswith("39 of 39: averaging does not make this curve smoother.")


def test_places_inside_and_outside():
    inside = {"first_loss": 28.0, "gap": 5.0, "slope": 95.0, "stripe_index": 1.0}
    assert percentile_sentence(inside, 10, 64).endswith("all are within the central 90 %.")
    assert percentile_sentence(inside | {"gap": 4.7}, 10, 64).endswith("; gap is outside the central 90 %.")
    assert percentile_sentence(inside | {"gap": 4.7, "slope": 97.0}, 10, 64).endswith(
        "gap and slope are outside the central 90 %."
    )
    assert "gap at percentile 4.7" in percentile_sentence(inside | {"gap": 4.7}, 10, 64)
    assert "cannot be ranked" in percentile_sentence(dict.fromkeys(inside, math.nan), 10, 64)


def test_gaps_that_sampling_explains_and_gaps_that_it_does_not():
    rng = np.random.default_rng(0)
    expected = np.full(64, 0.1)
    gaps = 0.1 + 0.05 * rng.permutation(np.linspace(-1, 1, 64))
    assert sampling_sentence(gaps, expected).endswith("as much as expected from random samples.")
    # The standard error is 0.05 * 0.59 / 8 = 0.0037, so that 0.02 is five of them.
    assert sampling_sentence(gaps + 0.02, expected).endswith("differ more than expected from random samples.")
    assert sampling_sentence(gaps - 0.02, expected).endswith("differ less than expected from random samples.")
    assert sampling_sentence([math.nan, 1.0], [1.0, 1.0]) == ""


def test_one_gap_against_chance():
    assert chance_sentence(0.1, 0.1, 0.4).endswith("a wider gap with probability 0.4: chance is enough to explain the gap.")
    assert chance_sentence(0.4, 0.1, 0.01).endswith("the order of the samples in the file has an effect.")
    assert "fewer than 1 of 1000" in chance_sentence(9.0, 0.1, 0.0)
    assert chance_sentence(1.0, math.nan, math.nan) == ""


@pytest.mark.parametrize(
    ("measured", "title", "band"),
    [
        (STRIPED, "The printed loss falls in two stripes, not along one curve", "What looks like a broad band is two stripes"),
        (printed([2.0, 1.0], slope=0.01), "The printed loss is two stripes, not one curve", None),
        (NOISE, "The printed loss shows no clear stripes", "The plotted loss is a band without clear stripes"),
        (ONE, "The printed loss is one curve", "The plotted loss is one curve"),
    ],
)
def test_titles_follow_the_numbers(measured, title, band):
    assert striped_title(measured) == title
    assert band is None or band_title(measured) == band


def test_the_title_of_the_average_says_falls_where_it_falls():
    assert averaged_title(ONE, STRIPED) == "Averaged over each epoch, the two stripes become one curve that only falls"
    assert averaged_title(printed([1.0], slope=0.01), STRIPED) == "Averaged over each epoch, the two stripes become one curve"
    assert averaged_title(ONE, NOISE) == "Averaged over each epoch, the loss is one curve that only falls"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.01234, "0.0123"), (1.5, "1.5"), (604.4, "604"), (145000.0, "145000"), (2e-7, "2.00e-07")]
)
def test_numbers_in_sentences(value, text):
    assert in_digits(value) == text
