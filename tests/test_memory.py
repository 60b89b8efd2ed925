"""Want of memory: a process that the system gives no more address space narrows its lanes, and says so."""

import json
import sys
import textwrap

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from tests.python_process import finished, started

pytest.importorskip("resource")
if sys.platform != "linux":
    pytest.skip("the size of a process is read as Linux tells it", allow_module_level=True)

LANES = 8
FIELDS = {"seeds": range(LANES), "batch_counts": [1], "learning_rates": [0.01], "epochs": 1}
CHILD = """
import resource, sys
import jaxsgd

FIELDS = {fields}

def sweep(num_hidden, out=None):
    args = {{"num_samples": 200, "num_inputs": 2, "num_hidden": num_hidden}}
    return jaxsgd.sweep(jaxsgd.Study(problem_args=args, **FIELDS), out, chunk_width={lanes}, lanes={lanes})

sweep(10)  # what threads and compiling need for themselves
pages = next(line for line in open("/proc/self/status") if line.startswith("VmSize"))
limit = (int(pages.split()[1]) // 1024 + {room}) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
"""


def in_little_room(room, program, *words):
    """A process that may grow by `room` MiB and then runs `program`: its exit status, and what it said."""
    source = CHILD.format(fields=FIELDS, lanes=LANES, room=room) + textwrap.dedent(program)
    return finished(started("-c", source, *words))


def test_a_failed_allocation_narrows_the_lanes_is_written_down_and_gives_the_same_numbers_within_the_tolerance(tmp_path):
    # A hidden layer is 200 x 60,000 numbers of 4 bytes, 46 MiB. Of 8 lanes two of them take 730 MiB, of 4 lanes 370 MiB.
    args = {"num_samples": 200, "num_inputs": 2, "num_hidden": 60_000}
    (tmp_path / "study.json").write_text(json.dumps(Study(problem_args=args, **FIELDS).resolved()))
    program = f"""
    from jaxsgd.cli.errors import run_app
    sys.exit(run_app(["run", sys.argv[1], "--out", sys.argv[2], "--chunk-width", "{LANES}", "--lanes", "{LANES}"]))
    """
    status, output, wrong = in_little_room(500, program, tmp_path / "study.json", tmp_path / "result")
    assert status == 0, wrong
    ds = jaxsgd.load(tmp_path / "result")
    manifest = json.loads(ds.attrs["manifest"])
    assert manifest["held"]["lanes"] == LANES
    narrowed = [step["lanes"] for step in manifest["lanes_narrowed"]]
    assert narrowed in ([4], [4, 2], [4, 2, 1])
    assert {step["program"] for step in manifest["lanes_narrowed"]} == {0}
    assert f"memory was short, so only {narrowed[-1]} runs ran side by side: the same numbers to rounding" in output
    one_by_one = jaxsgd.sweep(Study(problem_args=args, **FIELDS), chunk_width=1)
    np.testing.assert_allclose(ds.loss, one_by_one.loss, rtol=1e-5)
    assert ds.attrs["missing_cells"] == 0


@pytest.mark.slow
def test_where_even_one_run_finds_no_memory_that_is_said_in_one_line():
    # Two arrays of 200 x 200,000 numbers are 305 MiB.
    program = """
    try:
        sweep(200_000)
    except jaxsgd.InputError as error:
        print(error)
    """
    status, output, wrong = in_little_room(60, program)
    assert status == 0, wrong
    assert output.startswith("a single run needs more memory than is available (about ")
    assert output.count("\n") == 1


LARGE = """
import json, resource, sys
import jaxsgd
from jaxsgd.engine.sweep import sweep_to_folder

def sweep(seeds, out):
    study = jaxsgd.Study(
        problem="least_squares", problem_args={"num_samples": 500, "num_inputs": 2}, dtype="float64",
        seeds=range(seeds), batch_counts=[500], learning_rates=[0.01], epochs=500)
    return sweep_to_folder(study, out, chunk_width=4, lanes=4)  # two chunks in hand have room with all that is measured

sweep(16, sys.argv[1] + "/small")  # compiles, and takes what threads need for themselves
loaded = sorted({"xarray", "pandas"} & set(sys.modules))
import xarray  # by which results are read
pages = next(line for line in open("/proc/self/status") if line.startswith("VmSize"))
limit = (int(pages.split()[1]) // 1024 + 140) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
manifest = sweep(96, sys.argv[1] + "/large")
try:
    jaxsgd.load(sys.argv[1] + "/large")
except jaxsgd.InputError as error:
    print(error)
ds = jaxsgd.load(sys.argv[1] + "/large", variables=["loss_epoch"])
print(json.dumps([sorted(ds.data_vars), ds.attrs["missing_cells"], manifest["times"]["finished"] is not None, loaded]))
"""


def test_a_result_larger_than_the_memory_limit_runs_to_the_end_and_load_says_what_it_needs(tmp_path):
    # 96 cells x 500 epochs x 500 batches of 8 bytes are 183 MiB; the process may grow by 140 MiB.
    status, output, wrong = finished(started("-c", LARGE, tmp_path))
    assert status == 0, wrong
    refused, read = output.splitlines()
    assert "large: reading this result needs 0.2 GiB of memory and 0.1 are free" in refused
    assert refused.endswith('without every batch\'s loss it is smaller: load(folder, variables=["loss_epoch"])')
    # To run a study loads neither xarray nor pandas, which take half a second.
    assert json.loads(read) == [["diverged", "diverged_epoch", "loss_epoch", "missing", "rate"], 0, True, []]
    # Here there is room for all of it, and the variables that were read before are the same.
    ds, part = jaxsgd.load(tmp_path / "large"), jaxsgd.load(tmp_path / "large", variables="loss_epoch")
    assert ds.loss.nbytes == 96 * 500 * 500 * 8
    assert part.loss_epoch.identical(ds.loss_epoch)


def test_an_unknown_variable_names_the_nearest(tmp_path):
    jaxsgd.sweep(Study(problem="least_squares", **FIELDS), tmp_path / "result")
    with pytest.raises(InputError, match="did you mean 'loss_epoch'"):
        jaxsgd.load(tmp_path / "result", variables=["loss_epochs"])
