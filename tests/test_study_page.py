"""The table of a study's fields: on the page, in the help text, in the signature and in the schema, from one docstring."""

import inspect
import pydoc

import numpy as np
import pytest

from jaxsgd import Study
from jaxsgd.study.cells import cells
from jaxsgd.study.study import field_notes
from tools.study_page import PAGE, with_table

NOTES = {note.name: note for note in field_notes()}
FIELDS = {"problem": "least_squares", "problem_args": {"num_samples": 100}, "seeds": [0], "batch_counts": [2]}
FIELDS |= {"learning_rates": [0.1], "epochs": 2}


def test_the_page_has_the_table_as_it_is_made():
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page
    assert with_table(page.replace("Passes over the data", "Something else")) == page


def test_every_field_has_a_note_and_the_arguments_have_the_fields_own_defaults():
    assert set(NOTES) == {*Study.model_fields, "optimizer"}
    for name, parameter in inspect.signature(Study).parameters.items():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert NOTES[name].text.endswith(".")
        if name in Study.model_fields:
            field = Study.model_fields[name]
            assert (parameter.default is parameter.empty) == field.is_required()
            assert field.is_required() or parameter.default == field.default


@pytest.mark.parametrize("name", NOTES)
def test_the_line_of_use_of_a_field_makes_a_study(name):
    given = eval(f"dict({NOTES[name].example})")
    assert name in given
    if name == "problem":  # a pointer to the reader's own
        assert given == {"problem": "my_module:make"}
        return
    changed = {field: value for field, value in {**FIELDS, **given}.items() if value is not None}
    if "random" in given and "learning_rate" in given["random"]:
        del changed["learning_rates"]
    study = Study(**changed)
    default = Study.model_fields["optimizers" if name == "optimizer" else name].default
    assert name in ("problem_args", "epochs") or getattr(study, "optimizers" if name == "optimizer" else name) != default


def test_help_and_schema_say_the_same():
    text = " ".join(pydoc.render_doc(Study, renderer=pydoc.plaintext).replace("|", " ").split())
    properties = Study.model_json_schema()["properties"]
    for note in NOTES.values():
        assert f"{note.name}: {note.text} For example `{note.example}`." in text
        assert note.name == "optimizer" or properties[note.name]["description"] == note.text


# The repr


def test_a_study_shows_what_differs_from_the_defaults_and_how_many_cells_it_has():
    study = Study(**FIELDS | {"seeds": range(20), "learning_rates": np.linspace(0.1, 1, 10), "hyper": {"momentum": [0, 0.9]}})
    assert repr(study) == str(study) == (
        "Study(problem='least_squares', problem_args={'num_samples': 100}, seeds=range(20), batch_counts=[2], "
        "learning_rates=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, ... 10 in all], hyper={'momentum': (0.0, 0.9)}, epochs=2): 400 cells"
    )  # fmt: skip
    assert repr(Study(**FIELDS)).endswith(", epochs=2): 1 cell")


@pytest.mark.parametrize(
    "changed",
    [
        {"seeds": range(3), "orders": ["fixed", "reshuffle"], "batch_counts": [1, 2, 4]},
        {"seeds": range(2), "hyper": {"momentum": [0.5, 0.9]}, "zipped": [["seed", "momentum"]]},
        {"random": {"momentum": {"uniform": [0, 1]}}, "draws": 5, "init_seeds": [0, 1]},
    ],
)
def test_the_number_of_cells_is_that_of_the_cells(changed):
    study = Study(**FIELDS | changed)
    assert study.num_cells == cells(study, 100).num_cells
