"""Files that are no log, or try to be more than one, give one clear line and exit status 2; memory stays bounded."""

import gzip
import json
import pickle
import struct
import tracemalloc

import pytest

from jaxsgd.cli.errors import run_app
from jaxsgd.diagnosis import source, table
from jaxsgd.diagnosis.readers import json_document

pytestmark = pytest.mark.usefixtures("unchecked")

GOOD = "".join(f"epoch {1 + k // 4} iter {1 + k % 4}/4 loss {1 + k % 4}\n" for k in range(80))


class Bomb:
    """Unpickling it would be seen."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


RECORD = struct.pack("<Q", 24) + b"crc4" + b"\x09" + bytes(9) + b"\x1a\x0dbrain.Event:2"[:14] + b"crc4"
"""A record of 24 bytes that says what an event file's first says."""

BAD = {
    "none.txt": (None, "no such file; name a training log"),
    "folder": ("folder", "is a folder; name the log file in it"),
    "empty.txt": (b"", "is empty"),
    "prose.txt": (b"no numbers here\n" * 30, "no training log could be read from it"),
    "columns.csv": (b"step,accuracy\n1,0.5\n2,0.6\n", "no training log could be read from it"),
    "words.csv": (b"step,loss\n1,low\n2,lower\n", "no training log could be read from it"),
    "nan.csv": (b"step,loss\n" + b"1,nan\n" * 9, "'loss' has no finite value: all 9 are NaN or infinite"),
    "image.txt": (b"\x89PNG\r\n\x1a\n" + bytes(64), "is a PNG image, not a training log"),
    "model.pt": (pickle.dumps(Bomb()), "is a pickle, not a training log"),
    "zeros.bin": (bytes(4096), "is a binary file, not a training log"),
    "archive.zip": (b"PK\x03\x04" + bytes(32), "is packed with zip, which is not supported; unpack it first (unzip)"),
    "cut.gz": (gzip.compress(GOOD.encode() * 50)[:60], "is cut short or damaged; copy it again"),
    "deep.json": (b"[" * 200_000, "nested too deeply"),
    "half.json": (b'{"log_history": [{"loss": 1.0},', "is not valid JSON"),
    "other.json": (b'{"weights": {"a": 1}}\n\n', "no training log could be read from it"),
    "number.json": (b'[{"loss": 1' + b"0" * 5000 + b"}]", "is not valid JSON"),
    "line.txt": (b"loss 1 " * 300_000, "has a line of more than"),
    "record.events": (RECORD + struct.pack("<Q", 1 << 60) + bytes(64), "is damaged: a record at byte 40 claims"),
}  # fmt: skip


def refused(capsys, *words):
    assert run_app(["diagnose", *map(str, words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("jaxsgd: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_log_is_refused_with_one_line(name, tmp_path, capsys):
    content, part = BAD[name]
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    message = refused(capsys, tmp_path / name)
    assert name in message
    assert part in message


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--column", "los"], "unknown loss column in log.txt: 'los': did you mean 'loss'?"),
        (["--batches-per-epoch", "0"], "--batches-per-epoch must be a number of at least 1, got 0.0"),
        (["--batches-per-epoch", "nan"], "--batches-per-epoch must be a number of at least 1, got nan"),
        (["--run", "2"], "--run 2: log.txt contains one run; leave --run out"),
        (["--out", "log.txt"], "--out log.txt: log.txt is a file"),
        (["--colum", "a"], "jaxsgd diagnose has no option --colum: did you mean --column?"),
    ],
)
def test_wrong_options_are_refused_with_one_line(words, part, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.txt").write_text(GOOD)
    assert part in refused(capsys, "log.txt", *words)


def test_a_compressed_bomb_is_refused_before_it_is_unpacked(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(source, "FREE", 1 << 20)
    # 16 MiB of one line pack into about 16 KiB: a thousand times.
    (tmp_path / "bomb.gz").write_bytes(gzip.compress((b"x" * 1023 + b"\n") * (16 << 10)))
    tracemalloc.start()
    message = refused(capsys, tmp_path / "bomb.gz")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert "unpacks to more than 200 times its size" in message


def test_a_json_value_too_large_to_be_read_whole_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(json_document, "LARGEST", 1 << 20)
    (tmp_path / "big.json").write_text(json.dumps([{"loss": 1.0}] * 100_000))
    assert "is one JSON value of more than 1 MiB" in refused(capsys, tmp_path / "big.json")


def test_more_losses_than_are_held_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(table, "MOST_ROWS", 100)
    (tmp_path / "log.csv").write_text("step,loss\n" + "".join(f"{k},1\n" for k in range(101)))
    assert "more than 100 losses" in refused(capsys, tmp_path / "log.csv")


def test_a_large_file_is_read_as_a_stream(tmp_path):
    from jaxsgd.diagnosis.log import read_log

    # 3.7 MB in which one line of 400 has a loss: what is held must follow the losses, not the file.
    line = "x" * 90 + "\n"
    with (tmp_path / "log.txt").open("w") as file:
        for k in range(100):
            file.write(f"step {k} loss {k}\n" + line * 400)
    tracemalloc.start()
    log = read_log(tmp_path / "log.txt")
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()
    assert len(log.loss) == 100
