"""The static parts of a program, from which it is compiled."""

import abc
from collections.abc import Callable


class Spec(abc.ABC):
    """The static parts of a program: it follows from these alone."""

    @property
    @abc.abstractmethod
    def key(self) -> tuple:
        """A key that is equal exactly if the program is the same."""

    @property
    def own_bytes(self) -> int:
        """The memory of the arrays that are kept with the program."""
        return 0

    @abc.abstractmethod
    def compile(self) -> Callable:
        """Compile the program and return it."""
