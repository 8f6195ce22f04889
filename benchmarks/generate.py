"""Seconds from latents to waves: by the library, with its upscaling and convolution apart, exported.

The library and the SavedModel take turns.

python -m benchmarks.generate --config=mel_if_hires
"""

import tempfile
import time
from collections.abc import Callable
from unittest import mock

import tensorflow as tf
from absl import flags

from benchmarks import command
from benchmarks.measuring import convolution_rate, seconds, seconds_in_turn, show
from benchmarks.step import make_model
from gansynth_tf import costs, layers
from gansynth_tf.experiment import Experiment
from gansynth_tf.export import save_signatures
from gansynth_tf.model import GANSynth
from gansynth_tf.player import Player

COLUMNS = ["notes", "GFLOP", "first call s", "s", "notes/s", "share"]
COLUMNS += ["apart s", "times apart", "export s", "times export"]
BATCHES = (1, 8, 64)
MOST_NOTES = 1024


def _player(model: GANSynth, notes: int) -> Callable[[], tf.Tensor]:
    networks = model.config.networks
    latents = tf.random.normal([notes, networks.latent_vector_size])
    labels = tf.zeros([notes], tf.int32)
    return tf.function(lambda: model.sample(latents, labels))


def exported(model: GANSynth) -> tf.types.experimental.ConcreteFunction:
    """The signature ``synthesize`` of a SavedModel, as it is loaded again."""
    player = Player(model.config, model.ema_generator, model.num_blocks, fade=None)
    with tempfile.TemporaryDirectory() as folder:
        save_signatures(player, folder)
        loaded = tf.saved_model.load(folder)
        signature = loaded.signatures["synthesize"]
        signature.loaded = loaded  # whose variables must outlive it
        return signature


def measure(model: GANSynth, saved: Callable, notes: int, least: float) -> dict:
    """One row: a batch of ``notes`` notes."""
    networks = model.config.networks
    play = _player(model, notes)
    started = time.perf_counter()
    play()
    first = time.perf_counter() - started
    latents = tf.random.normal([notes, networks.latent_vector_size])
    pitches = tf.fill([notes], model.config.vocabulary.pitches[0])
    both = {"library": play, "export": lambda: saved(z=latents, pitch=pitches)}
    taken, export_taken = seconds_in_turn(both, least, rounds=3).values()
    with mock.patch.object(layers, "can_fuse", return_value=False):
        apart = seconds(_player(model, notes), least)
    generator = costs.generator_layers(networks, networks.resolutions.num_resolutions)
    ceiling = sum(layer.operations * notes / convolution_rate(layer, notes) for layer in generator)
    operations = sum(layer.operations for layer in generator) * notes / 1e9
    values = [notes, operations, first, taken, notes / taken, ceiling / taken]
    values += [apart, apart / taken, export_taken, export_taken / taken]
    return dict(zip(COLUMNS, values, strict=True))


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Measures each batch size and shows them."""
    model = make_model(experiment)
    model.begin_stage(experiment.schedule.stages()[-1])
    batches = command.whole_numbers("notes", values.notes, 1, MOST_NOTES)
    saved = exported(model)
    rows = [measure(model, saved, notes, values.seconds) for notes in batches]
    show(command.title("generate", experiment), COLUMNS, rows)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_list("notes", list(map(str, BATCHES)), "Batch sizes.", flag_values=values)


if __name__ == "__main__":
    command.main("benchmarks.generate", __doc__, run, _define)
