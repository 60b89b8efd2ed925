"""The parts of `python -m tools.versions` that need no network: ranges from metadata, environments, the table."""

import pytest
from packaging.requirements import Requirement

from tools.versions import CHECKS, Environment, Outcome, environments, failed, lower_bound, reason, requirements, table

METADATA = """\
Metadata-Version: 2.4
Name: jaxsgd
Requires-Python: >=3.11
Requires-Dist: numpy>=2.0
Requires-Dist: optax!=0.2.7,<1,>=0.2.6
Requires-Dist: zarr>=3; extra == "export"
Requires-Dist: jaxsgd[export]; extra == "all"

# A page that says Requires-Dist: nothing>=1
"""


def test_the_ranges_are_those_of_the_metadata_without_the_extras():
    needed, allowed = requirements(METADATA)
    assert [own.name for own in needed] == ["numpy", "optax"]
    assert [f"3.{minor}" in allowed for minor in (9, 10, 11, 14)] == [False, False, True, True]


def test_the_lower_bound_is_the_version_itself_whatever_stands_beside_it():
    assert [lower_bound(own) for own in requirements(METADATA)[0]] == ["numpy==2.0", "optax==0.2.6"]
    with pytest.raises(ValueError, match=r"numpy<3 has no lower bound: write one such as numpy>=1\.0"):
        lower_bound(Requirement("numpy<3"))


def test_the_oldest_versions_go_with_the_oldest_allowed_python_and_the_newest_with_each():
    wanted = environments(METADATA, [13, 9, 11, 12])
    assert [(own.name, own.python) for own in wanted] == [("oldest", 11), ("newest", 11), ("newest", 12), ("newest", 13)]
    assert [own.pins for own in wanted] == [["numpy==2.0", "optax==0.2.6"], [], [], []]
    assert environments(METADATA, [9]) == []


def outcome(name, python, check="passes", problem=""):
    checks = {} if problem else dict.fromkeys(CHECKS, check)
    return Outcome(Environment(name, python, []), {} if problem else {"numpy": "2.0.0"}, checks, problem)


def test_the_table_has_versions_and_checks_and_the_reason_for_what_was_not_tested():
    outcomes = [outcome("oldest", 11), outcome("newest", 11, "fails: no"), outcome("newest", 14, problem="there is no Python")]
    lines = table(outcomes, ["numpy"]).splitlines()
    assert lines[:3] == ["|  | oldest on 3.11 | newest on 3.11 |", "| --- | --- | --- |", "| numpy | 2.0.0 | 2.0.0 |"]
    assert "| **verify** | passes | fails: no |" in lines
    assert lines[-1] == "Not tested: newest on Python 3.14, because there is no Python."
    assert table(outcomes[2:], ["numpy"]).strip() == lines[-1]


@pytest.mark.parametrize(
    ("outcomes", "is_failure"),
    [
        ([outcome("oldest", 11), outcome("newest", 14, problem="this machine has no Python 3.14")], False),
        ([outcome("oldest", 11, "fails: no")], True),
        ([outcome("oldest", 11, problem="it cannot be installed")], True),
    ],
)
def test_a_missing_python_is_no_failure_and_all_else_is(outcomes, is_failure):
    assert failed(outcomes, {11: "python3.11", 14: None}) == is_failure


def test_the_reason_for_a_failure_names_the_conflict():
    text = """
    The conflict is caused by:
        The user requested numpy==2.0
        pandas 2.2.0 depends on numpy<2 and >=1.22.4

    ERROR: ResolutionImpossible: see the manual
    """
    assert reason(text) == "The user requested numpy==2.0; pandas 2.2.0 depends on numpy<2 and >=1.22.4"
    assert reason("Traceback:\n  File\nValueError: no\n") == "ValueError: no"
    assert reason("") == "it ended without a message"
