"""Tests the package with the oldest and the newest versions of its libraries: `python -m tools.versions`.

It builds the source archive and from it the wheel, installs the wheel in fresh environments, and runs the commands of `CHECKS`
in a folder outside the repository. The first environment has the lower bound of every library on the oldest Python; each of the
others has the newest versions on one Python of this machine. It prints a table with the versions and the outcomes; the exit
status is 1 if a check failed.
"""

import argparse
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]

NEWEST_PYTHON = 14
"""The newest minor version of Python 3 that is looked for."""

LOG = "\n".join(
    f"epoch {epoch} step {step} loss {2.0 * 0.9**epoch + 0.3 * (step % 4):.4f}" for epoch in range(30) for step in range(4)
)
"""A training log whose four batches have the same order in each epoch."""

IMPORTS = """
import importlib, pkgutil
import jaxsgd
for module in pkgutil.walk_packages(jaxsgd.__path__, "jaxsgd."):
    if not module.name.startswith("jaxsgd._sweeps") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""

CHECKS: dict[str, list[str]] = {
    "imports": ["-c", IMPORTS],
    "help": ["-m", "jaxsgd", "--help"],
    "article": ["-m", "jaxsgd", "article", "--quick", "--out", "article"],
    "sweep": ["-m", "jaxsgd", "run", "orders", "--set", "seeds=0:2", "--set", "epochs=4", "--out", "swept"],
    "compare": ["-m", "jaxsgd", "compare", "swept", "--axis", "order"],
    "plot": ["-m", "jaxsgd", "plot", "all", "swept"],
    "verify": ["-m", "jaxsgd", "verify", "swept", "--sample", "2"],
    "diagnose": ["-m", "jaxsgd", "diagnose", "train.log"],
}
"""The words after `python` of each check, by its name."""


class Environment(NamedTuple):
    """A Python and the versions of the libraries that are wanted with it.

    Attributes:
      name: "oldest" or "newest".
      python: the minor version of Python 3.
      pins: requirements besides the wheel.
    """

    name: str
    python: int
    pins: list[str]


class Outcome(NamedTuple):
    """The result of an environment.

    Attributes:
      environment: that was tested.
      versions: of each library that was installed.
      checks: "passes" or the reason of the failure, by the name of the check.
      problem: the reason if the environment could not be tested, else empty.
    """

    environment: Environment
    versions: dict[str, str]
    checks: dict[str, str]
    problem: str


def requirements(metadata: str) -> tuple[list[Requirement], SpecifierSet]:
    """Return the libraries that a package always needs, and its range of Python versions.

    Args:
      metadata: the text of the file METADATA of a wheel.
    """
    headers = Parser().parsestr(metadata)
    needed = [Requirement(text) for text in headers.get_all("Requires-Dist", [])]
    return [own for own in needed if "extra" not in str(own.marker)], SpecifierSet(headers.get("Requires-Python", ""))


def lower_bound(requirement: Requirement) -> str:
    """Return a requirement of the oldest allowed version: "numpy==2.0" for "numpy>=2.0".

    Raises:
      ValueError: if the requirement has no lower bound.
    """
    for own in requirement.specifier:
        if own.operator in (">=", "~=", "=="):
            return f"{requirement.name}=={own.version}"
    raise ValueError(f"{requirement} has no lower bound: write one such as {requirement.name}>=1.0")


def environments(metadata: str, pythons: Iterable[int]) -> list[Environment]:
    """Return the environments to test: the oldest versions on the oldest allowed Python, and the newest on every allowed one.

    Args:
      metadata: the text of the file METADATA of the wheel.
      pythons: minor versions of Python 3 to choose from.
    """
    needed, allowed = requirements(metadata)
    fitting = sorted(minor for minor in pythons if f"3.{minor}" in allowed)
    newest = [Environment("newest", minor, []) for minor in fitting]
    return [Environment("oldest", fitting[0], [lower_bound(own) for own in needed]), *newest] if fitting else []


def table(outcomes: Sequence[Outcome], libraries: Sequence[str]) -> str:
    """Return the outcomes as a table in Markdown, a column for each environment, and a line for each that was not tested.

    Args:
      outcomes: of the environments.
      libraries: the libraries whose versions are listed.
    """
    tested = [own for own in outcomes if not own.problem]
    rows = [
        ["", *(f"{own.environment.name} on 3.{own.environment.python}" for own in tested)],
        ["---"] * (len(tested) + 1),
        *([name, *(own.versions.get(name, "-") for own in tested)] for name in libraries),
        *([f"**{name}**", *(own.checks.get(name, "not run") for own in tested)] for name in CHECKS),
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows] if tested else []
    lines += [
        f"\nNot tested: {own.environment.name} on Python 3.{own.environment.python}, because {own.problem}."
        for own in outcomes
        if own.problem
    ]
    return "\n".join(lines)


@functools.cache
def interpreter(minor: int) -> str | None:
    """Return the path of a Python 3 of this minor version: of PATH or of pyenv; None if there is none that starts."""
    name = f"python3.{minor}"
    installed = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/3.{minor}.*/bin/{name}"))
    for candidate in (sys.executable, shutil.which(name), *map(str, installed)):
        if candidate is None:
            continue
        words = [candidate, "-c", "import sys, venv, ensurepip; print(sys.version_info.minor)"]
        if (done := _call(words)).returncode == 0 and done.stdout.strip() == str(minor):
            return candidate
    return None


def _call(words: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program without the settings that would let it see this repository."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    kept |= {"JAX_PLATFORMS": "cpu", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "MPLBACKEND": "agg"}
    return subprocess.run(words, cwd=folder, env=kept, capture_output=True, text=True, check=False)


def build(folder: Path) -> Path:
    """Return the wheel, built from the unpacked source archive in a folder, as a package registry's user would build it.

    Raises:
      RuntimeError: if it cannot be built.
    """
    for source, target in ((ROOT, "sdist"), (None, "wheel")):
        if source is None:
            (archive,) = folder.glob("*.tar.gz")
            with tarfile.open(archive) as packed:
                packed.extractall(folder / "source", filter="data")
            (source,) = (folder / "source").iterdir()
        done = _call([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)], source)
        if done.returncode:
            raise RuntimeError(f"the {target} cannot be built: {reason(done.stderr)}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def metadata_of(wheel: Path) -> str:
    """Return the text of the file METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        return packed.read(name).decode()


def reason(text: str) -> str:
    """Return the line of a failed program's output that says most: pip's first conflict, or the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    conflict = [line for line in lines if re.search(r" depends on |The user requested |No matching distribution", line)]
    return "; ".join(dict.fromkeys(conflict)) or (lines[-1] if lines else "it ended without a message")


def run(environment: Environment, wheel: Path, folder: Path, libraries: Sequence[str]) -> Outcome:
    """Return the outcome of an environment.

    Args:
      environment: to make and to test.
      wheel: that is installed.
      folder: an empty folder for the environment and its files.
      libraries: whose versions are wanted.
    """
    begun = Outcome(environment, {}, {}, "")
    python = interpreter(environment.python)
    if python is None:
        return begun._replace(problem=f"this machine has no Python 3.{environment.python}")
    own = folder / "environment/bin/python"
    for words in (
        [python, "-m", "venv", str(folder / "environment")],
        [str(own), "-m", "pip", "install", "--progress-bar", "off", str(wheel), *environment.pins],
    ):
        if (done := _call(words)).returncode:
            return begun._replace(problem=f"it cannot be installed: {reason(done.stdout + done.stderr)}")
    listed = json.loads(_call([str(own), "-m", "pip", "list", "--format", "json"]).stdout)
    versions = {package["name"].lower(): package["version"] for package in listed}
    away = folder / "away"
    away.mkdir()
    (away / "train.log").write_text(LOG)
    checks = {}
    for name, words in CHECKS.items():
        done = _call([str(own), *words], away)
        checks[name] = "passes" if done.returncode == 0 else f"fails: {reason(done.stderr)}"
        print(f"{environment.name} on 3.{environment.python}, {name}: {checks[name]}", file=sys.stderr, flush=True)  # noqa: T201
    return begun._replace(versions={name: versions.get(name, "-") for name in libraries}, checks=checks)


def failed(outcomes: Iterable[Outcome], pythons: Mapping[int, str | None]) -> bool:
    """Return True if a check failed, or an environment whose Python this machine has could not be installed."""
    return any((own.problem and pythons[own.environment.python]) or set(own.checks.values()) - {"passes"} for own in outcomes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Test the environments, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.versions", description=__doc__)
    parser.add_argument("--only", choices=("oldest", "newest"), help="test these versions only")
    parser.add_argument("--python", type=int, action="append", help="test this minor version of Python 3; may be given again")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="jaxsgd-versions-") as name:
        folder = Path(name)
        wheel = build(folder)
        metadata = metadata_of(wheel)
        wanted = environments(metadata, options.python or range(NEWEST_PYTHON + 1))
        wanted = [own for own in wanted if options.only in (None, own.name)]
        libraries = sorted(own.name for own in requirements(metadata)[0])
        outcomes = []
        for number, own in enumerate(wanted):
            (place := folder / str(number)).mkdir()
            outcomes.append(run(own, wheel, place, libraries))
            shutil.rmtree(place)
    print(table(outcomes, libraries))  # noqa: T201
    return int(failed(outcomes, {own.python: interpreter(own.python) for own in wanted}))


if __name__ == "__main__":
    sys.exit(main())
