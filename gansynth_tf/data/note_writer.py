"""Notes to a folder of TFRecord files that TensorFlow Datasets reads, NSynth's own format.

`tfds.builder_from_directory(folder)` reads what is written here, and so does `note_reader.py`.
"""

import contextlib
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from gansynth_tf.data.schema import FAMILIES, QUALITIES, SOURCES, UNKNOWN, Note
from gansynth_tf.data.set_info import DATASET, FILES, INFO_FILE, PROVENANCE_FILE
from gansynth_tf.files import PathLike, replacing_set

FORMAT_VERSION = 1  # of the folder; said in PROVENANCE.json
SHARD_BYTES = 256 * 2**20
_SHARD_NAME = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


def note_features(
    sample_rate: int, audio_length: int, labels: Iterable[str] | int
) -> tfds.features.FeaturesDict:
    """NSynth's features for notes of any rate and length.

    Args:
      labels: names of the instruments, in the order of their numbers, or how many there may be.
    """
    tensor = tfds.features
    named = {"num_classes": labels} if isinstance(labels, int) else {"names": list(labels)}
    return tensor.FeaturesDict(
        {
            "id": tf.string,
            "audio": tensor.Audio(shape=(audio_length,), dtype=np.float32, sample_rate=sample_rate),
            "pitch": tensor.ClassLabel(num_classes=128),
            "velocity": tensor.ClassLabel(num_classes=128),
            "instrument": {
                "label": tensor.ClassLabel(**named),
                "family": tensor.ClassLabel(names=list(FAMILIES)),
                "source": tensor.ClassLabel(names=list(SOURCES)),
            },
            "qualities": dict.fromkeys(QUALITIES, tf.bool),
        }
    )


def serialize_note(note: Note, label: int) -> bytes:
    """A note as TFDS serialises it; ``label`` is its instrument's number.

    Raises:
      ValueError: samples that are not finite, a pitch or velocity outside of 0 to 127.
    """
    audio = np.ascontiguousarray(note.audio, np.float32)
    if not np.isfinite(audio).all():
        raise ValueError(f"Note {note.id} holds samples that are NaN or infinite.")
    for name in ("pitch", "velocity"):
        if not 0 <= getattr(note, name) <= 127:
            raise ValueError(f"Note {note.id} has {name} {getattr(note, name)}: not in 0 to 127.")
    family, source = note.instrument_family, note.instrument_source
    numbers = {
        "pitch": note.pitch,
        "velocity": note.velocity,
        "instrument/label": label,
        "instrument/family": UNKNOWN if family is None else FAMILIES.index(family),
        "instrument/source": UNKNOWN if source is None else SOURCES.index(source),
        **{f"qualities/{quality}": int(note.qualities[quality]) for quality in QUALITIES},
    }
    features = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
        for name, number in numbers.items()
    }
    features["id"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[note.id.encode()]))
    features["audio"] = tf.train.Feature(float_list=_float_list(audio))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _float_list(values: np.ndarray):
    """From the bytes: a list that is filled float by float takes a hundred times as long."""
    content = values.astype("<f4", copy=False).tobytes()
    size, varint = len(content), bytearray()
    while size >= 0x80:
        varint.append(size & 0x7F | 0x80)
        size >>= 7
    varint.append(size)
    # Field 1, a packed list: wire type 2.
    return tf.train.FloatList.FromString(b"\x0a" + bytes(varint) + content)


def provenance_text(provenance: Mapping[str, object]) -> bytes:
    """What PROVENANCE.json holds: the folder's format, and where its notes come from."""
    content = {"format_version": FORMAT_VERSION, **provenance}
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


class NoteWriter:
    """Writes notes one by one; made by ``writing_notes``.

    Attributes:
      folder: the temporary folder, for other files that are to appear with the notes.
      counts: how many notes each split has so far.
    """

    def __init__(self, folder: pathlib.Path, sample_rate: int, audio_length: int):
        self.folder = folder
        self.sample_rate, self.audio_length = sample_rate, audio_length
        self.counts: dict[str, int] = {}
        self._labels: dict[str, int] = {}
        self._ids: set[str] = set()
        self._shards: dict[str, list[_Shard]] = {}

    def write(self, note: Note, split: str = "train") -> None:
        """Appends a note to a split.

        Raises:
          ValueError: an id that was written before, audio of another length, what
            ``serialize_note`` refuses.
        """
        if note.id in self._ids:
            raise ValueError(f"Note {note.id} comes twice.")
        if note.audio.shape != (self.audio_length,):
            raise ValueError(
                f"Note {note.id} has audio of shape {list(note.audio.shape)}, "
                f"not [{self.audio_length}]."
            )
        label = self._labels.setdefault(note.instrument_label, len(self._labels))
        content = serialize_note(note, label)
        shards = self._shards.setdefault(split, [])
        if not shards or shards[-1].size >= SHARD_BYTES:
            if shards:
                shards[-1].writer.close()
            shards.append(_Shard(self.folder / f"{split}-{len(shards)}"))
        shards[-1].write(content)
        self._ids.add(note.id)
        self.counts[split] = self.counts.get(split, 0) + 1

    def close(self) -> None:
        """Ends the files; what is written is no data set yet."""
        for shards in self._shards.values():
            shards[-1].writer.close()

    def finish(self, description: str, provenance: Mapping[str, object]) -> None:
        """Gives the files their names and writes what TFDS needs to know of them."""
        self.close()
        if not self._shards:
            raise ValueError("A data set needs at least one note.")
        splits = []
        for split, shards in self._shards.items():
            template = tfds.core.ShardedFileTemplate(
                data_dir=self.folder,
                dataset_name=DATASET,
                split=split,
                filetype_suffix="tfrecord",
                template=_SHARD_NAME,
            )
            for index, shard in enumerate(shards):
                path = template.sharded_filepath(shard_index=index, num_shards=len(shards))
                shard.path.rename(path)
            splits.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=[shard.count for shard in shards],
                    num_bytes=sum(shard.size for shard in shards),
                    filename_template=template,
                )
            )
        tfds.folder_dataset.write_metadata(
            data_dir=self.folder,
            features=note_features(self.sample_rate, self.audio_length, self._labels),
            split_infos=splits,
            description=description,
            check_data=False,
        )
        (self.folder / PROVENANCE_FILE).write_bytes(provenance_text(provenance))


class _Shard:
    def __init__(self, path: pathlib.Path):
        self.path, self.count, self.size = path, 0, 0
        self.writer = tf.io.TFRecordWriter(str(path))

    def write(self, content: bytes) -> None:
        self.writer.write(content)
        self.count += 1
        self.size += len(content)


@contextlib.contextmanager
def writing_notes(
    folder: PathLike,
    sample_rate: int,
    audio_length: int,
    description: str,
    provenance: Mapping[str, object],
) -> Iterator[NoteWriter]:
    """Within it, notes are written; they appear in ``folder`` together, if the body succeeds.

    What an earlier data set left in the folder is replaced.

    Args:
      folder: made if missing.
      sample_rate: samples a second of every note.
      audio_length: samples of every note.
      description: one sentence for people.
      provenance: where the notes come from, for PROVENANCE.json; no times, so that the same notes
        give the same files.
    """
    folder = pathlib.Path(folder)
    had_notes = (folder / INFO_FILE).exists()
    with replacing_set(folder, INFO_FILE) as temporary:
        writer = NoteWriter(temporary, sample_rate, audio_length)
        try:
            yield writer
            writer.finish(description, provenance)
        finally:
            writer.close()
        written = {path.name for path in temporary.iterdir()}
    # Nothing of an earlier set is left; where there was none, files are somebody's own.
    for pattern in (*FILES, "gansynth_index.npz") if had_notes else ():
        for old in folder.glob(pattern):
            if old.name not in written:
                old.unlink()
