"""The descriptions of observables in a manifest, which may come from a stranger."""

import pytest

from jaxsgd.study.observed import Record, plain_records, stored_records

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


@pytest.mark.parametrize(
    "changed",
    [{"shape": [-1]}, {"shape": [2, 2]}, {"dims": [3]}, {"sparse": 1}, {"better": "most"}, {"units": None}, {"more": 1}],
)
def test_what_is_not_sound_is_not_read(changed):
    assert stored_records(stored(**changed)) is None


def test_an_observable_without_a_description_is_not_read():
    assert stored_records({"observed": ["own"], "measures": {}}) is None
