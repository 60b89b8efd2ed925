"""Mistakes in the user's own files: one line that says what is wrong, and at most the places in those files, exit status 2."""

import itertools
import sys

import pytest

from jaxsgd.cli.errors import run_app

pytestmark = pytest.mark.usefixtures("unchecked")

STUDY = """
import jaxsgd

FIELDS = {"seeds": [0], "batch_counts": [2], "learning_rates": [0.1], "epochs": 2}
FIELDS |= {"problem": "least_squares", "problem_args": {"num_samples": 10}}
STUDY = jaxsgd.Study(**FIELDS | {changes})
"""

PARTS = """
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsgd


def ints():
    return jaxsgd.Problem(lambda key: {"w": jnp.zeros(3, int)}, lambda p, x: x @ p["w"], np.ones((10, 3), "float32"))


def two_and_three():
    def loss(params, x):
        return (x @ params["w"]) ** 2

    return jaxsgd.Problem(lambda key: {"w": jnp.zeros(2)}, loss, np.ones((10, 3), "float32"))


def a_mean():
    return jaxsgd.Problem(lambda key: jnp.zeros(3), lambda w, x: jnp.mean((x - w[None]) ** 2), np.ones((10, 3), "float32"))


def unequal():
    return jaxsgd.Problem(lambda key: jnp.zeros(3), lambda w, x: x[0] @ w, (np.ones((10, 3)), np.ones(9)))


class Nothing:
    pass


def refuses():
    raise ValueError("these samples are\\nnot mine")


def warmed_up(learning_rate):
    return optax.adamw(optax.warmup_cosine_decay_schedule(0.0, learning_rate, 10, 100))


def sum_of(progress):
    total = 0
    if progress < 0.5:
        total = 1
    return total


def as_numpy(progress):
    return np.exp(-progress)


def limited(learning_rate, limit=1.0):
    if limit > 0.5:
        return optax.sgd(learning_rate)
    return optax.sgd(2 * learning_rate)


def shorter(key, epoch, num_samples):
    return jnp.arange(num_samples - 1)


def early(key, epoch, num_samples):
    if epoch > 3:
        return jnp.arange(num_samples)
    return jnp.arange(num_samples)[::-1]
"""

ONE_LINE = [
    ({"problem": "PARTS:ints"}, "problem_args: parameters of 'problem' must be floating-point arrays, got int32[3] at ['w']"),
    ({"problem": "PARTS:a_mean"}, "the loss of 'problem' must be one number per sample, shape (10,), got (): leave the mean"),
    (
        {"problem": "PARTS:unequal"},
        "data must be arrays that share one leading axis of at least 1 sample, got shapes [(10, 3), (9,)]",
    ),
    ({"problem": "PARTS:int"}, "unknown problem in PARTS 'int': did you mean 'ints'?"),
    ({"problem": "PARTZ:ints"}, "problem 'PARTZ:ints': cannot import 'PARTZ': No module named 'PARTZ'"),
    ({"problem": "my parts:ints"}, "'my parts' is not a module name; write a pointer as 'my_module:name'"),
    (
        {"problem": "digit"},
        "did you mean 'digits'?",
        "(or point at your own, as 'my_module:make', or '__main__:make' in a notebook)",
    ),
    ({"orders": "shuffle"}, "did you mean 'reshuffle'?", "'my_module:my_order'"),
    ({"optimizer": "muon"}, "optimizer 'muon': valid: ", "'optax.contrib:muon', or at your own, as 'my_module:my_optimizer'"),
    ({"schedules": "warmup"}, "valid: constant, cosine, inverse_sqrt(warmup), linear, step(at, factor), warmup_cosine("),
    ({"optimizer": "nesterov", "hyper": {"nesterov": [0, 1]}}, "'nesterov' of optimizer 'nesterov' cannot be an axis: it is"),
    (
        {"optimizer": "adam", "optimizer_args": {"b1": "0.9"}},
        "optimizer_args: b1 must be a number such as 0.9, got the text '0.9'",
    ),
    (
        {"optimizer": "adamw", "optimizer_args": {"weight_decay": [1]}},
        "optimizer 'adamw' with {'weight_decay': [1]} fails with TypeError: unsupported operand type(s) for *: 'list' and",
        " and a traced array",
    ),
    ({"optimizer": "PARTS:refuses"}, "optimizer 'PARTS:refuses' fails with TypeError: refuses() takes 0 positional arguments"),
    ({"schedules": "optax:cosine_decay_schedule"}, "optax's schedules are functions of steps, so write your own function"),
    ({"schedules": "PARTS:shorter"}, "must be a function of progress", "shorter() missing 2 required positional arguments"),
    ({"orders": "PARTS:shorter"}, "order 'shorter' must give 10 sample indices, got shape (9,) of int32"),
    ({"seeds": 5}, "seeds: 5 can mean one seed or the number of seeds: write [5] for the seed 5, or range(5)"),
    (
        {"problem": "PARTS:Nothing"},
        "problem 'PARTS:Nothing' must return a jaxsgd.Problem, got Nothing",
    ),
    ({"orders": "PARTS:Nothing"}, "order 'Nothing' must be a function", "fails with TypeError: Nothing() takes no arguments"),
    ({"optimizer": "PARTS:Nothing"}, "optimizer 'PARTS:Nothing' fails with TypeError: Nothing() takes no arguments"),
    ({"schedules": "PARTS:Nothing"}, "must be a function of progress", "fails with TypeError: Nothing() takes no arguments"),
    ({"observe": "PARTS:Nothing"}, "observable 'Nothing' fails with TypeError: Nothing() takes no arguments"),
    ({"orders": ["fixed", 3]}, "orders.1: must be a name or a pointer in quotes, such as 'my_module:name', got 3"),
]  # fmt: skip

IN_THEIR_CODE = [
    (
        {"problem": "PARTS:two_and_three"},
        "TypeError: dot_general requires contracting dimensions to have the same shape",
        "in loss",
    ),
    ({"problem": "PARTS:refuses"}, "ValueError: these samples are not mine", "in refuses"),
    ({"schedules": "PARTS:sum_of"}, "traced array with shape bool[]: JAX traces this value, so `if`", "in sum_of"),
    (
        {"schedules": "PARTS:as_numpy"},
        "TracerArrayConversionError",
        "so NumPy cannot compute with it; use jax.numpy",
        "in as_numpy",
    ),
    ({"optimizer": "PARTS:limited", "hyper": {"limit": [0.1, 1]}}, "use jax.numpy.where", "in limited"),
    ({"orders": "PARTS:early"}, "use jax.numpy.where", "in early"),
    (
        {"optimizer": "PARTS:warmed_up"},
        "a schedule of optax cannot look at a rate that JAX traces: make it for the rate 1, and multiply by the rate",
        "in warmed_up",
    ),
]  # fmt: skip

MADE = (
    "from jaxsgd import Study as S; make = lambda: S(problem='least_squares', seeds=[0], batch_counts=[2], "
    "learning_rates=[0.1], epochs=1); "
)
"""The beginning of a study file with a function that makes a study."""

FILES = [
    ("import no_such_module_of_theirs", "ModuleNotFoundError: No module named 'no_such_module_of_theirs'", 3),
    ("raise RuntimeError('stop here')", "RuntimeError: stop here", 3),
    ("open('no_such_file.txt')", "FileNotFoundError: [Errno 2] No such file or directory: 'no_such_file.txt'", 3),
    ("{}['key']", "KeyError: 'key'", 3),
    ("x = (", "my study.py: line 1: '(' was never closed", 0),
    ("import sys; sys.exit('over')", "my study.py: ends Python (sys.exit) before STUDY is defined", 0),
    ("STUDY = {'epochs': 3}", "my study.py: must define STUDY = jaxsgd.Study(...), got dict", 0),
    ("", "my study.py: must define STUDY = jaxsgd.Study(...): it has none", 0),
    (f"{MADE}study = make()", "my study.py: must define STUDY = jaxsgd.Study(...): rename study to STUDY", 0),
    (f"{MADE}STUDY = make(); STUDIES = {{'a': STUDY}}", "my study.py: defines both STUDY and STUDIES; write one of them", 0),
    (f"{MADE}STUDIES = {{'a': make(), 'a': make()}}", "my study.py: STUDIES has 'a' more than once; give each study a name", 0),
    (f"{MADE}STUDIES = {{'a': make(), 'A': make()}}", "my study.py: STUDIES has 'a' more than once; give each study a name", 0),
    (f"{MADE}STUDIES = {{'a/b': make()}}", "my study.py: STUDIES must be a dictionary such as", 0),
    ("x = 3".encode("utf-16"), "my study.py: source code string cannot contain null bytes; save the file in UTF-8", 0),
]

count = itertools.count()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a blank in its name, the current one; the modules in it are forgotten afterwards."""
    folder = tmp_path / "my folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    known = set(sys.modules)
    yield folder
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


def run_study(folder, changes, capsys):
    """Runs a study with some fields changed; returns the status, the lines on stderr, and the name of its module of parts."""
    parts = f"parts_{next(count)}"  # a new one each time, for problems are kept by name
    (folder / f"{parts}.py").write_text(PARTS)
    (folder / "my study.py").write_text(STUDY.replace("{changes}", repr(changes)).replace("PARTS", parts))
    if str(changes.get("problem", "")).startswith("PARTS"):
        (folder / "my study.py").write_text((folder / "my study.py").read_text().replace('{"num_samples": 10}', "{}"))
    status = run_app(["run", "my study.py", "--out", "out"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert not (folder / "out").exists()
    return status, captured.err.splitlines(), parts


@pytest.mark.parametrize("case", ONE_LINE, ids=lambda case: str(case[0]))
def test_a_mistake_in_a_study_is_one_line(case, folder, capsys):
    changes, *parts = case
    status, lines, module = run_study(folder, changes, capsys)
    assert status == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("jaxsgd: my study.py: ")
    for part in parts:
        assert part.replace("PARTS", module) in lines[0]


@pytest.mark.parametrize("case", IN_THEIR_CODE, ids=lambda case: str(case[0]))
def test_an_error_in_the_users_code_is_one_line_and_their_own_places(case, folder, capsys):
    changes, *parts, function = case
    status, lines, module = run_study(folder, changes, capsys)
    assert status == 2
    for part in parts:
        assert part in lines[0]
    assert "The error occurred" not in lines[0]
    # The study's own line, which makes the study, the function's, and how to see all.
    assert len(lines) == 6, lines
    assert lines[1].startswith("  my study.py, line 6, in <module>")
    assert lines[2].startswith("    STUDY = jaxsgd.Study(")
    assert lines[3].startswith(f"  {module}.py, line ")
    assert lines[3].endswith(f", {function}")
    assert PARTS.splitlines()[int(lines[3].split()[2].rstrip(",")) - 1].strip() == lines[4].strip()
    assert lines[5] == "  (all of the traceback: jaxsgd --traceback run 'my study.py' --out out)"


@pytest.mark.parametrize(("text", "line", "places"), FILES)
def test_a_study_file_that_cannot_be_run(text, line, places, folder, capsys):
    (folder / "my study.py").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert run_app(["run", "my study.py"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"jaxsgd: {line}")
    assert lines[1:3] == (["  my study.py, line 1, in <module>", f"    {text}"] if places else [])
    assert len(lines) == 1 + places


PLACES = {
    "missing.py": "missing.py: no such study file",
    "notes": "notes: this is a folder; name a study file, such as notes/my_study.py",
    "notes.py": "notes.py: this is a folder; name a study file, such as notes.py/my_study.py",
    "result": "result: this is a result: go on with it by jaxsgd run result/study.json --out result",
    "notes.txt": "notes.txt: a study file ends in .py or .json",
    "empty.json": "empty.json: is empty; it must have the fields of a study, as the study.json of a result",
    "list.json": "list.json: must be a JSON object with a study's fields, got list",
    "mark.json": "mark.json: unknown field 'epoch': did you mean 'epochs'?",
    "my study": "unknown study (give a path to a .py or .json file, or a name from `jaxsgd studies`) 'my study': ",
    "": "unknown study (give a path to a .py or .json file, or a name from `jaxsgd studies`) '': ",
}


def test_what_is_no_study_file_is_one_line(folder, capsys):
    for name in ("notes", "notes.py", "result"):
        (folder / name).mkdir()
    for name, content in {
        "result/study.json": b"{}",
        "notes.txt": b"x",
        "empty.json": b"",
        "list.json": b"[1]",
        "mark.json": b'\xef\xbb\xbf{"epoch": 3}',
    }.items():
        (folder / name).write_bytes(content)
    for name, message in PLACES.items():
        assert run_app(["run", name, "--dry-run"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("jaxsgd: ")
        assert message in line


def test_a_folder_with_the_name_of_a_shipped_study_does_not_hide_it(folder, capsys):
    (folder / "orders").mkdir()
    assert run_app(["run", "orders", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("study     orders\n")


def test_names_of_studies_may_have_letters_of_any_language(folder, capsys):
    (folder / "my study.py").write_text(f"{MADE}STUDIES = {{'gr\xf6\xdfe': make(), '\u5927\u304d\u3055': make()}}", "utf-8")
    assert run_app(["run", "my study.py", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "study     gr\xf6\xdfe\n" in shown
    assert "study     \u5927\u304d\u3055\n" in shown


def test_a_study_above_the_problem_that_it_points_at_is_one_line(folder, capsys):
    (folder / "early.py").write_text(
        "from jaxsgd import Study\n"
        "STUDY = Study(problem='early:make', batch_counts=[1], learning_rates=[0.1], epochs=1)\n"
        "def make(): ...\n"
    )
    assert run_app(["run", "early.py", "--dry-run"]) == 2
    message = "jaxsgd: early.py: problem: early points at its own make before it defines it: write the study below\n"
    assert capsys.readouterr().err == message


def test_a_mistake_in_the_study_of_a_file_that_has_its_problem_too_is_said_once(folder, capsys):
    (folder / "both.py").write_text(
        "from jaxsgd import Study\n"
        "def make(): ...\n"
        "STUDY = Study(problem='both:make', batch_counts=[1], learning_rates=[-0.1], epochs=0)\n"
    )
    assert run_app(["run", "both.py", "--dry-run"]) == 2
    message = capsys.readouterr().err
    assert message.count("learning_rates: must be finite and above 0, got -0.1") == 1
    assert message.count("epochs: ") == 1
    assert "problem: " not in message


def test_the_file_of_a_syntax_error_is_the_one_that_has_it(folder, capsys):
    (folder / "my study.py").write_text("import broken_part_of_theirs")
    (folder / "broken_part_of_theirs.py").write_text("\nx = ((")
    assert run_app(["run", "my study.py"]) == 2
    assert capsys.readouterr().err == f"jaxsgd: {folder / 'broken_part_of_theirs.py'}: line 2: '(' was never closed\n"


def test_of_a_deep_recursion_the_last_places_are_shown(folder, capsys):
    (folder / "my study.py").write_text("def f(n):\n    return f(n + 1)\nf(0)")
    assert run_app(["run", "my study.py"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "jaxsgd: RecursionError: maximum recursion depth exceeded"
    assert lines[1:3] == ["  my study.py, line 3, in <module>", "    f(0)"]
    assert lines[3].endswith(" more")
    assert len(lines) < 22


def test_traceback_shows_all_and_then_the_same(folder, capsys):
    (folder / "my study.py").write_text("import no_such_module_of_theirs")
    assert run_app(["--traceback", "run", "my study.py"]) == 2
    output = capsys.readouterr().err
    assert output.startswith("Traceback (most recent call last):\n")
    assert "study_file.py" in output
    assert "\njaxsgd: ModuleNotFoundError: No module named 'no_such_module_of_theirs'\n" in output


# The result's folder and the chunks' width


def test_a_folder_of_other_files_is_no_place_for_a_result(folder, capsys):
    (folder / "notes").mkdir()
    for name in ("a.txt", "b.txt", "c.txt", "d.txt"):
        (folder / "notes" / name).touch()
    assert run_app(["run", "orders", "--out", "notes"]) == 2
    assert capsys.readouterr().err == (
        "jaxsgd: --out notes: this folder is not a result and has other files in it (a.txt, b.txt, c.txt and 1 more); "
        "name a new folder, such as notes/result\n"
    )
    assert sorted(path.name for path in (folder / "notes").iterdir()) == ["a.txt", "b.txt", "c.txt", "d.txt"]


def test_a_width_past_the_number_of_cells_is_said_and_its_result_may_have_figures(folder, capsys):
    (folder / "my study.py").write_text(STUDY.replace("{changes}", "{'seeds': range(3)}"))
    for _ in range(2):  # the second time, the folder has other files beside its result's
        assert run_app(["run", "my study.py", "--out", "out", "--chunk-width", "1000"]) == 0
        assert capsys.readouterr().err == (
            "jaxsgd: note: --chunk-width 1,000 is more than the 3 cells of the study, and each chunk computes 1,000; "
            "--chunk-width 3 is enough\n"
        )
        (folder / "out" / "figures").mkdir(exist_ok=True)
    assert run_app(["run", "my study.py", "--out", "out"]) == 0
    assert capsys.readouterr().err == ""


# Files of samples

SAMPLES = [
    ("my samples.csv", "a;b;t\n1,5;2,5;3\n", "commas, not semicolons: convert the file with pandas.read_csv("),
    ("my samples.csv", "a\tt\n1\t2\n", "commas, not tabs: convert the file with pandas.read_csv(file, sep='\\t')"),
    ("my samples.csv", "a,t\n1,2\n".encode("utf-16"), "it is in UTF-16; save it in UTF-8 (Excel: 'CSV UTF-8')"),
    ("my samples.csv", "gr\xf6\xdfe,t\n1,2\n".encode("latin-1"), "byte 0xf6 is not UTF-8; save it in UTF-8"),
    ("my samples.csv", "a,t\n1,red\n", "line 2, column 2: 'red' is not a number"),
    ("my samples.txt", "a,t\n1,2\n", "cannot read '.txt'; valid: .npz, .npy, .csv"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), SAMPLES)
def test_a_file_of_samples_that_cannot_be_read(name, content, message, folder, capsys):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run_app(["train", name]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"jaxsgd: {name}: ")
    assert message in lines[0]


@pytest.mark.filterwarnings("default::jaxsgd.error.InputWarning")
def test_what_was_read_is_said_and_an_index_is_left_out_in_one_line(folder, capsys):
    (folder / "my samples.csv").write_text(
        "Unnamed: 0,a,b,label\n" + "".join(f"{n},{n % 3},{n % 5},{n % 2}\n" for n in range(8))
    )
    assert run_app(["train", "my samples.csv", "--epochs", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("my samples.csv: 8 samples; inputs: a, b; target: label\n")
    assert captured.err == (
        "jaxsgd: note: my samples.csv: the first column (Unnamed: 0) is left out: it only numbers the rows, like a pandas "
        "index; to train on it, give it another name\n"
    )
