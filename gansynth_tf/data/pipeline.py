"""tf.data: notes in memory -> shuffled batches of specgrams at a stage's resolution.

The order of notes is a pure function of (seed, image count): a run that is resumed at an image
count sees the notes that it would have seen, without reading those before.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from gansynth_tf import networks
from gansynth_tf.networks import NetworkConfig
from gansynth_tf.schedule import Stage
from gansynth_tf.specgram import SpecgramCodec

CACHES = ("none", "memory")
_ENCODE_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Notes:
    """Notes in memory: waves [n, audio_length] float32 and MIDI pitches [n]."""

    waves: np.ndarray
    pitches: np.ndarray

    def __post_init__(self):
        if len(self.waves) != len(self.pitches) or not len(self.waves):
            raise ValueError("Notes need at least one wave, and a pitch for each.")

    def __len__(self):
        return len(self.waves)


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """How batches are made.

    Attributes:
      cache: "none" encodes every note each time that it comes; "memory" encodes all notes once
        a stage, at the stage's resolution, and keeps them.
    """

    cache: str = "none"

    def __post_init__(self):
        if self.cache not in CACHES:
            raise ValueError(f"cache must be one of {', '.join(CACHES)}, not {self.cache!r}.")


def note_order(images: tf.Tensor, num_notes: int, seed: int) -> tf.Tensor:
    """Image counts [n] int64 -> indices of notes [n]: each epoch its own shuffled order."""
    epochs, positions = images // num_notes, images % num_notes  # [n], [n]
    # The raw operation takes a seed of three words for each index; its public wrapper pads
    # seeds of two along the wrong axis when there is more than one.
    words = [tf.fill(tf.shape(epochs), tf.constant(seed, tf.int64)), epochs, tf.zeros_like(epochs)]
    return tf.raw_ops.RandomIndexShuffle(
        index=positions, seed=tf.stack(words, axis=1), max_index=num_notes - 1, rounds=4
    )


def stage_batches(
    notes: Notes,
    labels: np.ndarray,
    codec: SpecgramCodec,
    network_config: NetworkConfig,
    by_frequency: bool,
    stage: Stage,
    config: PipelineConfig,
    seed: int,
    first_image: int,
    progress: Callable[[int, int], None] | None = None,
) -> tf.data.Dataset:
    """Endless batches {"specgrams", "labels"} of ``stage``, from ``first_image`` on.

    ``progress(done, total)`` is told while notes are encoded for ``cache="memory"``.
    ``specgrams`` are [batch, time, freq, 2] as ``networks.stage_specgrams`` gives them;
    ``labels`` [batch] int32. Shapes are static.
    """
    num_notes, batch_size = len(notes), stage.batch_size

    def encode(waves: tf.Tensor):
        full = codec.waves_to_specgrams(waves)
        return networks.stage_specgrams(network_config, full, stage.num_blocks, by_frequency)

    if config.cache == "memory":
        store, finish = tf.constant(encode_all(notes.waves, encode, progress)), tf.identity
    else:
        store, finish = tf.constant(notes.waves), encode
    all_labels = tf.constant(labels)

    def make(start: tf.Tensor):
        images = start + tf.range(batch_size, dtype=tf.int64)
        chosen = note_order(images, num_notes, seed)
        return {
            "specgrams": finish(tf.gather(store, chosen)),
            "labels": tf.gather(all_labels, chosen),
        }

    starts = tf.data.Dataset.range(first_image, np.iinfo(np.int64).max - batch_size, batch_size)
    parallel = 2 if config.cache == "none" else 1
    return starts.map(make, num_parallel_calls=parallel, deterministic=True).prefetch(2)


def encode_all(
    waves: np.ndarray,
    encode: Callable[[tf.Tensor], tf.Tensor],
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Applies ``encode`` to all waves in batches of one fixed size.

    ``progress(done, total)`` is called after each; what it raises ends the work.
    """
    encode = tf.function(encode, reduce_retracing=True)
    parts = []
    for start in range(0, len(waves), _ENCODE_BATCH):
        chosen = waves[start : start + _ENCODE_BATCH]
        parts.append(encode(tf.constant(chosen)).numpy())
        if progress is not None:
            progress(start + len(chosen), len(waves))
    return np.concatenate(parts)


def sample_notes(notes: Notes, count: int, seed: int) -> Notes:
    """``count`` notes (or all, if fewer) drawn without repetition, by seed."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    chosen = rng.permutation(len(notes))[:count]
    return Notes(notes.waves[chosen], notes.pitches[chosen])
