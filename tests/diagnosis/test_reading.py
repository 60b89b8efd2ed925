"""Every format is recognized by its content, whatever the file is called, and read to the same numbers."""

import bz2
import gzip
import json
import math

import numpy as np
import pandas as pd
import pytest

from jaxsgd.diagnosis import reading
from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.log import read_log
from jaxsgd.diagnosis.report import source_line
from jaxsgd.diagnosis.table import Reader, TableBuilder
from jaxsgd.error import InputError

LOSS = [0.5, 0.25, 0.75, 0.125, 0.625, 0.375]
"""Six losses that text with three digits holds exactly; two epochs of three batches."""

PLACES = [(1 + k // 3, 1 + k % 3) for k in range(6)]


def rows(form):
    return "".join(form.format(epoch=e, batch=b, step=k + 1, loss=LOSS[k]) for k, (e, b) in enumerate(PLACES))


TEXTS = {
    "article": rows("| epoch {epoch} |  iter {batch} / 3 | time 1[s] | loss {loss:.3f} | lr 0.0010\n"),
    "imagenet": rows("Epoch: [{epoch}][{batch}/3]\tTime 0.10 (0.20)\tLoss {loss:.4e} (6.9500e+00)\tAcc@1 0.30\n"),
    "mmdetection": rows("2020-01-01 - INFO - Epoch [{epoch}][{batch}/3]\tlr: 1.0e-02, loss_box: 0.1, loss: {loss}\n"),
    "progress bar": "".join(
        f"Epoch {e}/2\n"
        + "".join(f"\r{b}/3 [==>..] - ETA: 3s - loss: {LOSS[3 * e - 4 + b]} - acc: 0.5" for b in (1, 2, 3))
        + "\n"
        for e in (1, 2)
    ),
    "words": rows("epoch={epoch} batch {batch} of 3: train loss = {loss}, val loss = 9.0\n"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_says_loss_epoch_and_batch(name, tmp_path):
    (tmp_path / "out.bin").write_text(TEXTS[name])
    log = read_log(tmp_path / "out.bin")
    np.testing.assert_array_equal(log.loss, LOSS)
    np.testing.assert_array_equal(np.stack([log.epoch, log.step], 1), PLACES)
    np.testing.assert_array_equal(log.total, 3)
    assert log.form == "plain text"


def json_lines():
    return "".join(
        json.dumps({"epoch": e, "batch": b, "train": {"loss": v}}) + "\n" for (e, b), v in zip(PLACES, LOSS, strict=True)
    )


def trainer_state():
    history = [{"epoch": (k + 1) / 3, "step": k + 1, "loss": v, "learning_rate": 0.1} for k, v in enumerate(LOSS)]
    history += [{"epoch": 2.0, "step": 6, "eval_loss": 9.0}, {"epoch": 2.0, "step": 6, "train_loss": 9.0}]
    return json.dumps({"best_metric": None, "log_history": history}, indent=2)


def table(header, row, **how):
    return header + "\n" + "".join(row.format(step=k + 1, loss=v, **how) + "\n" for k, v in enumerate(LOSS))


STEPPED = {
    "comma": (table("step,loss", "{step},{loss}"), "CSV", "loss"),
    "tabs": (table("global_step\ttrain/loss\tacc", "{step}\t{loss}\t0.5"), "CSV", "train/loss"),
    "byte order mark": ("\ufeff" + table("step;loss", "{step};{loss}"), "CSV", "loss"),
    "decimal commas": (table("step;loss", "{step};{loss}").replace(".", ","), "CSV", "loss"),
    "wandb": (
        table('"Step","run - loss","run - loss__MIN","run - loss__MAX"', '"{step}","{loss}","0","1"'), "CSV", "run - loss",
    ),
    "tensorboard export": (table("Wall time,Step,Value", "1.7e9,{step},{loss}"), "CSV", "Value"),
    "lightning": (
        table("epoch,step,train_loss,val_loss", "0,{step},{loss},") + "0,6,,9.0\n", "CSV", "train_loss",
    ),
    "mlflow": ("".join(f"17000000{k:05d} {v} {k + 1}\n" for k, v in enumerate(LOSS)), "MLflow metric", "log"),
    "trainer state": (trainer_state(), "Hugging Face trainer state", "loss"),
    "list": (json.dumps([{"iter": k + 1, "loss": v} for k, v in enumerate(LOSS)]), "JSON", "loss"),
    "lists": (json.dumps({"step": [1, 2, 3, 4, 5, 6], "loss": LOSS}), "JSON", "loss"),
    "lines": ("".join(json.dumps({"_step": k + 1, "loss": v}) + "\n" for k, v in enumerate(LOSS)), "JSON lines", "loss"),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPPED)
def test_every_format_gives_the_same_losses_and_steps(name, tmp_path):
    content, form, column = STEPPED[name]
    (tmp_path / "log").write_text(content, encoding="utf-8")
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.loss, LOSS)
    np.testing.assert_array_equal(log.step, range(1, 7))
    assert (log.form, log.column) == (form, column)


def test_a_comma_beside_a_decimal_point_is_no_decimal_mark(tmp_path):
    (tmp_path / "log").write_text("step;loss\n" + "".join(f"1,{100 + k};{v}\n" for k, v in enumerate(LOSS)))
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.loss, LOSS)
    assert np.isnan(log.step).all()


@pytest.mark.parametrize("text", [json.dumps(LOSS), json.dumps(LOSS, indent=1), f"{LOSS}\n"])
def test_a_list_of_losses_is_read_as_json_or_as_python_prints_it(text, tmp_path):
    (tmp_path / "log").write_text(text)
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.loss, LOSS)
    assert log.form == "JSON"


def test_lines_that_begin_with_a_list_are_text(tmp_path):
    (tmp_path / "log").write_text("".join(f"[{e}, {b}, 3] loss: {v}\n" for (e, b), v in zip(PLACES, LOSS, strict=True)))
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.loss, LOSS)
    assert log.form == "plain text"


def test_json_lines_name_what_lies_one_level_down(tmp_path):
    (tmp_path / "log").write_text(json_lines())
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.loss, LOSS)
    assert log.column == "train/loss"


def test_an_event_file_gives_the_same_losses_and_steps(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: no event files are read")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path))
    for k, v in enumerate(LOSS):
        values = [Summary.Value(tag="train/loss", simple_value=v), Summary.Value(tag="lr", simple_value=0.5)]
        writer.add_event(Event(step=k + 1, summary=Summary(value=values)))
    writer.close()
    (written,) = tmp_path.iterdir()
    log = read_log(written)
    np.testing.assert_array_equal(log.loss, LOSS)
    np.testing.assert_array_equal(log.step, range(1, 7))
    np.testing.assert_array_equal(log.rate, 0.5)


def test_without_tensorboard_an_event_file_names_the_command_that_installs_it(tmp_path, monkeypatch):
    import importlib

    from jaxsgd.diagnosis.readers import event_file

    def refuse(name):
        raise ImportError(name)

    record = b"\x18" + bytes(7) + b"crc4" + b"\x09\x00\x00\x00\x00\x00\x00\x00\x00\x1a\x0dbrain.Event:2" + b"crc4"
    (tmp_path / "events").write_bytes(record)
    assert event_file.matches(record)
    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(InputError, match=r"needs tensorboard: pip install 'jaxsgd\[tensorboard\]'"):
        read_log(tmp_path / "events")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_packed_log_is_unpacked(pack, tmp_path):
    (tmp_path / "log").write_bytes(pack(TEXTS["article"].encode()))
    np.testing.assert_array_equal(read_log(tmp_path / "log").loss, LOSS)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_other_encodings_are_read(encoding, tmp_path):
    (tmp_path / "log").write_bytes(("r\u00e9sum\u00e9\r\n" + TEXTS["article"].replace("\n", "\r\n")).encode(encoding))
    np.testing.assert_array_equal(read_log(tmp_path / "log").loss, LOSS)


def test_samples_are_distinguished_from_batches(tmp_path):
    # PyTorch's MNIST example counts samples, with their share of the epoch beside them.
    lines = "".join(f"Train Epoch: {e} [{64 * b}/640 ({10 * b}%)]\tLoss: {0.5:.6f}\n" for e in (1, 2) for b in range(0, 10, 2))
    (tmp_path / "log").write_text(lines)
    assert read_log(tmp_path / "log").in_samples


def test_a_format_of_ones_own_is_one_reader(tmp_path, monkeypatch):
    def read(source):
        builder = TableBuilder("tracker dump")
        for line in source.lines():
            if not line.startswith("#"):
                step, value = line.split("@")
                builder.add({"loss": float(value)}, {"step": float(step)})
        return builder.table()

    (tmp_path / "log").write_text("#tracker\n" + "".join(f"{k + 1}@{v}\n" for k, v in enumerate(LOSS)))
    with pytest.raises(InputError, match="no training log could be read"):
        read_log(tmp_path / "log")
    tracker = Reader(lambda head: head.startswith(b"#tracker"), read)
    monkeypatch.setattr(reading, "READERS", (tracker, *reading.READERS))
    log = read_log(tmp_path / "log")
    assert log.form == "tracker dump"
    np.testing.assert_array_equal(log.loss, LOSS)
    np.testing.assert_array_equal(log.step, range(1, 7))
    # Other files go to their own readers as before.
    (tmp_path / "other").write_text(TEXTS["article"])
    assert read_log(tmp_path / "other").form == "plain text"


@pytest.mark.parametrize("prints", [2, 3, 5])
def test_the_first_of_two_numbers_in_brackets_is_the_epoch_however_few_prints_an_epoch_has(prints, tmp_path):
    # The lines of PyTorch's CIFAR-10 tutorial; the levels of the positions come back in every epoch.
    lines = [
        f"[{epoch + 1}, {20 * (position + 1):5d}] loss: {2 + 0.3 * ((2 * position) % prints) + 1 / (epoch + 1):.3f}"
        for epoch in range(12)
        for position in range(prints)
    ]
    (tmp_path / "train.log").write_text("\n".join(lines))
    log = read_log(tmp_path / "train.log")
    assert log.epoch.tolist() == [1 + number // prints for number in range(12 * prints)]
    assert log.step.tolist()[:prints] == [20 * (position + 1) for position in range(prints)]


@pytest.mark.parametrize(
    ("last", "rows", "is_epoch"),
    [(2000, range(1, 7), True), (2000, (1, 2, 4, 5, 6, 7), False), (6, range(1, 7), False)],
    ids=["once an epoch", "with a gap", "a count up to the second number"],
)
def test_the_first_of_two_numbers_in_brackets_is_the_epoch_where_the_second_stays_the_same(last, rows, is_epoch, tmp_path):
    (tmp_path / "log").write_text("".join(f"[{row}, {last}] loss: {2 - 0.1 * row:.3f}\n" for row in rows))
    log = read_log(tmp_path / "log")
    assert (log.epoch.tolist() == list(rows)) == is_epoch
    assert (log.step.tolist() == [last] * 6) == is_epoch


def test_bare_numbers_are_not_said_to_have_a_name(tmp_path):
    (tmp_path / "train.log").write_text("".join(f"{loss}\n" for loss in [2, 1.5, 1.25, 1.125]))
    diagnosis = diagnose(tmp_path / "train.log")
    assert diagnosis.log.samples == ("line 1: column 1 is 2", "line 3: column 1 is 1.25")
    assert source_line(diagnosis, "train.log") == "train.log: plain text, 4 losses in column 1"


COLUMNS = {
    "epoch": [1, 1, 2, 2, 3, 3],
    "step": [1, 2, 1, 2, 1, 2],
    "train_loss": [2.0, 1.0, None, 0.75, math.inf, 0.5],
    "val_loss": [None, 1.1, None, 0.9, None, 0.8],
    "note": ["a", "b", "c", "d", "e", "f"],
}


@pytest.mark.parametrize("kind", [dict, pd.DataFrame])
def test_a_data_frame_and_a_dictionary_are_read_by_the_names_of_their_columns(kind):
    log = diagnose(kind(COLUMNS)).log
    assert (log.column, log.form, log.non_finite) == ("train_loss", kind.__name__, 1)
    np.testing.assert_array_equal(log.loss, [2, 1, 0.75, 0.5])
    np.testing.assert_array_equal(log.epoch, [1, 1, 2, 3])
    np.testing.assert_array_equal(log.step, [1, 2, 2, 2])
    np.testing.assert_array_equal(diagnose(kind(COLUMNS), column="val_loss").log.loss, [1.1, 0.9, 0.8])


def test_a_data_frame_without_names_is_an_array_by_epoch_and_batch():
    losses = np.arange(24.0).reshape(4, 6)
    np.testing.assert_array_equal(diagnose(pd.DataFrame(losses)).log.epoch, diagnose(losses).log.epoch)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"loss": [1, 2], "step": [1]},
            "dict: its columns must be lists of one length, got the lengths {'loss': 2, 'step': 1}",
        ),
        ({"loss": [[1, 2]]}, r"dict: its columns must be lists of one length, got the lengths {'loss': \(1, 2\)}"),
        ({"accuracy": [1, 2]}, "dict: no training log could be read from it .*its named numbers are 'accuracy'"),
    ],
)
def test_columns_that_are_no_log_are_refused(columns, message):
    with pytest.raises(InputError, match=message):
        diagnose(columns)
