"""The nearest simulated case: a small problem, run under each of the six orders and printed as the log was."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.diagnosis import Diagnosis
from jaxsgd.diagnosis.features import measure_features, readings
from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from jaxsgd.diagnosis.period import find_period
from jaxsgd.engine.sweep import sweep
from jaxsgd.error import InputError, counted
from jaxsgd.number import plain_decimals
from jaxsgd.order import ORDERS
from jaxsgd.study.study import Study

SEEDS, MOST_BATCHES, MOST_EPOCHS, SAMPLES = 4, 60, 40, 12
"""Runs of each order; batches an epoch, epochs and samples a batch of a simulated case."""

ALIKE = (
    ("the same order in every epoch", ("fixed", "shuffle_once")),
    ("an order that is new in every epoch", ("reshuffle", "reshuffle_batches", "replacement")),
    ("an order that returns after two epochs", ("flip_flop",)),
)
"""Orders whose printed losses cannot be distinguished: the nearest case is named by its group."""

COMPARED = ("repeat_index", "jagged_index", "agreement", "smooth_rise", "smooth_fall")
"""The readings by which cases are compared."""


class Case(NamedTuple):
    """One order's runs, printed as the log was; n printed values.

    Attributes:
      order: its name.
      time: [n], epochs since the start.
      loss: [n], of the first seed.
      repeat_index: mean over the seeds.
      ramp: mean over the seeds.
      distance: root mean square difference of the readings from the log's, over readings and seeds.
    """

    order: str
    time: Float[np.ndarray, " n"]
    loss: Float[np.ndarray, " n"]
    repeat_index: float
    ramp: float
    distance: float


class Cases(NamedTuple):
    """The cases of all orders.

    Attributes:
      cases: nearest first.
      batches, interval, epochs: m, w and E of the simulation.
      is_scaled: True if the log has more batches or epochs than are simulated.
      form: how the simulation prints ("window" or "running").
      optimizer: its name.
    """

    cases: tuple[Case, ...]
    batches: int
    interval: int
    epochs: int
    is_scaled: bool
    form: str
    optimizer: str

    @property
    def group(self) -> str:
        """The group of the nearest order, in words."""
        return next((title for title, orders in ALIKE if self.cases[0].order in orders), self.cases[0].order)


def simulated_cases(diagnosis: Diagnosis) -> Cases:
    """Simulate least squares under the six orders, with the log's batches per epoch, interval and epochs if they are small.

    Args:
      diagnosis: a diagnosis of a log that is not too short.

    Raises:
      InputError: for a log that is too short.
    """
    if diagnosis.features is None:
        raise InputError(f"there is nothing to simulate: {diagnosis.too_short}")
    batches, interval = _sizes(diagnosis)
    epochs = int(np.clip(round(diagnosis.period.epochs), 4, MOST_EPOCHS))
    form = "running" if "running_mean" in diagnosis.causes else "window"
    # A model with many inputs and Adam remembers samples; one with few and plain SGD does not.
    memorizes = "re_exposure" in diagnosis.causes
    inputs = max(2, SAMPLES * batches // 3) if memorizes else 5
    # A loader has its order without looking at gradients.
    orders = [name for name, order in ORDERS.items() if order.feedback is None]
    study = Study(
        problem="least_squares",
        problem_args={"num_samples": SAMPLES * batches, "num_inputs": inputs, "noise": 3.0},
        seeds=range(SEEDS),
        batch_counts=[batches],
        orders=orders,
        optimizer="adam" if memorizes else "sgd",
        learning_rates=[0.05 if memorizes else 0.02],
        epochs=epochs,
    )
    dataset = sweep(study, progress=False)
    own = readings(diagnosis.features)
    cases = [
        _case(
            order,
            np.asarray(dataset["loss"].sel(order=order).values, np.float64).reshape(SEEDS, epochs, batches),
            interval,
            form,
            own,
        )
        for order in orders
    ]
    cases.sort(key=lambda case: case.distance)
    scaled = batches != diagnosis.period.batch_count or epochs < round(diagnosis.period.epochs)
    return Cases(tuple(cases), batches, interval, epochs, scaled, form, "Adam" if memorizes else "SGD")


def _sizes(diagnosis: Diagnosis) -> tuple[int, int]:
    """Return m and w of the simulation: the log's own, or the smallest that print as often in an epoch."""
    period = diagnosis.period
    if math.isfinite(period.batch_count) and period.batch_count <= MOST_BATCHES:
        return max(2, round(period.batch_count)), max(1, round(period.interval))
    per_epoch = min(period.per_epoch, float(MOST_BATCHES))
    for interval in (1, 2, 3):
        if abs(per_epoch * interval - round(per_epoch * interval)) < 0.05 and per_epoch * interval >= 2:
            return round(per_epoch * interval), interval
    return max(2, round(per_epoch)), 1


def _case(order: str, loss: np.ndarray, interval: int, form: str, own: dict[str, float]) -> Case:
    batches = loss.shape[-1]
    measured: list[dict[str, float]] = []
    shown, time = np.zeros(0), np.zeros(0)
    for run in loss:
        values, at = printed(run, Habit(interval, form))
        log = habit_log(values, at, batches)
        measured.append(measure_features(log.loss, log.rate, find_period(log)))
        if not len(shown):
            shown, time = values, (at + 1) / batches
    off = [[readings(numbers)[name] - own[name] for name in COMPARED] for numbers in measured]
    index, ramp = (float(np.mean([numbers[name] for numbers in measured])) for name in ("repeat_index", "ramp"))
    return Case(order, time, shown, index, ramp, float(np.sqrt(np.mean(np.square(off)))))


def nearest_lines(simulated: Cases) -> list[str]:
    """Return the simulated cases line by line."""
    first = simulated.cases[0]
    alike = next((orders for _, orders in ALIKE if first.order in orders), (first.order,))
    size = f"{simulated.batches} batches an epoch, printed every {simulated.interval}, {counted(simulated.epochs, 'epoch')}"
    return [
        "",
        f"Simulated (least squares with {simulated.optimizer}, {size}{', scaled down from the log' * simulated.is_scaled}):",
        *(
            f"  {case.order:<18} stripe index {plain_decimals(case.repeat_index, 2):>5}, rise {case.ramp:+.2f}, "
            f"distance {case.distance:.2f}"
            for case in simulated.cases
        ),
        f"Nearest to the log: {simulated.group} ({', '.join(alike)}{', which look the same' * (len(alike) > 1)}).",
    ]


def nearest_report(simulated: Cases) -> dict[str, Any]:
    """Return the simulated cases as nested dictionaries."""
    named = ("order", "repeat_index", "ramp", "distance")
    cases = [{name: getattr(case, name) for name in named} for case in simulated.cases]
    return simulated._asdict() | {
        "cases": cases,
        "nearest": simulated.cases[0].order,
        "nearest_group": simulated.group,
    }
