"""Plain text: lines in which names stand beside numbers, one shape of line apart from another."""

import itertools
import math
import re
from array import array
from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from jaxsgd.diagnosis.column import COLUMN, is_held_out, is_known_loss, is_training, role
from jaxsgd.diagnosis.place import Column
from jaxsgd.diagnosis.readers.line_shape import NUMBER, NUMBERS, NUMBERS_AND_NAN, Field, LineShape, line_shape
from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import MOST_COLUMNS, Reader, Table, check_rows, named_table

FORM = "plain text"

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\x00-\x08\x0e-\x1f]")

_NON_FINITE = re.compile("nan|inf", re.IGNORECASE)

MOST_SHAPES = 20_000
"""Number of shapes that are remembered; further ones are looked at anew in each line."""

MOST_GROUPS = 200
"""Number of groups of lines with a loss, and of others, that are kept apart; the lines of further ones are left out."""

MOST_WORDINGS = 8
"""Number of groups with the same counters that may differ in their words; from there on the words are free text."""

MOST_OTHERS = 2_000_000
"""Number of values that are kept of lines without a loss."""

MANY_USES = 100
"""Lines of a shape from which it gets a pattern of its own. Building one takes about as long as reading ten lines."""

MOST_NUMBERS = 200
"""Number of numbers of a line that are looked at."""

MOST_UNNAMED = 6
"""Number of whole numbers without a name that are kept of a line: one may be its epoch or step."""

UNNAMED = "number"
"""First word of the name of a number that has none, in a line of words."""

MOST_SLOTS = 8
"""Number of epochs and steps, by name, that lines without a loss give to the lines below them."""


class _Group(NamedTuple):
    """The lines that are read alike: the same words and the same counters.

    Attributes:
      words: what they say besides names of numbers.
      places: the names of their counters.
      is_bare: True if their numbers have no names of their own.
    """

    words: str
    places: tuple[str, ...]
    is_bare: bool = False


class _Rows:
    """The numbers of the lines of one shape, row after row."""

    def __init__(self, fields: tuple[Field, ...], has_epoch_word: bool):
        self.fields = fields
        self.has_epoch_word = has_epoch_word
        self.values = array("d")
        self.line = array("q")
        self.state = array("q")


class _Plan:
    """The use of the numbers of a line of a known shape.

    Attributes:
      rows: the rows to which they are added; None for a line that only gives its counters to the lines below.
      indices: which of the pieces of a line are taken: `value_count` numbers of the rows, and then those of the slots.
      prefixes: the signs of the numbers of the rows, where one has a sign.
      slots: the slot of each counter that the lines below take over.
      has_loss: True if the line contains a loss.
      uses: number of lines of this shape that were cut into all their pieces so far.
    """

    def __init__(
        self,
        rows: _Rows | None,
        indices: list[int],
        prefixes: tuple[str, ...],
        slots: list[tuple[int, int]],
        has_loss: bool,
    ):
        self.rows = rows
        self.value_count = len(indices) if rows is not None else 0
        self.indices = indices[: self.value_count] + [piece for _, piece in slots]
        self.prefixes = prefixes if any(prefixes) else None
        self.slots = tuple(slot for slot, _ in slots)
        self.has_loss = has_loss
        self.uses = 0
        # The first piece is taken too, so that there are always several to get.
        self.pick = itemgetter(0, *self.indices)
        self._pattern: re.Pattern | None = None
        self._groups: tuple[int, ...] = ()

    def learn_pattern(self, texts: list[str]) -> None:
        """Make the pattern of all lines of this shape, from the texts between their numbers."""
        wanted = sorted(set(self.indices))
        numbers = [f"({NUMBER})" if 2 * place + 1 in wanted else NUMBER for place in range(len(texts) - 1)]
        pattern = "".join(re.escape(text) + number for text, number in zip(texts, [*numbers, ""], strict=True))
        self._pattern = re.compile(pattern)
        self._groups = tuple(wanted.index(index) + 1 for index in self.indices)

    def picked(self, line: str) -> Sequence[str] | None:
        """Return what `pick` gets of the pieces of a line of this shape; None for another line, or before there is a pattern.

        The texts between the numbers are those by which lines are one shape, and say where a number begins; and a number is as
        long as it is where a line is cut. So the pattern finds the same numbers, three times as fast.
        """
        match = self._pattern.fullmatch(line) if self._pattern is not None else None
        return None if match is None else match.group(0, *self._groups)


_NO_PLAN = _Plan(None, [], (), [], has_loss=False)


def matches(head: bytes) -> bool:
    """Return True: any text may contain such lines."""
    del head
    return True


def read(source: Source) -> Table:
    """Return the rows of a text log, each shape of line as a table of its own.

    An epoch or a step that stands on a line of its own applies to the lines below it.
    """
    reading = _Reading()
    for number, line in source.numbered_lines():
        reading.add(number, line)
    return reading.table()


class _Reading:
    """A text log while it is read."""

    def __init__(self):
        self._plans: dict[str, _Plan] = {}
        self._bare: list[str] = []
        self._rows: dict[tuple[_Group, tuple], _Rows] = {}
        self._groups: tuple[set[_Group], set[_Group]] = (set(), set())
        self._wordings: dict[_Group, set[str]] = defaultdict(set)
        self._headers: dict[int, list[str]] = {}
        self._slots: dict[str, int] = {}
        self._state = [math.nan] * (2 * MOST_SLOTS)
        self._slot_texts = [""] * (2 * MOST_SLOTS)
        self._states = array("d", self._state)
        self._last_state = 0
        self._kept, self._others = 0, 0
        self._latest = _NO_PLAN

    def add(self, number: int, line: str) -> None:
        """Read a line."""
        if not line.isprintable():
            line = _CONTROL.sub("", line)
        picked = self._latest.picked(line)
        if picked is not None:
            self._keep(self._latest, number, picked)
            return
        pieces = NUMBERS.split(line)
        key = "\0".join(pieces[::2])
        plan = self._plans.get(key)
        if plan is not None:
            plan.uses += 1
            if plan.uses == MANY_USES:
                plan.learn_pattern(pieces[::2])
        else:
            # Words for a value that is not finite would be in the key of a line that was read before, too: no such key is kept.
            if _NON_FINITE.search(line):
                pieces = NUMBERS_AND_NAN.split(line)
            if len(pieces) == 1:
                self._add_header(line)
                return
            records = _joined_records(pieces) if _repeats_loss(pieces) else ()
            if records:
                for record in records:
                    self.add(number, record)
                return
            # An odd number of pieces ends with text, as a whole line does.
            del pieces[2 * MOST_NUMBERS + 1 :]
            key = "\0".join(pieces[::2])
            plan = self._plans.get(key) or self._plan(pieces, key)
        self._latest = plan
        self._keep(plan, number, plan.pick(pieces))

    def _keep(self, plan: _Plan, number: int, picked: Sequence[str]) -> None:
        """Keep the numbers of a line of a known shape."""
        stop = plan.value_count + 1
        if plan.slots:
            self._take_over(plan.slots, picked[stop:])
        rows = plan.rows
        if rows is None:
            return
        if not plan.has_loss:
            self._others += len(rows.fields)
            if self._others > MOST_OTHERS:
                return
        texts = picked[1:stop]
        if plan.prefixes:
            texts = [prefix + text for prefix, text in zip(plan.prefixes, texts, strict=True)]
        try:
            rows.values.extend(list(map(float, texts)))
        except ValueError:
            rows.values.extend([_number(text) for text in texts])
        rows.line.append(number)
        rows.state.append(self._last_state)
        self._kept += 1
        if self._kept % 4096 == 0:
            check_rows(self._kept, sum(len(rows.values) for rows in self._rows.values()))

    def _add_header(self, line: str) -> None:
        """Keep a line of words as the names of a table's columns, if it may be that."""
        text = line.strip().strip("|").strip()
        if not text or len(text) > 1000 or not re.search("[A-Za-z]", text):
            return
        for names in (text.split("|") if "|" in text else re.split(r"\s{2,}|\t", text), text.split()):
            names = [name.strip() for name in names]
            known = _known_names(names)
            if len(names) > 1 and known and known >= _known_names(self._headers.get(len(names), [])):
                self._headers[len(names)] = names
                for key in self._bare:
                    self._plans.pop(key, None)
                self._bare = []
                self._latest = _NO_PLAN

    def _plan(self, pieces: list[str], key: str) -> _Plan:
        """Return the use of the numbers of a line whose shape is new."""
        shape = line_shape(pieces)
        named = self._table_fields(pieces) if shape.is_bare else None
        if named is not None:
            # A progress bar may stand behind the cells.
            named += tuple(field for field in shape.fields if field.total >= 0 and field.place > named[-1].place)
        fields, group = _fields_and_group(shape, named, pieces)
        has_loss = any(_is_loss(field) or is_known_loss(field.name) for field in fields)
        group = self._without_free_text(group)
        places = [field for field in fields if role(field.name) in ("epoch", "step", "samples", "total")]
        # A line with a loss gives on its epoch only.
        given = [field for field in places if role(field.name) != "total" and (not has_loss or role(field.name) == "epoch")]
        slots = []
        for field in given:
            if field.name.lower() != "epochs" and (field.name in self._slots or len(self._slots) < MOST_SLOTS):
                slot = self._slots.setdefault(field.name, len(self._slots))
                slots.append((2 * slot, 2 * field.place + 1))
                if field.total >= 0:
                    slots.append((2 * slot + 1, 2 * field.total + 1))
        rows = None
        groups = self._groups[has_loss]
        if (len(fields) > len(places) or group.is_bare) and (group in groups or len(groups) < MOST_GROUPS):
            groups.add(group)
            # Totals stand behind the numbers.
            signature = tuple((field.name, field.total >= 0) for field in fields)
            rows = self._rows.get((group, signature))
            if rows is None:
                rows = self._rows[group, signature] = _Rows(fields, shape.has_epoch_word)
        indices = [2 * field.place + 1 for field in fields] + [2 * field.total + 1 for field in fields if field.total >= 0]
        prefixes = tuple(field.prefix for field in fields) + ("",) * (len(indices) - len(fields))
        plan = _Plan(rows, indices, prefixes, slots, has_loss)
        if len(self._plans) < MOST_SHAPES:
            self._plans[key] = plan
            if shape.is_bare:
                self._bare.append(key)
        return plan

    def _without_free_text(self, group: _Group) -> _Group:
        """Return a line's group, without its words where they change from line to line."""
        plain = _split_only(group)
        wordings = self._wordings[plain]
        if group.words in wordings or len(wordings) < MOST_WORDINGS:
            wordings.add(group.words)
            return group
        return plain

    def _table_fields(self, pieces: list[str]) -> tuple[Field, ...] | None:
        """Return the numbers of a table's row by the names in its header; None where there is no header that fits."""
        cells = _cells(pieces)
        names = self._headers.get(len(cells))
        if names is None:
            longer = [known for count, known in self._headers.items() if count <= len(cells) and role(known[0]) == "epoch"]
            names = longer[-1] if longer else None
        if names is None:
            return None
        fields, index = [], 0
        for place, cell in enumerate(cells):
            count = cell.count("\0")
            if place < len(names) and count and cell.lstrip("+-.").startswith("\0"):
                total = index + 1 if cell == "\0/\0" else -1
                fields.append(Field(index, names[place], cell[: cell.index("\0")], total))
            index += count
        return tuple(fields) or None

    def _take_over(self, slots: tuple[int, ...], texts: Sequence[str]) -> None:
        """Keep the counters of a line for the lines below."""
        changed = False
        for slot, text in zip(slots, texts, strict=True):
            if text == self._slot_texts[slot]:
                continue
            self._slot_texts[slot] = text
            value = _number(text)
            changed = changed or value != self._state[slot]
            self._state[slot] = value
        if changed:
            self._states.extend(self._state)
            self._last_state += 1
            if self._last_state % 4096 == 0:
                check_rows(self._last_state, len(self._states))

    def table(self) -> Table:
        """Return the tables of all shapes, the one with most losses first."""
        groups: dict[_Group, list[_Rows]] = defaultdict(list)
        for (group, _), rows in self._rows.items():
            if len(rows.line):
                free = len(self._wordings[_split_only(group)]) >= MOST_WORDINGS
                groups[_split_only(group) if free else group].append(rows)
        states = np.array(self._states).reshape(-1, 2 * MOST_SLOTS)
        tables = [self._group_table(group, rows, states) for group, rows in _joined_groups(groups)]
        if not tables:
            return named_table(FORM, [], np.zeros(0, np.int64), np.zeros(0, np.int64))
        tables.sort(key=lambda table: -max([int(np.isfinite(values).sum()) for values in table.losses.values()], default=0))
        return tables[0]._replace(others=tuple(tables[1:]))

    def _group_table(self, group: _Group, parts: list[_Rows], states: np.ndarray) -> Table:
        """Return the lines of one group as a table."""
        line = np.concatenate([np.array(rows.line, np.int64) for rows in parts])
        order = np.argsort(line, kind="stable")
        state = states[np.concatenate([np.array(rows.state, np.int64) for rows in parts])]
        columns: dict[str, Column] = {}
        begin = 0
        for rows in parts:
            stop = begin + len(rows.line)
            values = np.array(rows.values).reshape(stop - begin, -1)
            totals = len(rows.fields)
            for place, field in enumerate(rows.fields):
                total = None
                if field.total >= 0:
                    total = values[:, totals]
                    totals += 1
                _fill(
                    columns, field, values[:, place], total, slice(begin, stop), len(line), rows.has_epoch_word, group.is_bare
                )
            begin = stop
        own = {role(name) for name in columns}
        has_share = any(column.total is not None for column in columns.values())
        for name, slot in self._slots.items():
            meant = role(name)
            if meant in own or (meant != "epoch" and ("step" in own or has_share)):
                continue
            values, total = state[:, 2 * slot], state[:, 2 * slot + 1]
            if np.isfinite(values).any() and name not in columns:
                known = total if np.isfinite(total).any() else None
                columns[name] = Column(name, values, known, is_carried=True, is_value=False)
        ordered = _with_counted_epochs(
            [
                column._replace(values=column.values[order], total=None if column.total is None else column.total[order])
                for column in columns.values()
            ]
        )
        held_out = is_held_out(group.words) and not is_training(group.words)
        run = np.zeros(len(line), np.int64)
        return named_table(FORM, ordered, run, line[order], words=group.words, is_held_out=held_out)


def _repeats_loss(pieces: list[str]) -> bool:
    """Return True if the same words with a loss stand before several numbers of a line."""
    named = [text for text in pieces[:-1:2] if "loss" in text or "Loss" in text or "LOSS" in text]
    return len(named) > len(set(named))


def _joined_records(pieces: list[str]) -> list[str]:
    """Return the records of a line in which several stand one behind the other; none where it is one.

    A progress bar loses its line ends where it is copied, and some print without any: `1/60 - loss: 2.3 2/60 - loss: 2.2`.
    """
    records, begin = [], 0
    while True:
        window = pieces[begin : begin + 2 * MOST_NUMBERS + 1]
        cuts = _record_cuts(line_shape(window).fields)
        records += ["".join(window[start:stop]) for start, stop in itertools.pairwise(cuts)]
        if begin + len(window) == len(pieces) or not cuts[1:]:
            return [*records, "".join(window[cuts[-1] :])] if records else []
        begin += cuts[-1]


def _record_cuts(fields: tuple[Field, ...]) -> list[int]:
    """Return the pieces with which the records of a line begin: each has the same counter, and the same loss behind it."""
    first = next((field for field in fields if _is_counter(field)), None)
    begins = [field.place for field in fields if first and (field.name, field.total >= 0) == (first.name, first.total >= 0)]
    if len(begins) < 2 or any(_is_loss(field) and field.place < begins[0] for field in fields):
        return [0]
    within = [[begin, stop] for begin, stop in itertools.pairwise([*begins, math.inf])]
    losses = [{field.name for field in fields if _is_loss(field) and begin < field.place < stop} for begin, stop in within]
    return [0, *(2 * begin for begin in begins[1:])] if set.intersection(*losses) else [0]


def _is_counter(field: Field) -> bool:
    return field.total >= 0 or role(field.name) in ("epoch", "step")


FEWEST_NAMED, LOW = 2, 5
"""Number of epochs named in lines of their own that a counter must have had just then; one is enough from `LOW` on."""


def _with_counted_epochs(columns: list[Column]) -> list[Column]:
    """Return the columns with a counter called the epoch if lines of their own name it so.

    `[149] loss: 2.1`, `[150] loss: 2.0`, `saved at epoch 150`: the epoch of the last line is the number of the one above it.
    """
    named = next((column for column in columns if column.is_carried and role(column.name) == "epoch"), None)
    if named is None:
        return columns
    values = named.values
    # The rows with another named epoch than the row before, if there is any.
    begins = np.flatnonzero(np.isfinite(values[1:]) & (values[1:] != values[:-1])) + 1
    if not len(begins) or (len(begins) < FEWEST_NAMED and values[begins[0]] < LOW):
        return columns
    for column in columns:
        if column is named or column.total is not None or not (column.is_unnamed or role(column.name) == "step"):
            continue
        is_counter = np.isfinite(column.values).all() and (np.diff(column.values) == 1).all()
        if is_counter and (column.values[begins - 1] == values[begins]).all():
            counted = column._replace(name="epoch", is_value=False, is_unnamed=False)
            return [counted if other is column else other for other in columns if other is not named]
    return columns


def _cells(pieces: list[str]) -> list[str]:
    """Return the cells of a table's row, with a null character for each number."""
    return [cell for cell in re.split(r"[\s|\u2502]+", "\0".join(pieces[::2])) if cell]


_NUMERIC_CELL = re.compile(r"[-+]?\.?\0[,;:%]?")


def _number(text: str) -> float:
    """Return a number that may have thousands set off by commas; infinite for one that has other signs in it."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return math.inf


def _is_unnamed(name: str) -> bool:
    return name.startswith((f"{UNNAMED} ", f"{COLUMN} "))


def _is_loss(field: Field) -> bool:
    return field.is_listed_loss or role(field.name) == "loss"


def _known_names(names: list[str]) -> int:
    """Return the number of names that are those of a counter or a loss."""
    return sum(role(name) in ("epoch", "step", "loss") or is_known_loss(name) for name in names)


def _fields_and_group(shape: LineShape, named: tuple[Field, ...] | None, pieces: list[str]) -> tuple[tuple[Field, ...], _Group]:
    """Return the numbers of a line that are kept, each name once, and the group to which the line belongs."""
    fields: dict[str, Field] = {}
    unnamed = 0
    is_bare = shape.is_bare and named is None and all(_NUMERIC_CELL.fullmatch(cell) for cell in _cells(pieces))
    for field in named or shape.fields:
        name = field.name
        if not name:
            text = pieces[2 * field.place + 1]
            if unnamed >= MOST_UNNAMED or not (is_bare or text.replace(",", "").isdigit()):
                continue
            unnamed += 1
            name = f"{COLUMN if is_bare else UNNAMED} {unnamed}"
        if name not in fields and len(fields) < MOST_COLUMNS:
            fields[name] = field._replace(name=name)
    kept = tuple(fields.values())
    if is_bare:
        return kept, _Group("", (str(len(kept)),), is_bare=True)
    places = sorted(
        "share" if _is_unnamed(name) else name
        for name, field in fields.items()
        if field.total >= 0 or role(name) in ("epoch", "step", "samples")
    )
    return kept, _Group(shape.words, tuple(places))


def _split_only(group: _Group) -> _Group:
    """Return a group of which the words say only if they speak of training or of a test."""
    return group._replace(words=" ".join(word for word in group.words.split() if is_training(word) or is_held_out(word)))


def _loss_names(parts: list[_Rows]) -> set[str]:
    return {field.name for rows in parts for field in rows.fields if _is_loss(field)}


def _joined_groups(groups: dict[_Group, list[_Rows]]) -> list[tuple[_Group, list[_Rows]]]:
    """Return the groups, with lines that have a counter more than most added to these, as where every tenth gives its step."""
    joined: list[tuple[_Group, list[_Rows], set[str]]] = []
    for group, parts in sorted(groups.items(), key=lambda item: -sum(len(rows.line) for rows in item[1])):
        names = _loss_names(parts)
        for base, base_parts, base_names in joined:
            if base.words == group.words and not base.is_bare and set(base.places) < set(group.places) and names & base_names:
                base_parts += parts
                break
        else:
            joined.append((group, list(parts), names))
    return [(group, parts) for group, parts, _ in joined]


def _fill(
    columns: dict[str, Column],
    field: Field,
    values: np.ndarray,
    total: np.ndarray | None,
    rows: slice,
    count: int,
    has_epoch_word: bool,
    is_bare: bool,
) -> None:
    """Write a number's values into its column, which is new where no other shape has that name."""
    column = columns.get(field.name)
    if column is None:
        unnamed = _is_unnamed(field.name)
        column = Column(field.name, np.full(count, np.nan), is_value=not unnamed or is_bare, is_unnamed=unnamed)
    if total is not None and column.total is None:
        column = column._replace(total=np.full(count, np.nan))
    if total is not None and column.total is not None:
        column.total[rows] = total
    column.values[rows] = np.where(np.isfinite(values), values, np.inf)
    columns[field.name] = column._replace(
        has_percent=column.has_percent or field.has_percent,
        is_listed_loss=column.is_listed_loss or field.is_listed_loss,
        in_epoch_line=column.in_epoch_line or has_epoch_word,
    )


READER = Reader(matches, read)
