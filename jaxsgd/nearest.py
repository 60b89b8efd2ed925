"""The valid name that a misspelt one may mean."""

import difflib
import re
from collections.abc import Iterable

LIKENESS = 0.65
"""The share of common letters (`difflib.SequenceMatcher.ratio`) from which a name is near another."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is near another one: by most of its letters, or with all of its words; None if none is.

    Capitals are no difference. So "los_epoch" is near "loss_epoch", "accuracy" is near "validation_accuracy",
    and "muon" is near "optax.contrib:muon".
    """
    listed = list(names)
    same = next((other for other in listed if other.lower() == name.lower()), None)
    if same is not None:
        return same
    close = difflib.get_close_matches(name, listed, n=1, cutoff=LIKENESS)
    if close:
        return close[0]
    words = _words(name)
    return next((other for other in listed if words and words <= _words(other)), None)


def _words(name: str) -> set[str]:
    """Return the words of a name, or of a pointer such as "my_module:my_name"."""
    return set(re.split("[_:.]", name)) - {""}
