"""Numbers with their nouns, and the messages for unknown names."""

import numpy as np
import pytest

from jaxsgd.error import MOST_NAMES, InputError, check_finite, counted, no_such, verb


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


def test_an_unknown_name_has_a_hint_only_if_one_is_near_and_a_list_that_is_not_long():
    assert (
        str(no_such("optimizer", "adma", ["sgd", "adam"])) == "unknown optimizer 'adma': did you mean 'adam'? valid: adam, sgd"
    )
    assert (
        str(no_such("optimizer", "muon", ["sgd", "adam"], "yours")) == "unknown optimizer 'muon': valid: adam, sgd (or yours)"
    )
    many = [f"name{number}" for number in range(10, 10 + MOST_NAMES + 5)]
    listed = ", ".join(many[:MOST_NAMES])
    assert str(no_such("thing", "other", many)) == f"unknown thing 'other': valid: {listed}, and 5 more"
    assert str(no_such("thing", "nam12", many)) == "unknown thing 'nam12': did you mean 'name12'?"
    assert str(no_such("thing", "other", [])) == "unknown thing 'other': it has none"


@pytest.mark.parametrize("value", ["0.6", None, float("nan"), float("inf"), True, [1.0]])
def test_what_is_no_finite_number_is_refused_in_one_line(value):
    with pytest.raises(InputError, match=r"^target must be a finite number, got "):
        check_finite("target", value)
    assert check_finite("target", np.float32(0.5)) == 0.5
