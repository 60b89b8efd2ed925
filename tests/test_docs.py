"""The pages in docs/ against the repository: their code runs and prints what they say, their links and names are there."""

import importlib
import re
import sys
from pathlib import Path

import jax
import pytest

import jaxsgd
from tests.document import Block, blocks, check_command, links, run_page, same

FOLDER = Path(__file__).parents[1] / "docs"
PAGES = sorted(page.relative_to(FOLDER).as_posix() for page in FOLDER.rglob("*.md"))


@pytest.fixture(autouse=True)
def _as_a_reader(tmp_path, monkeypatch, programs):
    """In a folder with docs/ beside it, as in a clone; a module that the page writes is forgotten afterwards."""
    (tmp_path / "docs").symlink_to(FOLDER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("COLUMNS", "110")
    known = set(sys.modules)
    # As users have it, in the threads that a sweep starts too.
    jax.config.update("jax_numpy_rank_promotion", "allow")
    yield
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jaxsgd.keep_programs(programs)  # again, for a page may have chosen a folder of its own
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in (FOLDER / page).read_text()])
def test_the_code_of_the_page_runs_and_prints_what_the_page_says(page, capsys, unchecked):
    if "import optuna" in (FOLDER / page).read_text():
        pytest.importorskip("optuna", reason="optuna is not installed")
    run_page(FOLDER / page, lambda: capsys.readouterr().out)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_is_one_that_jaxsgd_has(page):
    for block in blocks((FOLDER / page).read_text(), "sh"):
        for words in block.commands:
            check_command(words)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_lead_somewhere(page):
    for target in links((FOLDER / page).read_text()):
        assert target.startswith("https://") or (FOLDER / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_the_package_is_there(page):
    for name in re.findall(r"\bjaxsgd\.([A-Za-z_][\w.]*\w)", (FOLDER / page).read_text()):
        assert _has(name), f"jaxsgd.{name}"


def _has(name):
    place = jaxsgd
    for part in name.split("."):
        try:
            place = getattr(place, part, None) or importlib.import_module(f"{place.__name__}.{part}")
        except (ImportError, AttributeError):
            return False
    return True


def test_the_index_has_every_page():
    listed = {name for name in links((FOLDER / "README.md").read_text()) if name.endswith(".md")}
    assert listed == set(PAGES) - {"README.md", "index.md"}


def test_printed_numbers_are_the_same_to_their_last_digits_or_not_the_same():
    assert same("gap 0.01234567\n", "gap 0.0123\n")
    assert same("1,000 runs, 20 %", "1,000 runs, 20 %")
    assert not same("gap 0.0133", "gap 0.0123")
    assert not same("2 stripes", "3 stripes")
    assert not same("2 stripes", "2 lines")
    assert not same("-1.0e-03", "-1.3e-03")


def test_a_block_that_takes_long_is_only_read():
    block = Block("sh", "# takes a minute\njaxsgd run article --set epochs=3 \\\n  --dry-run # or not\nls\n", 1)
    assert block.is_only_read
    assert block.commands == [["run", "article", "--set", "epochs=3", "--dry-run"]]
