"""A notebook's progress bar and figures, in a kernel as a notebook starts it."""

import re

import pytest

manager = pytest.importorskip("jupyter_client.manager", reason="no kernel of a notebook is installed")
pytest.importorskip("ipykernel", reason="no kernel of a notebook is installed")

SWEEP = """
import jaxsgd
study = jaxsgd.Study(
    problem="least_squares", problem_args={"num_samples": 12}, seeds=range(4), batch_counts=[3], learning_rates=[0.1], epochs=2
)
ds = jaxsgd.sweep(study, chunk_width=2)
"""


@pytest.fixture(scope="module")
def run_cell(tmp_path_factory):
    """Runs a cell in a kernel; returns its messages, in their order."""
    folder = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as changed:
        # Nothing of the user's own, and nothing that stays.
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
            changed.setenv(name, str(folder))
        kernel, client = manager.start_new_kernel(startup_timeout=300, kernel_name="python3")

        def run(code):
            messages = []
            reply = client.execute_interactive(code, output_hook=messages.append, timeout=300)
            assert reply["content"]["status"] == "ok", reply["content"]
            return [message for message in messages if message["msg_type"] != "status"]

        yield run
        client.stop_channels()
        kernel.shutdown_kernel(now=True)


def of_type(messages, name):
    return [message["content"] for message in messages if message["msg_type"] == name]


def test_the_bar_of_a_sweep_is_one_picture_that_ends_at_100_percent(run_cell):
    messages = run_cell(SWEEP)
    assert not of_type(messages, "stream")
    (first,), updates = of_type(messages, "display_data"), of_type(messages, "update_display_data")
    # The updates replace the first picture; they do not add their own below it.
    assert {update["transient"]["display_id"] for update in updates} == {first["transient"]["display_id"]}
    texts = [re.sub(r"\x1b\[[\d;]*m", "", update["data"]["text/plain"]) for update in updates]  # without colours
    # Before the first of the two chunks, and after each.
    assert [re.search(r"\d/4 \d+ %", text)[0] for text in texts] == ["0/4 0 %", "2/4 50 %", "4/4 100 %"]
    assert all("text/html" in update["data"] for update in updates)


def test_no_bar_without_progress_and_a_figure_shows_itself(run_cell):
    messages = run_cell(SWEEP.replace("chunk_width=2", "chunk_width=2, progress=False"))
    assert {message["msg_type"] for message in messages} <= {"execute_input"}
    (picture,) = of_type(run_cell("jaxsgd.plot.curves(ds)"), "execute_result")
    assert picture["data"]["image/png"]
