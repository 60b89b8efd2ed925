"""The value of a run by a metric, and its rank, on numbers written by hand."""

import numpy as np
import pytest
import xarray as xr

from jaxsgd import InputError
from jaxsgd.results.metric import cost, default_metric, final, metric_named


def result(**changed):
    """Five runs of one setting: the second diverged, the third was not run, of the fourth the metric is no number."""
    last = np.array([0.5, 0.9, np.nan, np.nan, np.inf])
    variables = {
        "loss_epoch": (("seed", "epoch"), np.stack([np.ones(5), last], axis=-1)),
        "stripe_index": ("seed", np.full(5, 0.3)),
        "diverged": ("seed", [False, True, False, False, False]),
        "missing": ("seed", [False, False, True, False, False]),
    }
    coords = {"seed": np.arange(5), "epoch": [0, 1], "batch_count": 10}
    return xr.Dataset({**variables, **changed}, coords, {"eval_interval": 1})


def test_what_diverged_or_is_no_number_is_infinitely_bad_and_what_was_not_run_is_nothing():
    np.testing.assert_array_equal(cost(result(), "loss_epoch"), [0.5, np.inf, np.nan, np.inf, np.inf])
    accuracy = result(validation_accuracy=result().loss_epoch)
    np.testing.assert_array_equal(cost(accuracy, "validation_accuracy"), [-0.5, np.inf, np.nan, np.inf, np.inf])


@pytest.mark.parametrize(("epochs", "index"), [(4, np.nan), (5, 0.3)])
def test_a_stripe_index_is_there_where_each_stripe_has_five_windows(epochs, index):
    # Ten batches in windows of 5 are 2 windows an epoch in 2 stripes.
    ds = result().assign_attrs(eval_interval=5).reindex(epoch=np.arange(epochs))
    np.testing.assert_array_equal(final(ds, "stripe_index"), np.full(5, index))
    assert ds.stripe_index.values.tolist() == [0.3] * 5


def test_the_default_is_the_loss_on_held_out_samples_where_there_is_one():
    assert default_metric(result()) == metric_named(result(), None) == "loss_epoch"
    assert default_metric(result(validation_loss=result().loss_epoch)) == "validation_loss"


@pytest.mark.parametrize(
    ("value", "by_epoch", "message"),
    [
        ("los_epoch", False, "unknown metric 'los_epoch': did you mean 'loss_epoch'? valid: loss_epoch, stripe_index"),
        ("stripe_index", True, "unknown metric 'stripe_index': valid: loss_epoch"),
        ("validation_loss", False, "the result has no validation_loss, because no samples were held out; it has loss_epoch"),
    ],
)
def test_a_metric_that_is_not_there_is_named(value, by_epoch, message):
    with pytest.raises(InputError) as caught:
        metric_named(result(), value, by_epoch=by_epoch)
    assert message in str(caught.value)
