"""Numbers of seeds and predicted widths, by simulation with NumPy and against tables of power."""

import math

import numpy as np
import pytest
import xarray as xr

from jaxsgd import InputError
from jaxsgd.analysis.compare import compare, paired_difference
from jaxsgd.analysis.confidence import SAME
from jaxsgd.analysis.seeds_needed import SAME_DIFFERENCE, predicted_width, seeds_needed

PILOT, ALL = 10, 40


def comparison(differences):
    """The comparison of a reference, 0 for every seed, with settings [V, R], by `compare`."""
    values = np.concatenate([np.zeros((1, differences.shape[-1])), differences])
    names = ["reference", *map(str, range(len(differences)))]
    dims = ("optimizer", "seed")
    ds = xr.Dataset(
        {
            "loss_epoch": ((*dims, "epoch"), values[..., None], {"units": "loss"}),
            "missing": (dims, np.zeros(values.shape, bool)),
        },
        {"optimizer": names, "seed": np.arange(values.shape[-1]), "epoch": [0]},
    )
    return compare(ds, "optimizer")


def test_a_pilot_of_10_seeds_predicts_the_width_at_40_in_90_percent_of_the_trials():
    trials = 4000
    differences = np.random.default_rng(0).normal(0.3, 2.0, (trials, ALL))
    whole = paired_difference(differences, np.zeros_like(differences))
    width = whole.high - whole.low
    predicted = predicted_width(comparison(differences[:, :PILOT]), ALL).squeeze("seeds")
    inside = (predicted.low.values <= width) & (width <= predicted.high.values)
    # The standard error of a share of 0.9 of 4,000 trials is 0.0047, and of a half 0.0079.
    assert abs(inside.mean() - 0.9) < 0.015
    assert abs((width > predicted["width"].values).mean() - 0.5) < 0.025
    assert predicted["width"].attrs["units"] == "loss"


def test_the_width_at_the_pilots_own_seeds_is_known_and_there_is_none_for_fewer():
    compared = comparison(np.random.default_rng(1).normal(size=(1, PILOT)))
    width = predicted_width(compared, [PILOT - 1, PILOT, PILOT + 1]).isel(optimizer=0)
    own = compared.isel(optimizer=1)
    for name in ("width", "low", "high"):
        assert math.isnan(width[name][0])
        assert width[name][1] == pytest.approx(float(own.high - own.low))
    assert width.low[2] < width["width"][2] < width.high[2]


@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_of_many_seeds_the_number_is_that_of_the_tables_of_power(effect, seeds):
    # Cohen 1988, paired t test, two-sided 5 %, power 0.8: 199, 34 and 15 pairs for effects of 0.2, 0.5 and 0.8.
    plus_minus = np.tile([1.0, -1.0], 2000) * math.sqrt(3999 / 4000)
    needed = seeds_needed(comparison(plus_minus[None]), effect).isel(optimizer=0)
    assert needed.deviation == pytest.approx(1)
    assert needed.seeds == pytest.approx(seeds, abs=1)
    assert needed.low <= seeds <= needed.high
    assert needed.high - needed.low < 0.09 * seeds + 2


def test_the_interval_of_the_number_contains_the_true_number_as_often_as_it_says():
    trials = 150
    rng = np.random.default_rng(2)
    pilots = comparison(rng.normal(0.5, 1.0, (trials, PILOT)))
    # 34 seeds are needed for half a deviation, by the tables of power. 0.025 is the standard error of a share of 0.9 of 150.
    wanted, observed = (seeds_needed(pilots, aim) for aim in (0.5, None))
    assert abs(((wanted.low <= 34) & (wanted.high >= 34)).mean() - 0.9) < 0.075
    # More often for observed differences: a pilot whose difference has the wrong sign counts by its size.
    assert ((observed.low <= 34) & (observed.high >= 34)).mean() > 0.85


def test_a_difference_that_may_be_zero_has_no_upper_number_and_a_wanted_one_does():
    rng = np.random.default_rng(3)
    pilot = comparison(rng.normal(0.0, 1.0, (1, PILOT)))
    assert bool(pilot.tie[1])
    assert np.isinf(seeds_needed(pilot).high).all()
    assert np.isfinite(seeds_needed(pilot, 0.5).high).all()


def test_the_seeds_do_show_the_difference_with_the_power_that_was_asked_for():
    needed = seeds_needed(comparison(np.tile([1.0, -1.0], 2000)[None]), 0.5, power=0.6).seeds.item()
    drawn = np.random.default_rng(4).normal(0.5, 1.0, (4000, int(needed)))
    assert abs((paired_difference(drawn, 0 * drawn).low > 0).mean() - 0.6) < 0.04


def test_a_pilot_without_spread_gives_no_number_and_the_reason():
    compared = comparison(np.array([[1.0, 2.0, 3.0], [0.5, 0.5, 0.5]]))
    shifted = seeds_needed(compared).isel(optimizer=1)
    assert (math.isnan(shifted.seeds), str(shifted.no_number.values)) == (True, SAME)
    varying = np.array([1.0, 2.0, 3.0])
    ds = compared.assign(low=compared.difference, high=compared.difference, no_interval=("optimizer", [""] * 3))
    assert seeds_needed(ds).no_number.values.tolist() == [SAME_DIFFERENCE] * 2
    single = seeds_needed(comparison(varying[None, :1])).isel(optimizer=0)
    assert (math.isnan(single.seeds), str(single.no_number.values)) == (True, "one seed shows no spread")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wanted": 0.0}, "wanted must be a positive difference, in the units of the metric, got 0"),
        ({"wanted": math.inf}, "wanted must be a positive difference"),
        ({"power": 1.0}, "power must lie between 0 and 1, such as 0.8, got 1"),
        ({"confidence": 90.0}, "confidence must lie between 0 and 1"),
    ],
)
def test_bad_input_is_one_line(options, message):
    with pytest.raises(InputError, match=message):
        seeds_needed(comparison(np.ones((1, 3))), **options)
    with pytest.raises(InputError, match=r"the pilot must be what jaxsgd\.compare or jaxsgd.benchmark returns"):
        seeds_needed(xr.Dataset())
