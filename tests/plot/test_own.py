"""A figure that a study file draws itself."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from jaxsgd import InputError
from jaxsgd.plot import own
from tests.plot.drawn import data_lines, panels

STUDY = Path(__file__).parent / "own_study.py"


@pytest.fixture
def ds():
    loss = np.arange(24.0).reshape(2, 3, 4)
    return xr.Dataset(
        {"loss_epoch": (("seed", "learning_rate", "epoch"), loss)}, {"seed": [0, 1], "learning_rate": [0.1, 0.2, 0.3]}
    )


def test_the_function_of_the_study_file_draws_the_selected_part(ds):
    drawn = own(ds.assign_coords(epoch=range(4)), str(STUDY), select={"learning_rate": 0.1, "seed": 1})
    assert drawn.texts[0].get_text() == "4 losses"
    (line,) = data_lines(panels(drawn)[0])
    np.testing.assert_array_equal(line.get_ydata(), [12, 13, 14, 15])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("STUDY = None", r"must define a function figure\(ds\) that draws a result, got NoneType"),
        ("def figure(ds):\n    return 3", r"figure\(ds\) must return a Matplotlib figure with a title \(figure.text\), got 3"),
        ("raise SystemExit", r"ends Python \(sys.exit\) before STUDY is defined"),
    ],
)
def test_a_file_that_draws_nothing_is_refused_in_one_line(ds, tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InputError, match=message):
        own(ds, str(tmp_path / "mine.py"))


def test_an_unknown_study_is_answered_with_the_nearest(ds):
    with pytest.raises(InputError, match="did you mean 'published/catapult'"):
        own(ds, "published/catapul")
