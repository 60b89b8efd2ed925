"""Examples that several tests share."""

import numpy as np
import pytest

from tools.diagnosis_model.examples import Recording, make_examples


@pytest.fixture(scope="package")
def examples():
    """Logs of noise, of levels that repeat, and of a rise within the epoch."""
    rng = np.random.default_rng(0)
    noise = 5 + rng.standard_normal((8, 40, 12))
    settings = {"a": (noise, "reshuffle"), "b": (noise + 5 * rng.standard_normal(12), "fixed")}
    settings["c"] = (noise + np.linspace(-2, 2, 12), "reshuffle")
    return [
        example
        for name, (loss, order) in settings.items()
        for example in make_examples(Recording(loss, order, setting=name), 50, rng)
    ]
