"""The kinds of figures that `jaxsgd plot` draws of a result. Loads no figure: the functions are named, not imported."""

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of figure.

    Attributes:
      function: "module:attribute" of its function. It takes a result first and `select` by name, and returns a figure. Its
        other arguments are the options of the command: their help is the text of the docstring's `Args`; their types are
        `str`, `int`, `float` or `bool`, with `| None` where None is the default, or `Any` for a value of an axis.
      file: name of its files, without the ending; options and selection are added to it.
      in_all: True if `jaxsgd plot all` draws it where it suits the result.
      least_axes: how many axes with several values a result must have for `jaxsgd plot all` to draw it.
    """

    function: str
    file: str
    in_all: bool = True
    least_axes: int = 0


KINDS = {
    "grid": Kind("jaxsgd.plot.grid:grid", "grid"),
    "curves": Kind("jaxsgd.plot.curves:curves", "curves"),
    "heatmap": Kind("jaxsgd.plot.heatmap:heatmap", "heatmap", least_axes=2),
    "differences": Kind("jaxsgd.plot.differences:differences", "differences"),
    "slices": Kind("jaxsgd.plot.slices:slices", "slices"),
    "scaling": Kind("jaxsgd.plot.scaling:scaling", "scaling", in_all=False),
    "stripe_law": Kind("jaxsgd.plot.stripe_law:stripe_law", "stripe_law", in_all=False),
    "loader": Kind("jaxsgd.plot.loader:loader", "loader", in_all=False),
    "seeds": Kind("jaxsgd.plot.seeds:seeds", "seeds", in_all=False),
    "profile": Kind("jaxsgd.plot.profile:profile", "profile", in_all=False),
    "own": Kind("jaxsgd.plot.own:own", "own", in_all=False),
}
"""By name, in the order in which `jaxsgd plot all` draws them. A new kind of figure is one entry."""
