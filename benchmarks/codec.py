"""Notes a second through the codec, beside the original's steps, dense mel matrices and bare FFTs.

python -m benchmarks.codec --config=mel_if_hires
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import command
from benchmarks.measuring import seconds, show
from gansynth_tf import spectral
from gansynth_tf.config import UserError
from gansynth_tf.experiment import Experiment
from gansynth_tf.specgram import SpecgramCodec

COLUMNS = [
    *("way", "GFLOP/note", "notes/s", "original's way notes/s", "times original's"),
    *("dense notes/s", "times dense", "share of bare FFT"),
]
BATCH = 8


class _Dense:
    """A mel matrix multiplied in full, as the original does."""

    def __init__(self, matrix: np.ndarray):
        self.matrix = tf.constant(matrix, tf.float32)

    def apply(self, x: tf.Tensor) -> tf.Tensor:
        return tf.tensordot(x, self.matrix, 1)


@contextlib.contextmanager
def _dense_matrices() -> Iterator[None]:
    to_mel, to_linear = spectral.linear_to_mel_matrix, spectral.mel_to_linear_matrix
    with (
        mock.patch.object(spectral, "linear_to_mel", lambda *size: _Dense(to_mel(*size))),
        mock.patch.object(spectral, "mel_to_linear", lambda *size: _Dense(to_linear(*size))),
    ):
        yield


class OriginalSteps:
    """Mel specgrams as the original computes them: step by step, with dense matrices."""

    def __init__(self, codec: SpecgramCodec):
        self.codec = codec
        size = codec.freq, codec.sample_rate
        self.to_mel = tf.constant(spectral.linear_to_mel_matrix(*size), tf.float32)
        self.to_linear = tf.constant(spectral.mel_to_linear_matrix(*size), tf.float32)

    def waves_to_specgrams(self, waves: tf.Tensor) -> tf.Tensor:
        codec = self.codec
        padded = tf.pad(waves, [[0, 0], [codec.padding, 0]])
        stft = spectral.wave_to_stft(padded, codec.frame_length, codec.frame_step)[..., 1:]
        log_magnitude = spectral.safe_log(tf.abs(stft))
        frequency = self._frequency(tf.math.angle(stft))
        power = tf.tensordot(tf.exp(2.0 * log_magnitude), self.to_mel, 1)
        phase = tf.tensordot(tf.cumsum(math.pi * frequency, axis=-2), self.to_mel, 1)
        return tf.stack([spectral.safe_log(power), self._frequency(phase)], axis=-1)

    def specgrams_to_waves(self, specgrams: tf.Tensor) -> tf.Tensor:
        codec = self.codec
        log_power, frequency = specgrams[..., 0], specgrams[..., 1]
        power = tf.tensordot(tf.exp(log_power), self.to_linear, 1)
        phase = tf.tensordot(tf.cumsum(math.pi * frequency, axis=-2), self.to_linear, 1)
        phase = tf.cumsum(math.pi * self._frequency(phase), axis=-2)
        magnitude = tf.exp(0.5 * spectral.safe_log(power))
        stft = tf.complex(magnitude, 0.0) * tf.complex(tf.cos(phase), tf.sin(phase))
        stft = tf.pad(stft, [[0, 0], [0, 0], [1, 0]])
        waves = spectral.stft_to_wave(stft, codec.frame_length, codec.frame_step)
        return waves[:, codec.padding :]

    def _frequency(self, phase: tf.Tensor) -> tf.Tensor:
        """By unwrapping the phase and taking differences again."""
        step = phase[:, 1:] - phase[:, :-1]
        wrapped = tf.math.mod(step + math.pi, 2.0 * math.pi) - math.pi
        wrapped = tf.where((wrapped == -math.pi) & (step > 0), math.pi, wrapped)
        jumps = tf.where(tf.abs(step) < math.pi, 0.0, wrapped - step)
        unwrapped = phase + tf.cumsum(tf.pad(jumps, [[0, 0], [1, 0], [0, 0]]), axis=-2)
        step = unwrapped[:, 1:] - unwrapped[:, :-1]
        return tf.concat([unwrapped[:, :1], step], axis=-2) / math.pi


def _rate(function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, least: float) -> float:
    """Examples a second of ``function``, as a graph."""
    graph = tf.function(lambda: function(x))
    graph.get_concrete_function()  # traced here, where the matrices are those wanted
    return len(x) / seconds(graph, least)


def transform_operations(codec: SpecgramCodec) -> float:
    """Of the real FFTs of one note: 2.5 n log2 n each."""
    n = codec.frame_length
    return codec.time * 2.5 * n * float(np.log2(n))


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Measures both directions and shows them."""
    codec, least = experiment.codec, values.seconds
    if codec.representation != "mel":
        raise UserError("--data_type must be mel: the others have no matrix to compare.")
    waves = tf.random.normal([BATCH, codec.audio_length], stddev=0.1)
    specgrams = codec.waves_to_specgrams(waves)
    frames = tf.random.normal([BATCH, codec.time, codec.frame_length])
    spectra = tf.signal.rfft(frames)
    steps, rows = OriginalSteps(codec), []
    for name, x, bare, bare_x in (
        ("waves_to_specgrams", waves, tf.signal.rfft, frames),
        ("specgrams_to_waves", specgrams, tf.signal.irfft, spectra),
    ):
        function, original = getattr(codec, name), getattr(steps, name)
        difference = float(tf.reduce_mean(tf.abs(function(x) - original(x))))
        print(f"{name}: mean difference from the original's way {difference:.1e}")
        ours, theirs = _rate(function, x, least), _rate(original, x, least)
        with _dense_matrices():
            dense = _rate(function, x, least)
        ceiling = _rate(bare, bare_x, least)
        numbers = [transform_operations(codec) / 1e9, ours, theirs, ours / theirs]
        row = [name, *numbers, dense, ours / dense, ours / ceiling]
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    show(command.title("codec", experiment), COLUMNS, rows)


if __name__ == "__main__":
    command.main("benchmarks.codec", __doc__, run)
