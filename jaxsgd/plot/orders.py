"""A drawing of orders: the sample that is visited at each position of an epoch."""

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np
from matplotlib.figure import Figure

from jaxsgd.error import InputError, check_count, counted
from jaxsgd.measure.visited_samples import visited_samples
from jaxsgd.order import Order, as_order, split
from jaxsgd.plot.layout import head, label_outside, panels
from jaxsgd.plot.style import COLOURS, PALE, slide, styled

MOST_COLUMNS = 4


@styled
def orders(
    orders: Sequence[str | Order | Callable],
    num_samples: int = 60,
    batch_count: int = 6,
    epochs: int = 2,
    seed: int = 0,
) -> Figure:
    """Draw orders side by side: a dot for each sample, at the position at which it is visited.

    An order that looks at gradients is drawn while least squares is trained with it.

    Args:
      orders: names of orders, `Order`s or functions `(key, epoch, num_samples) -> [N]`, as many as you like.
      num_samples: N.
      batch_count: m; for the orders that keep batches together.
      epochs: epochs that are drawn one after another, so that it shows whether they repeat.
      seed: seed of the orders.

    Raises:
      InputError: without an order, for an unknown one, or for sizes that do not fit.
    """
    chosen = [as_order(order) for order in ([orders] if isinstance(orders, str) else orders)]
    if not chosen:
        raise InputError("orders must have at least one order, such as orders=['fixed', 'buffer(10)'], got none")
    cut = split(check_count("num_samples", num_samples), batch_count=batch_count)
    epochs = check_count("epochs", epochs)
    columns = min(len(chosen), max(3, math.ceil(math.sqrt(len(chosen)))), MOST_COLUMNS)
    rows = math.ceil(len(chosen) / columns)
    subtitle = (
        f"{counted(num_samples, 'sample')} in {counted(batch_count, 'batch')}, {counted(epochs, 'epoch')} one after another"
    )
    figure = slide(f"{counted(len(chosen), 'order')}: when each sample is visited", subtitle, 1.6 + 1.75 * rows)
    grid = panels(figure, rows, columns, (0.08, 0.06), sharex=True, sharey=True).ravel()
    for axes, order in zip(grid, chosen, strict=False):
        head(axes, order.title or order.name)
        for epoch, samples in enumerate(visited_samples(order, jax.random.key(seed), cut, epochs)):
            position = epoch * num_samples + np.arange(len(samples))
            axes.plot(position, samples, ".", color=COLOURS[epoch % 2], markersize=4, clip_on=False)
            if epoch:
                axes.axvline(epoch * num_samples - 0.5, color=PALE, linewidth=1)
        axes.set_xlim(-1, epochs * num_samples)
        axes.set_ylim(-1, num_samples)
        axes.set_xticks(num_samples * np.arange(epochs + 1))
        axes.set_yticks([0, num_samples])
    for axes in grid[len(chosen) :]:
        axes.set_visible(False)
    label_outside(list(grid[: len(chosen)]), "position (samples visited so far)", "sample (its place in the data)")
    return figure
