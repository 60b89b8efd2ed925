"""A run as HTML: its sizes, its first and last loss, and its loss batch by batch beside the mean of each epoch."""

import math
from typing import Any

import jax
import numpy as np

from jaxsgd.error import counted
from jaxsgd.markup import COLOURS, Curve, card, plot, small, table
from jaxsgd.summary import brief

MOST_POSITIONS = 5
"""The most positions of the epoch, or runs, whose losses are drawn."""


def run_card(run: Any) -> str | None:
    """Return a run, or several with leading axes, as HTML; None while its arrays are traced, or where it has none.

    Args:
      run: a `jaxsgd.Run`, as `Any` because its own method uses this.
    """
    try:
        loss, size = np.asarray(run.loss, np.float64), np.asarray(run.size)
    except Exception:  # without numbers, a notebook shows the repr
        return None
    if loss.ndim < 2 or 0 in loss.shape or size.shape != loss.shape:
        return None
    *runs, epochs, batch_count = loss.shape
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        averaged = np.where(size > 0, loss * size, 0).sum(axis=-1) / size.sum(axis=-1)
    title = f"Run: {counted(epochs, 'epoch')} of {counted(batch_count, 'batch')}"
    if runs:
        title = f"{counted(math.prod(runs), 'run')}: {counted(epochs, 'epoch')} of {counted(batch_count, 'batch')} each"
    rows = [("samples in a batch", _range(size[size > 0], "d"))]
    rows += [("mean loss of the first epoch", _range(averaged[..., 0])), ("of the last epoch", _range(averaged[..., -1]))]
    return card(title, _divergence(loss, size), table([*rows, *_arrays(run)]), *_figure(loss, averaged))


def _range(values: np.ndarray, form: str = ".4g") -> str:
    """Return a value in words, or the least and the largest of several."""
    low, high = format(np.min(values), form), format(np.max(values), form)
    return low if low == high else f"{low} to {high}"


def _divergence(loss: np.ndarray, size: np.ndarray) -> str:
    """Return the first step of a run whose loss is not finite, or the number of such runs; nothing if all are finite."""
    is_bad = ~np.isfinite(loss) & (size > 0)
    if not is_bad.any():
        return ""
    if loss.ndim > 2:
        count = int(is_bad.any(axis=(-2, -1)).sum())
        return small(f"{counted(count, 'run')} diverged: the loss is not finite")
    epoch, position = np.argwhere(is_bad)[0]
    return small(f"diverged: from epoch {epoch + 1}, batch {position + 1} on, the loss is not finite")


def _arrays(run: Any) -> list[tuple[str, str]]:
    """Return what else a run has: parameters, observables and kept states, by types and shapes."""
    leaves = jax.tree.leaves(run.params)
    numbers = sum(math.prod(getattr(leaf, "shape", ())) for leaf in leaves)
    rows = [("parameters", f"{numbers:,} in {counted(len(leaves), 'array')}: {brief(run.params)}")]
    for label, value in (("observed", run.observed), ("before each step", run.observed_batches)):
        if value is not None:
            rows.append((label, brief(value)))
    if run.kept is not None:
        rows.append(("kept parameters", brief(run.kept.params)))
    return rows


def _figure(loss: np.ndarray, averaged: np.ndarray) -> tuple[str, str]:
    """Return the plot of a run, the striped view below the averaged one, and the line that explains it.

    Args:
      loss: [..., E, m].
      averaged: [..., E].
    """
    epochs, batch_count = loss.shape[-2:]
    ends = ("epoch 1", f"epoch {epochs}")
    if epochs < 2:
        return "", ""
    if loss.ndim > 2:
        several = averaged.reshape(-1, epochs)
        shown = np.linspace(0, len(several) - 1, min(len(several), MOST_POSITIONS)).round().astype(int)
        curves = [Curve(np.arange(epochs), several[i], colour) for i, colour in zip(shown, COLOURS, strict=False)]
        of_all = f" of {len(several):,}" if len(several) > len(shown) else ""
        text = f"Mean loss of each epoch, of {len(shown)}{of_all} runs."
        return plot(curves, text, ends), small(text)
    shown = np.linspace(0, batch_count - 1, min(batch_count, MOST_POSITIONS)).round().astype(int)
    curves = [Curve(np.arange(epochs), loss[:, i], colour) for i, colour in zip(shown, COLOURS, strict=False)]
    text = "Mean loss of each epoch."
    if batch_count > 1:
        which = "each batch" if len(shown) == batch_count else f"the batches at {len(shown)} of {batch_count} positions"
        text = f"Thick: the mean loss of each epoch. Thin: the loss of {which}, a colour for each position in the epoch."
    curves = [*(curves if batch_count > 1 else []), Curve(np.arange(epochs), averaged, is_main=True)]
    return plot(curves, text, ends), small(text)
