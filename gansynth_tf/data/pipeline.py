"""tf.data: notes -> shuffled batches of specgrams at a stage's resolution.

The order of notes is a pure function of (seed, image count): a run that is resumed at an image
count sees the notes that it would have seen, without reading those before.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from gansynth_tf.data.note_table import fingerprint
from gansynth_tf.data.notes import Notes
from gansynth_tf.files import remove_temporaries, replacing, reserve
from gansynth_tf.networks import StageEncoder
from gansynth_tf.schedule import Stage

CACHES = ("none", "memory", "disk")
ENCODING_PLACES = ("host", "device")
_CACHE_FILE = "specgrams_{}.npy"
_ENCODE_BATCH = 32


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """How batches are made.

    Attributes:
      cache: "none" encodes every note each time that it comes; "memory" and "disk" encode all
        notes once a stage, at the stage's resolution, and keep them there.
      cache_dir: folder of cache="disk"; empty: `cache` in the run folder. It holds one stage.
      specgram_on: "host" encodes while batches are made, beside the training step; "device" in
        the step, on the accelerator.
    """

    cache: str = "none"
    cache_dir: str = ""
    specgram_on: str = "host"

    def __post_init__(self):
        if self.cache not in CACHES:
            raise ValueError(f"cache must be one of {', '.join(CACHES)}, not {self.cache!r}.")
        if self.cache_dir and self.cache != "disk":
            raise ValueError(
                f"cache_dir={self.cache_dir} needs cache=disk, not cache={self.cache}."
            )
        if self.specgram_on not in ENCODING_PLACES:
            raise ValueError(
                f"specgram_on must be one of {', '.join(ENCODING_PLACES)}, "
                f"not {self.specgram_on!r}."
            )
        if self.specgram_on == "device" and self.cache != "none":
            raise ValueError(
                f"specgram_on=device encodes every note each time that it comes, which needs "
                f"cache=none, not cache={self.cache}."
            )


@dataclasses.dataclass(frozen=True)
class Share:
    """The part of every global batch that is for ``count`` replicas from ``first`` on, of all."""

    first: int = 0
    count: int = 1
    total: int = 1


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
    encoder: StageEncoder,
    stage: Stage,
    config: PipelineConfig,
    seed: int,
    first_image: int,
    *,
    cache_folder: str | pathlib.Path = "cache",
    share: Share = Share(),
    progress: Callable[[int, int], None] | None = None,
    failed: Callable[[Exception], object] = lambda error: None,
) -> tf.data.Dataset:
    """Endless batches of ``stage``, from ``first_image`` on: {"specgrams", "labels"}.

    ``specgrams`` are [batch, time, freq, 2] as ``encoder`` gives them; with
    ``specgram_on="device"`` there are "waves" [batch, audio_length] in their place. ``labels`` are
    [batch] int32. Shapes are static. Of every global batch there is one batch for each replica of
    the ``share``, in the replicas' order.

    Args:
      notes: what to draw from.
      labels: of the notes [n].
      cache_folder: of cache="disk", where the config names none.
      share: which replicas' parts of each global batch to make.
      progress: told of (done, total) while notes are encoded for a cache.
      failed: told of what reading a batch raises, of which TensorFlow only keeps a text.
    """
    batch_size = stage.batch_size // share.total
    if stage.batch_size % share.total:
        raise ValueError(
            f"A batch of {stage.batch_size} cannot be divided among {share.total} replicas."
        )
    finish = tf.identity
    if config.cache == "memory":
        read = encode_all(notes, encoder, progress).__getitem__
    elif config.cache == "disk":
        folder = pathlib.Path(config.cache_dir or cache_folder)
        read = _encoded_on_disk(notes, encoder, folder, progress).__getitem__
    else:
        read = notes.read
        finish = encoder if config.specgram_on == "host" else tf.identity
    sample = read(np.zeros(1, np.int64))
    name = "waves" if config.specgram_on == "device" else "specgrams"
    all_labels = tf.constant(labels)

    def read_batch(rows: np.ndarray) -> np.ndarray:
        try:
            return read(rows)
        except Exception as error:
            failed(error)
            raise

    def make(count: tf.Tensor):
        step, replica = count // share.count, share.first + count % share.count
        start = first_image + step * stage.batch_size + replica * batch_size
        images = start + tf.range(batch_size, dtype=tf.int64)
        chosen = note_order(images, len(notes), seed)
        found = tf.numpy_function(read_batch, [chosen], sample.dtype, stateful=False)
        found.set_shape([batch_size, *sample.shape[1:]])
        return {name: finish(found), "labels": tf.gather(all_labels, chosen)}

    parallel = 2 * share.count if config.cache == "none" else 1
    batches = tf.data.Dataset.counter().map(make, num_parallel_calls=parallel, deterministic=True)
    return batches.prefetch(2 * share.count)


# --- Encoded notes ---


def encode_all(
    notes: Notes,
    encode: Callable[[tf.Tensor], tf.Tensor],
    progress: Callable[[int, int], None] | None = None,
    allocate: Callable[[tuple[int, ...]], np.ndarray] = lambda shape: np.empty(shape, np.float32),
) -> np.ndarray:
    """Applies ``encode`` to all waves, some at a time -> one array, made by ``allocate``.

    ``progress(done, total)`` is called after each part; what it raises ends the work.
    """
    encode = tf.function(encode, reduce_retracing=True)
    encoded, count = None, len(notes)
    for start in range(0, count, _ENCODE_BATCH):
        rows = np.arange(start, min(start + _ENCODE_BATCH, count))
        part = encode(tf.constant(notes.read(rows))).numpy()
        if encoded is None:
            encoded = allocate((count, *part.shape[1:]))
        encoded[rows] = part
        if progress is not None:
            progress(start + len(rows), count)
    return encoded


def _encoded_on_disk(
    notes: Notes,
    encoder: StageEncoder,
    folder: pathlib.Path,
    progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    """All specgrams, as a file that is read where it lies; made if there is none, or half of one."""
    path = folder / _CACHE_FILE.format(fingerprint(notes.fingerprint, repr(encoder)))
    with contextlib.suppress(FileNotFoundError, ValueError, EOFError):  # missing, or cut off
        return np.load(path, mmap_mode="r")
    folder.mkdir(parents=True, exist_ok=True)
    # What another stage left goes first: the disk need not have room for both.
    for old in folder.glob(_CACHE_FILE.format("*")):
        old.unlink()
    remove_temporaries(folder, _CACHE_FILE.format("*"))
    with replacing(path) as temporary:

        def allocate(shape: tuple[int, ...]) -> np.ndarray:
            mapped = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
            reserve(temporary)
            return mapped

        encode_all(notes, encoder, progress, allocate).flush()
    return np.load(path, mmap_mode="r")


def sample_notes(notes: Notes, count: int, seed: int) -> Notes:
    """``count`` notes (or all, if fewer) drawn without repetition, by seed."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    return notes.take(rng.permutation(len(notes))[:count])
