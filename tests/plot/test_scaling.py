"""The figure of batch-count scaling: what it draws is what `jaxsgd.scaling` finds, and it says what was not found."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import jaxsgd
from jaxsgd import InputError
from jaxsgd.plot.scaling import scaling
from jaxsgd.plot.style import COLOURS
from tests.analysis.test_scaling import RATES, SEEDS, falling, stored
from tests.plot.drawn import check_legible, words

COUNTS = [1, 2, 4, 8, 16, 32]
"""Of 320 samples: batch sizes 320 to 10."""

CRITICAL, FEWEST = 40.0, 30.0


def bent(seeds=SEEDS, scatter=0.03, slow=1.0):
    """Steps on the curve S = Smin (1 + Bcrit / B) at the best rate, which is proportional to B up to the end of the rates.

    At the three smallest batch sizes, the last two fifths of the seeds need `slow` times the steps.
    """
    size = 320 / np.array(COUNTS)
    best = np.clip(np.round(np.log2(size / 10)), 0, len(RATES) - 1)
    away = np.abs(np.arange(len(RATES))[:, None] - best)
    steps = FEWEST * (1 + CRITICAL / size) * (1 + 0.3 * away)
    rng = np.random.default_rng(0)
    steps = steps * np.exp(scatter * rng.normal(size=(seeds, *steps.shape)))
    steps[seeds - 2 * seeds // 5 :, :, 3:] *= slow
    ds = stored(falling(steps, COUNTS, epochs=80), COUNTS)
    ds["diverged"] = ds.missing.copy()
    ds.attrs["study"] = '{"problem": "least_squares"}'
    return ds


def points(axes, marker):
    """The places of a marker, across and up, from the left."""
    drawn = [line for line in axes.lines if line.get_marker() == marker and len(line.get_xdata())]
    pairs = [(float(x), float(y)) for line in drawn for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    return sorted(pairs)


def upright(axes):
    """The lines that go straight up."""
    return [line for line in axes.lines if len(line.get_xdata()) > 1 and len(set(line.get_xdata())) == 1]


def test_points_are_the_steps_and_the_best_rates_that_the_library_finds():
    ds = bent()
    scaled = jaxsgd.scaling(ds, 1.0)
    figure = scaling(ds, 1.0)
    check_legible(figure)
    left, right = figure.axes
    size = scaled.samples_per_step.values
    np.testing.assert_allclose(points(left, "o"), np.column_stack([size, scaled.steps]))
    edge = scaled.at_edge.values
    assert edge.any()
    assert not edge.all()
    rate = scaled.learning_rate.values
    np.testing.assert_allclose(points(right, "o"), np.column_stack([size[~edge], rate[~edge]]))
    np.testing.assert_allclose(points(right, "D"), np.column_stack([size[edge], rate[edge]]))
    assert "at the edge of the range" in words(figure)


def test_the_critical_batch_size_is_drawn_with_its_interval_and_the_noise_scale_beside_it():
    ds = bent()
    scaled = jaxsgd.scaling(ds, 1.0)
    left = scaling(ds, 1.0, noise_scale=77.0).axes[0]
    sizes = {to_hex(line.get_color()): line.get_xdata()[0] for line in upright(left)}
    assert sizes[COLOURS[1].lower()] == pytest.approx(scaled.critical_batch_size.item())
    assert sizes[COLOURS[1].lower()] == pytest.approx(CRITICAL, rel=0.25)
    assert sizes[COLOURS[2].lower()] == 77
    text = words(scaling(ds, 1.0, noise_scale=77.0))
    assert f"critical batch size {scaled.critical_batch_size.item():.0f} (95 % interval" in text
    assert "gradient noise scale 77" in text


def test_the_title_names_where_the_regimes_end():
    ds = bent()
    scaled = jaxsgd.scaling(ds, 1.0)
    perfect = scaled.batch_size.values[scaled.regime.values == "perfect"].max()
    assert f"halves the steps up to B = {perfect}" in words(scaling(ds, 1.0))


def test_one_seed_has_no_interval_and_says_so():
    figure = scaling(bent(seeds=1), 1.0)
    check_legible(figure)
    assert "One seed. No interval: one seed shows no spread." in words(figure)
    assert "95 % interval" not in words(figure)


def test_what_is_not_reached_is_crossed_at_the_top():
    ds = bent()
    ds.loss_epoch[..., 2, :] = 2.0
    figure = scaling(ds, 1.0)
    left = figure.axes[0]
    ((x, y),) = points(left, "x")
    assert x == 320 / COUNTS[2]
    assert left.get_ylim()[1] / 1.2 < y <= left.get_ylim()[1]
    assert "not reached by half of the seeds" in words(figure)


def test_a_target_below_anything_is_refused_with_the_nearest_loss():
    ds = bent()
    with pytest.raises(InputError) as caught:
        scaling(ds, ds.loss_epoch.min().item() - 1)
    assert f"the best value of any run is {ds.loss_epoch.min().item():.4g}" in str(caught.value)


def test_more_axes_than_there_is_room_for_are_named():
    ds = bent().expand_dims(momentum=np.linspace(0, 0.9, 8))
    with pytest.raises(InputError, match=r"lines for 7 values of one other axis, but momentum has 8 .* select some"):
        scaling(ds, 1.0)


def test_lines_of_several_optimizers_have_a_key_and_ticks_are_the_batch_sizes():
    ds = bent().expand_dims(optimizer=["sgd", "adam"], axis=1)
    # 1,600 samples in full batches of 256, 512 and 1,024 are 6.25, 3.1 and 1.6 batches: 7, 4 and 2 steps an epoch.
    sizes, counts = [256, 512, 1024], [7, 4, 2]
    ds = ds.isel(batch_count=[3, 2, 1]).rename(batch_count="size").drop_vars("batch_size")
    ds = ds.rename(size="batch_size").assign_coords(batch_size=sizes).assign_coords(batch_count=("batch_size", counts))
    ds.attrs["manifest"] = '{"num_samples": 1600}'
    figure = scaling(ds, 1.0)
    (key,) = figure.legends
    assert {"sgd", "adam"} <= {text.get_text() for text in key.get_texts()}
    for axes in figure.axes:
        assert [text.get_text() for text in axes.get_xticklabels()] == ["256", "512", "1024"]
    check_legible(figure)


def test_intervals_of_several_lines_stand_side_by_side():
    ds = bent()
    ds = ds.expand_dims(optimizer=["sgd", "adam", "lion"], axis=1)
    figure = scaling(ds, 1.0)
    intervals = [line.get_xdata()[0] for line in upright(figure.axes[0])]
    assert len(intervals) == 3 * len(COUNTS)
    assert len(set(intervals)) == len(intervals)
    sizes = 320 / np.array(COUNTS)
    nearest = sizes[np.abs(np.log(np.array(intervals)[:, None] / sizes)).argmin(axis=1)]
    assert np.unique(nearest, return_counts=True)[1].tolist() == [3] * len(COUNTS)


def test_the_names_of_the_regimes_stand_above_the_intervals():
    figure = scaling(bent(slow=5.0), 1.0, noise_scale=77.0)
    figure.draw_without_rendering()
    left = figure.axes[0]
    names = [text.get_window_extent() for text in left.texts]
    bars = [line for line in upright(left) if line.get_linewidth() == 1.8]
    assert names
    assert bars
    tops = [left.transData.transform((line.get_xdata()[0], max(line.get_ydata()))) for line in bars]
    assert not any(name.x0 <= x <= name.x1 and y > name.y0 for name in names for x, y in tops)
    # The critical batch size and the noise scale end below the names, which would cover them.
    lowest = min(name.y0 for name in names)
    marks = [line for line in upright(left) if to_hex(line.get_color()) in (COLOURS[1].lower(), COLOURS[2].lower())]
    assert len(marks) == 2
    assert all(line.get_window_extent().y1 < lowest for line in marks)
