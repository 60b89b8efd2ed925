"""Arrays that are mapped over before a loop begins, so that JAX goes through the loop's body once to map it.

To map a loop, JAX has to know which arrays of its carry differ between the mapped runs. It takes those that differ at the
start, maps the body, and maps it again if it finds more: each array that is the same for all runs at first, such as a sum or
an optimizer's state that begins at 0, costs another pass, in each loop around it too. That was a tenth of the time to trace and
lower a training program. The program is the same, so long as only such arrays are mapped that would be in the end.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array


def mapped_like(tree: Any, like: Any) -> Any:
    """Return the arrays of a pytree, mapped over wherever the first array of another pytree is.

    Args:
      tree: the arrays; no derivative may be taken with respect to what they are computed from.
      like: a pytree with at least one array.
    """
    return _spread(tree, jax.lax.stop_gradient(jax.tree.leaves(like)[0]))


def _mapped(axis_size: int, in_batched: list, tree: Any, like: Array) -> tuple[Any, Any]:
    """Return the arrays with a leading axis if `like` has one, and which of them have one, as JAX asks for it."""
    del like
    is_mapped, like_is_mapped = in_batched
    if not like_is_mapped:
        return tree, is_mapped
    spread = jax.tree.map(
        lambda leaf, done: leaf if done else jnp.broadcast_to(leaf, (axis_size, *jnp.shape(leaf))), tree, is_mapped
    )
    return spread, jax.tree.map(lambda _: True, is_mapped)


_spread = custom_vmap(lambda tree, like: tree)
_spread.def_vmap(_mapped)
