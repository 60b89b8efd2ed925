"""A study as a notebook shows it."""

import jaxsgd
from jaxsgd.number import TIMES
from jaxsgd.study.fields import StudyFields
from tests import probe
from tests.card import SCRIPT, read_card

SIZES = {"problem": "least_squares", "problem_args": {"num_samples": 12}}


def test_a_study_shows_its_axes_its_cells_and_what_they_share():
    study = jaxsgd.Study(
        **SIZES,
        seeds=range(3),
        batch_counts=[2, 4],
        orders=["fixed", "reshuffle"],
        learning_rates=[0.1],
        epochs=5,
        eval_interval=2,
    )
    shown = read_card(study._repr_html_())
    assert shown.text.startswith("Study: 12 cells of least_squares, 5 epochs each 12 = 3 seed")
    assert f"3 seed {TIMES} 2 order {TIMES} 2 batch_count axis" in shown.text
    assert "order 2 ['fixed', 'reshuffle']" in shown.text
    assert "learning_rate 1 [0.1]" in shown.text
    assert "problem_args {'num_samples': 12} eval_interval 2" in shown.text
    assert "optimizer" not in shown.text  # it has its default


def test_axes_that_vary_together_and_drawn_axes_are_shown():
    together = jaxsgd.Study(
        **SIZES, batch_counts=[2], learning_rates=[0.1, 0.2], hyper={"momentum": [0, 0.5]},
        zipped=[["learning_rate", "momentum"]], steps=6,
    )  # fmt: skip
    shown = read_card(together._repr_html_())
    assert shown.text.startswith("Study: 2 cells of least_squares, 6 steps each axis")
    assert "momentum (with learning_rate_momentum) 2 [0.0, 0.5]" in shown.text
    drawn = jaxsgd.Study(**SIZES, batch_counts=[2], random={"learning_rate": {"log_uniform": (0.1, 1)}}, draws=4, epochs=1)
    assert "draw: learning_rate 4 {'log_uniform': (0.1, 1.0)}" in read_card(drawn._repr_html_()).text


def test_a_problem_that_is_an_object_is_shown_by_its_name():
    study = jaxsgd.Study(problem=probe.network(), batch_counts=[2], learning_rates=[0.1], epochs=1)
    assert "Study: 1 cell of Problem object, 1 epoch each" in read_card(study._repr_html_()).text


def test_hostile_names_are_text():
    # As a stranger's file has them: no name is looked up.
    study = StudyFields(
        problem=SCRIPT, problem_args={SCRIPT: SCRIPT}, orders=[SCRIPT], hyper={SCRIPT: [1, 2]}, batch_counts=[2],
        learning_rates=[0.1], epochs=1,
    )  # fmt: skip
    assert read_card(study._repr_html_()).text.count(SCRIPT) == 5
