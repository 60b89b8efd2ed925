"""What all figures have in common."""

import io
import subprocess
import sys

from matplotlib.image import imread

from jaxsgd.plot.style import SCREEN_DPI, slide


def test_a_figure_gives_a_notebook_its_picture():
    figure = slide("A title", "what was run")
    picture = imread(io.BytesIO(figure._repr_png_()), format="png")
    # 12 by 6.75 inches, white but for the two lines of text at the top.
    assert picture.shape == (6.75 * SCREEN_DPI, 12 * SCREEN_DPI, 4)
    drawn = picture[..., 0] < 0.5
    assert drawn[: picture.shape[0] // 5].sum() > 500
    assert not drawn[picture.shape[0] // 5 :].any()


def test_the_picture_is_drawn_without_pyplot():
    draw = "import sys; from jaxsgd.plot.style import slide; slide('a', 'b')._repr_png_()"
    code = f"{draw}; print('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
