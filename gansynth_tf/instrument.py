"""A trained model to play: NumPy in and out, whatever it was loaded from.

``loading.load`` gives one over a run, an export or an original's checkpoint. Neither data set nor
discriminator nor optimizer is needed or loaded.
"""

import abc
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gansynth_tf import checkpoint, networks, performance
from gansynth_tf.checkpoint import Checkpoint, CheckpointError
from gansynth_tf.execution import ExecutionConfig
from gansynth_tf.experiment import Experiment
from gansynth_tf.model import PitchVocabulary, latents_from_seed
from gansynth_tf.performance import PerformanceConfig
from gansynth_tf.player import Player, interpolate_latents, latents_of_seeds
from gansynth_tf.specgram import Normalizer, SpecgramCodec
from gansynth_tf.training import CHECKPOINT_FOLDER
from gansynth_tf.variables import assign_arrays, named_variables, normalizer_numbers

BATCH = 16


class Generated(NamedTuple):
    """Notes that were drawn: waves [n, samples] and their latents [n, latent]."""

    waves: np.ndarray
    latents: np.ndarray


class Instrument(abc.ABC):
    """Latents and pitches -> notes.

    Attributes:
      path: what it was loaded from.
      codec: waves <-> specgrams.
      sample_rate: samples a second.
      audio_length: samples of a note.
      vocabulary, pitches: the MIDI pitches that it knows.
      latent_size: dimensions of a latent, which is a timbre.
      description: which state of the training its notes come from, in words.
    """

    def __init__(
        self,
        path: pathlib.Path,
        codec: SpecgramCodec,
        vocabulary: PitchVocabulary,
        latent_size: int,
        description: str,
    ):
        self.path = path
        self.codec = codec
        self.sample_rate = codec.sample_rate
        self.audio_length = codec.audio_length
        self.vocabulary = vocabulary
        self.pitches = vocabulary.pitches
        self.latent_size = latent_size
        self.description = description
        self._analyze = tf.function(codec.waves_to_specgrams, reduce_retracing=True)

    # --- What differs by what it stands on ---

    @abc.abstractmethod
    def _specgrams(self, latents: tf.Tensor, pitches: tf.Tensor) -> tf.Tensor:
        """[n, latent] float32 and known pitches [n] int32 -> [n, time, freq, 2]."""

    @abc.abstractmethod
    def _waves(self, specgrams: tf.Tensor) -> tf.Tensor:
        """[n, time, freq, 2] float32 -> [n, samples]."""

    @abc.abstractmethod
    def differentiable(self, latents: tf.Tensor, pitches: tf.Tensor) -> tf.Tensor:
        """[n, latent] float32 and known pitches [n] int32 -> waves [n, samples], under a tape."""

    # --- Notes ---

    def latents(self, seed: int, count: int) -> np.ndarray:
        """``count`` latents [count, latent] drawn together by one seed."""
        return latents_from_seed(seed, count, self.latent_size)

    def latents_of(self, seeds: Sequence[int]) -> np.ndarray:
        """A latent [latent] for each of the seeds [n], as ``generate`` draws it."""
        seeds = _whole_numbers("seeds", seeds)
        return latents_of_seeds(tf.constant(seeds), self.latent_size).numpy()

    def generate(self, pitches: Sequence[int], seeds: int | Sequence[int] = 0) -> Generated:
        """Notes of MIDI pitches [n]; each depends on its own pitch and seed alone.

        Args:
          seeds: one for all, which gives them one timbre, or [n].

        Raises:
          ValueError: a pitch that the model does not know, or not as many seeds.
        """
        pitches = np.atleast_1d(pitches)
        seeds = np.broadcast_to(seeds, len(pitches)) if np.ndim(seeds) == 0 else seeds
        if len(seeds) != len(pitches):
            raise ValueError(f"seeds must be one, or one for each of {len(pitches)} pitches.")
        latents = self.latents_of(seeds)
        return Generated(self.synthesize(latents, pitches), latents)

    def synthesize(self, latents: np.ndarray, pitches: Sequence[int]) -> np.ndarray:
        """Latents [n, latent] and MIDI pitches [n] -> waves [n, samples]; peaks may exceed 1."""
        return self.invert(self.specgrams(latents, pitches))

    def interpolate(
        self,
        start: np.ndarray,
        end: np.ndarray,
        amount: Sequence[float],
        pitches: int | Sequence[int],
    ) -> np.ndarray:
        """Notes [n, samples] on the arc from one timbre to another.

        Args:
          start, end: latents [latent] or [n, latent].
          amount: [n]; 0 is ``start``, 1 is ``end``.
          pitches: one for all, or [n].

        Raises:
          ValueError: shapes that do not fit, an amount outside of 0 to 1, or an unknown pitch.
        """
        amount = np.atleast_1d(np.asarray(amount, np.float32))
        if not ((amount >= 0) & (amount <= 1)).all():
            raise ValueError("amount must be numbers from 0 to 1.")
        shape = (len(amount), self.latent_size)
        ends = [np.broadcast_to(np.asarray(end, np.float32), shape) for end in (start, end)]
        latents = interpolate_latents(*map(tf.constant, ends), tf.constant(amount)).numpy()
        return self.synthesize(latents, np.broadcast_to(pitches, len(amount)))

    def play(
        self,
        midi: object,
        timbres: np.ndarray | None = None,
        seed: int = 1,
        config: PerformanceConfig = PerformanceConfig(),
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> np.ndarray:
        """A whole piece -> its wave [samples], of peak at most 1; see ``performance.perform``.

        Args:
          midi: a MIDI file's path, a pretty_midi.PrettyMIDI, a mido.MidiFile, or a
            ``notelist.NoteList``. Drums are left out.
          timbres: latents [k, latent], which the parts take in turn; drawn by ``seed`` if not
            given.
          config: envelope, long notes, pitches that the model lacks, how fast timbres change.
          progress: is told how many different notes are played, and of how many.

        Raises:
          ValueError: the piece is no MIDI file, damaged or too long, or an argument is none.
          OSError: the file cannot be opened, or the model's notes are not finite numbers.
        """
        notes = performance.notes_of(midi)
        paths = performance.choose_timbres(self, notes, timbres, seed, config)
        return performance.perform(self, notes, paths, config, progress)

    # --- Specgrams ---

    def specgrams(
        self, latents: np.ndarray, pitches: Sequence[int], least_batch: int = 1
    ) -> np.ndarray:
        """Latents [n, latent] and MIDI pitches [n] -> specgrams [n, time, freq, 2].

        Args:
          least_batch: BATCH has every note come out bit for bit the same, whatever is played with
            it; with less, few notes take less time, and rounding depends on how many they are.

        Raises:
          ValueError: a pitch that the model does not know, or latents of another shape or that
            are not finite.
        """
        latents = np.asarray(latents, np.float32)
        if latents.shape != (len(pitches), self.latent_size):
            raise ValueError(
                f"latents must have shape [{len(pitches)}, {self.latent_size}], "
                f"not {list(latents.shape)}."
            )
        if not np.isfinite(latents).all():
            raise ValueError("latents must be finite numbers.")
        self.vocabulary.labels(pitches)  # raises where one is unknown
        return _in_batches(self._specgrams, least_batch, latents, np.asarray(pitches, np.int32))

    def invert(self, specgrams: np.ndarray, least_batch: int = 1) -> np.ndarray:
        """Specgrams [n, time, freq, 2] -> waves [n, samples]; ``least_batch`` as above.

        Raises:
          ValueError: specgrams of another shape.
        """
        specgrams = np.asarray(specgrams, np.float32)
        if specgrams.shape[1:] != self.codec.specgram_shape:
            sizes = ", ".join(map(str, self.codec.specgram_shape))
            raise ValueError(
                f"specgrams must have shape [n, {sizes}], not {list(specgrams.shape)}."
            )
        return _in_batches(self._waves, least_batch, specgrams)

    def analyze(self, waves: np.ndarray) -> np.ndarray:
        """Waves [n, samples] -> specgrams [n, time, freq, 2].

        Raises:
          ValueError: waves that are not ``audio_length`` samples long.
        """
        waves = np.asarray(waves, np.float32)
        if waves.ndim != 2 or waves.shape[1] != self.audio_length:
            raise ValueError(
                f"waves must have shape [n, {self.audio_length}], not {list(waves.shape)}."
            )
        return _in_batches(self._analyze, 1, waves)


class RunInstrument(Instrument):
    """Played by the moving average of a run's generator, out of one of its checkpoints."""

    def __init__(self, saved: Checkpoint):
        """Raises CheckpointError where the checkpoint is not that of such a model."""
        with checkpoint.fitting(saved.path):
            self._restore(saved)

    def _restore(self, saved: Checkpoint) -> None:
        experiment = Experiment.from_values(saved.settings["values"])
        self.experiment = experiment
        self.state = saved.state
        self.settings = saved.settings
        ExecutionConfig().set_up()  # notes are played in float32, whatever they were trained in
        vocabulary = PitchVocabulary(
            tuple(saved.settings["pitches"]), tuple(saved.settings["counts"])
        )
        config = experiment.model_config(vocabulary)
        self.stage = experiment.schedule.stage(saved.state.stage)
        normalizer = Normalizer(normalizer_numbers(config, saved.arrays))
        generator = networks.make_generator(config.networks, normalizer, seed=0)
        assign_arrays(named_variables(generator, "ema_generator"), saved.arrays)
        fade = None
        if self.stage.is_transition:
            fade = experiment.schedule.fade(self.stage, saved.state.images, saved.state.seconds)
            fade = np.float32(fade)
        self.player = Player(config, generator, self.stage.num_blocks, fade)
        time, freq = config.networks.resolutions.resolution(self.stage.num_blocks)
        last = experiment.schedule.total_num_stages - 1
        super().__init__(
            saved.path,
            config.codec,
            vocabulary,
            config.networks.latent_vector_size,
            f"stage {self.stage.index} of 0-{last} ({self.stage.kind}), {time} x {freq}",
        )
        self._played = tf.function(self.player.specgrams, reduce_retracing=True)
        self._inverted = tf.function(self.codec.specgrams_to_waves, reduce_retracing=True)

    def _specgrams(self, latents: tf.Tensor, pitches: tf.Tensor) -> tf.Tensor:
        return self._played(latents, self.player.labels(pitches))

    def _waves(self, specgrams: tf.Tensor) -> tf.Tensor:
        return self._inverted(specgrams)

    def differentiable(self, latents: tf.Tensor, pitches: tf.Tensor) -> tf.Tensor:
        return self.player.waves(latents, self.player.labels(pitches))


def _whole_numbers(name: str, values: Sequence[int]) -> np.ndarray:
    """[n] int32; raises ValueError for anything else."""
    values = np.asarray(values)
    limits = np.iinfo(np.int32)
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise ValueError(f"{name} must be whole numbers [n], not {values.dtype} {values.shape}.")
    if values.size and not limits.min <= values.min() <= values.max() <= limits.max:
        raise ValueError(f"{name} must be from {limits.min} to {limits.max}.")
    return values.astype(np.int32)


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
        results.append(function(*map(tf.constant, padded)).numpy()[: len(parts[0])])
    return np.concatenate(results)


def load_run(path: str | pathlib.Path, warn: Callable[[str], object] = print) -> RunInstrument:
    """The newest readable checkpoint of a run folder, ready to play.

    Raises:
      CheckpointError: the folder holds none, or none that can be read or used.
    """
    path = pathlib.Path(path)
    saved = checkpoint.load_latest(path / CHECKPOINT_FOLDER, warn)
    if saved is None:
        raise CheckpointError(f"{path} holds no checkpoint: a run folder was expected.")
    return RunInstrument(saved)
