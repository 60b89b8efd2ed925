"""The path for accelerators, on three CPU devices that are taken for accelerators: wide lanes, one program, a thread for each.

It shows that the path gives the numbers of the other; how fast it is on a GPU it cannot show.
"""

import json
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest

import jaxsgd
from jaxsgd import Study
from jaxsgd.engine import execution
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
execution.workers = jax.local_devices
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


def test_idle_cores_measure_parts_of_a_chunk_with_the_same_bits(monkeypatch):
    own = plan(Study(**FIELDS), chunk_width=9)
    outputs, _ = Execution(own).outputs(own.chunks[0], jax.local_devices()[0])
    in_one = execution.summary(own, own.chunks[0], outputs)
    threads, stripes = set(), execution.stripes

    def noted(loss, eval_interval):
        threads.add(threading.get_ident())
        return stripes(loss, eval_interval)

    monkeypatch.setattr(execution, "stripes", noted)
    monkeypatch.setattr(execution, "cores", lambda: 4 * execution.threads())
    execution.summary(own, own.chunks[0], outputs)
    assert threads == {threading.get_ident()}  # so few losses are not worth a thread
    monkeypatch.setattr(execution, "LOSSES_PER_THREAD", 1)
    in_several = execution.summary(own, own.chunks[0], outputs)
    assert len(threads) > 1
    assert {name: array.tobytes() for name, array in in_several.items()} == {
        name: array.tobytes() for name, array in in_one.items()
    }
