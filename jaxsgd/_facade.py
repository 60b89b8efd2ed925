"""The public names of a package, from its stub `__init__.pyi`, loaded when first used."""

import sys
from collections.abc import Callable, Iterable
from types import ModuleType

import lazy_loader

from jaxsgd.nearest import nearest


class _Facade(ModuleType):
    """A package whose public names stay what the stub says.

    Python sets a module that is imported as an attribute of its package. Here `heatmap` is a function, from the module
    `heatmap`: importing the module must not put it in the function's place.
    """

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, but for a module in place of a public name."""
        if not (isinstance(value, ModuleType) and name in self.__all__):
            super().__setattr__(name, value)


def attach(package: str, file: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package, as its stub lists its names.

    Args:
      package: the package's `__name__`.
      file: its `__file__`.
    """
    load, public, names = lazy_loader.attach_stub(package, file)
    sys.modules[package].__class__ = _Facade

    def attribute(name: str) -> object:
        if name not in names:
            raise no_attribute(package, name, names)
        return load(name)

    return attribute, public, names


def no_attribute(package: str, name: str, names: Iterable[str]) -> AttributeError:
    """Return the error for an unknown attribute of a package, with the nearest public name.

    Args:
      package: its name.
      name: the unknown attribute.
      names: the public names.
    """
    near = nearest(name, names)
    text = f"{package} has no {name!r}" + (f": did you mean {near!r}?" if near else "")
    # Of an error that names its object Python's own traceback would say the nearest name again, which a notebook's does not.
    return AttributeError(text, name=name, obj=object())
