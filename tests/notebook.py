"""A notebook of the documentation: run it in a kernel, and compare what it prints with what it stores.

`python -m tests.notebook docs/notebooks/puzzle.ipynb` runs a notebook and stores its new outputs in it.
"""

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient

LONGEST = 900
"""The most seconds that a cell may take."""


class Output(NamedTuple):
    """The output of a cell, as far as it is the same on every machine.

    Attributes:
      text: what it prints, and the text of its last value.
      pictures: the number of its figures.
    """

    text: str
    pictures: int


def read(path):
    """The notebook of a file, which must be well formed."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


@contextlib.contextmanager
def kernel(folder):
    """Yield a client of a new kernel that runs in a folder and ends with the block."""
    client = NotebookClient(
        nbformat.v4.new_notebook(), timeout=LONGEST, startup_timeout=LONGEST, kernel_name="python3", record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    with client.setup_kernel():
        yield client


def run(client, notebook):
    """Return a notebook with the outputs of a run from start to end, in a kernel that has forgotten all names before it."""
    # The next cell is number 1 again, as in a new kernel.
    forget = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%reset -f\nget_ipython().execution_count = 1")])
    for client.nb in (forget, nbformat.from_dict(notebook)):
        client.execute(cleanup_kc=False)
    return client.nb


def shown(cell):
    """The output of a cell of code, without the bar of a sweep."""
    text, pictures = "", 0
    for output in cell.outputs:
        if is_bar(output):
            continue
        if output.output_type == "stream":
            assert output.name == "stdout", output.text
            text += output.text
        else:
            is_picture = "image/png" in output.data
            pictures += is_picture
            if output.output_type == "execute_result" and not is_picture:
                text += output.data["text/plain"] + "\n"
    return Output(text, pictures)


def is_bar(output):
    """True for the bar of a sweep, which has the machine's speed in it."""
    return output.output_type == "display_data" and "image/png" not in output.data


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def store(path):
    """Run a notebook, and write it with its new outputs, without the bars of sweeps."""
    with tempfile.TemporaryDirectory() as folder, kernel(folder) as client:
        done = run(client, read(path))
    done.metadata = {name: done.metadata[name] for name in ("kernelspec",)} | {"language_info": {"name": "python"}}
    for cell in done.cells:
        cell.metadata = {}
    for cell in code_cells(done):
        cell.outputs = [output for output in cell.outputs if not is_bar(output)]
    nbformat.write(done, path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        store(Path(name))
