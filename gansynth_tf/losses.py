"""Losses of GANSynth, one function each, per example: every result is [batch].

Sum them over the batch and divide by the *global* batch size, so that replicas add up.

Source: Gulrajani et al., "Improved training of Wasserstein GANs"; Karras et al., appendix A.1
(drift); Odena et al., "Conditional image synthesis with auxiliary classifier GANs".
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

PENALTY_UNITS = ("natural", "normalized")

# Far above what trains, and far below where float32 ends.
MAX_WEIGHT = 1e9


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights of the loss terms, under the original's names.

    ``gradient_penalty_units`` is new: "natural" takes the critic's slope with respect to
    specgrams as they are, as the original does; "normalized" with respect to specgrams in
    [-1, 1], where a phase weighs as much as a magnitude.
    """

    gradient_penalty_weight: float = 10.0
    gradient_penalty_target: float = 1.0
    real_score_penalty_weight: float = 0.001
    generator_ac_loss_weight: float = 10.0
    discriminator_ac_loss_weight: float = 10.0
    gradient_penalty_units: str = "natural"

    def __post_init__(self):
        if self.gradient_penalty_units not in PENALTY_UNITS:
            raise ValueError(
                f"gradient_penalty_units must be one of {', '.join(PENALTY_UNITS)}, "
                f"not {self.gradient_penalty_units!r}."
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is float and not 0 <= value <= MAX_WEIGHT:
                raise ValueError(
                    f"{field.name} must be a number from 0 to {MAX_WEIGHT:g}, not {value!r}."
                )
        if self.gradient_penalty_target == 0:
            raise ValueError("gradient_penalty_target must be above 0.")


class GeneratorLosses(NamedTuple):
    """Terms of the generator's loss, each [batch] or their mean."""

    wasserstein_g: tf.Tensor
    fake_ac_loss: tf.Tensor

    def total(self, config: LossConfig) -> tf.Tensor:
        """Weighted sum of the terms."""
        return self.wasserstein_g + config.generator_ac_loss_weight * self.fake_ac_loss


class DiscriminatorLosses(NamedTuple):
    """Terms of the discriminator's loss, each [batch] or their mean."""

    wasserstein_d: tf.Tensor
    gradient_penalty: tf.Tensor
    real_score_penalty: tf.Tensor
    real_ac_loss: tf.Tensor

    def total(self, config: LossConfig) -> tf.Tensor:
        """Weighted sum of the terms."""
        return (
            self.wasserstein_d
            + config.gradient_penalty_weight * self.gradient_penalty
            + config.real_score_penalty_weight * self.real_score_penalty
            + config.discriminator_ac_loss_weight * self.real_ac_loss
        )


def generator_wasserstein(fake_score: tf.Tensor) -> tf.Tensor:
    """Critic score of fakes [batch] -> loss [batch]: fakes should score high."""
    return -fake_score


def discriminator_wasserstein(real_score: tf.Tensor, fake_score: tf.Tensor) -> tf.Tensor:
    """Critic scores [batch] -> loss [batch]: reals should score above fakes."""
    return fake_score - real_score


def drift(real_score: tf.Tensor) -> tf.Tensor:
    """Critic score of reals [batch] -> its square: scores should stay near zero."""
    return tf.square(real_score)


def pitch_loss(pitch_logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Logits and one-hot labels [batch, pitches] -> cross entropy [batch]."""
    return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=pitch_logits)


def interpolate(real: tf.Tensor, fake: tf.Tensor, amount: tf.Tensor) -> tf.Tensor:
    """Points between reals and fakes; ``amount`` [batch] is 0 at the real one."""
    amount = tf.reshape(amount, [-1] + [1] * (real.shape.rank - 1))
    return real + amount * (fake - real)


def gradient_penalty(
    critic: Callable[[tf.Tensor], tf.Tensor],
    specgrams: tf.Tensor,
    slope_scale: float,
    target: float,
    unit: tf.Tensor | float = 1.0,
) -> tf.Tensor:
    """Penalty [batch] on the critic's slope at ``specgrams``.

    The slope is taken with respect to specgrams at full size: ``slope_scale`` takes the norm at
    a smaller resolution there (NetworkConfig.slope_scale). It is in natural units, or in those
    of which one is ``unit`` natural ones, by channel.
    """
    with tf.GradientTape() as tape:
        tape.watch(specgrams)
        # A sum gives every example its own gradient, but for the minibatch statistic: as in the
        # original, that one's cross terms are part of the penalty.
        score = tf.reduce_sum(critic(specgrams))
    gradient = unit * tape.gradient(score, specgrams)
    squares = tf.reduce_sum(tf.square(gradient), axis=list(range(1, gradient.shape.rank)))
    # The root has an infinite derivative at 0; there, the penalty has no direction to offer.
    positive = squares > 0.0
    slope = tf.where(positive, tf.sqrt(tf.where(positive, squares, 1.0)), 0.0)
    return tf.square(slope * slope_scale / target - 1.0)
