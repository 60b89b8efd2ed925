"""One HTML file: contents, looks and scripts put together, with nothing to be fetched from elsewhere."""

import html
import importlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jaxsgd.error import InputError
from jaxsgd.report.packing import pack

SCRIPTS = ("data.js", "scaling.js", "draw.js", "views.js", "page.js")
"""The page's own scripts, in the order in which they run."""


def page(title: str, description: Mapping[str, Any], arrays: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a whole page as HTML.

    Texts of the study are in it as packed data only, and its script shows them as text; so no text can be read as HTML.

    Args:
      title: of the page.
      description: plain values, for `PAGE.description` of the script.
      arrays: by name, as `jaxsgd.report.packing.pack_array` gives them, for `PAGE.arrays`.

    Raises:
      InputError: if Bokeh is not installed.
    """
    own = "\n".join(_static(name) for name in SCRIPTS)
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
