"""The figure of slices against medians from the Dataset itself, and what it marks."""

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from jaxsgd import InputError
from jaxsgd.plot.slices import slices
from jaxsgd.plot.style import COLOURS
from tests.plot.drawn import check_legible, data_lines, words

RATES = [0.001, 0.01, 0.1, 1.0]
OPTIMIZERS = ["sgd", "adam"]
# By optimizer and rate: sgd is best inside, adam at the edge.
LEVELS = np.array([[2.0, 0.5, 0.1, 0.6], [0.2, 0.3, 1.0, 2.0]])


def result(**changed):
    """5 seeds of two optimizers at four rates and two batch counts, 3 epochs from about 2.3 down to LEVELS."""
    rng = np.random.default_rng(0)
    last = LEVELS[None, :, :, None] * np.exp(0.05 * rng.normal(size=(5, 2, 4, 2)))
    validation = np.stack([np.full_like(last, 2.3), (2.3 + last) / 2, last], axis=-1)
    dims = ("seed", "optimizer", "learning_rate", "batch_count")
    flags = (dims, np.zeros(last.shape, bool))
    variables = {
        "loss_epoch": ((*dims, "epoch"), validation + 0.01),
        "validation_loss": ((*dims, "epoch"), validation),
        "validation_accuracy": ((*dims, "epoch"), 1 - validation / 4),
        "diverged": flags,
        "missing": (dims, np.zeros(last.shape, bool)),
    }
    coords = {"seed": np.arange(5), "optimizer": OPTIMIZERS, "learning_rate": RATES, "batch_count": [4, 20]}
    attrs = {"study": {"problem": "digits"}, "manifest": {"loss_unit": "cross-entropy, nats"}}
    attrs = {name: json.dumps(value) for name, value in attrs.items()}
    ds = xr.Dataset(variables, {**coords, "epoch": np.arange(3)}, attrs)
    return ds.assign(changed)


def drawn_at_random():
    """The same cells as eight draws of a rate and a momentum."""
    ds = result().stack(draw=("learning_rate", "optimizer")).reset_index("draw", drop=True)
    ds = ds.transpose("seed", "draw", "batch_count", "epoch")
    rng = np.random.default_rng(1)
    return ds.assign_coords(learning_rate=("draw", 10 ** rng.uniform(-3, 0, 8)), momentum=("draw", rng.uniform(size=8)))


def marked(axes):
    """The marks of the best points: place, marker and colour."""
    lines = [line for line in axes.lines if line.get_markersize() > 7]
    return [(line.get_xdata().item(), line.get_marker(), to_hex(line.get_color())) for line in lines]


def crosses(axes):
    return [line for line in axes.lines if line.get_marker() == "x"]


def test_lines_are_medians_over_the_seeds_and_panels_the_batch_counts():
    ds = result()
    figure = slices(ds)
    check_legible(figure)
    for axes, m in zip(figure.axes, (4, 20), strict=True):
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        for line, name in zip(data_lines(axes), OPTIMIZERS, strict=True):
            expected = ds.validation_loss.sel(batch_count=m, optimizer=name).isel(epoch=-1).median("seed")
            np.testing.assert_allclose(line.get_ydata(), expected)
            np.testing.assert_allclose(line.get_xdata(), RATES)
    for text in ("validation loss (cross-entropy, nats)", "learning rate", "middle half of the seeds", "sgd", "adam"):
        assert text in words(figure)


def test_the_best_of_each_line_is_marked_and_the_title_names_the_best_of_all():
    ds = result()
    figure = slices(ds)
    for axes in figure.axes:
        assert marked(axes) == [(0.1, "o", to_hex(COLOURS[0])), (0.001, "D", to_hex(COLOURS[1]))]
    assert "best at the edge of the range" in words(figure)
    final = ds.validation_loss.isel(epoch=-1).median("seed")
    m = int(final.batch_count[final.min(("optimizer", "learning_rate")).values.argmin()])
    title = figure.texts[0].get_text()
    assert title == f"Lowest validation loss after 3 epochs: {float(final.min()):#.3g} with sgd at learning rate 0.1, m = {m}"


def test_of_an_accuracy_the_highest_is_best():
    figure = slices(result(), metric="validation_accuracy", select={"batch_count": 4})
    assert figure.texts[0].get_text().startswith("Highest validation accuracy after 3 epochs: 0.97")
    assert marked(figure.axes[0])[0][0] == 0.1


def test_settings_with_diverged_runs_are_crossed_at_the_top_and_count_as_infinitely_bad():
    ds = result()
    ds["diverged"] = ds.diverged.copy()
    ds.diverged.loc[{"optimizer": "sgd", "learning_rate": 0.1, "seed": [0, 1, 2]}] = True
    ds.diverged.loc[{"optimizer": "sgd", "learning_rate": 1.0, "seed": [0]}] = True
    figure = slices(ds)
    check_legible(figure)
    for axes in figure.axes:
        (cross,) = crosses(axes)
        assert to_hex(cross.get_color()) == to_hex(COLOURS[0])
        assert list(cross.get_xdata()) == [0.1, 1.0]
        top = axes.transAxes.transform((0, 1))[1]
        np.testing.assert_allclose(cross.get_transform().transform(cross.get_xydata())[:, 1], top)
        y = data_lines(axes)[0].get_ydata()
        assert list(np.isfinite(y)) == [True, True, False, True]
        # One diverged run of five: the median is the third of the others from below.
        m = 4 if axes is figure.axes[0] else 20
        others = ds.validation_loss.sel(optimizer="sgd", learning_rate=1.0, batch_count=m).isel(epoch=-1).values[1:]
        assert y[3] == pytest.approx(np.sort(others)[2])
        assert marked(axes)[0][0] == 0.01


def test_random_draws_are_points_with_the_best_marked():
    ds = drawn_at_random()
    figure = slices(ds)
    check_legible(figure)
    order = np.argsort(ds.learning_rate.values)
    points = data_lines(figure.axes[0])
    assert [line.get_linestyle() for line in points] == ["None", "None"]
    for line, m in zip(points, (4, 20), strict=True):
        expected = ds.validation_loss.sel(batch_count=m).isel(epoch=-1).median("seed").values[order]
        np.testing.assert_allclose(line.get_xdata(), ds.learning_rate.values[order])
        np.testing.assert_allclose(line.get_ydata(), expected)
    assert [marker for _, marker, _ in marked(figure.axes[0])] == ["o", "o"]
    assert "(momentum " in figure.texts[0].get_text()
    assert slices(ds, x="momentum").subfigs[0].get_supxlabel() == "momentum"


def test_losses_far_above_the_start_leave_the_panel():
    ds = result()
    ds["validation_loss"] = ds.validation_loss.copy()
    ds.validation_loss.loc[{"learning_rate": 1.0, "epoch": 2}] = 1e4
    figure = slices(ds)
    assert figure.axes[0].get_ylim()[1] < 10
    assert "Lines beyond the top reach 10000." in words(figure)


@pytest.mark.parametrize(
    ("select", "arguments", "message"),
    [
        ({"learning_rate": [0.001, 0.01]}, {}, "slices need a searched axis of numbers with 3 values or more"),
        ({}, {"x": "optimizer"}, "slices need an axis of numbers, and optimizer is not one"),
        ({"learning_rate": 0.1}, {"x": "learning_rate"}, "learning_rate has only one: 0.1"),
        ({}, {"x": "rate"}, "unknown axis 'rate'"),
        ({}, {"metric": "validation_los"}, "unknown metric 'validation_los': did you mean 'validation_loss'?"),
        ({}, {"x": "learning_rate", "axis": "learning_rate"}, "learning_rate is named twice"),
    ],
)
def test_a_mistake_is_named(select, arguments, message):
    with pytest.raises(InputError) as caught:
        slices(result(), select=select, **arguments)
    assert message in str(caught.value)
