"""Layers equal plain formulas of what they say they are."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf import layers

pytestmark = pytest.mark.latest


def normal(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def with_bias(layer):
    """The same with a bias other than zero, so that a forgotten one shows."""
    layer.bias.assign(normal(*layer.bias.shape, seed=9))
    return layer


factors = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=25, deadline=None)
@given(factors=factors, time=st.integers(1, 4), freq=st.integers(1, 4))
def test_downscaling_undoes_upscaling(factors, time, freq):
    x = normal(2, time, freq, 3)
    large = layers.box_upscale(tf.constant(x), factors)
    expected = x.repeat(factors[0], axis=1).repeat(factors[1], axis=2)
    np.testing.assert_array_equal(large, expected)
    np.testing.assert_allclose(layers.box_downscale(large, factors), x, atol=1e-6)


def test_downscaling_averages():
    x = normal(2, 4, 6, 3)
    expected = x.reshape(2, 2, 2, 2, 3, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(layers.box_downscale(tf.constant(x), (2, 3)), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4, 5)])
def test_pixel_norm(shape):
    x = 7 * normal(*shape)
    ours = layers.pixel_norm(tf.constant(x)).numpy()
    np.testing.assert_allclose(np.square(ours).mean(axis=-1), np.ones(shape[:-1]), rtol=1e-5)
    np.testing.assert_allclose(ours / x, np.repeat(ours[..., :1] / x[..., :1], 5, -1), rtol=1e-4)
    np.testing.assert_array_equal(layers.pixel_norm(tf.zeros([2, 3])), np.zeros((2, 3)))


@pytest.mark.parametrize("groups", [1, 3])
def test_minibatch_stddev_is_one_number_a_group(groups):
    x = normal(6, 2, 3, 4) * np.arange(1, 7, dtype=np.float32)[:, None, None, None]
    ours = layers.minibatch_stddev(tf.constant(x), groups).numpy()
    assert ours.shape == (6, 2, 3, 5)
    np.testing.assert_array_equal(ours[..., :4], x)
    size = 6 // groups
    for start in range(0, 6, size):
        variance = x[start : start + size].var(axis=0)
        expected = np.sqrt(variance + 1e-6).mean()
        np.testing.assert_allclose(ours[start : start + size, ..., 4], expected, rtol=1e-5)


def test_initial_normal_is_a_pure_function():
    first = layers.initial_normal(3, "generator/conv0", (40, 50))
    np.testing.assert_array_equal(first, layers.initial_normal(3, "generator/conv0", (40, 50)))
    assert first.dtype == np.float32
    assert abs(first.mean()) < 0.1
    assert abs(first.std() - 1) < 0.1
    for seed, name in ((4, "generator/conv0"), (3, "generator/conv1")):
        other = layers.initial_normal(seed, name, (40, 50))
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.1


def test_equalized_convolution_scales_unit_weights():
    layer = with_bias(layers.EqualizedConv2D(4, 5, 3, layers.HE_GAIN, 0, "conv"))
    assert layer.scale == pytest.approx(math.sqrt(2 / (3 * 3 * 4)))
    assert np.std(layer.kernel) == pytest.approx(1.0, abs=0.2)
    x = tf.constant(normal(2, 4, 6, 4))
    expected = tf.nn.conv2d(x, layer.kernel, 1, "SAME") * layer.scale + layer.bias
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    factors=factors,
    time=st.integers(1, 3),
    freq=st.integers(1, 3),
    size=st.sampled_from([1, 3, 5]),
)
def test_upscaling_and_convolution_in_one(factors, time, freq, size):
    fused = with_bias(layers.UpscaleConv2D(3, 2, size, factors, 1.0, 0, "conv"))
    apart = with_bias(layers.EqualizedConv2D(3, 2, size, 1.0, 0, "conv"))
    x = tf.constant(normal(2, time, freq, 3))
    expected = apart(layers.box_upscale(x, factors))
    np.testing.assert_allclose(fused(x), expected, atol=1e-5)
    assert size > 3 or layers.can_fuse(size, factors)


def test_fused_upscaling_has_the_gradients_of_both_steps():
    fused = layers.UpscaleConv2D(3, 2, 3, (2, 2), 1.0, 0, "conv")
    apart = layers.EqualizedConv2D(3, 2, 3, 1.0, 0, "conv")
    x, weight = tf.constant(normal(2, 3, 4, 3)), normal(2, 6, 8, 2, seed=1)
    gradients = []
    for layer, image in ((fused, lambda: x), (apart, lambda: layers.box_upscale(x, (2, 2)))):
        with tf.GradientTape() as tape:
            tape.watch([x, layer.kernel.value])
            total = tf.reduce_sum(weight * layer(image()))
        gradients.append(tape.gradient(total, [x, layer.kernel.value]))
    for ours, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_equalized_dense_scales_unit_weights():
    layer = with_bias(layers.EqualizedDense(16, 5, 1.0, 0, "dense"))
    assert layer.scale == pytest.approx(1 / 4)
    x = normal(3, 16)
    expected = x @ layer.kernel.numpy() / 4 + layer.bias.numpy()
    np.testing.assert_allclose(layer(tf.constant(x)), expected, atol=1e-5)


def test_latent_to_image_is_a_convolution_over_the_padded_latent():
    time, freq = 2, 5
    layer = with_bias(layers.LatentToImage(7, (time, freq), 4, layers.HE_GAIN, 0, "first"))
    assert layer.scale == pytest.approx(math.sqrt(2 / (time * freq * 7)))
    latents = normal(3, 7)
    padding = [[0, 0], [time - 1, time - 1], [freq - 1, freq - 1], [0, 0]]
    padded = tf.pad(latents[:, None, None, :], padding)
    expected = tf.nn.conv2d(padded, layer.scale * layer.kernel, 1, "VALID") + layer.bias
    assert expected.shape == (3, time, freq, 4)
    np.testing.assert_allclose(layer(tf.constant(latents)), expected, atol=1e-5)


def test_image_to_vector_is_a_valid_convolution():
    layer = with_bias(layers.ImageToVector(7, (2, 5), 4, layers.HE_GAIN, 0, "last"))
    images = tf.constant(normal(3, 2, 5, 7))
    expected = tf.nn.conv2d(images, layer.scale * layer.kernel, 1, "VALID") + layer.bias
    assert expected.shape == (3, 1, 1, 4)
    np.testing.assert_allclose(layer(images), expected[:, 0, 0], atol=1e-5)


def test_plain_layers_start_with_he_variance():
    kernels = {
        2 / (9 * 30): layers.PlainConv2D(30, 20, 3, 1, 0, "a").kernel,
        2 / (9 * 20): layers.PlainConv2DTranspose(30, 20, 3, (2, 2), 0, "b").kernel,
        2 / 200: layers.PlainDense(200, 30, 0, "c").kernel,
    }
    for variance, kernel in kernels.items():
        assert np.var(kernel) == pytest.approx(variance, rel=0.1)
