"""Imports go one way, the core needs no more than JAX, and the package opens without it.

The imports are read off the source, inside functions too, and not off what happens to be loaded.
"""

import ast
import functools
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import jaxsgd

PACKAGE = Path(jaxsgd.__file__).parent

STAGES = [
    {"_facade", "summary", "nearest", "error", "number", "markup", "family"},
    {"compiling"},
    {"evaluation", "problem", "feedback", "order", "schedule", "optimizer"},
    {"problems"},
    {"run_card", "simulator", "context", "train", "microstep"},
    {"measure"},
    {"simulation"},
    {"machine", "memory"},
    {"study"},
    {"results"},
    {"engine"},
    {"analysis"},
    {"plot"},
    {"report"},
    {"article", "diagnosis"},
    {"cli"},
    {"__main__"},
]
"""Parts of the package, first to last; a module imports from its own stage or an earlier one."""

CORE = {
    "summary",
    "error",
    "number",
    "markup",
    "run_card",
    "family",
    "compiling",
    "evaluation",
    "problem",
    "feedback",
    "order",
    "schedule",
    "optimizer",
    "problems",
    "simulator",
    "context",
    "train",
    "microstep",
    "measure",
    "simulation",
}

RUNNING = {"simulation", "simulator", "train", "microstep", "engine"} | {
    f"engine.{name}" for name in ("execution", "program", "task", "dispatch", "cluster", "sweep", "verify")
}
"""Modules that run something."""


def dotted(path):
    """A source file's module name within the package: `problems.handwriting`, and `problems` for its `__init__`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py")) if dotted(path)}
"""Every module but the package's own `__init__`, which is read from the stub."""


@functools.cache
def public_names():
    """Each public name and the module of the package that it comes from."""
    names = {}
    for node in ast.parse((PACKAGE / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.AnnAssign):  # `__version__`
            continue
        assert isinstance(node, ast.ImportFrom)
        assert node.level == 1
        names |= {alias.name: node.module or alias.name for alias in node.names}
    return names


def imports(source, folder=()):
    """The modules that a source imports, lying in a folder of the package: `numpy`, or `jaxsgd.order`, also where a public
    name stands for it."""
    public, modules = public_names(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names if alias.name != "jaxsgd"}
        elif isinstance(node, ast.ImportFrom):
            inside = ["jaxsgd", *folder]
            base = ".".join(inside[: len(inside) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            if module == "jaxsgd":
                modules |= {f"jaxsgd.{public.get(alias.name, alias.name)}" for alias in node.names}
            else:
                modules.add(module)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "jaxsgd" and not node.attr.startswith("__"):
            modules.add(f"jaxsgd.{public.get(node.attr, node.attr)}")
    return modules


def stage(module):
    part = module.split(".")[0]
    places = [place for place, parts in enumerate(STAGES) if part in parts]
    assert places, f"{module} has no stage"
    return places[0]


@functools.cache
def imports_of(module):
    path = MODULES[module]
    return imports(path.read_text(), path.relative_to(PACKAGE).parent.parts)


def inner(module):
    """The modules of the package that a module imports."""
    return {name.removeprefix("jaxsgd.") for name in imports_of(module) if name.split(".")[0] == "jaxsgd"}


def outer(module):
    """The packages that a module imports, other than this one and the standard library's."""
    return {name.split(".")[0] for name in imports_of(module)} - {"jaxsgd"} - sys.stdlib_module_names


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import numpy.linalg as la", {"numpy.linalg"}),
        ("from jaxsgd import simulate, measure", {"jaxsgd.simulation", "jaxsgd.measure"}),
        ("import jaxsgd\njaxsgd.split(10)\njaxsgd.__file__", {"jaxsgd.order"}),
        ("def f():\n    if True:\n        from jaxsgd.results.store import read_json", {"jaxsgd.results.store"}),
        ("from .style import INK\nfrom ..order import split", {"jaxsgd.plot.style", "jaxsgd.order"}),
    ],
)
def test_every_way_to_import_is_seen(source, modules):
    assert imports(source, folder=("plot",)) == modules


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_its_own_stage_or_an_earlier_one(module):
    later = {other for other in inner(module) if stage(other) > stage(module)}
    assert not later


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[0] in CORE])
def test_the_core_needs_jax_optax_and_numpy_only(module):
    extra = {"problems.handwriting": {"sklearn"}, "problems.mnist1d": {"scipy"}}.get(module, set())
    assert outer(module) <= {"jax", "jaxtyping", "numpy", "optax"} | extra


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[0] == "plot"])
def test_plots_run_nothing(module):
    assert set(MODULES) >= RUNNING
    assert not inner(module) & RUNNING


def test_no_module_imports_itself_by_way_of_others():
    # A circle raises `graphlib.CycleError`, which names its modules.
    assert list(graphlib.TopologicalSorter({module: inner(module) - {module} for module in MODULES}).static_order())


PACKAGES = ("analysis", "article", "diagnosis", "measure", "plot")


@pytest.fixture(scope="module")
def loaded_names():
    """The public names at the top that a new process can load; and by package the number of its public names and those that are
    modules, when all modules of these packages are loaded.
    """
    code = (
        "import importlib, json, pkgutil, types\n"
        "import jaxsgd\n"
        "top = [name for name in jaxsgd.__all__ if getattr(jaxsgd, name) is not None]\n"
        f"packages = [importlib.import_module(f'jaxsgd.{{name}}') for name in {PACKAGES}]\n"
        "for package in packages:\n"
        "    for module in pkgutil.iter_modules(package.__path__):\n"
        "        importlib.import_module(f'{package.__name__}.{module.name}')\n"
        "def modules(package):\n"
        "    return [name for name in package.__all__ if isinstance(getattr(package, name), types.ModuleType)]\n"
        "names = {p.__name__.rpartition('.')[2]: (len(p.__all__), modules(p)) for p in packages}\n"
        "print(json.dumps([top, names]))"
    )
    return json.loads(" ".join(python(code)))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_name_is_no_module_though_a_module_bears_it(package, loaded_names):
    count, modules = loaded_names[1][package]
    assert modules == []
    assert count > 5


def python(code):
    """Return the words that a new Python process prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_the_top_of_the_package_has_few_names_and_the_others_are_in_its_packages():
    assert 25 <= len(jaxsgd.__all__) <= 38
    assert {"measure", "analysis", "plot", "problems"} <= set(jaxsgd.__all__)
    # A name of `measure` or `analysis` that is also at the top is the same thing.
    for package in (jaxsgd.measure, jaxsgd.analysis):
        for name in set(package.__all__) & set(jaxsgd.__all__):
            assert getattr(package, name) is getattr(jaxsgd, name)


def test_every_public_name_is_there(loaded_names):
    assert set(jaxsgd.__all__) == set(public_names())
    assert loaded_names[0] == jaxsgd.__all__


@pytest.mark.parametrize(
    ("package", "name", "message"),
    [
        (jaxsgd, "simulat", "jaxsgd has no 'simulat': did you mean 'simulate'?"),
        (jaxsgd.plot, "grids", "jaxsgd.plot has no 'grids': did you mean 'grid'?"),
        (jaxsgd.problems, "leastsquares", "jaxsgd.problems has no 'leastsquares': did you mean 'least_squares'?"),
        (jaxsgd.measure, "zzz", "jaxsgd.measure has no 'zzz'"),
    ],
)
def test_a_misspelt_attribute_is_answered_with_the_nearest(package, name, message):
    with pytest.raises(AttributeError) as error:
        getattr(package, name)
    assert str(error.value) == message


@pytest.mark.parametrize("statement", ["import jaxsgd; dir(jaxsgd); jaxsgd.__all__", "import jaxsgd.cli"])
def test_the_package_and_its_commands_open_without_jax(statement):
    loaded = python(f"import sys; {statement}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))")
    assert "jaxsgd" in loaded
    assert not set(loaded) & {"jax", "jaxlib", "optax", "matplotlib", "scipy", "xarray", "sklearn"}


@pytest.mark.parametrize(
    ("words", "never"),
    [
        (["studies"], {"jax", "numpy", "scipy", "jaxsgd.study.study"}),
        (["info"], {"optax", "scipy", "xarray", "pandas", "matplotlib", "jaxsgd.study.study"}),
    ],
)
def test_a_small_command_loads_what_it_needs_only(words, never):
    code = (
        "import contextlib, io, sys\n"
        "from jaxsgd.cli.errors import run_app\n"
        "with contextlib.redirect_stdout(io.StringIO()) as output:\n"
        f"    assert run_app({words!r}) == 0\n"
        "assert output.getvalue()\n"
        "print(*sys.modules)"
    )
    loaded = set(python(code))
    assert ("jax" in loaded) == ("jax" not in never)
    assert not loaded & never
