"""The notebooks in docs/notebooks: they run from start to end in a kernel, and print what they store."""

import json
import re
from pathlib import Path

import pytest

from tests.document import links, same

nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed, which runs notebooks")
from tests import notebook as notebooks  # noqa: E402, after nbclient is known to be there

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
FILES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A kernel for all notebooks in turn, with nothing of the user's own Jupyter, and nothing that stays."""
    folder = tmp_path_factory.mktemp("notebooks")
    with pytest.MonkeyPatch.context() as environment:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
            environment.setenv(name, str(folder / "jupyter"))
        # The kernel of this Python, whatever else is installed; and no limit of the tests' own.
        environment.delenv("MPLBACKEND", raising=False)
        with notebooks.kernel(folder) as started:
            yield started


@pytest.mark.parametrize("file", FILES)
def test_the_notebook_runs_and_prints_what_it_stores(file, client):
    stored = notebooks.read(FOLDER / file)
    done = notebooks.run(client, stored)
    for number, (new, old) in enumerate(zip(*map(notebooks.code_cells, (done, stored)), strict=True), 1):
        printed, expected = notebooks.shown(new), notebooks.shown(old)
        place = f"{file}, code cell {number}:\n{new.source}\n"
        assert same(printed.text, expected.text), f"{place}prints\n{printed.text}in place of\n{expected.text}"
        assert printed.pictures == expected.pictures, place


def test_a_notebook_cannot_use_the_names_of_another(client):
    first, second = (
        notebooks.nbformat.v4.new_notebook(cells=[notebooks.nbformat.v4.new_code_cell(source)])
        for source in ("alone = 1", "'alone' in globals()")
    )
    notebooks.run(client, first)
    (cell,) = notebooks.run(client, second).cells
    assert notebooks.shown(cell).text == "False\n"
    assert cell.outputs[0].execution_count == 1


@pytest.mark.parametrize("file", FILES)
def test_the_notebook_is_stored_as_it_was_run_and_is_small(file):
    stored = notebooks.read(FOLDER / file)
    cells = notebooks.code_cells(stored)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(notebooks.shown(cell).pictures for cell in cells) >= 1
    assert (FOLDER / file).stat().st_size < MOST_BYTES


@pytest.mark.parametrize("file", FILES)
def test_its_links_lead_somewhere_and_its_answers_can_be_unfolded(file):
    text = "\n\n".join(cell.source for cell in notebooks.read(FOLDER / file).cells if cell.cell_type == "markdown")
    for target in links(text):
        assert target.startswith("https://") or (FOLDER / target).exists(), target
    assert len(re.findall("<details>", text)) == len(re.findall("</details>", text)) == len(re.findall("<summary>", text))


def test_there_are_three_notebooks():
    assert FILES == ["batch_size_study.ipynb", "own_question.ipynb", "puzzle.ipynb"]


def test_the_output_of_a_cell_has_its_prints_its_value_and_its_figures_and_no_bar():
    cell = notebooks.nbformat.from_dict(
        {
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "gap 0.1\n"},
                {"output_type": "display_data", "data": {"text/plain": "8/8 100 % 3 cells/s"}},
                {"output_type": "display_data", "data": {"text/plain": "<Figure>", "image/png": ""}},
                {"output_type": "execute_result", "data": {"text/plain": "(1, 2)", "text/html": "<b>1</b>"}},
            ]
        }
    )
    assert notebooks.shown(cell) == ("gap 0.1\n(1, 2)\n", 1)
    warned = json.loads('{"outputs": [{"output_type": "stream", "name": "stderr", "text": "a warning"}]}')
    with pytest.raises(AssertionError, match="a warning"):
        notebooks.shown(notebooks.nbformat.from_dict(warned))
