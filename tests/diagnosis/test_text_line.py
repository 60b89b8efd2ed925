"""Lines of a known shape are read by a pattern of their own, with the same result as when they are cut into pieces."""

import numpy as np
import pytest

from jaxsgd.diagnosis.log import read_log
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


def bar(epoch, batch):
    """A record of a progress bar of 150 batches that shows its loss."""
    loss = 3 - epoch / 2 + batch / 1000
    return f"{batch}/150 [{'=' * (batch // 10)}>...] - ETA: {batch}s - loss: {loss:.3f} - acc: 0.{batch:03d}"


@pytest.mark.parametrize(
    "record",
    [bar, lambda epoch, batch: f"Epoch {epoch} | Batch {batch}/150 | Loss: {3 - epoch / 2 + batch / 1000:.3f} "],
)
def test_records_that_stand_in_one_line_are_read_one_by_one(record, tmp_path):
    """A progress bar that was pasted has lost its line ends. Of 150 records a line has far more numbers than are looked at."""
    lines = [" ".join(record(epoch, batch) for batch in range(1, 151)) for epoch in range(4)]
    (tmp_path / "log").write_text("".join(f"Epoch {epoch}\n{line}\n" for epoch, line in enumerate(lines)))
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.step, np.tile(np.arange(1, 151), 4))
    np.testing.assert_array_equal(log.epoch, np.repeat(np.arange(4), 150))
    np.testing.assert_allclose(log.loss, 3 - log.epoch / 2 + log.step / 1000)
    assert set(log.total) == {150}


def test_a_line_that_names_its_epoch_twice_or_has_two_losses_is_one_record(tmp_path):
    (tmp_path / "log").write_text(
        "".join(f"step {n} loss {n / 8} cls_loss 0.5 (epoch {n // 3}), best of epoch {n // 4}: 0.25\n" for n in range(1, 9))
    )
    log = read_log(tmp_path / "log", column="loss")
    np.testing.assert_array_equal(log.loss, np.arange(1, 9) / 8)


def test_a_counter_that_lines_of_their_own_call_the_epoch_is_the_epoch(tmp_path):
    lines = [
        f"[{n}] loss: {5 - n / 100:.2f}, elapsed: {n * 3}.5\n" + f"saved at epoch {n}\n" * (n % 10 == 0)
        for n in range(141, 163)
    ]
    (tmp_path / "log").write_text("".join(lines))
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.epoch, np.arange(141, 163))
    assert np.isnan(log.step).all()


def test_an_epoch_in_lines_of_its_own_is_not_the_step_that_it_once_equals(tmp_path):
    # Six batches an epoch, counted through the run: step 6 stands above epoch 2, and step 12 above epoch 3.
    lines = [f"epoch {(n - 1) // 6 + 1}\n" * (n % 6 == 1) + f"step {n} loss {5 - n / 100:.2f}\n" for n in range(1, 25)]
    (tmp_path / "log").write_text("".join(lines))
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.step, np.arange(1, 25))
    np.testing.assert_array_equal(log.epoch, np.repeat([1, 2, 3, 4], 6))
