"""A trained model to play: the averaged generator of a run, and the inversion to waves.

Neither data set nor discriminator nor optimizer is needed or loaded.
"""

import math
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from gansynth_tf import checkpoint, networks
from gansynth_tf.checkpoint import Checkpoint, CheckpointError
from gansynth_tf.execution import ExecutionConfig
from gansynth_tf.experiment import Experiment
from gansynth_tf.layers import box_upscale
from gansynth_tf.model import PitchVocabulary, latents_from_seed
from gansynth_tf.specgram import Normalizer
from gansynth_tf.training import CHECKPOINT_FOLDER
from gansynth_tf.variables import assign_arrays, named_variables, normalizer_numbers

BATCH = 16


class Instrument:
    """Latents and pitches -> notes, by the moving average of a run's generator."""

    def __init__(self, saved: Checkpoint):
        """Raises CheckpointError where the checkpoint is not that of such a model."""
        self.path = saved.path
        with checkpoint.fitting(saved.path):
            self._restore(saved)
        self._specgrams = tf.function(self._make_specgrams, reduce_retracing=True)
        self._waves = tf.function(self.codec.specgrams_to_waves, reduce_retracing=True)

    def _restore(self, saved: Checkpoint) -> None:
        experiment = Experiment.from_values(saved.settings["values"])
        self.experiment = experiment
        ExecutionConfig().set_up()  # notes are played in float32, whatever they were trained in
        self.vocabulary = PitchVocabulary(
            tuple(saved.settings["pitches"]), tuple(saved.settings["counts"])
        )
        self.config = experiment.model_config(self.vocabulary)
        self.codec = self.config.codec
        self.sample_rate = self.codec.sample_rate
        self.audio_length = self.codec.audio_length
        self.pitches = self.vocabulary.pitches
        self.latent_size = self.config.networks.latent_vector_size
        self.stage = experiment.schedule.stage(saved.state.stage)
        self.state = saved.state
        normalizer = Normalizer(normalizer_numbers(self.config, saved.arrays))
        self.generator = networks.make_generator(self.config.networks, normalizer, seed=0)
        assign_arrays(named_variables(self.generator, "ema_generator"), saved.arrays)
        self.fade = None
        if self.stage.is_transition:
            self.fade = np.float32(
                experiment.schedule.fade(self.stage, saved.state.images, saved.state.seconds)
            )

    def _make_specgrams(self, latents: np.ndarray, one_hots: tf.Tensor):
        blocks, config = self.stage.num_blocks, self.config.networks
        specgrams = self.generator(latents, one_hots, num_blocks=blocks, fade=self.fade)
        working = config.working_block(blocks, self.generator.normalizer.by_frequency)
        return box_upscale(specgrams, config.resolutions.shrink(working))

    def specgrams(
        self, latents: np.ndarray, pitches: Sequence[int], least_batch: int = 1
    ) -> np.ndarray:
        """Latents [n, latent] and MIDI pitches [n] -> specgrams [n, time, freq, 2].

        Args:
          least_batch: BATCH has every note come out bit for bit the same, whatever is played with
            it; with less, few notes take less time, and rounding depends on how many they are.

        Raises:
          ValueError: a pitch that the model does not know, or latents of another shape.
        """
        latents = np.asarray(latents, np.float32)
        if latents.shape != (len(pitches), self.latent_size):
            raise ValueError(
                f"latents must have shape [{len(pitches)}, {self.latent_size}], "
                f"not {list(latents.shape)}."
            )
        labels = self.vocabulary.labels(pitches)
        one_hots = np.eye(len(self.vocabulary.pitches), dtype=np.float32)[labels]
        return _in_batches(self._specgrams, least_batch, latents, one_hots)

    def invert(self, specgrams: np.ndarray, least_batch: int = 1) -> np.ndarray:
        """Specgrams [n, time, freq, 2] -> waves [n, samples]; ``least_batch`` as above."""
        return _in_batches(self._waves, least_batch, np.asarray(specgrams, np.float32))

    def synthesize(self, latents: np.ndarray, pitches: Sequence[int]) -> np.ndarray:
        """Latents [n, latent] and MIDI pitches [n] -> waves [n, samples]; peaks may exceed 1."""
        return self.invert(self.specgrams(latents, pitches))

    def latents(self, seed: int, count: int) -> np.ndarray:
        """``count`` latents drawn by seed."""
        return latents_from_seed(seed, count, self.latent_size)

    def describe_stage(self) -> str:
        """Which stage the notes come from, in words."""
        time, freq = self.config.networks.resolutions.resolution(self.stage.num_blocks)
        last = self.experiment.schedule.total_num_stages - 1
        return f"stage {self.stage.index} of 0-{last} ({self.stage.kind}), {time} x {freq}"


def _in_batches(function: Callable[..., tf.Tensor], least: int, *arrays: np.ndarray) -> np.ndarray:
    """Applies ``function`` to batches, each padded, and cuts the padding.

    Batches have few sizes, powers of two, so that few graphs are traced.
    """
    count = len(arrays[0])
    results = []
    for start in range(0, count, BATCH):
        parts = [array[start : start + BATCH] for array in arrays]
        size = max(least, 2 ** math.ceil(math.log2(len(parts[0]))))
        padding = size - len(parts[0])
        padded = [np.concatenate([part, np.repeat(part[-1:], padding, 0)]) for part in parts]
        results.append(function(*padded).numpy()[: len(parts[0])])
    return np.concatenate(results)


def load_run(path: str | pathlib.Path, warn: Callable[[str], object] = print) -> Instrument:
    """The newest readable checkpoint of a run folder, ready to play.

    Raises:
      CheckpointError: the folder holds none, or none that can be read or used.
    """
    path = pathlib.Path(path)
    saved = checkpoint.load_latest(path / CHECKPOINT_FOLDER, warn)
    if saved is None:
        raise CheckpointError(f"{path} holds no checkpoint: a run folder was expected.")
    return Instrument(saved)
