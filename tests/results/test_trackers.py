"""Runs in the folders of TensorBoard, Weights & Biases and MLflow, read back by the trackers' own readers."""

import json
import math
import socket
import struct
import sys
import threading
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.cli.errors import run_app
from jaxsgd.results.cell_runs import cell_runs
from jaxsgd.results.export import export

# With 6 or 12 steps of 1e9 times the gradient of a quadratic, the loss passes 10^38, the largest float32, within the run.
STUDY = Study(
    problem="least_squares", problem_args={"num_samples": 20, "num_inputs": 3}, held_out=0.2, seeds=[5],
    batch_counts=[2, 4], orders=["fixed"], learning_rates=[0.01, 1e9], epochs=3, observe=["gradient_norm"],
    observe_batches=True, observe_every=2,
)  # fmt: skip

TRACKERS = ("tensorboard", "wandb", "mlflow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs") / "mine"
    jaxsgd.sweep(STUDY, place)
    return place


@pytest.fixture(scope="module")
def ds(folder):
    return jaxsgd.load(folder)


def test_a_run_has_its_settings_and_its_curves_at_the_steps_done(ds):
    runs = list(cell_runs(ds, batch_losses=True))
    assert [run.name for run in runs] == [
        f"learning_rate={rate} batch_count={count}" for rate in ("0.01", "1e+09") for count in (2, 4)
    ]
    run = runs[1]
    assert (run.number, run.group, run.diverged_epoch) == (1, run.name, None)
    assert (
        run.settings.items() >= {"seed": 5, "learning_rate": 0.01, "batch_count": 4, "batch_size": 4, "order": "fixed"}.items()
    )
    assert run.settings["study.problem_args"] == {"num_samples": 20, "num_inputs": 3}
    assert not {"study.seeds", "study.learning_rates", "study.batch_counts"} & set(run.settings)
    own = ds.isel(seed=0, optimizer=0, order=0, learning_rate=0, batch_count=1)
    # A loss is taken before its step, and what is of an epoch stands at its end.
    np.testing.assert_array_equal(run.curves["loss"].steps, np.arange(12))
    np.testing.assert_array_equal(run.curves["loss"].values, own["loss"].values.ravel())
    np.testing.assert_array_equal(run.curves["loss_epoch"].steps, [4, 8, 12])
    np.testing.assert_array_equal(run.curves["validation_loss"].epochs, [1, 2, 3])
    # Observed after the second epoch and the last, and before each step of those two epochs.
    np.testing.assert_array_equal(run.curves["gradient_norm"].steps, [8, 12])
    before = run.curves["gradient_norm_batch"]
    np.testing.assert_array_equal(before.steps, np.arange(4, 12))
    # After 8 steps, before the next one, both measured the same parameters.
    assert before.values[4] == pytest.approx(run.curves["gradient_norm"].values[0])
    assert runs[0].curves["loss"].steps.tolist() == list(range(6))


def test_a_diverged_run_has_its_finite_values_only_and_its_epoch(ds):
    run = list(cell_runs(ds))[2]
    assert run.diverged_epoch == int(ds["diverged_epoch"].sel(learning_rate=1e9, batch_count=2).item())
    assert all(np.isfinite(curve.values).all() for curve in run.curves.values())
    assert len(run.curves["loss_epoch"].values) <= run.diverged_epoch < 3
    assert "loss" not in run.curves


def read_tensorboard(folder):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    for place in sorted(folder.iterdir()):
        events = EventAccumulator(str(place), size_guidance={"scalars": 0}).Reload()
        about = [plugin_data_pb2.HParamsPluginData.FromString(text) for text in events.PluginTagToContent("hparams").values()]
        start = next(own.session_start_info for own in about if own.HasField("session_start_info"))
        end = next(own.session_end_info for own in about if own.HasField("session_end_info"))
        settings = {name: value.number_value or value.string_value for name, value in start.hparams.items()}
        curves = {tag: [(scalar.step, scalar.value) for scalar in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
        # STATUS_SUCCESS is 1 and STATUS_FAILURE 2.
        yield settings, settings["study.problem"], curves, {1: False, 2: True}[end.status]


def wandb_records(path):
    """The records of a .wandb file: those of a log of LevelDB after a head of 7 bytes, in blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, parts = path.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        # 1 is a whole record, and 4 the last part of one.
        if kind in (1, 4):
            yield Record.FromString(parts)
            parts = b""


def read_wandb(folder):
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        config, curves, exit_code = {}, {}, None
        for record in wandb_records(path):
            if record.HasField("run"):
                config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            if record.HasField("exit"):
                exit_code = record.exit.exit_code
            if record.HasField("history"):
                row = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
                step = record.history.step.num
                for name, value in row.items():
                    curves.setdefault(name, []).append((step, value))
        yield config, config["study"]["problem"], curves, exit_code == 1


def read_mlflow(folder):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    (experiment,) = [own for own in client.search_experiments() if own.name == "mine"]
    for run in client.search_runs([experiment.experiment_id]):
        settings = {name: json.loads(text) if text[0] in "0123456789[{" else text for name, text in run.data.params.items()}
        curves = {
            name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        yield settings, settings["study.problem"], curves, {"FINISHED": False, "FAILED": True}[run.info.status]


READERS = {"tensorboard": read_tensorboard, "wandb": read_wandb, "mlflow": read_mlflow}


@contextmanager
def listening():
    """A server that stands for all of the network: it accepts any connection, keeps its first bytes, and closes it."""
    heard = []
    server = socket.create_server(("127.0.0.1", 0))

    def listen():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                heard.append(connection.recv(200))

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.parametrize("to", TRACKERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_each_cell_is_a_run_of_the_tracker_and_nothing_goes_over_a_network(to, ds, tmp_path, monkeypatch):
    pytest.importorskip(to, reason=f"{to} is not installed: its export is not tested")
    if to == "mlflow":
        pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed: the export to mlflow is not tested")
    with listening() as (proxy, heard):
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(OSError):
            urllib.request.build_opener().open("http://example.invalid", timeout=5)
        assert len(heard) == 1
        path = export(ds, tmp_path / f"mine.{to}", to, batch_losses=True)
        assert len(heard) == 1, heard
    runs = list(READERS[to](path))
    assert len(runs) == 4
    by_setting = {(float(own["learning_rate"]), int(own["batch_count"])): (problem, curves, failed)
                  for own, problem, curves, failed in runs}  # fmt: skip
    for expected in cell_runs(ds, batch_losses=True):
        place = (expected.settings["learning_rate"], expected.settings["batch_count"])
        problem, curves, failed = by_setting[place]
        assert (problem, failed) == ("least_squares", place[0] == 1e9)
        for name, curve in expected.curves.items():
            steps, values = zip(*sorted(curves[name]), strict=True) if len(curve.steps) else ((), ())
            assert list(steps) == curve.steps.tolist()
            # TensorBoard keeps float32, which the result's numbers are.
            np.testing.assert_allclose(values, curve.values, rtol=1e-6)


def test_the_command_writes_the_selected_runs_beside_the_result_and_keeps_what_exists(folder, monkeypatch, capsys, unchecked):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    monkeypatch.chdir(folder.parent)
    words = ["export", "mine", "--to", "tensorboard", "--select", "learning_rate=0.01"]
    assert run_app(words) == 0
    assert capsys.readouterr().out == "wrote mine.tensorboard\n"
    assert sorted(path.name for path in (folder.parent / "mine.tensorboard").iterdir()) == [
        "000000_batch_count=2", "000001_batch_count=4",
    ]  # fmt: skip
    curves = [own[2] for own in read_tensorboard(folder.parent / "mine.tensorboard")]
    assert all("loss" not in own and len(own["loss_epoch"]) == 3 for own in curves)
    assert run_app(words) == 2
    assert capsys.readouterr().err.endswith("mine.tensorboard exists already, and may hold other runs: name a new folder\n")


def test_bad_input_is_one_line_and_writes_nothing(ds, tmp_path, monkeypatch):
    unfinished = ds.assign(missing=ds["missing"] | True)
    with pytest.raises(InputError, match="no cell of this result has been run yet: finish it with jaxsgd run first"):
        export(unfinished, tmp_path / "runs", "tensorboard")
    with pytest.raises(InputError, match="this result has no loss of single batches: run the study with record='batch'"):
        export(ds.drop_vars("loss"), tmp_path / "runs", "tensorboard", batch_losses=True)
    with pytest.raises(InputError, match="batch_losses is for tensorboard, wandb, mlflow; csv has every batch's loss anyway"):
        export(ds, tmp_path / "table.csv", "csv", batch_losses=True)
    for to in TRACKERS:
        monkeypatch.setitem(sys.modules, to, None)
        with pytest.raises(InputError, match=rf"this format needs {to}: pip install 'jaxsgd\[{to}\]'"):
            export(ds, tmp_path / "runs", to)
    assert list(tmp_path.iterdir()) == []


def test_cells_that_have_not_been_run_are_no_runs(ds):
    half = ds.assign(missing=ds["missing"] | (ds["batch_count"] == 2))
    assert [run.settings["batch_count"] for run in cell_runs(half)] == [4, 4]
    assert not any(math.isnan(value) for run in cell_runs(half) for value in run.summary.values())
