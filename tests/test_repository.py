"""The files around the package: the workflows are well formed, the version stands in one place, and every extra is in `all`."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import jaxsgd

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize(
    ("schema", "pattern"), [("github-workflows", "workflows/*.yml"), ("github-issue-forms", "ISSUE_TEMPLATE/*.yml")]
)
def test_the_files_for_github_are_well_formed(schema, pattern):
    files = sorted((ROOT / ".github").glob(pattern))
    assert files
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_version_is_the_same_everywhere():
    assert jaxsgd.__version__ == PROJECT["version"]
    assert re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1] == PROJECT["version"]


def test_python_runs_the_package_as_the_command():
    done = subprocess.run([sys.executable, "-m", "jaxsgd", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"jaxsgd {PROJECT['version']}\n"


def test_the_shell_completes_commands():
    settings = {"_JAXSGD_COMPLETE": "complete_bash", "COMP_WORDS": "jaxsgd re", "COMP_CWORD": "1"}
    command = str(Path(sys.executable).with_name("jaxsgd"))
    done = subprocess.run([command], env={**os.environ, **settings}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["report"]


def test_the_extra_all_has_every_extra_that_a_user_may_want():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    # CUDA needs a machine with an NVIDIA GPU, the trackers are large, and the last two are for those who change code or pages.
    assert everything == f"jaxsgd[{','.join(sorted(set(extras) - {'all', 'cuda', 'docs', 'mlflow', 'wandb', 'test'}))}]"
