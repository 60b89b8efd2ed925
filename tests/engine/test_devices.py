"""The path for accelerators, on three CPU devices that are taken for accelerators: wide lanes, one program, a thread for each.

It shows that the path gives the numbers of the other; how fast it is on a GPU it cannot show.
"""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxsgd
from jaxsgd import Study
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.plan import plan

FIELDS = {
    "problem": "least_squares", "problem_args": {"num_samples": 20, "num_inputs": 2}, "seeds": list(range(9)),
    "batch_counts": [1, 3, 5, 10], "learning_rates": [0.01], "orders": ["reshuffle"], "epochs": 3,
}  # fmt: skip

CHILD = """
import json, sys
import jax

jax.config.update("jax_num_cpu_devices", 3)
import jaxsgd
from jaxsgd.engine import execution
from jaxsgd.engine import plan as plan_module

# What tells a CPU from other devices; all else is as it is.
jax.default_backend = lambda: "gpu"
execution.workers = lambda: list(jax.local_devices())  # a list of its own: JAX keeps the one that it returns
used = set()
run = execution.Execution.run

def noted(self, number, device):
    used.add(device.id)
    return run(self, number, device)

execution.Execution.run = noted
planned = plan_module.plan(jaxsgd.Study(**json.loads(sys.argv[1])))
ds = jaxsgd.sweep(planned.study)
told = {"held": planned.settings(), "chunks": len(planned.chunks), "used": sorted(used)}
print(json.dumps({**told, "loss": ds.loss.values.tolist()}))
"""


@pytest.mark.slow
def test_each_device_runs_wide_lanes_of_one_program_and_the_losses_are_those_of_a_cpu():
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(FIELDS)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    payload = json.loads(done.stdout)
    # 36 cells: a third for each device, all of them side by side.
    assert payload["held"] == {
        "vectorize": "one_program",
        "chunk_width": 12,
        "lanes": 12,
        "micro_size": payload["held"]["micro_size"],
    }
    assert (payload["chunks"], payload["used"]) == (3, [0, 1, 2])
    here = jaxsgd.sweep(Study(**FIELDS), vectorize="grouped")
    np.testing.assert_allclose(np.array(payload["loss"], float), here.loss.values, rtol=1e-5)


BOTH = ("grouped", "one_program")


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"batch_counts": [4, 9]}, BOTH),
        ({"batch_counts": [4, 9], "eval_interval": 3}, BOTH),  # the same training programs
        # More kinds of runs than have programs. With a program for each batch count a chunk has runs of one kind.
        ({"batch_counts": [1, 2, 4, 5, 9]}, ["one_program"]),
        # One program has runs of as many epochs.
        ({"batch_counts": [4, 9], "epochs": None, "steps": 22}, ["grouped"]),
        ({"epochs": 1, "batch_counts": [2], "eval_interval": 3}, BOTH),  # no whole window
        ({"batch_counts": [2, 4], "stop": {"train_loss": 0.5}, "evaluate_every": 0.5}, BOTH),
    ],
    ids=["one interval", "two batch counts", "many batch counts", "steps", "no window", "target"],
)
def test_runs_have_the_same_measures_by_the_processor_and_by_the_device_that_trains_them(fields, paths):
    study = Study(**{name: value for name, value in {**FIELDS, **fields}.items() if value is not None})
    plans = [plan(study, vectorize=path) for path in paths]
    device = jax.local_devices()[0]
    for own, number in [(planned, i) for planned in plans for i in range(len(planned.chunks))]:
        by_processor = Execution(own, on_device=False).run(number, device)
        by_device = Execution(own, on_device=True).run(number, device)
        assert list(by_processor) == list(by_device)
        for name, values in by_processor.items():
            assert values.dtype == by_device[name].dtype
            compare = np.testing.assert_allclose if name.startswith("stripe") else np.testing.assert_array_equal
            compare(by_device[name], values, **({"rtol": 1e-9, "atol": 1e-12} if name.startswith("stripe") else {}))


def test_only_a_gpu_measures_runs_itself_and_not_those_of_many_kinds_or_with_a_target():
    device = jax.local_devices()[0]

    def measured(on_device=None, **fields):
        own = plan(Study(**{**FIELDS, **fields}), vectorize="one_program")
        return Execution(own, on_device).outputs(own.chunks[0], device)[0].measures

    assert measured() is None
    assert len(measured(True)) == len(FIELDS["batch_counts"])
    assert measured(True, batch_counts=[1, 2, 4, 5, 9]) is None
    assert measured(True, batch_counts=[2, 4], stop={"train_loss": 0.5}, evaluate_every=0.5) is None
