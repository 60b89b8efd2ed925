"""Read the HTML that a notebook shows: which elements it has, and its text."""

from html.parser import HTMLParser

SCRIPT = "<script>alert('it ran')</script>"
"""A hostile name: shown as text it is harmless."""

HARMLESS = {"b", "div", "li", "path", "svg", "table", "td", "text", "th", "tr", "ul"}
"""The elements of a card."""


class Card(HTMLParser):
    """The elements of some HTML, and its text with single spaces; every element must be closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self._open, self._text = [], [], []
        self.feed(html)
        self.close()
        assert self._open == []
        self.text = " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag, attrs):
        assert not any(name.startswith("on") for name, _ in attrs)
        self.elements.append(tag)
        self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self._text.append(data)


def read_card(html):
    """Return the card, which has none but harmless elements."""
    card = Card(html)
    assert set(card.elements) <= HARMLESS
    return card
