"""Settings of the documentation site: `sphinx-build -W --keep-going docs build/site`."""

import gc
import re
from importlib.metadata import version as version_of
from pathlib import Path

import typer

from jaxsgd.cli.commands import app

# Nearly all objects of a build stay to its end. Python searched them again and again for some to free, a quarter of the time.
gc.disable()

FOLDER = Path(__file__).resolve().parent

COMMAND_PAGES = {"reference/commands": False, "reference/plot_commands": True}
"""The pages that list commands; True for those of figures."""

OUTSIDE = {"changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md"}
"""The pages of the site that have the text of a file beside docs/."""

project = "jaxsgd"
author = "the authors of jaxsgd"
copyright = author
release = version = version_of("jaxsgd")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["README.md", "**.ipynb_checkpoints"]  # the list of pages on a code host
nb_execution_mode = "off"  # the tests run the notebooks; the site shows what they have stored

# Links to a heading, as code hosts make them: `page.md#the-heading`.
myst_heading_anchors = 3

# A name in single quotes of a docstring, such as `Problem`, is code.
default_role = "code"
smartquotes = False  # `--json` of a help text keeps its two dashes
autodoc_typehints = "none"  # the docstrings have types and shapes in words
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]  # a line may have several names
napoleon_use_rtype = False
napoleon_attr_annotations = False

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["live"]  # reports, each a whole page of its own
html_title = f"jaxsgd {release}"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the search is in the sidebar
    "use_download_button": False,
    "show_toc_level": 2,
}


def contents(text):
    """Return a hidden table of contents for each section of README.md, in MyST: the pages that its table links to."""
    sections = re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    pages = {title: re.findall(r"^\| \[[^]]+\]\(([\w/]+)\.(?:md|ipynb)\)", table, re.M) for title, table in sections}
    return "\n".join(
        f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(names) + "\n```\n" for title, names in pages.items()
    )


def option_table(command, context):
    """Return the arguments and options of a command as a table in MyST, from the records that its `--help` shows."""
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [f"| `{escaped(names)}` | {escaped(text.replace('<', '&lt;'))} |" for names, text in filter(None, records)]
    return "\n".join(["| argument or option | meaning |", "|---|---|", *rows])


def escaped(text):
    """Return text for a cell of a table."""
    return re.sub(r"  +", " ", text).replace("|", "\\|")


def command_sections(command, context, name):
    """Return a section in MyST for a command and for each of its subcommands."""
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield f"## {name}\n\n{command.help.strip()}\n\n```text\n{usage}\n```\n\n{option_table(command, context)}\n"
    for word in getattr(command, "commands", {}) and command.list_commands(context):
        subcommand = command.get_command(context, word)
        yield from command_sections(subcommand, type(context)(subcommand, info_name=word, parent=context), f"{name} {word}")


def commands(is_of_plot):
    """Return the sections of all commands, or of `jaxsgd plot` and its kinds of figures."""
    command = typer.main.get_command(app)
    context = command.make_context("jaxsgd", ["info"], resilient_parsing=True)
    sections = list(command_sections(command, context, "jaxsgd"))
    return "\n".join(section for section in sections if section.startswith("## jaxsgd plot") == is_of_plot)


def complete(app, name, source):
    """Add what is not written by hand: the table of contents, the commands, the text of the files beside docs/.

    Also make the links that lead out of docs/ links to a page of the site, or else to a copy of the file.
    """
    if name == "index":
        source[0] += "\n" + contents((FOLDER / "README.md").read_text(encoding="utf-8"))
    if name in COMMAND_PAGES:
        source[0] += "\n" + commands(COMMAND_PAGES[name])
    if name in OUTSIDE:
        file = FOLDER.parent / OUTSIDE[name]
        app.env.note_dependency(file)
        text = file.read_text(encoding="utf-8")
        source[0] = re.sub(r"\]\((?!https:|#)([\w./-]+)", lambda link: f"]({'../' + link[1]}".replace("../docs/", ""), text)
    place = (FOLDER / name).parent
    source[0] = re.sub(r"\]\((\.\./[\w./]+\.md)(#[\w-]+)?\)", lambda link: inside(place, link), source[0])
    source[0] = live(source[0])


def inside(place, link):
    """Return a link of a page in the folder `place` to a Markdown file as one that stays in the site.

    A file beside docs/ has a page with its text, or else is copied. A link to a page stays as it is.
    """
    file = (place / link[1]).resolve()
    if file.is_relative_to(FOLDER):
        return link[0]
    pages = [page for page, name in OUTSIDE.items() if FOLDER.parent / name == file]
    return f"](/{pages[0]}.md{link[2] or ''})" if pages else f"](path:{link[1]})"


def live(text):
    """Return the text of a page with links to files of `docs/live` as links to where the site has them."""
    return re.sub(r"\[([^]]+)\]\(live/([\w/]+\.html)\)", r'<a href="\2">\1</a>', text)


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
