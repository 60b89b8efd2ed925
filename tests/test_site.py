"""The documentation site: built without a warning, with no broken link, and with every public name and an example of it."""

import ast
import html
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
import typer

import jaxsgd
from jaxsgd import diagnosis
from jaxsgd.cli.commands import app
from jaxsgd.cli.errors import run_app
from jaxsgd.measure import METRICS
from jaxsgd.optimizer import OPTIMIZERS
from jaxsgd.order import ORDER_FAMILIES, ORDERS
from jaxsgd.problems import PROBLEMS
from jaxsgd.schedule import SCHEDULE_FAMILIES, SCHEDULES
from jaxsgd.study.batch_rules import BATCH_RULES, RULE_FAMILIES, TIMESCALE
from tests.document import blocks

DOCS = Path(__file__).parents[1] / "docs"
REFERENCE = {
    "": "top_level.md",
    "analysis": "analysis.md",
    "measure": "measure.md",
    "plot": "plot.md",
    "problems": "problems.md",
    "diagnosis": "diagnosis.md",
}
"""The page of each public package, "" for the top."""

NAMED = {
    "Orders": {*ORDERS, *(family.form(name) for name, family in ORDER_FAMILIES.items())},
    "Optimizers": {*OPTIMIZERS},
    "Schedules": {*SCHEDULES, *(family.form(name) for name, family in SCHEDULE_FAMILIES.items())},
    "Batch rules": {*BATCH_RULES, TIMESCALE, *(family.form(name) for name, family in RULE_FAMILIES.items())},
    "Observables": {name for name, metric in METRICS.items() if metric.measure},
    "Problems": {*PROBLEMS},
}
"""The names that a study takes, by the section of `reference/names.md` that lists them."""

MOST_WORDS = 2_200
"""Of a page: ten minutes of reading, at 220 words a minute."""

LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""The attribute by which an element loads a file."""


class Page(HTMLParser):
    """The links, those of them in the table of contents, the loaded files and the anchors of a page of HTML."""

    def __init__(self, text):
        super().__init__()
        self.links, self.contents, self.loaded, self.anchors = [], [], [], set()
        self.in_contents = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values["id"]} if values.get("id") else set()
        if tag == "nav":
            self.in_contents = "bd-links" in (values.get("class") or "")
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
            if self.in_contents:
                self.contents.append(values["href"])
        if LOADED.get(tag) in values:
            self.loaded.append(values[LOADED[tag]])

    def handle_endtag(self, tag):
        if tag == "nav":
            self.in_contents = False


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site: a build takes about 10 seconds of CPU time."""
    folder = tmp_path_factory.mktemp("site")
    words = ["-W", "--keep-going", "-q", "-d", str(folder / "doctrees"), str(DOCS), str(folder / "html")]
    done = subprocess.run([sys.executable, "-m", "sphinx", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path.read_text()) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_every_page_is_in_the_table_of_contents_of_the_front_page(site, pages):
    sources = {path.relative_to(DOCS).with_suffix(".html") for kind in ("*.md", "*.ipynb") for path in DOCS.rglob(kind)}
    listed = {Path(urlsplit(link).path) for link in pages[site / "index.html"].contents}
    assert sources - {Path("README.html"), Path("index.html")} - listed == set()


def test_a_page_has_its_own_title_and_no_page_of_sphinx_takes_its_place(site):
    for path in sorted(DOCS.rglob("*.md")):
        title = re.match(r"# (.+)\n", path.read_text())[1]
        if path.name not in ("README.md", "changelog.md"):  # on the site that page has the title of the file that it shows
            text = (site / path.relative_to(DOCS).with_suffix(".html")).read_text()
            assert f"<h1>{html.escape(title, quote=False)}<a" in text, path.name


def test_no_link_inside_the_site_is_broken_and_the_others_are_well_formed(pages):
    for path, page in pages.items():
        for link in page.links:
            target = urlsplit(link)
            if target.scheme:
                assert re.fullmatch(r"https://[\w.-]+\.\w+(?:[/?#].*)?", link), f"{path.name}: {link}"
                continue
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            assert file.exists(), f"{path.name}: {link}"
            if target.fragment and file in pages:
                assert unquote(target.fragment) in pages[file].anchors, f"{path.name}: {link}"


def test_the_site_loads_nothing_from_a_network(site, pages):
    for path, page in pages.items():
        for name in page.loaded:
            target = urlsplit(name)
            assert not target.netloc, f"{path.name}: {name}"
            assert target.scheme == "data" or (path.parent / unquote(target.path)).exists(), f"{path.name}: {name}"
    for path in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", path.read_text()) == [], path


def test_the_site_has_a_search_and_a_dark_mode(site):
    front = (site / "index.html").read_text()
    assert "theme-switch-button" in front
    assert 'action="search.html"' in front
    assert "stripe_count" in (site / "searchindex.js").read_text()


def module_of(package):
    return {"": jaxsgd, "diagnosis": diagnosis}.get(package) or getattr(jaxsgd, package)


def public_names(package):
    """The names that a public package has, but for sub-packages and for names that the top has too."""
    module = module_of(package)
    for name in module.__all__:
        thing = getattr(module, name)
        if name not in REFERENCE and not (package and getattr(jaxsgd, name, None) is thing):
            yield name


def test_the_reference_describes_every_public_name(site):
    listing = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    described = {line.split()[0] for line in zlib.decompress(listing).decode().splitlines()}
    wanted = {".".join(filter(None, ["jaxsgd", package, name])) for package in REFERENCE for name in public_names(package)}
    assert len(wanted) > 100
    assert sorted(wanted - described) == []


@pytest.mark.parametrize("package", REFERENCE)
def test_every_public_name_has_an_example(package):
    """Running the examples is tested with the code of all pages, in test_docs.py."""
    text = (DOCS / "reference" / REFERENCE[package]).read_text()
    nodes = [node for block in blocks(text, "python") for node in ast.walk(ast.parse(block.content))]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert sorted(set(public_names(package)) - used) == []


def test_every_docstring_of_the_reference_is_more_than_a_signature():
    for package in REFERENCE:
        for name in public_names(package):
            assert getattr(module_of(package), name).__doc__, f"{package}.{name}"


def test_every_package_at_the_top_has_a_page_of_the_reference():
    packages = {name for name in jaxsgd.__all__ if isinstance(getattr(jaxsgd, name), ModuleType)}
    assert packages <= set(REFERENCE)


@pytest.mark.parametrize("section", NAMED)
def test_the_page_of_names_has_every_name_that_a_study_takes(section):
    text = (DOCS / "reference/names.md").read_text()
    table = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)} == NAMED[section]


def command_names():
    """The words of every command and subcommand of `jaxsgd`."""
    command = typer.main.get_command(app)
    for name in command.list_commands(None):
        yield (name,)
        subcommand = command.get_command(None, name)
        if hasattr(subcommand, "list_commands"):
            yield from ((name, kind) for kind in subcommand.list_commands(None))


def test_every_command_is_on_the_site_with_every_option_of_its_help(site, capsys, monkeypatch, unchecked):
    monkeypatch.setenv("COLUMNS", "200")
    text = "".join((site / "reference" / name).read_text() for name in ("commands.html", "plot_commands.html"))
    sections = dict(re.findall(r'<section id="([\w-]+)">(.*?)(?=<section id=|</article>)', text, re.S))
    for words in command_names():
        assert run_app([*words, "--help"]) == 0
        options = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", capsys.readouterr().out))
        shown = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", sections["-".join(["jaxsgd", *words]).replace("_", "-")]))
        assert "--help" in options
        assert options <= shown, words


@pytest.mark.parametrize(
    "path", [path for path in sorted(DOCS.glob("*.md")) if path.name != "README.md"], ids=lambda path: path.name
)
def test_a_page_is_ten_minutes_of_reading_and_says_at_its_top_what_it_is_for(path):
    text = path.read_text()
    assert len(text.split()) <= MOST_WORDS
    first = text.split("\n\n")[1]
    assert re.match(r"[\w`\[*]", first), first
