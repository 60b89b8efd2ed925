"""The trained parameters of a result: those of `simulate`, in both paths, selected, grown, damaged and refused."""

import functools
import json
import shutil

import jax
import ml_dtypes
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd import InputError, Problem, Study
from jaxsgd.engine.plan import plan
from jaxsgd.results.store import Folder
from tests.single_run import SIZES, drawn, single_run

STUDY = Study(
    problem="square_regression", problem_args=SIZES, seeds=[0, 5], batch_counts=[2, 5], orders=["reshuffle"],
    learning_rates=[0.1, 0.5], epochs=3, keep="final",
)  # fmt: skip


@pytest.fixture(scope="module", params=["one_program", "grouped"])
def folder(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("parameters") / request.param
    jaxsgd.sweep(STUDY, place, vectorize=request.param, chunk_width=4, lanes=2)
    return place


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def trained(seed, count, rate):
    return single_run(optax.sgd, rate, seed=seed, batch_count=count, epochs=3).params


def assert_close(params, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), params, other)


def test_all_cells_have_the_parameters_of_simulate_in_the_problems_own_pytree(folder):
    every = jaxsgd.parameters(folder)
    ds = jaxsgd.load(folder)
    assert list(ds.loss_epoch.dims[:-1]) == ["seed", "optimizer", "order", "learning_rate", "batch_count"]
    for i, seed in enumerate(ds.seed.values.tolist()):
        for j, rate in enumerate(ds.learning_rate.values.tolist()):
            for k, count in enumerate(ds.batch_count.values.tolist()):
                own = jax.tree.map(lambda leaf, at=(i, 0, 0, j, k): leaf[at], every)
                assert_close(own, trained(seed, count, rate))


def test_a_single_value_leaves_its_axis_out_and_a_list_keeps_it(folder):
    single = jaxsgd.parameters(folder, seed=5, learning_rate=0.5, batch_count=2, order="reshuffle", optimizer="sgd")
    assert jax.tree.map(np.shape, single) == jax.tree.map(np.shape, trained(5, 2, 0.5))
    assert_close(single, trained(5, 2, 0.5))
    some = jaxsgd.parameters(folder, seed=[5], batch_count=[2, 5], learning_rate=0.5, order="reshuffle", optimizer="sgd")
    jax.tree.map(lambda leaf, own: np.testing.assert_array_equal(leaf[0, 0], own), some, single)
    assert {leaf.shape[:2] for leaf in jax.tree.leaves(some)} == {(1, 2)}


def test_they_grow_with_the_study_and_are_compared_by_verify(copy):
    before = jaxsgd.parameters(copy)
    jaxsgd.sweep(STUDY.replaced(seeds=[0, 3, 5]), copy)
    after = jaxsgd.parameters(copy, seed=[0, 5])
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert jaxsgd.verify(copy).passed
    place = Folder(copy)
    arrays = place.read_chunk(0, STUDY.fixed_identity)
    arrays["params/0"][1] *= 1 + 1e-6
    place.write_chunk(0, arrays, STUDY.fixed_identity)
    (difference,) = jaxsgd.verify(copy).differences
    assert difference.what == "params/0"


def test_a_chunk_without_its_parameters_is_damaged(copy):
    place = Folder(copy)
    arrays = place.read_chunk(0, STUDY.fixed_identity)
    place.write_chunk(0, {name: array for name, array in arrays.items() if name != "params/0"}, STUDY.fixed_identity)
    seen = []
    jaxsgd.sweep(STUDY, copy, on_progress=seen.append)
    assert seen[0].broken == ("000000.npz: has no params/0 of the study's shape",)
    assert jaxsgd.verify(copy).passed


@pytest.mark.parametrize(
    ("select", "text"),
    [
        ({"seeds": 0}, "did you mean 'seed'"),
        ({"seed": 1}, "no seed 1: there is 0, 5"),
        ({"learning_rate": "fast"}, "learning_rate is a number, got 'fast'"),
    ],
)
def test_a_wrong_selection_is_one_line(select, text, folder):
    with pytest.raises(InputError) as error:
        jaxsgd.parameters(folder, **select)
    assert text in str(error.value)


def test_a_missing_cell_is_named(copy):
    Folder(copy).chunk_file(0).unlink()
    with pytest.raises(InputError, match=r"cells? not run yet, the first: seed=0, optimizer=sgd"):
        jaxsgd.parameters(copy)


def test_a_result_that_kept_none_says_how(tmp_path):
    jaxsgd.sweep(STUDY.replaced(keep="none", seeds=[0], batch_counts=[2], learning_rates=[0.1]), tmp_path / "result")
    with pytest.raises(InputError, match=r"kept no parameters; run the study with keep='final' into another folder"):
        jaxsgd.parameters(tmp_path / "result")


def test_in_memory_there_is_no_place_for_them():
    with pytest.raises(InputError, match="keep='final' needs a result folder"):
        jaxsgd.sweep(STUDY)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"keep": "all"}, "a list of numbers of epochs done, or 'none', got 'all'"),
        ({"keep": []}, "a list of numbers of epochs done, or 'none', got []"),
        ({"keep": [0.5]}, "a list of numbers of epochs done, or 'none', got [0.5]"),
        ({"keep": True}, "a list of numbers of epochs done, or 'none', got True"),
        ({"keep": 3}, "keep: must be a list of numbers of epochs, such as [3], or 'final' or 'none', got 3"),
        ({"keep": [0, 4]}, "must be from 0 (the start) to 3, got 4: the nearest is 3"),
        ({"keep": [-1]}, "must be from 0 (the start) to 3, got -1: the nearest is 0"),
        ({"keep": [1, 1]}, "keep: has 1 more than once"),
        ({"keep": [1], "steps": 8}, "needs a study with epochs; with steps or samples keep is 'final' or 'none'"),
        ({"keep": "none", "keep_state": True}, "keep_state: give it together with keep, such as keep='final'"),
        ({"keep": "final", "stop": {"train_loss": 0.1}, "evaluate_every": 1}, "keep: cannot be given together with stop"),
    ],
)
def test_what_cannot_be_kept_is_refused(fields, text):
    with pytest.raises(InputError) as error:
        STUDY.replaced(**fields)
    assert text in str(error.value)


def test_a_study_without_them_keeps_its_identity():
    plain = STUDY.replaced(keep="none")
    assert plain.keep is None
    assert plain.identity == Study(**{name: value for name, value in plain.resolved().items() if name != "keep"}).identity


def half_precision():
    """A problem with parameters of a type that NumPy does not have."""

    def loss(params, batch):
        return ((batch * params["w"].astype(float)[None]).sum(axis=-1) - 1) ** 2

    data = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    return Problem(init=lambda key: {"w": jax.random.normal(key, 2, dtype=jax.numpy.bfloat16)}, loss=loss, data=data)


def test_types_that_numpy_does_not_have_come_back(tmp_path):
    study = Study(
        problem=f"{__name__}:half_precision", seeds=[0, 1], batch_counts=[3], learning_rates=[0.1], epochs=2, keep="final"
    )
    jaxsgd.sweep(study, tmp_path / "result")
    weights = jaxsgd.parameters(tmp_path / "result", batch_count=3)["w"]
    assert (weights.dtype, weights.shape) == (ml_dtypes.bfloat16, (2, 1, 1, 1, 2))
    run = jaxsgd.simulate(half_precision(), jax.random.key(1), batch_count=3, epochs=2, optimizer=optax.sgd(0.1))
    # Of two programs, whose rounding to 8 bits may differ.
    np.testing.assert_allclose(weights[1, 0, 0, 0].astype(float), np.asarray(run.params["w"]).astype(float), rtol=0.02)


def test_a_dry_run_says_what_they_take(tmp_path, capsys, unchecked):
    from jaxsgd.cli.errors import run_app

    (tmp_path / "study.json").write_text(json.dumps(STUDY.resolved()))
    words = ["run", str(tmp_path / "study.json"), "--out", str(tmp_path / "result"), "--dry-run"]
    assert run_app([*words, "--json"]) == 0
    # 8 cells of a network of 10 inputs, 3 hidden units and 10 outputs: weights and biases of 4 bytes.
    kept = sum(np.size(leaf) for leaf in jax.tree.leaves(trained(0, 2, 0.1)))
    assert json.loads(capsys.readouterr().out)["parameter_bytes"] == 8 * 4 * kept == plan(STUDY).param_bytes
    assert run_app(words) == 0
    assert "of it are parameters" in capsys.readouterr().out


EPOCHS = STUDY.replaced(keep=[3, 0, 1], keep_state=True, optimizers=["momentum", "adam"], learning_rates=[0.05])
TRANSFORMS = {"momentum": functools.partial(optax.sgd, momentum=0.9), "adam": optax.adam}


@pytest.fixture(scope="module", params=["one_program", "grouped"])
def at_epochs(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("epochs") / request.param
    jaxsgd.sweep(EPOCHS, place, vectorize=request.param, chunk_width=4, lanes=2)
    return place


@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_after_each_epoch_they_and_the_states_are_those_of_a_run_that_ends_there(name, at_epochs):
    assert EPOCHS.keep == (0, 1, 3)
    own = {"learning_rate": 0.05, "order": "reshuffle", "optimizer": name}
    params, state = jaxsgd.parameters(at_epochs, **own), jaxsgd.state(at_epochs, **own)
    for i, seed in enumerate([0, 5]):
        for j, count in enumerate([2, 5]):
            for k, epoch in enumerate([0, 1, 3]):
                at = jax.tree.map(lambda leaf, at=(i, j, k): leaf[at], (params, state))
                if epoch:
                    run = single_run(TRANSFORMS[name], 0.05, seed=seed, batch_count=count, epochs=epoch)
                    expected = run.params, run.opt_state
                else:
                    first, _ = drawn(seed)
                    expected = first, TRANSFORMS[name](0.05).init(first)
                assert jax.tree.structure(at) == jax.tree.structure(expected)
                assert_close(at, expected)


def test_one_epoch_is_picked_and_a_list_keeps_its_axis(at_epochs):
    own = {"learning_rate": 0.05, "order": "reshuffle", "optimizer": "adam", "seed": 5, "batch_count": 2}
    every = jaxsgd.state(at_epochs, **own)
    assert every[0].count.tolist() == [0, 2, 6]  # steps
    assert jaxsgd.state(at_epochs, epoch=1, **own)[0].count == 2
    assert jaxsgd.state(at_epochs, epoch=[3], **own)[0].count.tolist() == [6]
    assert jaxsgd.state(at_epochs, epoch=[3, 0], **own)[0].count.tolist() == [6, 0]


@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        (2, "kept nothing after 2 epochs: the nearest is 1 (the result kept 0, 1, 3)"),
        (-1, "kept nothing after -1 epochs: the nearest is 0 (the result kept 0, 1, 3)"),
        ("last", "epoch must be a number of epochs done, got 'last'; the result kept 0, 1, 3"),
    ],
)
def test_an_epoch_that_was_not_kept_is_one_line(epoch, text, at_epochs):
    with pytest.raises(InputError) as error:
        jaxsgd.parameters(at_epochs, epoch=epoch)
    assert text in str(error.value)


def test_states_of_several_optimizers_are_one_line(at_epochs, folder):
    with pytest.raises(InputError, match=r"has states of adam, momentum, .* pick one: optimizer='adam'"):
        jaxsgd.state(at_epochs)
    with pytest.raises(InputError, match=r"kept no states of optimizers; run the study with keep_state=True"):
        jaxsgd.state(folder)


def test_a_result_with_epochs_and_states_is_resumed_grown_and_verified(at_epochs, tmp_path):
    place = shutil.copytree(at_epochs, tmp_path / "copy")
    own = {"optimizer": "adam", "seed": [0, 5]}
    before = jaxsgd.parameters(place), jaxsgd.state(place, **own)
    Folder(place).chunk_file(1).unlink()
    # By a seed and an optimizer: chunks of states of another structure.
    jaxsgd.sweep(EPOCHS.replaced(seeds=[0, 3, 5], optimizers=["sgd", "momentum", "adam"]), place)
    assert jaxsgd.verify(place).passed
    assert jax.tree.leaves(jaxsgd.state(place, optimizer="sgd")) == []
    after = jaxsgd.parameters(place, seed=[0, 5], optimizer=["momentum", "adam"]), jaxsgd.state(place, **own)
    jax.tree.map(np.testing.assert_array_equal, before, after)
    with pytest.raises(InputError, match=r"keep: \[0, 1, 3\] in the result, \[0, 3\] now"):
        jaxsgd.sweep(EPOCHS.replaced(keep=[0, 3]), place)
    arrays = Folder(place).read_chunk(0, EPOCHS.fixed_identity)
    arrays["state/0"] = arrays["state/0"][:, :2]
    Folder(place).write_chunk(0, arrays, EPOCHS.fixed_identity)
    assert jaxsgd.verify(place, sample=1).broken == ["000000.npz: has no state/0 of the study's shape"]


def test_the_dry_run_knows_the_states_of_each_optimizer():
    planned = plan(EPOCHS)
    # 3 epochs of 4 cells of each optimizer: one copy of 60 weights of 4 bytes for momentum, two and a count of 4 for Adam.
    assert planned.param_bytes == 3 * 8 * 240
    assert planned.state_bytes == 3 * 4 * (240 + 484)


@pytest.mark.parametrize(
    "leaf",
    [
        ["w1", [-1, 3], "float32"],
        ["w1", [10.0, 3], "float32"],
        ["w1", [10, 3], "object"],
        ["w1", [10, 3], "no_type"],
        ["w1"],
        "w1",
    ],
)
def test_a_manifest_with_leaves_that_cannot_be_is_refused(leaf, folder, tmp_path):
    place = tmp_path / "copy"
    place.mkdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    (place / "study.json").write_bytes((folder / "study.json").read_bytes())
    for changed in ({"params": [leaf]}, {"states": {"sgd": [leaf]}}):
        (place / "manifest.json").write_text(json.dumps(manifest | changed))
        with pytest.raises(InputError, match=r"manifest\.json is not of format 1 to"):
            jaxsgd.load(place)
