"""What the stripe indices of many runs say, in one sentence for a title."""

import numpy as np
from jaxtyping import Float

from jaxsgd.measure import stripe_count
from jaxsgd.plot.axis import Axis

STRIPED_ABOVE = 0.5
"""Stripe index from which the position in the epoch explains most of what the trend leaves."""

FEWEST_WINDOWS = 5
"""Windows in each stripe from which a stripe index says something of its run."""


def is_telling(batch_count: int, epochs: int, eval_interval: int) -> bool:
    """Whether each stripe of a run has windows enough for its index to be told."""
    return epochs * batch_count // eval_interval >= FEWEST_WINDOWS * stripe_count(batch_count, eval_interval)


def stripe_finding(index: Float[np.ndarray, "rows columns"], row: Axis, column: Axis) -> str:
    """Where the printed loss is striped, by the first of the two axes that decides it.

    Args:
      index: median stripe indices; NaN where there is nothing to measure.
      row, column: what the rows and columns are.
    """
    known = index[np.isfinite(index)]
    if not len(known):
        return "There is no stripe index to be had here"
    striped = known >= STRIPED_ABOVE
    median = two_digits(float(np.median(known)))
    if index.size == 1:
        found = "splits into stripes" if striped.all() else "has no clear stripes"
        return f"The printed loss {found} (stripe index {median})"
    if striped.all() or not striped.any():
        found = "splits into stripes" if striped.all() else "has no clear stripes"
        return f"The printed loss {found} wherever windows cut an epoch (median index {median})"
    for axis, by_value in ((column, index.T), (row, index)):
        classes = [_class(values) for values in by_value]
        if None in classes:
            continue
        yes, no = (
            [axis.text(i) if axis.name == "order" else axis.phrase(i) for i, each in enumerate(classes) if each == wanted]
            for wanted in ("striped", "free")
        )
        if axis.name == "order":
            return f"The printed loss splits into stripes with {_list(yes, 'and')} order, not with {_list(no, 'or')}"
        return f"The printed loss splits into stripes at {_list(yes, 'and')}, not at {_list(no, 'or')}"
    return f"The printed loss splits into stripes in {striped.sum()} of the {len(known)} settings with an index"


def two_digits(index: float) -> str:
    """An index as written: -0.004 is 0.00, for it is no less than none."""
    return f"{round(index, 2) + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")


def _class(values: np.ndarray) -> str | None:
    """ "striped" or "free" where all known values agree, "unknown" where there are none, None where they do not agree."""
    known = values[np.isfinite(values)]
    if not len(known):
        return "unknown"
    striped = known >= STRIPED_ABOVE
    return None if striped.any() != striped.all() else "striped" if striped.all() else "free"


def _list(names: list[str], word: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
