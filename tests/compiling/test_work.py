"""The work of traced programs, counted by hand and by XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsgd
from jaxsgd.compiling.work import LOOP_STEPS, Work, work


def flops(function, *shapes):
    return work(jax.make_jaxpr(function)(*map(jnp.ones, shapes))).flops


def test_products_count_two_operations_for_each_term_and_other_equations_one_for_each_number():
    # 4 x 6 numbers, each the sum of 5 products; then 24 sines; what only moves numbers counts nothing.
    assert flops(lambda a, b: jnp.sin(a @ b), (4, 5), (5, 6)) == 4 * 6 * 2 * 5 + 24
    assert flops(lambda a: jnp.broadcast_to(a.T.reshape(20), (3, 20)), (4, 5)) == 0
    assert flops(lambda a: a.sum(), (4, 5)) == 20
    # An equation may have no inputs and no results.
    assert flops(lambda a: (jax.debug.callback(lambda: None), a + 1)[1], (4, 5)) == 20


def test_what_is_in_a_loop_counts_as_often_as_it_is_done_and_its_equations_once():
    product = 2 * 5 * 5
    matrix, vector = jnp.ones((5, 5)), jnp.ones(5)
    scanned = work(jax.make_jaxpr(lambda a, b: jax.lax.scan(lambda x, _: (a @ x, None), b, length=7)[0])(matrix, vector))
    assert scanned == Work(7 * product, 2)
    # The condition is one comparison of a sum.
    until = flops(lambda a, b: jax.lax.while_loop(lambda x: x[0] < 1, lambda x: a @ x, b), (5, 5), (5,))
    assert until == pytest.approx(LOOP_STEPS * product, rel=0.05)
    either = flops(lambda a, b: jax.lax.cond(b[0] > 0, lambda: a @ b, lambda: b), (5, 5), (5,))
    assert either == pytest.approx(product, rel=0.1)


def test_random_numbers_count_as_often_as_they_are_drawn():
    def drawn(key):
        return jax.lax.scan(
            lambda total, key: (total + jax.random.normal(key, (5,)), None), jnp.zeros(5), jax.random.split(key, 7)
        )

    assert work(jax.make_jaxpr(drawn)(jax.random.key(0))).random_numbers == 7 * 5
    assert work(jax.make_jaxpr(lambda key: jax.random.bernoulli(key, 0.5, (3, 4)))(jax.random.key(0))).random_numbers == 12


def test_equations_that_no_result_needs_do_not_count_in_loops_either():
    assert flops(lambda a, b: (a @ b, b + 1)[1], (5, 5), (5,)) == 5

    def looped(a, b):
        # Of a derivative along a vector only the second part is used, as in a product with a Hessian.
        return jax.lax.scan(lambda x, _: (jax.jvp(lambda y: y * (a @ b).sum(), (x,), (b,))[1], None), b, length=3)[0]

    alone = 2 * 5 * 5 + 5 + 5
    assert flops(looped, (5, 5), (5,)) == 3 * alone


@pytest.mark.parametrize("name", ["square_regression", "least_squares", "digits", "tanh_network", "char_lm", "convnet"])
def test_a_loss_with_its_gradient_has_the_operations_that_xla_counts(name):
    problem, key = getattr(jaxsgd.problems, name)(), jax.random.key(0)

    def passed(params, data):
        return jax.value_and_grad(lambda params: problem.training_losses(params, data, key).mean())(params)

    traced = jax.jit(passed).trace(*map(jax.eval_shape, (problem.init, problem.sample_data), (key, key)))
    counted = traced.lower().cost_analysis()["flops"]
    # XLA leaves out the products of a convolution with the zeros around an image.
    assert work(traced.jaxpr).flops == pytest.approx(counted, rel=0.5 if name == "convnet" else 0.05)


def test_a_convolution_counts_the_products_of_its_kernel():
    images, kernel = np.ones((2, 8, 8, 3), np.float32), np.ones((3, 3, 3, 4), np.float32)
    axes = ("NHWC", "HWIO", "NHWC")

    def convolved(images, kernel):
        return jax.lax.conv_general_dilated(images, kernel, (1, 1), "VALID", dimension_numbers=axes)

    # 2 x 6 x 6 x 4 numbers, each the sum of 3 x 3 x 3 products.
    assert work(jax.make_jaxpr(convolved)(images, kernel)).flops == 2 * 6 * 6 * 4 * 2 * 27
