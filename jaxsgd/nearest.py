"""The valid name that a misspelt one may mean."""

import difflib
from collections.abc import Iterable

LIKENESS = 0.65
"""The share of common letters (`difflib.SequenceMatcher.ratio`) from which a name is near another."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is near another one: by most of its letters, or with all of its words; None if none is.

    Capitals are no difference. So "los_epoch" is near "loss_epoch", and "accuracy" is near "validation_accuracy".
    """
    listed = list(names)
    same = next((other for other in listed if other.lower() == name.lower()), None)
    if same is not None:
        return same
    close = difflib.get_close_matches(name, listed, n=1, cutoff=LIKENESS)
    if close:
        return close[0]
    words = set(name.split("_")) - {""}
    return next((other for other in listed if words and words <= set(other.split("_"))), None)
