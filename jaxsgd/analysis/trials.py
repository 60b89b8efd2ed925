"""Trials: settings that a search proposes, run as one sweep, with one value for each."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxsgd.analysis.choice import seed_median
from jaxsgd.engine.sweep import sweep
from jaxsgd.error import InputError, shown
from jaxsgd.measure.observable import direction
from jaxsgd.results.axes import cell_dims, seed_dims
from jaxsgd.results.metric import cost, metric_named
from jaxsgd.study.study import Study, check_study


def trials(
    study: Study, settings: Iterable[Mapping[str, float]], metric: str | None = None, **how: Any
) -> Float[np.ndarray, " settings"]:
    """Return one value for each setting that a search proposes: the median over the study's seeds after the last epoch.

    All settings run side by side in one sweep in memory, and the next settings of the same number use the same compiled
    programs. So Optuna, or any other search that asks and tells, can propose many settings at once.

    Args:
      study: what the settings share: the problem, the seeds, the epochs. Its own values of the axes that the settings have are
        replaced.
      settings: numbers by axis: `learning_rate`, `batch_count`, numeric hyperparameters of the optimizer, numeric arguments of
        the problem. All settings have the same axes.
      metric: by default "validation_loss" if samples are held out, else "train_loss" if it is evaluated, else "loss_epoch".
      how: further arguments of `jaxsgd.sweep`, such as `chunk_width`, without a folder.

    Returns:
      [settings], in the units of the metric. A run that diverged counts as infinitely bad, so a value may be infinite (minus
      infinity for a metric of which more is better).

    Raises:
      InputError: for no settings, settings that do not have the same axes, a study with other axes than its seeds, or a metric
        that the result does not have; as `jaxsgd.sweep`.
    """
    check_study(study)
    proposed = [dict(setting) for setting in settings]
    if not proposed or not proposed[0]:
        raise InputError(f"trials needs at least one setting, such as {{'learning_rate': 0.1}}, got {shown(proposed)}")
    axes = list(proposed[0])
    for setting in proposed:
        if set(setting) != set(axes):
            raise InputError(f"all settings must have the same axes, got {sorted(axes)} and {sorted(setting)}")
    ds = sweep(_with_settings(study, {axis: [setting[axis] for setting in proposed] for axis in axes}), **how)
    several = [dim for dim in cell_dims(ds) if ds.sizes[dim] > 1 and dim not in ("draw", *seed_dims(ds))]
    if several:
        raise InputError(f"the study of trials has no other axes than its seeds, got several values of {', '.join(several)}")
    metric = metric_named(ds, metric)
    costs = cost(ds, metric).transpose("draw", ...).values.reshape(len(proposed), -1)
    return direction(metric) * seed_median(costs)


def _with_settings(study: Study, values: dict[str, list[float]]) -> Study:
    """Return the study with the listed values as its draws.

    Args:
      study: the study that the settings share.
      values: by axis, the value of each setting.
    """
    fields: dict[str, Any] = {f"{axis}s": None for axis in ("learning_rate", "batch_count") if axis in values}
    if "batch_count" in values:
        fields["batch_sizes"] = None
    for name in ("hyper", "problem_axes", "optimizer_args", "problem_args"):
        fields[name] = {axis: own for axis, own in getattr(study, name).items() if axis not in values}
    draws = len(next(iter(values.values())))
    return study.replaced(**fields, random={axis: {"values": own} for axis, own in values.items()}, draws=draws)
