"""The small convolutional network."""

import jax
import numpy as np
import optax
from scipy.signal import correlate2d

import jaxsgd

KEY = jax.random.key(0)


def test_the_loss_is_cross_entropy_of_two_convolutions_and_a_layer(x64):
    problem = jaxsgd.problems.convnet(4, num_maps=2, dtype="float64")
    params = jax.tree.map(lambda leaf: np.asarray(leaf) + 0.01, jax.jit(problem.init)(KEY))
    images, labels = problem.data
    maps = images.reshape(4, 8, 8, 1)
    # With a stride of 2 the 8 pixels need one more at the end, with a stride of 1 one at each end.
    for kernel, biases, stride, pad in zip(params.kernels, params.biases, (1, 2), ((1, 1), (0, 1)), strict=True):
        kernel, padded = np.asarray(kernel), np.pad(maps, ((0, 0), pad, pad, (0, 0)))
        result = np.array(
            [
                [
                    sum(correlate2d(image[..., i], kernel[..., i, o], "valid") for i in range(kernel.shape[2]))
                    for o in range(kernel.shape[3])
                ]
                for image in padded
            ]
        ).transpose(0, 2, 3, 1)
        maps = np.maximum(result[:, ::stride, ::stride] + np.asarray(biases), 0)
    assert maps.shape == (4, 4, 4, 4)
    ((weights, biases),) = params.output
    out = maps.reshape(4, -1) @ np.asarray(weights) + np.asarray(biases)
    expected = np.log(np.exp(out).sum(axis=1)) - out[np.arange(4), labels]
    np.testing.assert_allclose(jax.jit(problem.loss)(params, problem.data), expected, rtol=1e-12)


def test_five_epochs_of_training_read_nine_digits_in_ten():
    problem = jaxsgd.problems.convnet(1000)
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.adam(0.01), epochs=5, batch_count=20, order="reshuffle")
    assert run.epoch_loss[-1] < 0.4 < run.epoch_loss[0]
    assert np.mean(jax.jit(problem.accuracy)(run.params, problem.data)) > 0.9
