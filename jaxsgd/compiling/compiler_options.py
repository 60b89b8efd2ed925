"""Options of XLA for whole programs."""

import jax

CPU_OPTIONS: dict[str, str | bool] = {"xla_cpu_prefer_vector_width": "512", "xla_backend_optimization_level": "1"}
"""Options of XLA with which programs are compiled for a CPU. A network's sigmoids and sums are faster with the whole
vectors of AVX-512, of which XLA uses half by default; a processor without them is not affected. LLVM's first level of
optimization compiles in half the time of the third, XLA's default, and the programs run as fast: their time goes to products
and to loops that XLA has fused before.
"""


def compiler_options() -> dict[str, str | bool]:
    """Return XLA's options for the package's programs on the default device; no other program of the process has them."""
    if jax.default_backend() != "cpu":
        return {}
    if jax.config.values["jax_disable_most_optimizations"]:  # JAX sets the level then
        return {name: value for name, value in CPU_OPTIONS.items() if name != "xla_backend_optimization_level"}
    return CPU_OPTIONS
