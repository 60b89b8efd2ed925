"""Values that go with their owner."""

import gc
import weakref

from jaxsgd.compiling.per_owner import PerOwner


class Thing:
    """Anything that weak references may refer to."""


def test_a_value_is_worked_out_once_for_each_owner_and_key_and_goes_with_its_owner():
    calls, values = [], PerOwner()

    def make():
        calls.append(1)
        return Thing()

    first, second = Thing(), Thing()
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
