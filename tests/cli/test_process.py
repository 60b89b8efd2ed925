"""Behaviour that only a process shows: help without JAX, Ctrl-C, a closed pipe, an unwritable cache."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import COMMAND
from tests.dask_processes import wait_until
from tests.python_process import text_of


def test_help_opens_without_jax(environment):
    """Of each command, in one process: what one loads would be seen after it and after all others."""
    program = (
        "import json, sys\n"
        "from jaxsgd.cli.errors import run_app\n"
        "for words in (['--help'], ['train', '--help'], ['plot', 'curves', '--help'], ['--version']):\n"
        "    status = run_app(words)\n"
        "    print('END', json.dumps([words, status, sorted({'jax', 'matplotlib'} & set(sys.modules))]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    *texts, last = re.split(r"^END (.*)\n", done.stdout, flags=re.MULTILINE)
    assert last == ""
    assert [json.loads(end) for end in texts[1::2]] == [
        [words, 0, []] for words in (["--help"], ["train", "--help"], ["plot", "curves", "--help"], ["--version"])
    ]
    assert all(text.strip() for text in texts[::2])


def test_a_process_of_the_tests_is_waited_for_unless_it_does_nothing():
    with subprocess.Popen(["echo", "done"], stdout=subprocess.PIPE, text=True) as short:
        assert text_of(short) == ("done\n", None)
    with subprocess.Popen(["sleep", "600"], stdout=subprocess.PIPE, text=True) as idle:
        with pytest.raises(subprocess.TimeoutExpired):
            text_of(idle, still=0.2)
        assert idle.wait() == -signal.SIGKILL


def test_no_words_show_the_help_and_status_2(jaxsgd_process, tmp_path):
    done = jaxsgd_process(cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == ""
    assert "article" in done.stdout


@pytest.mark.parametrize("seconds", [0, 0.3, 0.7])
def test_ctrl_c_while_packages_are_imported_is_130_and_one_line(seconds, environment, tmp_path):
    # Says so at the first import that `main` asks for: before it, Ctrl-C is still Python's own.
    program = (
        "import sys\n"
        "from jaxsgd.cli import main\n"
        "class FirstImport:\n"
        "    def find_spec(self, *args):\n"
        "        sys.meta_path.remove(self)\n"
        "        print('begun', flush=True)\n"
        "sys.meta_path.insert(0, FirstImport())\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "run", "orders", "--dry-run"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = text_of(process)
    assert (process.returncode, out, err) == (130, "", "jaxsgd: interrupted\n")


def test_ctrl_c_during_the_training_is_130_and_leaves_no_file_but_results(environment, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "article", "--out", "gone"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline() == "jaxsgd: training experiment 1\n"
    process.send_signal(signal.SIGINT)
    _, err = text_of(process)
    assert (process.returncode, err) == (130, "jaxsgd: interrupted\n")
    assert not list(tmp_path.glob("gone/*.*"))


def test_sigterm_ends_at_once_with_one_line(environment, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "run", "orders", "--out", "result"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    begun = tmp_path / "result" / "manifest.json"
    wait_until(lambda: begun.exists() or process.poll() is not None, "the result folder")
    process.terminate()
    out, err = text_of(process)
    line = "jaxsgd: ended by SIGTERM; a result keeps its complete chunks, and the same command finishes it\n"
    assert (process.returncode, out) == (143, "")
    assert err.endswith(line)


def test_a_reader_that_leaves_does_not_keep_the_command_from_writing_its_files(samples, environment, tmp_path):
    # A log of 2,000 lines is more than a pipe holds, so the command still writes it when the reader leaves.
    process = subprocess.Popen(
        [*COMMAND, "train", str(samples), "--epochs", "200", "--eval-interval", "1", "--out", "out"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        err = process.stderr.read()
    assert process.wait() == 0
    assert err == ""
    assert len((tmp_path / "out" / "training_log.txt").read_text().splitlines()) == 2000
    assert set(json.loads((tmp_path / "out" / "report.json").read_text())["files"]) == {
        file.name for file in (tmp_path / "out").iterdir()
    }


@pytest.fixture
def small_run(tmp_path):
    """The words of a command that trains: two runs of two epochs."""
    fields = {"problem": "least_squares", "seeds": [0, 1], "batch_counts": [4], "learning_rates": [0.1], "epochs": 2}
    (tmp_path / "small.json").write_text(json.dumps(fields))
    return ("run", "small.json", "--out", "result")


@pytest.mark.parametrize(
    "words", [pytest.param(["--no-cache"], id="switched off", marks=pytest.mark.slow), pytest.param([], id="unwritable")]
)
def test_without_a_cache_the_command_works_all_the_same(words, small_run, jaxsgd_process, tmp_path):
    # Below a file no folder can be made, not even by root.
    (tmp_path / "file").touch()
    changes = {"XDG_CACHE_HOME": str(tmp_path / "kept" if words else tmp_path / "file"), "JAX_COMPILATION_CACHE_DIR": ""}
    done = jaxsgd_process(*words, *small_run, cwd=tmp_path, **changes)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ran 2 cells; the result is in result\n"
    assert not (tmp_path / "kept" / "jaxsgd").exists()


def test_jaxs_own_cache_folder_is_respected(small_run, jaxsgd_process, tmp_path):
    changes = {"XDG_CACHE_HOME": str(tmp_path / "unused"), "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax")}
    done = jaxsgd_process(*small_run, cwd=tmp_path, **changes)
    assert (done.returncode, done.stderr) == (0, "")
    assert any((tmp_path / "jax").iterdir())
    assert not (tmp_path / "unused" / "jaxsgd").exists()


def test_the_text_has_no_colour_codes_without_a_terminal(article_run):
    assert "\x1b" not in (article_run / "text.stdout").read_text()
