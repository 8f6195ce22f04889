"""What a trained generator plays, as functions of tensors: the same in a run and in an export.

Nothing here reads files, checks what comes in or knows of batches; that is for those who call.
"""

import numpy as np
import tensorflow as tf

from gansynth_tf.model import ModelConfig, PitchVocabulary
from gansynth_tf.networks import Generator

NUM_MIDI_PITCHES = 128
UNKNOWN_PITCH = -1
# Keeps the latents of small seeds apart from whatever else is drawn by them.
_LATENT_STREAM = 0x67616E
_PARALLEL = 1e-6  # sine of the angle below which two latents count as parallel


class Player:
    """A generator at one stage of its growth, and its codec."""

    def __init__(
        self, config: ModelConfig, generator: Generator, num_blocks: int, fade: np.float32 | None
    ):
        """``fade``: the newest block's weight in a transition, None where it is all there."""
        self.codec = config.codec
        self.vocabulary = config.vocabulary
        self.latent_size = config.networks.latent_vector_size
        self.generator = generator
        self.num_blocks = num_blocks
        self.fade = fade
        self._table = label_table(config.vocabulary)

    def labels(self, pitches: tf.Tensor) -> tf.Tensor:
        """MIDI pitches [n] int32 -> labels [n] int32, UNKNOWN_PITCH where the model has none."""
        known = (pitches >= 0) & (pitches < NUM_MIDI_PITCHES)
        found = tf.gather(self._table, tf.where(known, pitches, 0))
        return tf.where(known, found, UNKNOWN_PITCH)

    def specgrams(self, latents: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Latents [n, latent] and labels [n] int -> full-size specgrams [n, time, freq, 2]."""
        one_hots = tf.one_hot(labels, len(self.vocabulary.pitches))
        return self.generator.full_size(
            latents, one_hots, num_blocks=self.num_blocks, fade=self.fade
        )

    def waves(self, latents: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Latents [n, latent] and labels [n] int -> waves [n, samples], differentiable."""
        return self.codec.specgrams_to_waves(self.specgrams(latents, labels))


def label_table(vocabulary: PitchVocabulary) -> np.ndarray:
    """Label of every MIDI pitch, [128] int32; UNKNOWN_PITCH where there is none."""
    table = np.full(NUM_MIDI_PITCHES, UNKNOWN_PITCH, np.int32)
    table[list(vocabulary.pitches)] = np.arange(len(vocabulary.pitches))
    return table


def latents_of_seeds(seeds: tf.Tensor, size: int) -> tf.Tensor:
    """Seeds [n] int32 -> latents [n, size]; each depends on its own seed alone."""

    def draw(seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_normal([size], tf.stack([seed, _LATENT_STREAM]), alg="philox")

    return tf.map_fn(draw, seeds, fn_output_signature=tf.TensorSpec([size], tf.float32))


def interpolate_latents(start: tf.Tensor, end: tf.Tensor, amount: tf.Tensor) -> tf.Tensor:
    """Row by row what ``music.slerp`` does: [n, latent] twice and [n] -> [n, latent]."""
    cosine = tf.reduce_sum(tf.nn.l2_normalize(start, 1, 0.0) * tf.nn.l2_normalize(end, 1, 0.0), 1)
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))[:, tf.newaxis]
    amount, sine = amount[:, tf.newaxis], tf.sin(angle)
    straight = (1.0 - amount) * start + amount * end
    arc = tf.sin((1.0 - amount) * angle) * start + tf.sin(amount * angle) * end
    return tf.where(sine < _PARALLEL, straight, tf.math.divide_no_nan(arc, sine))
