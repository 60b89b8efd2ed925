"""Settings of the documentation site: `sphinx-build -W --keep-going docs build/site`."""

import re
from importlib.metadata import version as version_of
from pathlib import Path

FOLDER = Path(__file__).parent

project = "jaxsgd"
author = "the authors of jaxsgd"
copyright = author
release = version = version_of("jaxsgd")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["README.md"]  # the list of pages on a code host, and a part of index.md

# Links to a heading, as code hosts make them: `page.md#the-heading`.
myst_heading_anchors = 3

# A name in single quotes of a docstring, such as `Problem`, is code.
default_role = "code"
autodoc_typehints = "none"  # the docstrings have types and shapes in words
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False

html_theme = "sphinx_book_theme"
html_title = f"jaxsgd {release}"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"home_page_in_toc": True, "use_download_button": False, "show_toc_level": 2}


def contents(text):
    """Return a hidden table of contents for each section of README.md, in MyST: the pages that its table links to."""
    sections = re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    pages = {title: re.findall(r"^\| \[[^]]+\]\(([\w/]+)\.md\)", table, re.M) for title, table in sections}
    blocks = [
        f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(names) + "\n```\n" for title, names in pages.items()
    ]
    return "\n".join(blocks)


def complete(app, name, source):
    """Add the table of contents to the front page; make a link to a page outside of docs/ a link to a copy of the file."""
    if name == "index":
        source[0] += "\n" + contents((FOLDER / "README.md").read_text(encoding="utf-8"))
    source[0] = re.sub(r"\]\((\.\./[\w/]+\.md)(#[\w-]+)?\)", r"](path:\1)", source[0])


def skip(app, kind, name, member, skipped, options):
    """Return True for a field of a named tuple: the docstring of its class has it."""
    return skipped or type(member).__name__ in ("_tuplegetter", "member_descriptor")


def escape(app, kind, name, member, options, lines):
    """Escape what reStructuredText would read as markup in a docstring outside of quotes: `|g|`, `a * b`, `L_`."""
    lines[:] = [re.sub(r"(`[^`]*`)|([*|]|(?<=\w)_(?!\w))", lambda m: m[1] or "\\" + m[2], line) for line in lines]


def setup(app):
    """Connect the functions above to Sphinx."""
    app.connect("autodoc-process-docstring", escape, priority=400)  # before napoleon, at 500
    app.connect("source-read", complete)
    app.connect("autodoc-skip-member", skip)
