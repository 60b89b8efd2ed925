"""A study whose problem is an object: swept in memory like one that names it, refused where a name is needed."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.engine.program_cache import PROGRAMS
from jaxsgd.study.study_file import read_study
from tests.study_parts import holding, named

PROBLEM = holding()
FIELDS = {
    "held_out": 0.25, "seeds": range(4), "batch_counts": [2, 3], "orders": ["fixed", "reshuffle"],
    "learning_rates": [0.01, 0.1], "epochs": 3,
}  # fmt: skip
STUDY = Study(problem=PROBLEM, **FIELDS)
NEEDED = (
    "a problem given as an object can be swept in memory only; a result folder, an executor and JSON need a pointer: "
    "problem='my_module:make', or problem='__main__:make' in a notebook"
)


@pytest.fixture(scope="module")
def swept():
    return jaxsgd.sweep(STUDY)


def test_its_sweep_has_the_numbers_of_one_that_points_at_the_problem(swept):
    pointed = jaxsgd.sweep(Study(problem="tests.study_parts:holding", **FIELDS))
    assert set(swept.data_vars) == set(pointed.data_vars) >= {"loss", "validation_loss"}
    for name in swept.data_vars:
        np.testing.assert_array_equal(swept[name], pointed[name])


def test_the_same_object_compiles_once_and_another_one_anew(swept):
    before = len(PROGRAMS)
    jaxsgd.sweep(Study(problem=PROBLEM, **FIELDS).replaced(seeds=range(4, 8)))
    assert len(PROGRAMS) == before
    assert STUDY.replaced(seeds=[5]).subject() is STUDY.subject()
    assert STUDY.replaced(problem=holding()).subject() is not STUDY.subject()


def test_two_are_equal_where_the_object_and_all_else_are():
    again = Study(problem=PROBLEM, **FIELDS)
    assert again == STUDY == STUDY.replaced(epochs=4).replaced(epochs=3)
    assert hash(again) == hash(STUDY)
    others = {STUDY.replaced(problem=holding()), STUDY.replaced(epochs=4), STUDY.replaced(problem="tests.study_parts:holding")}
    assert len({STUDY, again, *others}) == 4
    assert STUDY.replaced(learning_rates=0.1).problem is PROBLEM


def test_its_repr_is_short():
    assert repr(STUDY) == (
        "Study(problem=Problem('problem', data: (float32[40, 3], float32[40]), with optimum), held_out=0.25, seeds=range(4), "
        "batch_counts=[2, 3], orders=['fixed', 'reshuffle'], learning_rates=[0.01, 0.1], epochs=3): 32 cells"
    )


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: jaxsgd.sweep(STUDY, folder / "result"),
        lambda folder: jaxsgd.sweep(STUDY, executor=ThreadPoolExecutor(1)),
        lambda folder: STUDY.identity,
        lambda folder: STUDY.resolved(),
    ],
    ids=["folder", "executor", "identity", "resolved"],
)
def test_where_a_pointer_is_needed_it_says_so(use, tmp_path):
    with pytest.raises(InputError) as caught:
        use(tmp_path)
    assert str(caught.value) == NEEDED
    assert not list(tmp_path.iterdir())


def test_json_says_so_too():
    with pytest.raises(Exception, match="a problem given as an object can be swept in memory only"):
        STUDY.model_dump_json()


def test_a_study_file_with_one_is_refused_with_its_name(tmp_path):
    path = tmp_path / "my_study.py"
    path.write_text(
        "import jaxsgd\nfrom tests.study_parts import named\n\n"
        "STUDY = jaxsgd.Study(problem=named(), seeds=[0], batch_counts=[2], learning_rates=[0.1], epochs=1)\n"
    )
    for assignments in ((), ("epochs=2",)):
        with pytest.raises(InputError) as caught:
            read_study(path, assignments)
        assert str(caught.value) == f"{path}: {NEEDED}"


def test_the_result_has_the_problem_by_its_name_and_can_be_analysed(swept):
    assert json.loads(swept.attrs["study"])["problem"] == "Problem object"
    assert swept.attrs["title"] == "jaxsgd sweep of Problem object"
    assert jaxsgd.best(swept).sizes["order"] == 2
    assert jaxsgd.compare(swept, "order").mean_value.notnull().all()
    single = swept.sel(batch_count=[2])
    assert jaxsgd.benchmark({"mine": single}, "order", tuning_seeds=2).overall_rank.sum() == 3  # ranks 1 and 2, or 1.5 twice
    assert jaxsgd.scaling(swept, float(swept.loss_epoch.max()), "loss_epoch").steps.notnull().all()
    assert jaxsgd.plot.heatmap(swept).get_axes()

    small = Study(problem=named(), seeds=[0], batch_counts=[2], learning_rates=[0.1], epochs=1)
    assert small.described()["problem"] == "Problem object 'two moons'"


def test_what_runs_the_problem_again_needs_a_pointer(swept):
    with pytest.raises(
        InputError, match=r"^problem: Problem object is only a name here, without the object; a problem given as an object"
    ):
        jaxsgd.run_noise(swept.isel(order=0, batch_count=0, learning_rate=0), [0])
