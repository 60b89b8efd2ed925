"""The key of a function: equal while what it reads stays, other as soon as that changes."""

from types import SimpleNamespace

from jaxsgd.study.dependencies import Dependencies

SOURCE = """
def measure(params):
    def inner():
        return library.mean(params) * factor

    return inner()


class Rule:
    power = exponent
"""


def key(scope, name="measure"):
    return Dependencies(scope[name])


def in_a_notebook(**names):
    """Return the names of a notebook that has run a cell with `SOURCE`."""
    scope = {"__name__": "a_notebook", "library": SimpleNamespace(mean=abs), "factor": 2.5, "exponent": 0.5} | names
    exec(compile(SOURCE, "<cell>", "exec"), scope)
    return scope


def test_a_new_value_of_a_global_that_inner_code_reads_is_another_key():
    scope = in_a_notebook()
    before = key(scope)
    assert key(scope) == before
    scope["factor"] = 3.5
    assert key(scope) != before


def test_a_global_with_the_name_of_an_attribute_is_nothing_that_the_function_reads():
    scope = in_a_notebook()
    before = key(scope)
    scope["mean"] = [1.0]
    assert key(scope) == before


def test_a_class_that_is_defined_again_is_another_key():
    scope = in_a_notebook()
    before = key(scope, "Rule")
    assert key(scope, "Rule") == before
    exec(compile(SOURCE, "<cell>", "exec"), scope)
    assert key(scope, "Rule") != before
