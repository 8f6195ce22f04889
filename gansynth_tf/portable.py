"""A note in real-valued operations only: what TFLite and ONNX can hold.

Their converters know no complex numbers and no inverse Fourier transform. Here the inverse
short-time Fourier transform is two matrix products, and phases are summed in float32, wrapped
before they are summed, so that no digits go to whole turns.
"""

import math

import numpy as np
import tensorflow as tf

from gansynth_tf import spectral
from gansynth_tf.player import Player
from gansynth_tf.specgram import SPECGRAMS, SpecgramCodec


def make_function(player: Player) -> tf.types.experimental.PolymorphicFunction:
    """z [n, latent] float32, pitch [n] int32 -> audio [n, samples] float32, not checked.

    A pitch that the model does not know plays as no pitch at all.
    """
    specs = [
        tf.TensorSpec([None, player.latent_size], tf.float32, "z"),
        tf.TensorSpec([None], tf.int32, "pitch"),
    ]

    @tf.function(input_signature=specs)
    def synthesize(z: tf.Tensor, pitch: tf.Tensor) -> dict[str, tf.Tensor]:
        specgrams = player.specgrams(z, player.labels(pitch))
        return {"audio": specgrams_to_waves(player.codec, specgrams)}

    return synthesize


def specgrams_to_waves(codec: SpecgramCodec, specgrams: tf.Tensor) -> tf.Tensor:
    """As ``codec.specgrams_to_waves``, in real numbers: [n, time, freq, 2] -> [n, samples]."""
    if codec.representation not in SPECGRAMS:  # waves, which need no transform
        return codec.specgrams_to_waves(specgrams)
    magnitude, phase = codec.magnitudes_and_phases(specgrams)
    if codec.accumulates:
        phase = accumulate_half_turns(phase)
    angle = math.pi * spectral.wrap_half_turns(phase)
    frames = real_frames(codec, magnitude * tf.cos(angle), magnitude * tf.sin(angle))
    return overlap_and_add(frames, codec.frame_step)[:, codec.padding :]


def accumulate_half_turns(steps: tf.Tensor) -> tf.Tensor:
    """As ``spectral.accumulate_half_turns`` but for whole turns, without float64."""
    time, freq = steps.shape[1:]
    span = math.gcd(time, spectral.MAX_SPAN)
    sums = tf.constant(np.tril(np.ones([span, span])), steps.dtype)
    within = tf.matmul(sums, tf.reshape(steps, [-1, time // span, span, freq]))
    totals = spectral.wrap_half_turns(within[:, :, -1])
    before = tf.cumsum(totals, axis=1, exclusive=True)
    return tf.reshape(within + before[:, :, tf.newaxis], [-1, time, freq])


def real_frames(codec: SpecgramCodec, real: tf.Tensor, imaginary: tf.Tensor) -> tf.Tensor:
    """Windowed frames [n, time, frame] of spectra without DC, their parts [n, time, freq].

    Cosines are even about the frame's middle and sines are odd: half of the products do.
    """
    half, length = codec.freq, codec.frame_length
    angles = math.pi * np.outer(np.arange(1, half + 1), np.arange(half + 1)) / half
    weight = np.full([half, 1], 2.0 / length)
    weight[-1] = 1.0 / length  # Nyquist has no twin
    even = _product(real, weight * np.cos(angles))  # [n, time, half + 1]
    odd = _product(imaginary, -weight * np.sin(angles))
    first, second = (even + odd)[..., :half], (even - odd)[..., 1:]
    frames = tf.concat([first, tf.reverse(second, [-1])], axis=-1)
    with tf.init_scope():  # a constant, not the operations that make one
        window = tf.signal.inverse_stft_window_fn(codec.frame_step)(length, tf.float32).numpy()
    return frames * window


def overlap_and_add(frames: tf.Tensor, step: int) -> tf.Tensor:
    """[n, time, frame] -> [n, (time - 1) * step + frame], each frame ``step`` after the last."""
    _, time, length = frames.shape
    count = length // step
    parts = tf.unstack(tf.reshape(frames, [-1, time, count, step]), axis=2)
    shifted = [
        tf.pad(part, [[0, 0], [number, count - 1 - number], [0, 0]])
        for number, part in enumerate(parts)
    ]
    return tf.reshape(tf.add_n(shifted), [-1, (time + count - 1) * step])


def _product(x: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    rows, columns = matrix.shape
    product = tf.matmul(tf.reshape(x, [-1, rows]), matrix.astype(np.float32))
    return tf.reshape(product, [-1, x.shape[1], columns])
