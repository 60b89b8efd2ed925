"""A result in the offline folder of an experiment tracker: TensorBoard, Weights & Biases, MLflow.

Each cell becomes a run, and a run that diverged is marked as failed. The trackers' own libraries write the files, without a
network and without a server.
"""

import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxsgd.results.cell_runs import STUDY, CellRun, rows_by_step, setting_text
from jaxsgd.results.need import need

SILENCE = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false", "MLFLOW_LOGGING_LEVEL": "ERROR"}
"""Environment variables without which the libraries would report their use to their makers, and print notes."""

POINTS_AT_ONCE = 1000
"""Most points that MLflow takes in one call."""


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the libraries from reporting their use, and from printing, while the block runs."""
    before = {name: os.environ.get(name) for name in SILENCE}
    levels = {name: logging.getLogger(name).level for name in ("mlflow", "alembic")}
    os.environ.update(SILENCE)
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _folder_name(run: CellRun) -> str:
    """Return a name that every file system takes, and that sorts by cell."""
    name = re.sub(r"[^\w.,=()+-]+", "_", run.name)[:120]
    return f"{run.number:06d}_{name}" if name else f"{run.number:06d}"


def _tensorboard(runs: Iterable[CellRun], folder: Path, final: Path) -> None:
    """Write an event file for each run into a folder of its own, with its settings for the page HParams."""
    del final
    modules = ("compat.proto.event_pb2", "compat.proto.summary_pb2", "summary.writer.record_writer")
    modules += tuple(f"plugins.hparams.{name}" for name in ("summary_v2", "api_pb2", "metadata", "plugin_data_pb2"))
    event, summary, records, hparams, api, metadata, plugin = need(
        *(f"tensorboard.{name}" for name in modules), extra="tensorboard"
    )
    now = time.time()
    for run in runs:
        flat = {
            name: value if isinstance(value, bool | int | float) else setting_text(value)
            for name, value in run.settings.items()
        }
        status = api.STATUS_SUCCESS if run.diverged_epoch is None else api.STATUS_FAILURE
        ended = plugin.HParamsPluginData(session_end_info=plugin.SessionEndInfo(status=status, end_time_secs=now))
        end = {"metadata": metadata.create_summary_metadata(ended), "tensor": metadata.NULL_TENSOR}
        events = [
            {"file_version": "brain.Event:2"},
            {"summary": hparams.hparams_pb(flat, trial_id=f"{run.number:06d}", start_time_secs=now)},
            *(
                {"step": step, "summary": summary.Summary(value=[{"tag": name, "simple_value": value}])}
                for name, curve in run.curves.items()
                for step, value in zip(curve.steps.tolist(), curve.values.tolist(), strict=True)
            ),
            *(
                {"summary": summary.Summary(value=[{"tag": f"run/{name}", "simple_value": value}])}
                for name, value in run.summary.items()
            ),
            {"summary": summary.Summary(value=[{"tag": metadata.SESSION_END_INFO_TAG, **end}])},
        ]
        own = folder / _folder_name(run)
        own.mkdir(parents=True)
        with (own / f"events.out.tfevents.{now:.0f}.jaxsgd").open("wb") as file:
            writer = records.RecordWriter(file)
            for fields in events:
                writer.write(event.Event(wall_time=now, **fields).SerializeToString())


def _wandb(runs: Iterable[CellRun], folder: Path, final: Path) -> None:
    """Write an offline run of Weights & Biases for each cell; `wandb sync` uploads them."""
    (wandb,) = need("wandb", extra="wandb")
    # The machine that exports, its repository and its packages are not those that made the result.
    settings = dict.fromkeys(("disable_code", "disable_git", "quiet", "silent", "x_disable_meta", "x_disable_stats"), True)
    settings |= {"console": "off", "x_disable_machine_info": True, "x_save_requirements": False}
    known = wandb.Settings(**{name: value for name, value in settings.items() if name in wandb.Settings.model_fields})
    folder.mkdir()
    for run in runs:
        study = {name.removeprefix(STUDY): value for name, value in run.settings.items() if name.startswith(STUDY)}
        config = {name: value for name, value in run.settings.items() if not name.startswith(STUDY)}
        tracked = wandb.init(
            mode="offline",
            dir=str(folder),
            project=final.stem,
            name=run.name or final.stem,
            group=run.group or None,
            config=config | {"study": study},
            settings=known,
            reinit="create_new",
        )
        for step, row in rows_by_step(run).items():
            tracked.log(row, step=step)
        tracked.summary.update(run.summary)
        if run.diverged_epoch is not None:
            tracked.summary["diverged_epoch"] = run.diverged_epoch
        tracked.finish(exit_code=0 if run.diverged_epoch is None else 1)


def _mlflow(runs: Iterable[CellRun], folder: Path, final: Path) -> None:
    """Write a database of MLflow with an experiment, and a run for each cell."""
    need("sqlalchemy", "alembic", extra="mlflow")
    tracking, entities = need("mlflow.tracking", "mlflow.entities", extra="mlflow")
    folder.mkdir()
    client = tracking.MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment(final.stem, artifact_location=str(final.absolute() / "artifacts"))
    now = int(1000 * time.time())
    for run in runs:
        tags = {} if run.diverged_epoch is None else {"diverged_epoch": str(run.diverged_epoch)}
        own = client.create_run(experiment, start_time=now, tags=tags, run_name=run.name or final.stem).info.run_id
        params = [entities.Param(name, setting_text(value)) for name, value in run.settings.items()]
        client.log_batch(own, params=params)
        points = [entities.Metric(name, value, now, 0) for name, value in run.summary.items()]
        points += [
            entities.Metric(name, value, now, step)
            for name, curve in run.curves.items()
            for step, value in zip(curve.steps.tolist(), curve.values.tolist(), strict=True)
        ]
        for begin in range(0, len(points), POINTS_AT_ONCE):
            client.log_batch(own, metrics=points[begin : begin + POINTS_AT_ONCE])
        client.set_terminated(own, "FINISHED" if run.diverged_epoch is None else "FAILED", end_time=now)


def write_runs(runs: Iterable[CellRun], folder: Path, to: str, final: Path) -> None:
    """Write runs into a new folder.

    Args:
      runs: of a result.
      folder: is created.
      to: a name in `TRACKERS`.
      final: the path that the folder will have; its name without the ending is that of the project or experiment.

    Raises:
      InputError: if the tracker's library is not installed, with the command that installs it.
    """
    with _silent():
        TRACKERS[to](runs, folder, final)


TRACKERS: dict[str, Callable[[Iterable[CellRun], Path, Path], None]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
"""The function that writes runs for each tracker, by its name in `jaxsgd export --to`."""
