"""Functions traced by JAX and compiled by XLA: the same work once, and in the form that runs fast.

compiler_options   XLA's options for the package's programs
jit                `jax.jit` with these options, also for a function of a problem
static             static arguments that are compared by their parts, so that equal optimizers share a program
per_owner          what is traced or compiled for an object, and kept as long as the object
any_width          a function compiled once for any number of cells, on a CPU
work               the floating-point operations of a traced program
mapped             arrays mapped over before a loop begins, so that the loop's body is traced once
rewritten          equations of a traced program replaced by others
convolution        the rule that puts the channels of a convolution last, on a CPU
lapack             the rule that gives routines of LAPACK one matrix at a time, on a CPU
lowered            a function lowered for the compiler, with these rules
"""
