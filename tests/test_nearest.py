"""The nearest name: a misspelt one and a part of one are near, and another word is not."""

import pytest

from jaxsgd.measure.observable import observables
from jaxsgd.nearest import nearest
from jaxsgd.optimizer import OPTIMIZERS
from jaxsgd.problems import PROBLEMS


@pytest.mark.parametrize(
    ("name", "names", "near"),
    [
        ("los_epoch", ["loss_epoch", "loss"], "loss_epoch"),
        ("adma", OPTIMIZERS, "adam"),
        # By its letters alone it is nearer to "adam".
        ("adamW", OPTIMIZERS, "adamw"),
        ("SGD", OPTIMIZERS, "sgd"),
        ("accuracy", observables(), "validation_accuracy"),
        ("gradient", ["momentum", "gradient_norm"], "gradient_norm"),
        ("muon", ["momentum", "sgd"], None),
        ("muon", ["sgd", "optax.contrib:muon"], "optax.contrib:muon"),
        ("cifar", PROBLEMS, None),
        ("transformer", PROBLEMS, None),
        ("", OPTIMIZERS, None),
        ("_", ["_", "a"], "_"),
        ("sgd", [], None),
    ],
)
def test_a_name_is_near_by_most_of_its_letters_or_by_all_of_its_words(name, names, near):
    assert nearest(name, names) == near
