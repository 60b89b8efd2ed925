"""Lines of a known shape are read by a pattern of their own, with the same result as when they are cut into pieces."""

import numpy as np
import pytest

from jaxsgd.diagnosis.readers import text_line
from jaxsgd.diagnosis.source import Source
from tests.diagnosis.damage import damaged
from tests.diagnosis.trainer_lines import FORMATS, text

# Numbers of one shape that differ in length, thousands, exponent, sign and what follows; words for what is not finite.
ODD = [
    "step 1,000 loss 1.5 of 12, 345", "step 12,345 loss -2.5e-3 of 1, 345", "step 123,4567 loss nan of 12, 3456",
    "step 1,234,5678 loss 7. of 12,345", "step 999 loss inf of 12, 345", "step 99,99 loss 1.e5 of 12, 345", "Acc@nan loss 1",
    "Acc@5 loss 1", "12,345,6 loss 1", "123456,789 loss 1", "12,345 loss 1",
]  # fmt: skip


def rows_of(table):
    return [
        (shape.words, {name: values.tolist() for name, values in (*shape.losses.items(), *shape.numbers.items())},
         {name: values.tolist() for name, values in shape.places.items()}, shape.line.tolist())
        for shape in table.shapes
    ]  # fmt: skip


def both(path, monkeypatch):
    """The rows of a file by patterns from the second line of a shape on, and without any pattern."""
    tables = []
    for uses in (1, 10**9):
        monkeypatch.setattr(text_line, "MANY_USES", uses)
        tables.append(rows_of(text_line.read(Source(path))))
    return tables


@pytest.mark.parametrize("name", FORMATS)
def test_a_pattern_finds_what_cutting_finds(name, tmp_path, monkeypatch):
    (tmp_path / "log").write_text(text(FORMATS[name]), newline="")
    patterned, cut = both(tmp_path / "log", monkeypatch)
    np.testing.assert_equal(patterned, cut)
    assert cut


def test_a_pattern_finds_what_cutting_finds_in_odd_and_damaged_lines(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    lines = [ODD[number] for number in rng.integers(len(ODD), size=300)]
    (tmp_path / "log").write_text("\n".join(lines))
    np.testing.assert_equal(*both(tmp_path / "log", monkeypatch))
    for form in list(FORMATS.values())[::6]:
        (tmp_path / "log").write_bytes(damaged(text(form).encode(), rng))
        np.testing.assert_equal(*both(tmp_path / "log", monkeypatch))
