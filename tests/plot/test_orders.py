"""The drawing of orders: a dot for each sample, where it is visited."""

import jax
import numpy as np
import pytest

import jaxsgd
from jaxsgd.order import Order, as_order
from jaxsgd.plot.orders import orders
from tests.plot.drawn import check_legible, panels, words


def dots(axes):
    """The samples by position, epoch after epoch."""
    position, sample = np.concatenate([line.get_xydata() for line in axes.lines if line.get_marker() == "."]).T
    np.testing.assert_array_equal(position, np.arange(len(position)))
    return sample


def test_the_dots_are_the_samples_that_a_run_visits():
    figure = orders(["fixed", "buffer(4)", "flip_flop"], num_samples=12, batch_count=3, epochs=2, seed=5)
    check_legible(figure)
    fixed, buffer, flip_flop = map(dots, panels(figure))
    np.testing.assert_array_equal(fixed, [*range(12), *range(12)])
    own = jax.jit(jax.vmap(lambda epoch: as_order("buffer(4)").samples(jax.random.key(5), epoch, 12)))
    np.testing.assert_array_equal(buffer, np.ravel(own(np.arange(2))))
    # The batches come back in reverse, the samples of each in the same sequence.
    np.testing.assert_array_equal(flip_flop[12:].reshape(3, 4), flip_flop[:12].reshape(3, 4)[::-1])


def test_an_order_that_looks_at_gradients_is_drawn_in_a_training():
    figure = orders(["shuffle_once", "grab"], num_samples=12, batch_count=6, epochs=3, seed=5)
    check_legible(figure)
    once, grab = (dots(axes).reshape(3, 6, 2) for axes in panels(figure))
    np.testing.assert_array_equal(grab[0], once[0])
    # The batches of two samples stay together, in another sequence.
    assert sorted(map(tuple, grab[2])) == sorted(map(tuple, once[2]))
    assert (grab[2] != once[2]).any()


def turned(key, epoch, num_samples):
    """The samples from the last to the first."""
    return np.arange(num_samples)[::-1]


@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_any_number_of_orders_is_legible(count):
    # A reader's own orders: each is a program, and shuffle buffers would take long to compile.
    names = [f"buffer({size})" for size in range(1, count + 1)]
    figure = orders([Order(turned, name=name) for name in names], num_samples=20, batch_count=2, epochs=1)
    check_legible(figure)
    shown = [axes for axes in panels(figure) if axes.get_visible()]
    assert len(shown) == count
    assert f"buffer({count})" in words(figure)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"orders": []}, "^orders must have at least one order, such as"),
        ({"orders": ["bufer(3)"]}, r"^unknown order 'bufer\(3\)': did you mean 'buffer\(k\)'\?"),
        ({"orders": "buffer(70)"}, r"^k of order 'buffer\(70\)' must be a whole number from 1 to 60 "),
        ({"orders": "fixed", "epochs": 0}, "^epochs must be a whole number of at least 1"),
    ],
)
def test_what_it_cannot_draw_is_one_line(given, message):
    with pytest.raises(jaxsgd.InputError, match=message):
        orders(**given)
