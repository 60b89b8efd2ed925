"""Numbers with their nouns."""

import pytest

from jaxsgd.error import counted, verb


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "chunk", "0 chunks"),
        (1, "chunk", "1 chunk"),
        (2, "batch", "2 batches"),
        (3, "epoch", "3 epochs"),
        (1200, "loss", "1,200 losses"),
        (1, "loss", "1 loss"),
    ],
)
def test_a_number_has_the_noun_that_goes_with_it(number, noun, text):
    assert counted(number, noun) == text


def test_a_number_has_the_verb_that_goes_with_it():
    assert [verb(number) for number in (0, 1, 2)] == ["are", "is", "are"]
    assert [verb(number, "was", "were") for number in (1, 2)] == ["was", "were"]
