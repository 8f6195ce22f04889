"""Loss terms have their analytic values, and the penalty does not depend on the resolution."""

import numpy as np
import pytest
import tensorflow as tf

from gansynth_tf import losses
from gansynth_tf.layers import box_downscale, box_upscale
from gansynth_tf.losses import DiscriminatorLosses, GeneratorLosses, LossConfig
from gansynth_tf.networks import NetworkConfig
from gansynth_tf.schedule import ResolutionSchedule

pytestmark = pytest.mark.latest


def normal(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def linear(weights):
    return lambda x: tf.reduce_sum(weights * x, axis=[1, 2, 3])


@pytest.mark.parametrize("target", [1.0, 2.5])
@pytest.mark.parametrize("slope_scale", [1.0, 0.125])
def test_penalty_of_a_linear_critic(target, slope_scale):
    weights, specgrams = normal(2, 4, 2), tf.constant(normal(3, 2, 4, 2, seed=1))
    slope = np.linalg.norm(weights) * slope_scale
    penalty = losses.gradient_penalty(linear(weights), specgrams, slope_scale, target)
    assert penalty.shape == (3,)
    np.testing.assert_allclose(penalty, np.full(3, (slope / target - 1) ** 2), rtol=1e-4)


def test_every_example_has_its_own_slope():
    specgrams = tf.constant(normal(3, 2, 4, 2))
    penalty = losses.gradient_penalty(
        lambda x: tf.reduce_sum(tf.square(x), axis=[1, 2, 3]), specgrams, 1.0, 1.0
    )
    slopes = 2 * np.sqrt(np.square(specgrams).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(penalty, (slopes - 1) ** 2, rtol=1e-4)


def test_units_multiply_the_slope_by_channel():
    weights, specgrams = normal(2, 4, 2), tf.constant(normal(3, 2, 4, 2))
    unit = tf.constant([3.0, 0.5])
    penalty = losses.gradient_penalty(linear(weights), specgrams, 0.5, 1.0, unit)
    slope = 0.5 * np.linalg.norm(weights * unit.numpy())
    np.testing.assert_allclose(penalty, np.full(3, (slope - 1) ** 2), rtol=1e-4)


def test_a_flat_critic_has_finite_penalty_and_gradient():
    weights = tf.Variable(tf.zeros([2, 4, 2]))
    specgrams = tf.constant(normal(3, 2, 4, 2))
    with tf.GradientTape() as tape:
        penalty = losses.gradient_penalty(linear(weights), specgrams, 1.0, 1.0)
    np.testing.assert_array_equal(penalty, np.ones(3))
    np.testing.assert_array_equal(tape.gradient(penalty, weights), np.zeros((2, 4, 2)))


def test_the_penalty_teaches_the_critic():
    weights = tf.Variable(normal(2, 4, 2))
    specgrams = tf.constant(normal(3, 2, 4, 2))
    with tf.GradientTape() as tape:
        penalty = losses.gradient_penalty(linear(weights), specgrams, 1.0, 1.0)
    norm = np.linalg.norm(weights)
    expected = 3 * 2 * (norm - 1) * weights.numpy() / norm
    np.testing.assert_allclose(tape.gradient(penalty, weights), expected, rtol=1e-4)


@pytest.mark.parametrize("scale_mode", ["ALL", "H"])
@pytest.mark.parametrize("block", [1, 2, 3])
def test_penalty_is_that_at_full_size(scale_mode, block):
    config = NetworkConfig(resolutions=ResolutionSchedule(2, 4, 2, scale_mode, 3))
    factors = config.resolutions.shrink(block)
    shape = config.resolutions.resolution(block)
    weights, small = 3 * normal(*shape, 2), tf.constant(normal(2, *shape, 2, seed=1))
    full = box_upscale(small, factors)
    assert full.shape[1:3] == config.resolutions.final_resolution

    def critic(x):
        return tf.reduce_sum(tf.tanh(weights * x), axis=[1, 2, 3])

    ours = losses.gradient_penalty(critic, small, config.slope_scale(block), 1.0)
    reference = losses.gradient_penalty(lambda x: critic(box_downscale(x, factors)), full, 1.0, 1.0)
    np.testing.assert_allclose(ours, reference, rtol=1e-4)
    if block < 3:
        unscaled = losses.gradient_penalty(critic, small, 1.0, 1.0)
        assert np.abs(unscaled - reference).min() > 0.1


def test_interpolation_goes_from_real_to_fake():
    real, fake = normal(3, 2, 4, 2), normal(3, 2, 4, 2, seed=1)
    points = losses.interpolate(tf.constant(real), tf.constant(fake), tf.constant([0.0, 1.0, 0.25]))
    np.testing.assert_array_equal(points[0], real[0])
    np.testing.assert_allclose(points[1], fake[1], atol=1e-6)
    np.testing.assert_allclose(points[2], 0.75 * real[2] + 0.25 * fake[2], atol=1e-6)


def test_pitch_loss_is_the_cross_entropy():
    logits, pitches = 5 * normal(4, 7), np.array([0, 3, 6, 3])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(probabilities[np.arange(4), pitches])
    ours = losses.pitch_loss(tf.constant(logits), tf.one_hot(pitches, 7))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_scores():
    real, fake = tf.constant([1.0, -2.0]), tf.constant([0.5, 3.0])
    np.testing.assert_array_equal(losses.generator_wasserstein(fake), [-0.5, -3.0])
    np.testing.assert_array_equal(losses.discriminator_wasserstein(real, fake), [-0.5, 5.0])
    np.testing.assert_array_equal(losses.drift(real), [1.0, 4.0])


def test_totals_weigh_each_term():
    config = LossConfig(
        gradient_penalty_weight=2.0,
        real_score_penalty_weight=3.0,
        generator_ac_loss_weight=5.0,
        discriminator_ac_loss_weight=7.0,
    )
    assert GeneratorLosses(1.0, 10.0).total(config) == 51.0
    critic = DiscriminatorLosses(
        wasserstein_d=1.0, gradient_penalty=10.0, real_score_penalty=100.0, real_ac_loss=1000.0
    )
    assert critic.total(config) == 1 + 20 + 300 + 7000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gradient_penalty_units", "pixels"),
        ("gradient_penalty_weight", -1.0),
        ("gradient_penalty_target", 0.0),
        ("real_score_penalty_weight", float("nan")),
        ("generator_ac_loss_weight", float("inf")),
        ("discriminator_ac_loss_weight", -0.1),
    ],
)
def test_errors_name_the_argument(name, value):
    with pytest.raises(ValueError, match=name):
        LossConfig(**{name: value})
