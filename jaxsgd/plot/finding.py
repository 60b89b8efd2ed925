"""Sentences for the titles of figures."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.measure.observable import direction
from jaxsgd.measure.stripes import STRIPED
from jaxsgd.number import three_digits, to_decimals
from jaxsgd.plot.axis import Axis

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
    overall, median = _class(known), to_decimals(float(np.median(known)), 2)
    verdict = {"striped": "splits into stripes", "part": "has faint stripes", "free": "has no clear stripes"}.get(overall or "")
    if index.size == 1:
        return f"The printed loss {verdict} (stripe index {median})"
    if verdict:
        return f"The printed loss {verdict} wherever windows cut an epoch (median index {median})"
    for axis, by_value in ((column, index.T), (row, index)):
        classes = [_class(values) for values in by_value]
        if None in classes:
            continue
        of_order = axis.name == "order"
        clauses: list[str] = []
        for wanted, noun in (("striped", "stripes"), ("part", "faint ones"), ("free", "none")):
            names = [axis.text(i) if of_order else axis.phrase(i) for i, kind in enumerate(classes) if kind == wanted]
            if names:
                where = "at" if not of_order else "with" if clauses else "with the order"
                conjunction = "or" if of_order or wanted == "free" else "and"
                clauses.append(f"{noun} {where} {list_names(names, conjunction)}")
        return f"The printed loss has {', '.join(clauses)}"
    return f"The printed loss has stripes in {(known >= STRIPED).sum()} of the {len(known)} settings with an index"


class Words(NamedTuple):
    """The words for better and worse by a metric.

    Attributes:
      better, best, worse, worst: as in "ends lower", "ends lowest".
      beyond, short: as in "ends below the others"; of what is worse.
    """

    better: str
    best: str
    worse: str
    worst: str
    beyond: str
    short: str


LOWER = Words("lower", "lowest", "higher", "highest", "below", "above")
HIGHER = Words("higher", "highest", "lower", "lowest", "above", "below")


def words_of(metric: str) -> Words:
    """Return the words for better and worse by a metric."""
    return LOWER if direction(metric) > 0 else HIGHER


def best_title(metric: str, name: str, length: str, number: float, where: str) -> str:
    """Return the title of a figure that shows where a metric ends best.

    Args:
      metric: by which settings are judged.
      name: its words.
      length: of the runs, in words.
      number: the best value.
      where: its setting, in words: "at m = 10".
    """
    return f"{words_of(metric).best.capitalize()} {name} after {length}: {three_digits(number)} {where}"


def _class(values: np.ndarray) -> str | None:
    """Return "striped", "free", or "part" between them; "unknown" without values, None if they contradict each other."""
    known = values[np.isfinite(values)]
    if not len(known):
        return "unknown"
    if (known >= STRIPED).all():
        return "striped"
    if (known < FREE_BELOW).all():
        return "free"
    return None if known.max() >= STRIPED and known.min() < FREE_BELOW else "part"


def as_sentence(clause: str) -> str:
    """Return a clause as a sentence: with a capital letter and a full stop."""
    return f"{clause[0].upper()}{clause[1:]}."


def list_names(names: Sequence[str], word: str = "and") -> str:
    """Return names as a sentence lists them: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
