"""Problems from a user's file: what is read, and what is refused in one line that names the place."""

import io
import pickle
import zipfile
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jaxsgd
from jaxsgd.problems import from_file

KEY = jax.random.key(0)
X = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 60.0]])
T = np.array([[0.25], [0.5], [0.75]])


def read(path, *args, **settings):
    """The inputs and targets as they are in the file."""
    return from_file(path, *args, **({"standardize": False, "num_hidden": 4} | settings)).data


def refusal(path, *args, **settings):
    """The message of the InputError, which is one line."""
    with pytest.raises(jaxsgd.InputError) as caught:
        from_file(path, *args, **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert "\r" not in message
    return message


@pytest.fixture
def csv(tmp_path):
    """Writes a .csv of the given text or bytes and gives its path."""

    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return path

    return write


@pytest.fixture
def npy(tmp_path):
    def write(array, name="x.npy"):
        np.save(tmp_path / name, array)
        return tmp_path / name

    return write


# What is read


@pytest.mark.parametrize("name", ["t", "target", "targets", "y", "label", "labels"])
def test_npz_with_any_of_the_targets_names(npz, name):
    x, t = read(npz(x=X, **{name: T}))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(t, T)


def test_npz_with_targets_named(npz):
    assert read(npz(x=X, t=T, other=2 * T), "other")[1].tolist() == (2 * T).tolist()


def test_npy_pair(npy):
    x, t = read(npy(X), npy(T, "t.npy"))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(t, T)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.float16, np.bool_, ">f8"])
def test_arrays_of_one_axis_and_of_any_real_type_are_columns(npy, dtype):
    x, t = read(npy(np.array([0, 1, 1], dtype)), npy(T, "t.npy"))
    assert x.dtype == t.dtype == np.float32
    np.testing.assert_array_equal(x, [[0], [1], [1]])


@pytest.mark.parametrize(
    ("text", "targets", "inputs", "expected"),
    [
        ("1,10,0.25\n2,20,0.5\n3,60,0.75\n", None, X, T),  # without a header the last column is the target
        ("a,b,c\n1,10,0.25\n2,20,0.5\n3,60,0.75\n", None, X, T),  # with one it is too,
        ("a,t,b\n1,0.25,10\n2,0.5,20\n3,0.75,60\n", None, X, T),  # unless a column has a target's name
        ("a,t,b\n1,0.25,10\n2,0.5,20\n3,0.75,60\n", "b", np.c_[X[:, :1], T], X[:, 1:]),
        ("a,t,b\n1,0.25,10\n2,0.5,20\n3,0.75,60\n", ["t", "a"], X[:, 1:], np.c_[T, X[:, :1]]),
        ('\ufeff"a", b ,t\r\n1,10,.25\r\n\r\n 2, 2e1 ,5e-1\r\n3,60,0.75', None, X, T),  # a spreadsheet's: mark, blanks, quotes
    ],
)
def test_csv(csv, text, targets, inputs, expected):
    x, t = read(csv(text), targets)
    np.testing.assert_array_equal(x, np.float32(inputs))
    np.testing.assert_array_equal(t, np.float32(expected))


def test_an_ending_in_capitals_is_read_alike(csv):
    assert read(csv("1,2\n3,4\n", "DATA.CSV"))[0].tolist() == [[1], [3]]


def test_standardized_inputs_have_mean_0_and_deviation_1_and_targets_stay(npz):
    x, t = from_file(npz(x=np.c_[X, [7, 7, 7]], t=T), num_hidden=4).data
    # Deviations of (1, 2, 3): sqrt(2/3); a column that never changes becomes 0.
    np.testing.assert_allclose(x[:, 0], [-np.sqrt(1.5), 0, np.sqrt(1.5)], rtol=1e-6)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-7)
    np.testing.assert_allclose(x.std(axis=0), [1, 1, 0], rtol=1e-6)
    np.testing.assert_array_equal(t, np.float32(T))


def test_a_file_trains_and_gives_the_problem_its_name(csv):
    problem = from_file(csv("1,10,0.25\n2,20,0.5\n3,60,0.75\n"), num_hidden=4)
    assert problem.name == "data.csv"
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.1), epochs=10, batch_count=2)
    assert run.params["w1"].shape == (2, 4)
    assert run.params["w2"].shape == (1, 4)
    assert run.epoch_loss[-1] < run.epoch_loss[0]


# What is refused

SEMICOLONS = (
    "columns must be separated by commas, not semicolons: "
    "convert the file with pandas.read_csv(file, sep=';', decimal=',').to_csv(new_file, index=False)"
)


@pytest.mark.parametrize("name", ["data.txt", "data", "data.csv.gz", "data.pkl"])
def test_another_ending(tmp_path, name):
    message = refusal(tmp_path / name)
    assert name in message
    assert message.endswith("valid: .npz, .npy, .csv")


@pytest.mark.parametrize("name", ["none.csv", "none.npz", "none.npy"])
def test_a_file_that_is_not_there(tmp_path, name):
    assert refusal(tmp_path / name, "t.npy") == f"{tmp_path / name}: no such file"


def test_targets_that_are_not_there(tmp_path, npy):
    assert refusal(npy(X), tmp_path / "none.npy") == f"{tmp_path / 'none.npy'}: no such file"


@pytest.mark.parametrize("name", ["folder.csv", "folder.npz", "folder.npy"])
def test_a_folder(tmp_path, name):
    (tmp_path / name).mkdir()
    assert refusal(tmp_path / name, "t.npy") == f"{tmp_path / name}: cannot be read: Is a directory"


def test_targets_that_are_a_folder(tmp_path, npy):
    (tmp_path / "t.npy").mkdir()
    assert refusal(npy(X), tmp_path / "t.npy") == f"{tmp_path / 't.npy'}: cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty; it must have a row of numbers for each sample"),
        ("\n\n\n", "the file is empty; it must have a row of numbers for each sample"),
        ("a,b\n", "a header and no rows; the file must have a row of numbers for each sample"),
        ("x\n1\n2\n", "the file has 1 column; it needs at least 1 column of inputs and 1 of targets"),
        ("1\n2\n", "the file has 1 column; it needs at least 1 column of inputs and 1 of targets"),
        ("a,b\n1,2\n3,red\n", "line 3, column 2: 'red' is not a number"),
        ("1,2\n3,\n", "line 2, column 2: '' is not a number"),
        ('1,2\n3,"4\n5"\n', r"line 3, column 2: '4\n5' is not a number"),
        ("a,b\n\n1,2\n3,nan\n", "line 4, column 2: nan; every value must be finite"),
        ("1,2\n-inf,4\n", "line 2, column 1: -inf; every value must be finite"),
        ("1,2\n3, infinity \n", "line 2, column 2: infinity; every value must be finite"),
        ("1,2,3\n4,5\n", "line 2 has 2 values, but it must have 3"),
        ("a,b\n1,2,3\n", "line 2 has 3 values, but it must have 2"),
        ("1;2\n3;4\n", f"line 2, column 1: '3;4' is not a number; {SEMICOLONS}"),
        ("a;t\n1,5;2,5\n", f"line 2 has 3 values, but it must have 1; {SEMICOLONS}"),  # decimal commas
        (
            "a\tb\n1\t2\n",
            "line 2, column 1: '1\\t2' is not a number; columns must be separated by commas, not tabs: "
            "convert the file with pandas.read_csv(file, sep='\\t').to_csv(new_file, index=False)",
        ),
    ],
)
def test_csv_that_is_no_table_of_numbers(csv, text, reason):
    path = csv(text)
    assert refusal(path) == f"{path}: {reason}"


@pytest.mark.parametrize(
    ("text", "targets", "reason"),
    [
        ("a,b\n1,2\n", "c", "no column 'c'; its columns are a, b"),
        ('"a\nz",b\n1,2\n', "c", "no column 'c'; its columns are a z, b"),
        ("1,2\n3,4\n", "c", "no column 'c'; it has no header line"),
        ("a,b\n1,2\n", ["a", "q"], "no column 'q'; its columns are a, b"),
        ("a,b\n1,2\n", ["a", "b"], "every column is a target; the file needs at least 1 column of inputs"),
    ],
)
def test_csv_targets_that_cannot_be(csv, text, targets, reason):
    path = csv(text)
    assert refusal(path, targets) == f"{path}: {reason}"


@pytest.mark.parametrize(
    "content",
    [bytes(range(256)), b"\xff\xfe1\x00,\x002\x00", pickle.dumps([[1, 2], [3, 4]]), b"\x89PNG\r\n\x1a\n" + bytes(64)],
    ids=["every byte", "UTF-16", "pickle", "PNG"],
)
def test_binary_garbage_as_csv(csv, content):
    path = csv(content)
    assert refusal(path).startswith(f"{path}: not a text file of comma-separated numbers: ")


def test_a_field_longer_than_a_csv_may_have(csv):
    path = csv('"' + "1" * 200_000 + '",2\n')
    assert refusal(path).startswith(f"{path}: not a text file of comma-separated numbers: field larger than field limit")


def test_numbers_too_large_for_the_dtype(csv, x64):
    path = csv("1,2\n1e39,4\n")
    assert refusal(path) == f"{path}: inputs: 1e+39 in row 2, column 1; every value must be finite in float32"
    assert read(path, dtype="float64")[0].tolist() == [[1], [1e39]]


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (np.array([[1, 2], [3, np.nan], [5, 6]]), "inputs: nan in row 2, column 2; every value must be finite in float32"),
        (np.array([[1, 2], [3, 4], [-np.inf, 6]]), "inputs: -inf in row 3, column 1; every value must be finite in float32"),
        (np.array([1e39, 0, 0]), "inputs: 1e+39 in row 1, column 1; every value must be finite in float32"),
        (np.array(["a", "b", "c"]), "inputs must be real numbers, got an array of <U1"),
        (np.array([1j, 2, 3]), "inputs must be real numbers, got an array of complex128"),
        (np.zeros(3, "datetime64[s]"), "inputs must be real numbers, got an array of datetime64[s]"),
        (np.zeros(3, [("a", "f4"), ("b", "f4")]), "inputs must be real numbers, got an array of [('a', '<f4'), ('b', '<f4')]"),
        (np.ones((3, 2, 2)), "inputs must have shape [N] or [N, columns], got [3, 2, 2]"),
        (np.float64(3), "inputs must have shape [N] or [N, columns], got []"),
        (np.ones((0, 2)), "inputs must have shape [N] or [N, columns], got [0, 2]"),
        (np.ones((3, 0)), "inputs must have shape [N] or [N, columns], got [3, 0]"),
        (np.ones((4, 2)), "4 rows of inputs but 3 rows of targets; each input row needs a target row"),
    ],
)
def test_arrays_that_are_no_table_of_finite_numbers(npz, npy, x, reason):
    for path, targets in ((npz(x=x, t=T), None), (npy(x), npy(T, "t.npy"))):
        assert refusal(path, targets) == f"{path}: {reason}"


def test_targets_that_are_not_finite_are_called_targets(npz):
    path = npz(x=X, t=T * np.nan)
    assert refusal(path) == f"{path}: targets: nan in row 1, column 1; every value must be finite in float32"


def test_npz_without_the_arrays(npz):
    path = npz(x=X)
    assert refusal(path) == f"{path}: no array 't or target or targets or y or label or labels' for the targets; it has x"
    path = npz(a=X, t=T)
    assert refusal(path) == f"{path}: no array 'x' for the inputs; it has a, t"
    path = npz(x=X, t=T)
    assert refusal(path, "q") == f"{path}: no array 'q' for the targets; it has x, t"
    path = npz()
    assert refusal(path) == f"{path}: no array 'x' for the inputs; it has no arrays"


def test_one_npy_without_its_targets(npy):
    path = npy(X)
    assert refusal(path) == f"{path}: an .npy file has only one array; also give the .npy file of the targets, got None"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY", b"PK\x03\x04", bytes(range(256))])
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_what_is_no_numpy_file(tmp_path, content, ending):
    path = tmp_path / f"data{ending}"
    path.write_bytes(content)
    assert refusal(path, "t.npy").startswith(f"{path}: not a NumPy file, or a damaged NumPy file: ")


def test_an_archive_called_an_array_and_an_array_called_an_archive(tmp_path, npz, npy):
    archive, array = tmp_path / "archive.npy", tmp_path / "array.npz"
    npz(x=X, t=T).rename(archive)
    npy(X).rename(array)
    assert refusal(archive, archive) == f"{archive}: its content is an .npz archive, not an .npy file; rename it to end in .npz"
    assert refusal(array) == f"{array}: its content is an .npy file, not an .npz archive; rename it to end in .npy"


def test_an_archive_of_what_is_no_array(tmp_path):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", "not an array")
        archive.writestr("t.npy", "nor this")
    assert refusal(path) == f"{path}: 'x' is not an array"


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_pickles_are_refused_and_nothing_in_them_is_run(tmp_path, npz, npy):
    mark = tmp_path / "it ran"
    objects = np.array([Trap(mark)] * 3, dtype=object)
    refused = "has pickled objects, which are never loaded; save plain arrays of numbers"
    for path, targets in ((npz(x=X, t=objects), None), (npy(objects), npy(T, "t.npy"))):
        assert refusal(path, targets) == f"{path}: {refused}"
    bare = tmp_path / "pickle.npy"
    bare.write_bytes(pickle.dumps(Trap(mark)))
    assert refusal(bare, bare) == f"{bare}: not a NumPy file, or a damaged NumPy file: no array of numbers in it"
    assert refusal(bare.rename(tmp_path / "pickle.npz")).endswith(": no array of numbers in it")
    assert not mark.exists()
    # The trap is a real one: NumPy, when asked to, does run it.
    np.load(npy(objects), allow_pickle=True)
    assert mark.exists()


def saved(save, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


WHOLE = {
    "stored": saved(np.savez, x=X, t=T),
    "compressed": saved(np.savez_compressed, x=np.tile(X, (50, 1)), t=np.tile(T, (50, 1))),
    "one array": saved(lambda file, x: np.save(file, x), x=X),
    "table": b"a,b,t\n1,10,0.25\n2,20,0.5\n3,60,0.75\n",
}
ENDING = {"stored": ".npz", "compressed": ".npz", "one array": ".npy", "table": ".csv"}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["stored", "compressed", "one array"])
def test_a_file_cut_short(tmp_path, kind, share):
    path = tmp_path / f"data{ENDING[kind]}"
    path.write_bytes(WHOLE[kind][: int(len(WHOLE[kind]) * share)])
    assert refusal(path, path if kind == "one array" else None).startswith(
        f"{path}: not a NumPy file, or a damaged NumPy file: "
    )


@pytest.mark.parametrize("kind", WHOLE)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_any_bytes_changed_is_read_or_refused_in_one_line(tmp_path, kind, data):
    content = bytearray(WHOLE[kind])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / f"data{ENDING[kind]}"
    path.write_bytes(content)
    try:
        x, t = read(path, path if kind == "one array" else None)
    except jaxsgd.InputError as error:
        message = str(error)
        assert str(path) in message
        assert "\n" not in message
    else:
        assert len(x) == len(t) > 0
        assert np.isfinite(x).all()
        assert np.isfinite(t).all()
