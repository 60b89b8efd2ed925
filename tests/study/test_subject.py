"""Values that are kept for each subject."""

import gc
import weakref

import jaxsgd
from jaxsgd.study.subject import OfSubjects, OwnArrays, Subject


def new_subject():
    return Subject(jaxsgd.problems.least_squares(num_samples=4, num_inputs=2), 4, OwnArrays(None, None))


def test_a_value_is_worked_out_once_for_each_subject_and_key_and_goes_with_its_subject():
    calls, values = [], OfSubjects()

    class Value:
        pass

    def make():
        calls.append(1)
        return Value()

    first, second = new_subject(), new_subject()
    own = values.get(first, "a", make)
    assert values.get(first, "a", make) is own
    assert len({own, values.get(first, "b", make), values.get(second, "a", make)}) == len(calls) == 3
    gone = weakref.ref(own)
    del own, first
    gc.collect()
    assert gone() is None
    values.clear()
    values.get(second, "a", make)
    assert len(calls) == 4
