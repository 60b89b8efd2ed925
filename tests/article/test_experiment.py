"""The three experiments, and the checks of what a user may set."""

import math

import pytest

import jaxsgd
from jaxsgd.article.experiment import AVERAGED, BAND, STRIPED, article_experiments, check_rate, check_seed


def test_the_settings_are_the_articles():
    settings = [
        (e.num_samples, e.epochs, e.num_samples // e.batch_count, e.batch_count, e.eval_interval, e.learning_rate, e.order)
        for e in (STRIPED, BAND, AVERAGED)
    ]
    # n, epochs, batch size, m, print interval, rate: the article's table.
    assert settings == [
        (1000, 100, 100, 10, 5, 1e-3, "fixed"),
        (2000, 200, 100, 20, 5, 1e-3, "fixed"),
        (2000, 200, 100, 20, 20, 1e-3, "fixed"),
    ]


def test_quick_changes_the_epochs_alone():
    for quick, full in zip(article_experiments(quick=True), article_experiments(), strict=True):
        assert quick.epochs == 20
        assert (quick.num_samples, quick.batch_count, quick.eval_interval) == (
            full.num_samples,
            full.batch_count,
            full.eval_interval,
        )


def test_a_learning_rate_holds_for_all_three():
    assert {experiment.learning_rate for experiment in article_experiments(0.5)} == {0.5}


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf, 1e39, 1e-50])
def test_rates_that_float32_cannot_train_with_are_refused(rate):
    with pytest.raises(jaxsgd.InputError, match="learning rate must be a number above 0"):
        check_rate(rate)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_jax_does_not_tell_apart_are_refused(seed):
    with pytest.raises(jaxsgd.InputError, match=f"from 0 to 4294967295, got {seed}"):
        check_seed(seed)


def test_the_largest_seed_differs_from_the_others():
    import jax

    keys = [jax.random.key_data(jax.random.key(check_seed(seed))).tolist() for seed in (0, 1, 2**31, 2**32 - 1)]
    assert len({tuple(key) for key in keys}) == 4


def test_the_settings_in_words():
    assert str(STRIPED) == "1,000 samples in 10 batches, printed every 5 batches; learning rate 0.001, order fixed"
