"""The shape of a line of text: what is left of it without its numbers, and the name of each number.

The shape is looked at once; every other line of the same shape is only cut into its numbers. (Libraries that mine templates of
log lines, such as drain3, join lines whose words differ. Here the words between numbers are their names, so lines are one shape
only where the words are the same, and a dictionary does that.)
"""

import functools
import re
from typing import NamedTuple

from jaxsgd.diagnosis.column import LONGEST_NAME, REMEMBERED, is_held_out, is_known_loss, is_metric, is_training, role

_REST = (
    # Most numbers have no comma behind their digits, which is tried first because it is fast.
    r"(?:[0-9]*+(?!,)|[0-9]{0,2}(?:,[0-9]{3}(?![0-9]))++|[0-9]*+)(?:\.[0-9]*+)?+(?:[eE][-+]?[0-9]++)?+"
)
"""The rest of a number behind its first digit."""

NUMBER = rf"(?>[0-9]{_REST})"
"""A whole number, where it is known that it begins here."""

NUMBERS = re.compile(
    # A digit in a word or a bar belongs to it (`resnet50`, `loss1`, `Acc@1`, `###5`), unless the word counts (`epoch3`) or
    # names a process (`rank0`).
    r"([0-9](?:(?<![A-Za-z_0-9@].)(?<!##.)(?<!\|#.)|(?<=[Ee]poch.)|(?<=EPOCH.)|(?<=[Bb]atch.)|(?<=[Ss]tep.)|(?<=[Ii]ter.)|"
    rf"(?<=[Rr]ank.)|(?<=RANK.)|(?<=GPU.)|(?<=\[default.)){_REST})"
)
"""Cuts a line into text and numbers, in turns. Signs stay with the text."""

NUMBERS_AND_NAN = re.compile(NUMBERS.pattern[:-1] + r"|\b(?:[nN][aA][nN]|[iI]nf(?:inity)?|INF)\b(?![(]))")
"""The same for lines with a value that is not finite."""

_PREFIX = re.compile(r"(?:(?<=[\s:=(\[{,|'\"<>~])|^)[-+]?\.?$")
_UNIT = re.compile(r"[A-Za-z%]+(?:/[A-Za-z]+)*\]?")
_COUNTED = re.compile(r"(epochs?|batch(?:es)?|iter(?:ation)?s?|steps?)(?=[\s:,;|)\]]|$)", re.IGNORECASE)
_WORKER = re.compile(r"(?:rank|gpu|\[default)$", re.IGNORECASE)
_WRAPPER = re.compile(r"(?:\b(?:tensor|array|asarray|DeviceArray|Array|(?:np|numpy|torch|jnp)?\.?float\d*)\s*\(\s*\[*\s*)$")
_EDGE = " \t:=|>([{<'\"~*\u2502\u2503"
_DASHED = re.compile(r"[A-Za-z)\]][-./]$")
_BRACKET = re.compile(r"\s*(\([^()]*\)|\[[^\[\]]*\])$")
_CUT = re.compile(r"[,;|(){}\[\]<>\t\"'\u2502\u2503]|\s{2,}|[:=](?!$)|\s[-*>]+\s|\.\s|--+|(?:^|\s)[-*>]+(?=\s)")
_JOINERS = r"(?:at|after|for|in|on|of|is|was|the)"
_JOINER = re.compile(rf"{_JOINERS}\b", re.IGNORECASE)
_JOINERS_AROUND = re.compile(rf"^(?:{_JOINERS}\b\s*)+|(?:(?:^|\s+){_JOINERS})+$", re.IGNORECASE)
_JOINING = re.compile(rf"(.+?)\s{_JOINERS}\b(.+)", re.IGNORECASE | re.DOTALL)
_LAST_WORDS = re.compile(r"(?:[^\s]+\s+){0,3}[^\s]+$")
_LOSS_LIST = re.compile(r"loss(?:es)?['\"]?\s*[:=]?\s*[{\[(]?\s*['\"]?$", re.IGNORECASE)
_LOSS_WORDS = re.compile(r"((?:[A-Za-z_]+ ){0,2}[A-Za-z_]*(?:loss|cost)[A-Za-z_]*)", re.IGNORECASE)
_TRAILING = re.compile(r"\s+([A-Za-z][A-Za-z_./ ]*?)\s*(?:[,;|)\]]|$)")
_FILE = re.compile(r"\.(?:py|pyx|cpp|cc|cu|c|h|hpp|lua|go|rs|java|js|sh|ipynb|txt|log|jl|swift)$", re.IGNORECASE)
_PATH = re.compile(r"\S*/\S+/\S*|\S+\.\w{1,4}\b")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[A-Za-z][a-z]+|[A-Z]{2,}")
_NOISE = {
    "info", "debug", "warning", "warn", "error", "epoch", "epochs", "step", "steps", "iter", "iters", "iteration", "iterations",
    "batch", "batches", "eta", "time", "root", "main", "log", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb",
    "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "am", "of", "the", "at", "ms", "it", "loss", "losses",
}  # fmt: skip
_NO_NUMBER = {"cuda", "device", "cpu", "pid", "line", "port", "seed"}


class Field(NamedTuple):
    """A number of a line.

    Attributes:
      place: which of the line's numbers it is, from 0.
      name: the words that name it; empty where there are none.
      prefix: its sign, or a leading point, that stand in the text before it.
      total: the number that it counts up to, as in `10/60`; -1 where there is none.
      has_percent: True if a percentage stands beside that.
      is_listed_loss: True if it stands in a list of losses.
    """

    place: int
    name: str
    prefix: str = ""
    total: int = -1
    has_percent: bool = False
    is_listed_loss: bool = False


class LineShape(NamedTuple):
    """The numbers of a line and its words.

    Attributes:
      fields: the numbers that may mean something.
      words: the line's words before its first loss that name no number but a counter, in lower case.
      has_epoch_word: True if the word epoch stands in the line.
    """

    fields: tuple[Field, ...]
    words: str
    has_epoch_word: bool

    @property
    def is_bare(self) -> bool:
        """True if no number has a name."""
        return all(not field.name for field in self.fields)


def line_shape(pieces: list[str]) -> LineShape:
    """Return the shape of a line.

    Args:
      pieces: the line cut by `NUMBERS`: text, number, text, number, ..., text.
    """
    return _Line(pieces).shape()


class _Line:
    """A line of which one number after another is named.

    Attributes:
      texts: before each number, and the rest behind the last.
      numbers: as they are written.
      fields, words: those of the numbers so far, as `LineShape` has them.
      has_loss: True if a loss is among the numbers so far.
      is_in_list: True within a list of losses.
      waiting: words of a loss whose number comes later: `train loss of epoch 3: 0.5`.
      delayed: the name of a loss that stands before a count: `Train loss 100 0.523`.
      bar_name: the name of a progress bar that stands before its percentage.
    """

    def __init__(self, pieces: list[str]):
        self.texts, self.numbers = [_shortened(text) for text in pieces[::2]], pieces[1::2]
        self.fields: list[Field] = []
        self.words: list[str] = []
        self.has_loss = self.is_in_list = False
        self.waiting = self.delayed = self.bar_name = ""

    def shape(self) -> LineShape:
        """Name all numbers and return the shape."""
        for index in range(len(self.numbers)):
            self._add(index)
        if not self.has_loss and len(self.texts) == 1:
            self.words += _words(self.texts[0])
        has_epoch_word = any("poch" in text or "POCH" in text for text in self.texts)
        return LineShape(tuple(self.fields), " ".join(dict.fromkeys(self.words)), has_epoch_word)

    def _add(self, index: int) -> None:
        """Add the number of an index, or what it says of the number before it."""
        before, unit = _without_unit(self.texts[index]) if index else (self.texts[0], "")
        if unit:
            self._add_unit(index, unit, before)
        elif self._previous(index) is not None and self._is_total(index, before):
            self._add_total(index)
            return
        elif index and before in ("-", ":", "."):
            self._add_part(index, before)
            return
        prefix = _PREFIX.search(before)
        sign = prefix[0] if prefix else ""
        body = _WRAPPER.sub("", before[: len(before) - len(sign)])
        name, lead, head = _name_of(body)
        is_listed = self._is_listed(name, lead)
        if head:
            self.waiting = head
        name = self._own_name(index, name, body, is_listed)
        self._add_words(name, lead, is_listed or role(name) == "loss" or (is_known_loss(name) and not is_training(name)))
        if name.lower() not in _NO_NUMBER and not _FILE.search(name):
            self.fields.append(Field(index, name, sign, is_listed_loss=is_listed))

    def _previous(self, index: int) -> Field | None:
        """Return the number directly before that of an index, if it means something."""
        return self.fields[-1] if self.fields and self.fields[-1].place == index - 1 else None

    def _add_unit(self, index: int, unit: str, after: str) -> None:
        """Use the unit of the number before that of an index, and the text after the unit."""
        previous = self._previous(index)
        if previous is None:
            return
        if _COUNTED.fullmatch(unit) and (not previous.name or role(previous.name) == ""):
            self.fields[-1] = previous._replace(name=unit)
        if unit == "%" and after.lstrip().startswith(("|", "\u2502")):
            # The percentage of a progress bar: its name is that of the share behind the bar.
            self.bar_name = self.fields.pop().name

    def _is_total(self, index: int, before: str) -> bool:
        """Return True for the second number of `10/60`."""
        return before.strip() in ("/", "of", "out of") and _are_counts(self.numbers[index - 1 : index + 1])

    def _add_total(self, index: int) -> None:
        previous = self.fields[-1]
        name, self.bar_name = previous.name or self.bar_name, ""
        self.fields[-1] = previous._replace(name=name, total=index, has_percent=_has_percent(self.texts, index))

    def _add_part(self, index: int, link: str) -> None:
        """Add the second number of a range: `Batch [0-50]` is batch 50. Dates, times and versions are nothing."""
        previous = self._previous(index)
        if previous is not None:
            self.fields.pop()
        if link == "-":
            self.fields.append(Field(index, previous.name if previous is not None else ""))

    def _is_listed(self, name: str, lead: str) -> bool:
        """Return True for a number in a list of losses, which the text before it may begin or end."""
        may_be_loss = bool(name) and role(name) == "" and not is_metric(name)
        if may_be_loss and _LOSS_LIST.search(lead):
            self.is_in_list = True
        elif self.is_in_list and re.search(r"[\]})]", lead):
            self.is_in_list = False
        return may_be_loss and self.is_in_list

    def _own_name(self, index: int, name: str, body: str, is_listed: bool) -> str:
        """Return the name of a number, which may be further off: before another number, or behind its own.

        Args:
          index: of the number.
          name: the words directly before it, if they name it.
          body: the text before it, without its sign.
          is_listed: True in a list of losses.
        """
        if not name and not is_listed and self.waiting and index and body.strip() in (":", "=", "-", "->", "|", ":|"):
            name, self.waiting = self.waiting, ""
        if name and role(name) == "loss" and _is_count_before_value(self.texts, self.numbers, index):
            self.delayed = name
            return ""
        if not name and self.delayed:
            name, self.delayed = self.delayed, ""
        return name or _trailing_name(self.texts, index)

    def _add_words(self, name: str, lead: str, is_loss: bool) -> None:
        """Add the words of the text before a number, up to the line's first loss."""
        if not self.has_loss:
            own = _words(name)
            if is_metric(name) or is_loss:
                own = tuple(word for word in own if is_held_out(word) or is_training(word))
            self.words += [*_words(lead), *own]
        self.has_loss = self.has_loss or is_loss


LONGEST_TEXT = 512
"""Number of letters between two numbers from which only both ends are looked at."""


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT // 2]} {text[-LONGEST_TEXT // 2 :]}"


def _are_counts(pair: list[str]) -> bool:
    """Return True if both numbers of a share are whole."""
    return all(text.replace(",", "").isdigit() for text in pair)


def _is_count_before_value(texts: list[str], numbers: list[str], index: int) -> bool:
    """Return True if a whole number is followed by blanks and a number with decimals."""
    follows = index + 1 < len(numbers) and texts[index + 1].isspace() and "." in numbers[index + 1]
    return follows and numbers[index].isdigit()


def _has_percent(texts: list[str], index: int) -> bool:
    """Return True if a percentage follows the number in brackets."""
    return texts[index + 1].strip() == "(" and index + 2 < len(texts) and texts[index + 2].lstrip().startswith("%")


def _without_unit(text: str) -> tuple[str, str]:
    """Return (a text without the unit with which it begins, that unit)."""
    unit = _UNIT.match(text)
    return (text[unit.end() :], unit[0]) if unit else (text, "")


@functools.lru_cache(REMEMBERED)
def _name_of(body: str) -> tuple[str, str, str]:
    """Return (words that name the number after a text, the text before them, words of a loss that wait for a later number)."""
    core = body
    while core and core[-1] in _EDGE:
        core = core[:-1].rstrip(_EDGE)
    end = core[-LONGEST_NAME:]
    if len(core) == len(body) and not (_COUNTED.search(end) or _WORKER.search(end)):
        return "", body, ""
    if _DASHED.search(body):
        return "", body, ""
    bracket = _BRACKET.search(core)
    # The number after `Epoch(train) [` is the epoch's, and so is that after `loss (mean):`.
    if bracket and bracket.start():
        core = core[: bracket.start()]
    pieces = _CUT.split(core[-256:])
    segment = pieces[-1].strip(" \t.-*>#~!\u00b7") if core[-1:] != "," else ""
    if not _LETTER.search(segment):
        return "", body, ""
    lead = core[: max(core.rfind(segment), 0)] + (bracket[1] if bracket else "")
    segment = _JOINERS_AROUND.sub("", segment)
    if not segment:
        earlier = _LOSS_WORDS.findall(body)
        return "", body, earlier[-1][-LONGEST_NAME:] if earlier else ""
    joined = _JOINING.fullmatch(segment)
    head = ""
    if joined:
        head, segment = joined[1].strip(), joined[2].strip()
        if not _LOSS_WORDS.search(head):
            head = ""
        lead += f" {head}"
    elif _JOINER.match(pieces[-1].strip()):
        earlier = _LOSS_WORDS.findall(lead)
        head = earlier[-1] if earlier else ""
    words = _LAST_WORDS.search(segment)
    return (words[0] if words else segment)[-LONGEST_NAME:].strip(), lead, head[-LONGEST_NAME:]


def _trailing_name(texts: list[str], index: int) -> str:
    """Return the words after a number that has none before it, as in `2.02 avg loss,`."""
    after = texts[index + 1]
    match = _TRAILING.match(after)
    if match is None or (
        match.end() == len(after) and index + 2 < len(texts) and after.rstrip()[-1:] not in (",", ";", "|", ")", "]")
    ):
        return ""
    return match[1] if len(match[1]) <= LONGEST_NAME else ""


@functools.lru_cache(REMEMBERED)
def _words(text: str) -> tuple[str, ...]:
    """Return the words of a text in lower case, without paths and without those that most lines have."""
    return tuple(word for word in (match.lower() for match in _WORD.findall(_PATH.sub(" ", text[-512:]))) if word not in _NOISE)
