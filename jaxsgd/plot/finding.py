"""Sentences for the titles of figures."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxsgd.measure.observable import direction
from jaxsgd.measure.stripes import STRIPED
from jaxsgd.plot.axis import Axis
from jaxsgd.plot.scale import three_digits

FREE_BELOW = 0.2
"""Stripe index below which chance may explain it."""


def stripe_finding(index: Float[np.ndarray, "rows columns"], row: Axis, column: Axis) -> str:
    """Return in a sentence which settings print a striped loss, by the first of the two axes that decides it.

    Args:
      index: median stripe indices; NaN where there is nothing to measure.
      row, column: what the rows and columns are.
    """
    known = index[np.isfinite(index)]
    if not len(known):
        return "No stripe index can be measured here"
    overall, median = _class(known), two_digits(float(np.median(known)))
    verdict = {"striped": "splits into stripes", "part": "has faint stripes", "free": "has no clear stripes"}.get(overall or "")
    if index.size == 1:
        return f"The printed loss {verdict} (stripe index {median})"
    if verdict:
        return f"The printed loss {verdict} wherever windows cut an epoch (median index {median})"
    for axis, by_value in ((column, index.T), (row, index)):
        classes = [_class(values) for values in by_value]
        if None in classes:
            continue
        word = "with" if axis.name == "order" else "at"
        clauses = []
        for wanted, adverb, conjunction in (("striped", "", "and"), ("part", "faintly ", "and"), ("free", "not ", "or")):
            names = [axis.text(i) if word == "with" else axis.phrase(i) for i, kind in enumerate(classes) if kind == wanted]
            if names:
                order = " order" if word == "with" and not clauses else ""
                clauses.append(f"{adverb}{word} {list_names(names, conjunction)}{order}")
        return f"The printed loss splits into stripes {', '.join(clauses)}"
    return f"The printed loss splits into stripes in {(known >= STRIPED).sum()} of the {len(known)} settings with an index"


def best_end(metric: str) -> tuple[str, str, str]:
    """Return the words for the best end of a metric, for what is better and for what is worse: "lowest", "below", "above"."""
    return ("lowest", "below", "above") if direction(metric) > 0 else ("highest", "above", "below")


def best_title(metric: str, name: str, length: str, number: float, where: str) -> str:
    """Return the title of a figure that shows where a metric ends best.

    Args:
      metric: by which settings are judged.
      name: its words.
      length: of the runs, in words.
      number: the best value.
      where: its setting, in words: "at m = 10".
    """
    return f"{best_end(metric)[0].capitalize()} {name} after {length}: {three_digits(number)} {where}"


def two_digits(index: float) -> str:
    """An index as written: -0.004 is 0.00, for it is no less than none."""
    return f"{round(index, 2) + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")


def _class(values: np.ndarray) -> str | None:
    """ "striped", "free", or "part" for what lies between; "unknown" without values, None where they contradict each other."""
    known = values[np.isfinite(values)]
    if not len(known):
        return "unknown"
    if (known >= STRIPED).all():
        return "striped"
    if (known < FREE_BELOW).all():
        return "free"
    return None if known.max() >= STRIPED and known.min() < FREE_BELOW else "part"


def list_names(names: Sequence[str], word: str = "and") -> str:
    """Return names as a sentence lists them: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
