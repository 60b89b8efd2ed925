"""Each feature finds its mark in a loss that was made to have it and not in one that was not; the table decides the rest."""

import numpy as np
import pytest

from jaxsgd import diagnose, stripes
from jaxsgd.diagnosis import features, fold
from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.diagnose import judged
from jaxsgd.diagnosis.features import FEATURES, Feature, Prints, Reading, cause_readings, measure_features, readings
from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from jaxsgd.diagnosis.model import learned
from jaxsgd.diagnosis.period import find_period
from jaxsgd.diagnosis.report import diagnosis_lines, diagnosis_report
from tools.diagnosis_model.examples import Recording, make_examples
from tools.diagnosis_model.train import fit_models


def logged(loss, interval=1, **habit):
    """The log of losses [E, m] under a habit, and its period."""
    values, at = printed(loss, Habit(interval, **habit))
    log = habit_log(values, at, loss.shape[1])
    return log, find_period(log)


def measured(loss, **habit):
    log, period = logged(loss, **habit)
    return measure_features(log.loss, log.rate, period)


@pytest.fixture
def noise():
    return np.random.default_rng(0).standard_normal((40, 20))


def test_noise_has_no_mark(noise):
    numbers = measured(noise)
    assert abs(numbers["repeat_index"]) < 0.05
    assert max(abs(numbers["jagged_z"]), abs(numbers["ramp_z"]), abs(numbers["last_spread_z"])) < 3.5
    assert abs(numbers["settle"]) < 0.3
    assert numbers["settle_likelihood"] < 0


@pytest.mark.parametrize("form", ["batch", "smooth"])
@pytest.mark.parametrize("shape", [(60, 12), (20, 6)])
def test_chance_gives_scores_a_deviation_of_about_one(form, shape):
    """Successive epochs' slopes resemble each other, for they share a trend and a smoothed loss; the score counts that."""
    rng = np.random.default_rng(5)
    # Only the features of these scores: of so many logs, measuring all would take twice the time.
    own = [feature for feature in FEATURES if {"ramp_z", "repeat_z"} & set(feature.numbers)]
    logs = []
    for _ in range(100):
        log, period = logged(rng.standard_normal(shape), form=form)
        prints = Prints(log.loss, log.rate, period)
        logs.append(
            {name: number for feature in own for name, number in zip(feature.numbers, feature.measure(prints), strict=True)}
        )
    assert np.std([numbers["ramp_z"] for numbers in logs]) == pytest.approx(1, abs=0.2)
    assert np.mean([abs(numbers["ramp_z"]) > 2.5 for numbers in logs]) < 0.04
    assert np.std([numbers["repeat_z"] for numbers in logs]) < 1.5


def test_a_straight_line_jumps_where_the_epoch_begins_and_a_wave_does_not(noise):
    share = np.arange(20) / 20
    line, wave, chance = (measured(noise + shape) for shape in (4 * share, 2 * np.sin(2 * np.pi * (share + 0.5)), 0 * share))
    # Two harmonics leave 1 - 0.76 = 24 % of a line's variance 16 / 12, of 40 epochs with 20 positions: sqrt(0.24 * 1.33 * 800)
    # is 16. The last position is kept apart, so that the wave is free there and leaves less.
    assert 5 < line["line_over_wave"] < 16
    # A line leaves at least 1 - 6 / pi^2 = 39 % of a wave's variance 2: sqrt(0.39 * 2 * 800) is 25.
    assert wave["line_over_wave"] == pytest.approx(-25, rel=0.3)
    assert abs(chance["line_over_wave"]) < 3.5
    # Both rise on the whole; the line is rarer among the levels, for those of a wave resemble their neighbours.
    assert min(line["ramp_z"], wave["ramp_z"]) > 10
    assert line["line_rare"] > 5
    assert wave["line_rare"] < 2.5
    assert readings(wave)["rise_both"] < readings(line)["rise_both"]
    assert readings(line)["wave_beyond"] == 0 < readings(wave)["wave_beyond"]


def test_one_place_that_stands_off_is_rarer_among_many_than_among_few(noise):
    noise[:, -1] += 6
    many, few = measured(noise), measured(noise[:, -5:])
    assert many["last_level_rare"] > 4
    assert few["last_level_rare"] < many["last_level_rare"]
    # What it is in the others' scatter says less.
    assert few["last_level"] > few["last_level_rare"]


def test_the_last_place_of_a_rise_is_on_its_line(noise):
    numbers = measured(np.linspace(-1, 1, 20) + 0.01 * noise)
    # One place further, the line would be off by a tenth of the rise, 10 times the scatter.
    assert max(abs(numbers["last_level_rare"]), abs(numbers["last_level_z"])) < 2.5


@pytest.mark.parametrize("scatter", [0.0, 1e-6, 0.003])
@pytest.mark.parametrize(("places", "epochs"), [(6, 5), (12, 20), (20, 40), (30, 40)])
def test_a_rise_that_returns_almost_exactly_is_a_fixed_order(places, epochs, scatter):
    """In a new order, batches scatter."""
    noise = scatter * np.random.default_rng(1).standard_normal((epochs, places))
    assert diagnose(2 + np.linspace(-0.5, 0.5, places) + noise).causes[0] == "fixed_order"


def test_many_places_that_do_not_settle_are_no_evidence_for_re_exposure(noise):
    numbers = measured(noise)
    assert numbers["settle_likelihood"] < -10
    assert readings(numbers)["settling"] == 0


def test_marks_of_a_last_batch_that_chance_gives_do_not_add_up(noise):
    # As of one in forty logs of five prints an epoch in which nothing is periodic.
    marks = {"last_level_rare": 2.4, "last_level_z": 1.5, "last_spread": 0.3, "last_spread_z": 3.4, "last_spread_rare": 2.0}
    assert learned()["ragged_batch"].probability(readings(measured(noise) | marks)) < 0.1
    clear = marks | {"last_level_rare": 5.0, "last_level_z": 5.0}
    assert learned()["ragged_batch"].probability(readings(measured(noise) | clear)) > 0.9


@pytest.mark.parametrize(("prints", "epochs"), [(3, 60), (2, 150)])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_running_mean_that_is_printed_twice_or_thrice_an_epoch_is_recognized(prints, epochs, level):
    rng = np.random.default_rng(3)
    loss = rng.standard_normal((epochs, 4 * prints)) + level * rng.standard_normal(4 * prints)
    for form in ("running", "window"):
        log, period = logged(loss, interval=4, form=form)
        assert ("running_mean" in judged(log, period, learned()).causes) == (form == "running")


@pytest.mark.parametrize("batches", [500, 890])
def test_a_running_mean_that_is_printed_from_the_first_batch_is_recognized(batches):
    """Each epoch begins with the loss of a single batch, which only scatters more where the others are windows."""
    seen = {"running": 0, "window": 0, "batch": 0}
    for seed in range(20):
        loss = 2 + 0.5 * np.random.default_rng(seed).standard_normal((12, batches))
        for form in seen:
            log, period = logged(loss, interval=100, form=form, restarts=True, from_first=True)
            seen[form] += "running_mean" in judged(log, period, learned()).causes
    assert seen["running"] >= 18
    assert seen["window"] <= 1
    assert seen["batch"] == 0


def test_a_first_print_of_a_single_batch_does_not_count_as_settling():
    loss = np.random.default_rng(4).standard_normal((30, 900))
    for form, settles in (("running", True), ("window", False), ("batch", False)):
        numbers = measured(loss, interval=100, form=form, restarts=True, from_first=True)
        assert (numbers["settle_likelihood"] > 0) == settles
        assert numbers["settle"] == pytest.approx(-1 if settles else 0, abs=0.3)


def test_the_settled_count_is_that_of_means_written_out():
    """A mean over 8 batches shares 3 with one over 3, and a mean of the next epoch none: the variances of their differences."""
    period = find_period(logged(np.zeros((8, 10)), interval=5, form="running")[0])
    period = period._replace(position=np.array([2.0, 7.0, 2.0]), epoch=np.array([0, 0, 1]))
    weights = np.zeros((3, 20))
    weights[0, :3], weights[1, :8], weights[2, 10:13] = 1 / 3, 1 / 8, 1 / 3
    expected = 1 / np.linalg.norm(np.diff(weights, axis=0), axis=1)
    np.testing.assert_allclose(fold._settled_count(period), expected)


@pytest.mark.parametrize("interval", [2, 3])
def test_a_mean_over_the_epoch_is_undone(interval):
    loss = np.random.default_rng(5).standard_normal((4, 6))
    log, period = logged(loss, interval=interval, form="running")
    window, _ = printed(loss, Habit(interval))
    np.testing.assert_allclose(fold.without_epoch_mean(log.loss, period), window, atol=1e-12)


@pytest.mark.parametrize("prints", [3, 4])
def test_a_running_mean_of_a_loss_that_falls_is_no_fixed_order(prints):
    wrong = {"running": 0, "fixed": 0}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        fall = 0.3 + 2 * np.exp(-np.linspace(0, 1.5, 10 * 100 * prints)).reshape(10, -1)
        loss = fall * (1 + 0.25 * rng.standard_normal(fall.shape))
        wrong["running"] += "fixed_order" in judged(*logged(loss, interval=100, form="running"), learned()).causes
        levels = np.repeat(rng.standard_normal(prints), 100)
        wrong["fixed"] += "fixed_order" not in judged(*logged(loss + 0.2 * levels, interval=100), learned()).causes
    assert wrong["running"] <= 4
    assert wrong["fixed"] <= 2


def test_levels_are_seen_in_five_epochs_however_steeply_the_first_falls():
    seen = {"fixed": 0, "new": 0}
    time = np.arange(5 * 500) / 500
    for seed in range(12):
        rng = np.random.default_rng(seed)
        loss = 4 + 8 * np.exp(-time / 0.05) - 0.1 * time + 0.2 * rng.standard_normal(len(time))
        levels = 0.08 * np.repeat(rng.standard_normal(10), 50)
        for order, level in (("fixed", levels), ("new", 0 * levels)):
            log, period = logged(loss.reshape(5, 500) + level, interval=50)
            seen[order] += "fixed_order" in judged(log, period, learned()).causes
    assert seen["fixed"] >= 10
    assert seen["new"] == 0


def test_levels_are_seen_where_the_fall_of_the_first_epoch_reaches_into_the_second():
    seen = {"fixed": 0, "new": 0}
    time = np.arange(8 * 5) / 5
    for seed in range(12):
        rng = np.random.default_rng(seed)
        loss = 0.5 + 12 * np.exp(-time / 0.4) + 0.003 * rng.standard_normal(len(time))
        levels = np.tile(0.07 * rng.standard_normal(5), 8)
        for order, level in (("fixed", levels), ("new", rng.permutation(levels))):
            log, period = logged((loss + level).reshape(8, 5))
            seen[order] += "fixed_order" in judged(log, period, learned()).causes
    assert seen["fixed"] >= 10
    assert seen["new"] <= 1


def test_a_log_that_lost_most_of_its_epochs_is_answered(tmp_path):
    lines = [f"1,{400 * number},{2.7 - 0.1 * number}" for number in range(10)] + ["14,3200,0.92", "14,3600,1.06"]
    (tmp_path / "log.csv").write_text("\n".join(["epoch,samples,loss", *lines]))
    assert str(diagnose(tmp_path / "log.csv"))


@pytest.mark.parametrize("changed", [1, 3])
def test_a_loss_that_hardly_changes_is_answered(tmp_path, changed):
    # A distance from a trend that does not move, in its steps, is past the largest number.
    epochs = [*range(1, 29), 43, 58, 59, 60]
    places = [(epoch, batch) for epoch in epochs for batch in (4, 8, 12, 16, 20)]
    loss = np.full(len(places), 1e20)
    loss[[105, 20, 60][:changed]] = 1e14
    lines = [f"{epoch},{batch},{value}" for (epoch, batch), value in zip(places, loss, strict=True)]
    (tmp_path / "log.csv").write_text("\n".join(["epoch,batch,loss", *lines]))
    assert str(diagnose(tmp_path / "log.csv"))


def test_levels_that_repeat_are_explained_by_their_place(noise):
    pattern = np.random.default_rng(1).standard_normal(20)
    numbers = measured(pattern + 0.3 * noise)
    # Variance of the pattern over that of pattern and noise.
    assert numbers["repeat_index"] == pytest.approx(pattern[:-1].var() / (pattern[:-1].var() + 0.09), abs=0.05)
    assert numbers["agreement"] > 0.9


def test_the_repeat_index_is_the_stripe_index_of_a_loss_with_few_places():
    rng = np.random.default_rng(2)
    loss = rng.standard_normal(3) + 0.5 * rng.standard_normal((30, 3))
    assert measured(loss)["repeat_index"] == pytest.approx(float(stripes(loss, 1).stripe_index), abs=0.1)


def test_a_sawtooth_is_a_ramp_and_not_jagged(noise):
    numbers = measured(np.linspace(-1, 1, 20) + noise)
    assert numbers["ramp_z"] > 5
    assert numbers["jagged_z"] < 3
    assert measured(np.linspace(1, -1, 20) + noise)["ramp_z"] < -5


def test_a_running_mean_settles_with_the_power_minus_one(noise):
    numbers = measured(noise + 3, form="running")
    assert numbers["settle"] == pytest.approx(-1, abs=0.3)
    assert numbers["settle_likelihood"] > 5
    assert numbers["reset"] > 1


def test_a_running_mean_that_is_printed_with_few_digits_settles_too():
    rng = np.random.default_rng(4)
    log, period = logged(0.11 + 0.01 * rng.standard_normal((12, 1000)), 91, form="running")
    rounded = measure_features(np.round(log.loss, 3), log.rate, period)
    assert (np.diff(np.round(log.loss, 3)) == 0).mean() > 0.3
    assert rounded["settle_likelihood"] > 1
    assert rounded["reset"] > 1
    # Noise with few digits has as many small changes early in the epoch as late.
    plain, _ = logged(0.11 + 0.001 * rng.standard_normal((12, 12)))
    assert measure_features(np.round(plain.loss, 3), plain.rate, logged(np.zeros((12, 12)))[1])["settle_likelihood"] < 1


@pytest.mark.parametrize(("interval", "restarts"), [(1, False), (6, True), (10, False)])
def test_a_smooth_fall_has_no_pattern_also_where_prints_are_uneven(interval, restarts):
    """A count that restarts leaves a longer gap at the boundary where the interval does not divide the epoch."""
    time = np.arange(30 * 20).reshape(30, 20) / 20
    for fall in (np.exp(-time / 8), 1 / (1 + time)):
        numbers = measured(1 + fall, interval=interval, form="batch", restarts=restarts)
        assert numbers["repeat_index"] == 0
        assert numbers["last_level"] == 0


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_a_last_batch_divided_by_the_wrong_number_stands_off(noise, factor):
    numbers = measured(5 + noise, last_factor=factor)
    assert np.sign(numbers["last_level"]) == np.sign(factor - 1)
    assert min(abs(numbers["last_level"]), abs(numbers["last_level_z"])) > 5


def test_a_small_last_batch_scatters_as_the_root_of_its_share(noise):
    noise[:, -1] *= 3
    numbers = measured(noise)
    # Of 40 values, a standard deviation is known to about 1 / sqrt(80).
    assert np.exp(numbers["last_spread"]) == pytest.approx(3, rel=0.35)
    assert numbers["last_spread_z"] > 6


@pytest.mark.parametrize("shape", [(60, 50), (1000, 50), (1000, 8)])
def test_levels_that_rise_by_chance_are_no_re_exposure_however_long_the_log(shape):
    """A thousand epochs make sure of any slope of the levels; how rare a line through so few of them is, they do not change."""
    causes_of_logs = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        causes_of_logs.append(diagnose(2 + 0.1 * rng.standard_normal(shape[1]) + 0.05 * rng.standard_normal(shape)).causes)
    assert all(causes[0] == "fixed_order" and "re_exposure" not in causes for causes in causes_of_logs)
    # The levels of few places may settle by chance, as a running mean's do: seen in one of sixty logs.
    assert sum(causes != ("fixed_order",) for causes in causes_of_logs) <= (shape[1] < 10)


@pytest.mark.parametrize(("places", "alike"), [(4, True), (12, False)])
def test_levels_that_rise_over_few_positions_look_like_re_exposure_and_the_lines_say_so(places, alike):
    noise = 0.02 * np.random.default_rng(6).standard_normal((40, places))
    jagged = 0.3 * np.random.default_rng(7).standard_normal(places) if not alike else 0
    diagnosis = diagnose(2 + np.linspace(-0.5, 0.5, places) + jagged + noise)
    assert diagnosis.causes[0] == "fixed_order"
    lines = diagnosis_lines(diagnosis, "train.log")
    assert any("re-exposure to the samples would look the same" in line for line in lines) == alike


def test_the_table_names_everything_once_and_the_model_has_a_coefficient_for_every_reading(noise):
    for names in ([feature.name for feature in FEATURES], [name for feature in FEATURES for name in feature.numbers]):
        assert len(names) == len(set(names))
    assert list(measured(noise)) == [name for feature in FEATURES for name in feature.numbers]
    assert set(readings(measured(noise))) == {name for feature in FEATURES for name in feature.readings}
    # An entry whose reading the model does not have, or the other way round, would be left out without a word.
    assert {cause: set(names) for cause, names in cause_readings().items()} == {
        cause: set(model.weights) for cause, model in learned().items()
    }


def test_every_feature_says_its_numbers_in_a_sentence(noise):
    log, period = logged(noise)
    numbers = measure_features(log.loss, log.rate, period)
    for feature in FEATURES:
        sentence = feature.sentence(numbers, period)
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert sentence.count(". ") == 0


LEVEL_RANGE = Feature(
    "level_range",
    {"level_range": "largest level of a position less the smallest, in standard deviations"},
    lambda prints: (float(np.ptp(prints.folded.level)),),
    {"wide_range": Reading(("fixed_order",), lambda numbers: numbers["level_range"] / 2)},
    lambda numbers, _: f"The levels of the positions cover {numbers['level_range']:.1f} standard deviations.",
)


def test_a_feature_of_ones_own_is_one_entry_from_the_measuring_to_the_report(monkeypatch):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((8, 40, 12))
    levels = noise + rng.standard_normal(12)
    monkeypatch.setattr(features, "FEATURES", (*FEATURES, LEVEL_RANGE))
    # The model learns a coefficient for it from examples, as for any other.
    recordings = [Recording(noise, "reshuffle"), Recording(levels, "fixed")]
    models = fit_models([example for recording in recordings for example in make_examples(recording, 60, rng)])
    assert models["fixed_order"].weights["wide_range"] > 0
    assert not any("wide_range" in models[cause].weights for cause in CAUSE_NAMES if cause != "fixed_order")
    log, period = logged(levels[0])
    diagnosis = judged(log, period, models)
    report = diagnosis_report(diagnosis)
    size = report["measures"]["level_range"]
    assert size > 1
    (verdict,) = (verdict for verdict in report["verdicts"] if verdict["cause"] == "fixed_order")
    (evidence,) = (evidence for evidence in verdict["evidence"] if evidence["measure"] == "level_range")
    sentence = f"The levels of the positions cover {size:.1f} standard deviations."
    assert evidence["text"] == sentence
    assert evidence["log_odds"] == pytest.approx(models["fixed_order"].weights["wide_range"] * size / 2)
    assert any(sentence in line for line in diagnosis_lines(diagnosis, "train.log"))
