"""Axes of the problem: arguments of the function that makes it, which may change the shapes of the parameters."""

import functools
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd import InputError, Problem, Study
from jaxsgd.engine.plan import plan
from jaxsgd.engine.program_cache import PROGRAMS
from jaxsgd.problems import square_regression

FIELDS = {
    "problem": "square_regression",
    "problem_args": {"num_samples": 20},
    "seeds": [0, 1],
    "orders": ["reshuffle"],
    "batch_counts": [2, 5],
    "learning_rates": [0.1],
    "epochs": 2,
}
NARROW = Study(**FIELDS, problem_axes={"num_hidden": [3]}, keep="final")
BOTH = NARROW.replaced(problem_axes={"num_hidden": [6, 3]})
HELD = {"chunk_width": 2, "lanes": 2}


PROBLEMS = {num_hidden: square_regression(num_samples=20, num_hidden=num_hidden) for num_hidden in (3, 6)}
SGD = optax.sgd(0.1)


@functools.cache
def plain(num_hidden, seed, count):
    how = {"batch_count": count, "epochs": 2, "optimizer": SGD, "order": "reshuffle"}
    return jaxsgd.simulate(PROBLEMS[num_hidden], jax.random.key(seed), **how)


def bits(ds):
    return {name: array.values.tobytes() for name, array in ds.data_vars.items()}


@pytest.fixture(scope="module", params=["one_program", "grouped"])
def grown(request, tmp_path_factory):
    """A result that was begun with one value and grew by a second, and what was in it when the growth began."""
    folder, seen = tmp_path_factory.mktemp("problem_axes") / request.param, []
    jaxsgd.sweep(NARROW, folder, vectorize=request.param, **HELD)
    jaxsgd.sweep(BOTH, folder, on_progress=seen.append)
    return folder, seen[0]


def test_every_cell_has_the_numbers_of_simulate_with_its_own_problem(grown):
    ds = jaxsgd.load(grown[0])
    assert ds.loss_epoch.dims[:2] == ("seed", "num_hidden")
    assert ds.num_hidden.values.tolist() == [6, 3]
    for num_hidden in (3, 6):
        for seed in (0, 1):
            for count in (2, 5):
                own = ds.sel(num_hidden=num_hidden, seed=seed, batch_count=count).squeeze()
                np.testing.assert_allclose(own.loss[:, :count], plain(num_hidden, seed, count).loss, rtol=1e-5)


def test_a_value_that_is_added_runs_its_own_cells_only_with_the_bits_of_a_study_run_at_once(grown, tmp_path):
    folder, first = grown
    assert (first.resumed, first.cells) == (4, 8)
    settings = json.loads((folder / "manifest.json").read_text())["held"]
    assert bits(jaxsgd.load(folder)) == bits(jaxsgd.sweep(BOTH, tmp_path / "at_once", **settings))
    verdict = jaxsgd.verify(folder)
    assert (verdict.cells, verdict.bitwise, verdict.passed) == (8, True, True)


def test_a_study_with_fewer_values_shows_fewer_and_the_cells_stay(grown, tmp_path):
    folder, seen = shutil.copytree(grown[0], tmp_path / "copy"), []
    jaxsgd.sweep(NARROW, folder, on_progress=seen.append)
    jaxsgd.sweep(BOTH, folder, on_progress=seen.append)
    assert [(step.resumed, step.cells) for step in seen] == [(4, 4), (8, 8)]


def test_parameters_of_one_value_are_those_of_simulate_and_those_of_several_do_not_fit_together(grown):
    kept = jaxsgd.parameters(
        grown[0], num_hidden=6, seed=1, batch_count=5, order="reshuffle", optimizer="sgd", learning_rate=0.1
    )
    expected = plain(6, 1, 5).params
    assert jax.tree.map(np.shape, kept) == jax.tree.map(np.shape, expected)
    jax.tree.map(lambda own, other: np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-7), kept, expected)
    with pytest.raises(
        InputError, match=r"other shapes with num_hidden=3 than with num_hidden=6; select one value: num_hidden=6"
    ):
        jaxsgd.parameters(grown[0])
    # No selection would help here, so it is not the shapes that the message is about.
    with pytest.raises(InputError, match=r"kept no states of optimizers; run the study with keep_state=True into another"):
        jaxsgd.state(grown[0])


def test_a_fork_begins_at_the_parents_cell_of_the_same_value(grown, tmp_path):
    fork = Study(**FIELDS | {"start": str(grown[0])}, problem_axes={"num_hidden": [3, 6]})
    ds = jaxsgd.sweep(fork, **HELD)
    single = Study(**FIELDS | {"start": str(grown[0]), "problem_args": {"num_samples": 20, "num_hidden": 6}})
    with pytest.raises(InputError, match=r"has several values of num_hidden \(6, 3\) and this study has no such axis"):
        plan(single)
    own = jaxsgd.sweep(single.replaced(start_select={"num_hidden": 6}), vectorize="one_program", **HELD)
    np.testing.assert_allclose(ds.sel(num_hidden=6).loss, own.loss, rtol=1e-5)
    # The fork goes on from where the parent ended: no first loss is that of the parent's start.
    assert (ds.loss_epoch.isel(epoch=0) < jaxsgd.load(grown[0]).loss_epoch.isel(epoch=0)).all()


def test_workers_run_the_same_bits(grown, tmp_path):
    settings = json.loads((grown[0] / "manifest.json").read_text())["held"]
    with ThreadPoolExecutor(1) as pool:
        by_workers = jaxsgd.sweep(BOTH, tmp_path / "by_workers", executor=pool, **settings)
    assert bits(by_workers) == bits(jaxsgd.load(grown[0]))


def test_each_problem_is_compiled_once_for_all_other_axes():
    # Per problem a program that draws and one that trains, and nothing more for a second sweep with other seeds and rates.
    study = Study(**FIELDS, problem_axes={"num_hidden": [3, 6]})
    planned = plan(study, vectorize="one_program", **HELD)
    assert [(program.subject, len(program.cells)) for program in planned.programs] == [(0, 4), (1, 4)]
    PROGRAMS.clear()
    jaxsgd.sweep(study, vectorize="one_program", **HELD)
    assert len(PROGRAMS) == 4
    again = study.replaced(seeds=[3, 4], learning_rates=[0.2], problem_axes={"num_hidden": [6, 3]})
    jaxsgd.sweep(again, vectorize="one_program", **HELD)
    assert len(PROGRAMS) == 4


def scaled(scale: float = 1.0, centre: str = "zero", own: bool = False, num_samples: int = 6):
    """A problem whose arguments are a number, a text and a boolean; its arrays may be its own."""
    data = np.linspace(-1, 1, num_samples).astype(np.float32) + (centre == "one")
    return Problem(
        init=lambda key: jax.numpy.asarray(3.0),
        loss=lambda params, batch: scale * (batch - params) ** 2,
        data=data if own else lambda key: jax.numpy.asarray(data),
    )


OWN = {"problem": f"{__name__}:scaled", "seeds": [0], "batch_counts": [1], "learning_rates": [0.1], "epochs": 1}


def first_loss(**args):
    problem = scaled(**args)
    return float(jax.jit(lambda key: problem.loss(3.0, problem.sample_data(key)).mean())(jax.random.key(0)))


def test_numbers_texts_and_booleans_are_axes_that_can_be_zipped_drawn_and_selected():
    axes = {"centre": ["zero", "one"], "own": [True, False]}
    ds = jaxsgd.sweep(Study(**OWN, problem_axes=axes, zipped=[["centre", "own"]])).squeeze()
    assert ds.loss.dims == ("centre_own",)
    expected = [first_loss(centre="zero", own=True), first_loss(centre="one", own=False)]
    np.testing.assert_allclose(ds.loss, expected, rtol=1e-6)
    random = {"scale": {"uniform": [1, 2]}, "num_samples": {"choice": [6]}}
    drawn = jaxsgd.sweep(Study(**OWN, random=random, draws=2)).squeeze()
    assert len(set(drawn.scale.values)) == 2
    np.testing.assert_allclose(drawn.loss, first_loss() * drawn.scale, rtol=1e-6)


def test_run_noise_measures_the_problem_of_the_selected_value():
    ds = jaxsgd.sweep(Study(**OWN | {"batch_counts": [3]}, problem_axes={"scale": [1.0, 2.0]}))
    noises = [jaxsgd.analysis.run_noise(ds.sel(scale=[scale]), at=[0]).trace.item() for scale in (1.0, 2.0)]
    # Gradients are proportional to the scale, so their variance is to its square.
    np.testing.assert_allclose(noises[1], 4 * noises[0], rtol=1e-5)


def test_the_dry_run_counts_the_programs_of_each_problem(tmp_path, capsys, unchecked):
    from jaxsgd.cli.errors import run_app

    (tmp_path / "study.json").write_text(json.dumps(NARROW.resolved()))
    words = ["run", str(tmp_path / "study.json"), "--out", str(tmp_path / "result"), "--dry-run"]
    assert run_app([*words, "--set", "problem_axes.num_hidden=3,6", "--vectorize", "grouped", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    # Two problems with two batch counts each, and a program that draws for each problem.
    assert (report["cells"], report["axes"]["num_hidden"], report["programs"]) == (8, 2, 4 + 2)
    # Weights of 10 inputs, 10 outputs and 3 or 6 hidden units, 4 cells each, 4 bytes a number.
    assert report["parameter_bytes"] == 4 * 4 * (20 * 3 + 20 * 6)
    assert run_app([*words, "--set", "problem_axes.num_hidden=3,6"]) == 0
    assert "2 draw the random numbers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"problem_axes": {"num_hiden": [3]}},
            "unknown argument of problem 'square_regression' 'num_hiden': did you mean 'num_hidden'",
        ),
        ({"problem_axes": {"num_hidden": [3, 0]}}, "problem_axes: with num_hidden=0: "),
        (
            {"problem_axes": {"num_hidden": [3, "6"]}},
            "problem_axes.num_hidden: must be values of one kind, got numbers and texts",
        ),
        (
            {"problem_axes": {"num_hidden": [[3, 3]]}},
            "problem_axes.num_hidden: must be finite numbers, texts or booleans, got [3, 3]",
        ),
        ({"problem_axes": {"num_hidden": [3, 3]}}, "problem_axes.num_hidden: has 3 more than once"),
        ({"problem_axes": {"num_hidden": []}}, "problem_axes.num_hidden: must have at least one value"),
        (
            {"problem_axes": {"num_samples": [20]}},
            "problem_args: 'num_samples' is given twice: here, and in problem_axes or random",
        ),
        (
            {"problem_args": {}, "problem_axes": {"num_samples": [20, 30]}},
            "the number of samples must be the same for all values, got 20 with num_samples=20 and 30 with num_samples=30",
        ),
        ({"problem": scaled(), "problem_args": {}, "problem_axes": {"scale": [1]}}, "is a Problem and has no arguments"),
        (
            {"random": {"num_hidden": {"choice": [3]}}, "draws": 1, "problem_axes": {"num_hidden": [3]}},
            "'num_hidden' is given twice",
        ),
        (
            {"observe": ["tests.engine.test_problem_axes:by_unit"], "problem_axes": {"num_hidden": [3, 6]}},
            "observable 'by_unit' has the shape [3] with num_hidden=3 and [6] with num_hidden=6",
        ),
    ],
)
def test_a_wrong_axis_is_one_line(fields, text):
    with pytest.raises(InputError) as error:
        Study(**FIELDS | fields)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def by_unit(params, context):
    """The length of the weights of each hidden unit: an array whose shape depends on the width."""
    del context
    return jax.numpy.linalg.norm(jax.tree.leaves(params)[1], axis=0)


def test_a_study_without_them_keeps_its_identity():
    study = Study(**FIELDS)
    fields = {name: value for name, value in study.resolved().items() if name != "problem_axes"}
    assert Study(**fields).identity == study.identity
    assert NARROW.identity != study.identity
    assert NARROW.fixed_identity == BOTH.fixed_identity
