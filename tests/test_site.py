"""The documentation site: built without a warning, with no broken link, and with every public name and an example of it."""

import ast
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import jaxsgd
from tests.document import blocks

DOCS = Path(__file__).parents[1] / "docs"
REFERENCE = {
    "": "top_level.md",
    "analysis": "analysis.md",
    "measure": "measure.md",
    "plot": "plot.md",
    "problems": "problems.md",
}
"""The page of each public package, "" for the top."""

LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""The attribute by which an element loads a file."""


class Page(HTMLParser):
    """The links, the loaded files and the anchors of a page of HTML."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values["id"]} if values.get("id") else set()
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if LOADED.get(tag) in values:
            self.loaded.append(values[LOADED[tag]])


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


def test_every_page_can_be_reached_from_the_front_page(site, pages):
    reached, waiting = set(), [site / "index.html"]
    while waiting:
        path = waiting.pop()
        if path in pages and path not in reached:
            reached.add(path)
            targets = [urlsplit(link) for link in pages[path].links]
            waiting += [(path.parent / target.path).resolve() for target in targets if target.path and not target.scheme]
    sources = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")} - {Path("README.html")}
    assert sources <= {path.relative_to(site) for path in reached}


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


def public_names(package):
    """The names that a public package has, but for sub-packages and for names that the top has too."""
    module = getattr(jaxsgd, package) if package else jaxsgd
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
    """That the examples run is tested with the code of all pages, in test_docs.py."""
    text = (DOCS / "reference" / REFERENCE[package]).read_text()
    nodes = [node for block in blocks(text, "python") for node in ast.walk(ast.parse(block.content))]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert sorted(set(public_names(package)) - used) == []


def test_every_docstring_of_the_reference_is_more_than_a_signature():
    for package in REFERENCE:
        module = getattr(jaxsgd, package) if package else jaxsgd
        for name in public_names(package):
            assert getattr(module, name).__doc__, f"{package}.{name}"
