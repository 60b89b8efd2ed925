"""Plain text: lines in which a name that contains `loss` stands before a number; `epoch` and `iter` give the position."""

import re

from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import Reader, Table, TableBuilder, number

FORM = "plain text"

# All patterns but the names are matched on the line in lower case: that is faster than a match that minds no case.
_NUMBER = r"([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|nan|inf(?:inity)?))(?![\w.]*[a-z])"
_BETWEEN = r"[\"'\]\)]?\s*[:=]?\s*[\[\(\"']?\s*"
_LOSS = re.compile("loss")
_VALUE = re.compile(rf"[a-z0-9_./-]*{_BETWEEN}{_NUMBER}")
_BEFORE = re.compile(r"[^a-z0-9_./-]", re.IGNORECASE)
_KINDS = {
    "train",
    "training",
    "val",
    "validation",
    "valid",
    "test",
    "eval",
    "total",
    "avg",
    "mean",
    "batch",
    "epoch",
    "running",
}
_REST = re.compile(r"loss[a-z0-9_./-]*", re.IGNORECASE)
_COUNT = r"[\"'\]]?\s*[:=#]?\s*[\[\(]?\s*(\d{1,15}(?:\.\d{1,9})?)(?:\s*(?:/|of)\s*(\d{1,15}))?"
_EPOCH = re.compile(rf"\bepochs?\b{_COUNT}")
_STEP = re.compile(rf"\b(?:global_?step|iterations?|iter|steps?|mini-?batch|batch(?:es)?|it|update)\b{_COUNT}")
_SHARE = re.compile(r"(\d{1,15})\s*/\s*(\d{1,15})(\s*\(\s*\d+(?:\.\d+)?\s*%\))?")
_RATE = re.compile(rf"\b(?:lr|learning[ _]rate)\b{_BETWEEN}{_NUMBER}")

LONGEST_NAME = 64
"""Largest number of letters of a loss's name."""


def matches(head: bytes) -> bool:
    """Return True: any text may contain such lines."""
    del head
    return True


def read(source: Source) -> Table:
    """Return the rows of a text log.

    An epoch that stands on a line of its own applies to the lines below it.
    """
    builder = TableBuilder(FORM)
    epoch: float | None = None
    for line in source.lines():
        low = line.lower()
        named_epoch = _EPOCH.search(low) if "epoch" in low else None
        if named_epoch:
            epoch = float(named_epoch[1])
        losses = _losses(line, low) if "loss" in low else None
        if not losses:
            continue
        places = {} if epoch is None else {"epoch": epoch}
        _add_step(places, low, named_epoch.end() if named_epoch else 0, builder)
        rate = _RATE.search(low) if "lr" in low or "learning" in low else None
        if rate:
            places["rate"] = float(rate[1])
        builder.add(losses, places)
    return builder.table()


def _losses(line: str, low: str) -> dict[str, float]:
    losses: dict[str, float] = {}
    for word in _LOSS.finditer(low):
        place = word.start()
        match = _VALUE.match(low, place)
        value = number(match[1]) if match else None
        if value is not None and low.find("loss", place + 4, match.start(1) if match else place) < 0:
            losses.setdefault(_name(line, place), value)
    return losses


def _name(line: str, place: int) -> str:
    """Return the whole name of the loss whose `loss` stands at a place in the line, with a word like `train` before it."""
    rest = _REST.match(line, place, place + LONGEST_NAME)
    name = rest[0] if rest else "loss"
    if place and line[place - 1] == " ":
        kind = line[max(0, place - 12) : place - 1].rpartition(" ")[2]
        name = f"{kind} {name}" if kind.lower() in _KINDS else name
    elif place and not _BEFORE.match(line, place - 1):
        name = _BEFORE.split(line[max(0, place - LONGEST_NAME) : place])[-1] + name
    return name.strip("-./")


def _add_step(places: dict[str, float], low: str, after_epoch: int, builder: TableBuilder) -> None:
    step = _STEP.search(low)
    if step is None:
        # `Epoch: [3][ 10/500]`, `Epoch: 3 [640/60000 (1%)]`, and a progress bar's `10/500`.
        step = _SHARE.search(low, after_epoch)
        if step is None:
            return
        builder.in_samples = builder.in_samples or bool(step[3])
    places["step"] = float(step[1])
    if step[2]:
        places["total"] = float(step[2])


READER = Reader(matches, read)
