"""The titles of the figures: the finding in a few words, derived from the numbers."""

import numpy as np

from jaxsgd.article.finding import is_striped
from jaxsgd.measure.stripes import Stripes

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def striped_title(measured: Stripes) -> str:
    """Return the title for the printed values."""
    if measured.stripe_count == 1:
        return "The printed loss is one curve"
    if is_striped(measured):
        verb = "falls in" if (measured.slope < 0).all() else "is"
        return (
            f"The printed loss {verb} {_word(measured.stripe_count)} stripes, not {'along ' if verb != 'is' else ''}one curve"
        )
    return "The printed loss shows no clear stripes"


def band_title(measured: Stripes) -> str:
    """Return the title for the whole run."""
    if measured.stripe_count == 1:
        return "The plotted loss is one curve"
    if is_striped(measured):
        return f"What looks like a broad band is {_word(measured.stripe_count)} stripes"
    return "The plotted loss is a band without clear stripes"


def averaged_title(averaged: Stripes, striped: Stripes) -> str:
    """Return the title for the averaged curve."""
    steps = np.diff(averaged.windows)
    curve = "one curve that only falls" if len(steps) and (steps < 0).all() else "one curve"
    if is_striped(striped):
        return f"Averaged over each epoch, the {_word(striped.stripe_count)} stripes become {curve}"
    return f"Averaged over each epoch, the loss is {curve}"


def _word(count: int) -> str:
    return _WORDS[count] if count < len(_WORDS) else str(count)
