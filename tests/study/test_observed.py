"""The descriptions of observables: traced once, and in a manifest, which may come from a stranger."""

import json
import math

import pytest

from jaxsgd import Study
from jaxsgd.measure.observable import METRICS
from jaxsgd.study.observed import Record, observed_work, plain_records, records, stored_records

OWN = Record((2,), ("own_0",), True, "m", "a length", "higher", 1e-4)
NUMBER = Record(units="m", meaning="a length")


def stored(**changed):
    described = plain_records({"own": OWN, "number": NUMBER})
    return {"observed": ["distance", "own", "number"], "measures": {**described, "own": {**described["own"], **changed}}}


def test_what_is_written_is_read_again():
    read = stored_records(stored())
    assert read is not None
    assert (read["own"], read["number"]) == (OWN, NUMBER)
    assert (read["distance"].shape, read["distance"].units) == ((), "parameters")


def test_a_tolerance_that_is_infinite_is_written_as_json_and_read_again():
    apart = {name: Record(sparse=True, tolerance=metric.tolerance) for name, metric in METRICS.items()}
    assert math.isinf(apart["noise_scale"].tolerance)
    text = json.dumps(plain_records(apart), allow_nan=False)
    assert stored_records({"observed": list(apart), "measures": json.loads(text)}) == apart


@pytest.mark.parametrize(
    "changed",
    [{"shape": [-1]}, {"shape": [2, 2]}, {"dims": [3]}, {"sparse": 1}, {"better": "most"}, {"units": None}, {"more": 1}],
)
def test_what_is_not_sound_is_not_read(changed):
    assert stored_records(stored(**changed)) is None


def test_an_observable_without_a_description_is_not_read():
    assert stored_records({"observed": ["own"], "measures": {}}) is None


CALLS = []
"""The factor of `weights`, each time that it is traced."""


def scaled(factor):
    def weights(params, context):
        CALLS.append(factor)
        return factor * params

    return weights


weights = scaled(1)


def test_an_observable_is_traced_once_for_all_studies_of_a_problem_until_its_code_changes(monkeypatch):
    CALLS.clear()
    fields = {"problem": "least_squares", "problem_args": {"num_samples": 8, "num_inputs": 3}, "batch_counts": [1]}

    def check(rate):
        study = Study(**fields, epochs=2, learning_rates=[rate], observe=[f"{__name__}:weights", "parameter_norm"])
        assert records(study, study.subject())["weights"].shape == (3,)
        # A product; and for the norm a square, a sum and a root at least.
        assert observed_work(study, study.subject()).usual.equations >= 4

    check(0.1)
    check(0.2)
    assert CALLS == [1]
    monkeypatch.setitem(globals(), "weights", scaled(2))
    check(0.1)
    assert CALLS == [1, 2]
