"""One HTML file: contents, looks and scripts put together, with nothing to be fetched from elsewhere."""

import html
import importlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jaxsgd.error import InputError
from jaxsgd.report.packing import pack

SHARED = ("parts.js", "draw.js", "view.js")
"""The scripts of every page, in the order in which they run."""

RESULT = ("data.js", "scaling.js", "views.js", "page.js")
"""The scripts of the page about a result, after the shared ones."""


def page(
    title: str,
    description: Mapping[str, Any],
    arrays: Mapping[str, Mapping[str, Any]],
    scripts: Sequence[str] = RESULT,
) -> str:
    """Return a whole page as HTML.

    Texts of a study or a log are in it as packed data only, and its script shows them as text; so no text can be read as HTML.

    Args:
      title: of the page.
      description: plain values, for `PAGE.description` of the script: its `question`, `ran`, `facts`, `notes` and `constants`
        are for the shared scripts.
      arrays: by name, as `jaxsgd.report.packing.pack_array` gives them, for `array` of the script.
      scripts: the page's own scripts, which run after the shared ones; the last opens the page.

    Raises:
      InputError: if Bokeh is not installed.
    """
    own = "\n".join(_static(name) for name in (*SHARED, *scripts))
    parts = {
        "title": html.escape(title),
        "style": _static("page.css"),
        "library": pack(library_script().encode()),
        "contents": pack(json.dumps(description, allow_nan=False).encode()),
        # Base64 and names that JSON has escaped: "</script>" cannot be in them.
        "arrays": json.dumps(arrays, allow_nan=False).replace("<", "\\u003c"),
        "script": own,
    }
    text = _static("page.html")
    for name, part in parts.items():
        before, mark, after = text.partition(f"<!--{name}-->")
        assert mark, f"page.html has no place for {name}"
        text = before + part + after
    return text


def library_script() -> str:
    """Return the script of Bokeh, from the installed package.

    Raises:
      InputError: if Bokeh is not installed.
    """
    try:
        resources = importlib.import_module("bokeh.resources")
    except ImportError:
        raise InputError("a report needs bokeh: pip install 'jaxsgd[report]'") from None
    return "\n".join(resources.Resources(mode="inline", minified=True, components=["bokeh", "bokeh-api"]).js_raw)


def _static(name: str) -> str:
    return files("jaxsgd.report").joinpath("static", name).read_text(encoding="utf-8")
