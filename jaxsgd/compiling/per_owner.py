"""Values that are worked out for an object, and kept as long as the object."""

import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class PerOwner(Generic[Value]):
    """Values that are worked out once for each owner and key, and kept as long as the owner. Threads may share it."""

    def __init__(self):
        """Begin with no value."""
        self._values: weakref.WeakKeyDictionary[Any, dict[Hashable, Value]] = weakref.WeakKeyDictionary()
        self._lock = threading.RLock()

    def get(self, owner: Any, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of an owner and a key; `make` is called for it at first.

        The value must not refer to the owner, and the key neither: the owner would be kept for ever.
        """
        with self._lock:
            own = self._values.setdefault(owner, {})
            if key not in own:
                own[key] = make()
            return own[key]

    def clear(self) -> None:
        """Forget all values."""
        self._values.clear()
