"""Notes a second through the codec, beside the same with a dense mel matrix and bare FFTs.

python -m benchmarks.codec --config=mel_if_hires
"""

import contextlib
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import command
from benchmarks.measuring import seconds, show
from gansynth_tf import spectral
from gansynth_tf.experiment import Experiment
from gansynth_tf.specgram import SpecgramCodec

COLUMNS = ["way", "GFLOP/note", "notes/s", "dense notes/s", "times dense", "share of bare FFT"]
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
    waves = tf.random.normal([BATCH, codec.audio_length], stddev=0.1)
    specgrams = codec.waves_to_specgrams(waves)
    frames = tf.random.normal([BATCH, codec.time, codec.frame_length])
    spectra = tf.signal.rfft(frames)
    rows = []
    for way, function, x, bare, bare_x in (
        ("waves to specgrams", codec.waves_to_specgrams, waves, tf.signal.rfft, frames),
        ("specgrams to waves", codec.specgrams_to_waves, specgrams, tf.signal.irfft, spectra),
    ):
        ours = _rate(function, x, least)
        with _dense_matrices():
            dense = _rate(function, x, least)
        ceiling = _rate(bare, bare_x, least)
        numbers = [transform_operations(codec) / 1e9, ours, dense, ours / dense, ours / ceiling]
        rows.append(dict(zip(COLUMNS, [way, *numbers], strict=True)))
    show(command.title("codec", experiment), COLUMNS, rows)


if __name__ == "__main__":
    command.main("benchmarks.codec", __doc__, run)
