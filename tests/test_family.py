"""Names with numbers in brackets: how they are read, and what is said of wrong ones."""

import pytest

from jaxsgd.error import InputError
from jaxsgd.family import Family, Parameter, member, split_names, without_numbers

PLAIN = {"constant": "the constant"}
FAMILIES = {
    "wsd": Family(
        lambda warmup, decay: ["wsd", warmup, decay],
        (Parameter("warmup", "share of the training", False, 0, 1), Parameter("decay", "share of the training", False, 0, 1)),
    ),
    "step": Family(lambda count: ["step", count], (Parameter("count", "steps"),)),
}


def named(text):
    return member("schedule", text, PLAIN, FAMILIES, "give your own")


@pytest.mark.parametrize(
    ("text", "name", "thing"),
    [
        ("constant", "constant", "the constant"),
        ("wsd(0.1, 0.2)", "wsd(0.1, 0.2)", ["wsd", 0.1, 0.2]),
        (" wsd ( .1,2e-1 ) ", "wsd(0.1, 0.2)", ["wsd", 0.1, 0.2]),
        ("step(3)", "step(3)", ["step", 3]),
        ("step(1e2)", "step(100)", ["step", 100]),
    ],
)
def test_a_name_has_one_spelling_and_its_numbers_have_their_types(text, name, thing):
    assert named(text) == (name, thing)
    assert all(type(got) is type(wanted) for got, wanted in zip(named(text).thing, thing, strict=True))


def test_the_same_name_gives_the_same_object():
    assert named("step(3)").thing is named("step( 3 )").thing
    assert named("step(3)").thing is not named("step(4)").thing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wds(0.1, 0.2)", "unknown schedule 'wds(0.1, 0.2)': did you mean 'wsd(warmup, decay)'? valid: constant, step(count), "
         "wsd(warmup, decay) (or give your own)"),
        ("step(3", "unknown schedule 'step(3': did you mean 'step(count)'? valid: constant, step(count), wsd(warmup, decay) "
         "(or give your own)"),
        ("constant(1)", "schedule 'constant' takes no numbers in brackets, got 'constant(1)'"),
        ("step", "schedule 'step' needs 1 number in brackets, step(count) (count: steps), got 'step'"),
        ("wsd(0.1)", "schedule 'wsd' needs 2 numbers in brackets, wsd(warmup, decay) (warmup: share of the training, decay: "
         "share of the training), got 'wsd(0.1)'"),
        ("step(0)", "count of schedule 'step(0)' must be a whole number of at least 1 (steps), got 0"),
        ("step(2.5)", "count of schedule 'step(2.5)' must be a whole number of at least 1 (steps), got 2.5"),
        ("step(inf)", "count of schedule 'step(inf)' must be a whole number of at least 1 (steps), got inf"),
        ("wsd(0.1, 2)", "decay of schedule 'wsd(0.1, 2)' must be a number from 0 to 1 (share of the training), got 2"),
        ("wsd(0.1, x)", "decay of schedule 'wsd(0.1, x)' must be a number from 0 to 1 (share of the training), got x"),
        ("wsd(,0.1)", "warmup of schedule 'wsd(,0.1)' must be a number from 0 to 1 (share of the training), got nothing"),
    ],
)  # fmt: skip
def test_a_wrong_name_gets_one_line_with_what_would_be_right(text, message):
    with pytest.raises(InputError) as caught:
        named(text)
    assert str(caught.value) == message


def test_commas_inside_brackets_separate_numbers_and_not_names():
    assert split_names("fixed,wsd(0.1, 0.2),step(3)") == ["fixed", "wsd(0.1, 0.2)", "step(3)"]
    assert split_names("fixed") == ["fixed"]


def test_the_name_before_the_brackets():
    assert without_numbers("wsd(0.1, 0.2)") == "wsd"
    assert without_numbers("constant") == "constant"
