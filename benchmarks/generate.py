"""Seconds from latents to waves, fused and with upscaling and convolution apart.

python -m benchmarks.generate --config=mel_if_hires
"""

import time
from collections.abc import Callable
from unittest import mock

import tensorflow as tf
from absl import flags

from benchmarks import command
from benchmarks.measuring import convolution_rate, seconds, show
from benchmarks.step import make_model
from gansynth_tf import costs, layers
from gansynth_tf.experiment import Experiment
from gansynth_tf.model import GANSynth

COLUMNS = ["notes", "GFLOP", "first call s", "s", "notes/s", "apart s", "times apart", "share"]
BATCHES = (1, 8, 64)
MOST_NOTES = 1024


def _player(model: GANSynth, notes: int) -> Callable[[], tf.Tensor]:
    networks = model.config.networks
    latents = tf.random.normal([notes, networks.latent_vector_size])
    labels = tf.zeros([notes], tf.int32)
    return tf.function(lambda: model.sample(latents, labels))


def measure(model: GANSynth, notes: int, least: float) -> dict:
    """One row: a batch of ``notes`` notes."""
    networks = model.config.networks
    play = _player(model, notes)
    started = time.perf_counter()
    play()
    first = time.perf_counter() - started
    taken = seconds(play, least)
    with mock.patch.object(layers, "can_fuse", return_value=False):
        apart = seconds(_player(model, notes), least)
    generator = costs.generator_layers(networks, networks.resolutions.num_resolutions)
    ceiling = sum(layer.operations * notes / convolution_rate(layer, notes) for layer in generator)
    operations = sum(layer.operations for layer in generator) * notes / 1e9
    values = [notes, operations, first, taken, notes / taken, apart, apart / taken, ceiling / taken]
    return dict(zip(COLUMNS, values, strict=True))


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Measures each batch size and shows them."""
    model = make_model(experiment)
    model.begin_stage(experiment.schedule.stages()[-1])
    batches = command.whole_numbers("notes", values.notes, 1, MOST_NOTES)
    rows = [measure(model, notes, values.seconds) for notes in batches]
    show(command.title("generate", experiment), COLUMNS, rows)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_list("notes", list(map(str, BATCHES)), "Batch sizes.", flag_values=values)


if __name__ == "__main__":
    command.main("benchmarks.generate", __doc__, run, _define)
