"""Notes of a folder in TensorFlow Datasets' format, read in any order.

A TFRecord file can only be read from its start. One pass over all files, which checks every
record, finds where the samples of each note lie; that index is kept beside the files, and a note
is then a stretch of a file.
"""

import collections
import dataclasses
import json
import os
import pathlib
import tempfile
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from gansynth_tf.data.note_table import NoteTable, fingerprint
from gansynth_tf.data.note_writer import FORMAT_VERSION
from gansynth_tf.data.notes import Notes
from gansynth_tf.data.schema import QUALITIES
from gansynth_tf.data.set_info import PROVENANCE_FILE
from gansynth_tf.files import PathLike, write_arrays
from gansynth_tf.wording import counted

INDEX_FILE = "gansynth_index.npz"
INDEX_VERSION = 3
# Of a TFRecord: length and its checksum before the content, the content's checksum after it.
_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_NSYNTH_RATE = 16_000  # of versions whose features do not say it


class DataError(OSError):
    """A data set cannot be used; one sentence that names the folder or file.

    An OSError, so that every command turns it into a sentence.
    """


class ReadError(OSError):
    """What was a note when its folder was opened is none any more; one sentence."""


@dataclasses.dataclass(frozen=True, eq=False)
class NoteFolder:
    """A folder of notes and where each lies.

    Attributes:
      path: the folder.
      name: of the data set, as TFDS has it.
      sample_rate: samples a second.
      audio_length: samples of every note.
      table: what is known of every note.
      shards: paths of all files.
      shard, offset: int64 [n], where a note's samples begin.
      checksum: uint32 [n], CRC-32 of a note's samples.
      fingerprint: names the contents.
    """

    path: str
    name: str
    sample_rate: int
    audio_length: int
    table: NoteTable
    shards: tuple[str, ...]
    shard: np.ndarray
    offset: np.ndarray
    checksum: np.ndarray
    fingerprint: str

    def notes(self) -> Notes:
        """All of its notes, as they are stored."""
        return Notes(self.table, self.read, self.fingerprint)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Rows [k] of the table -> waves [k, audio_length].

        Raises:
          ReadError: a file has gone, or is not as it was.
        """
        waves = np.empty([len(rows), self.audio_length], "<f4")
        for wave, row in zip(waves, rows, strict=True):
            shard = self.shards[self.shard[row]]
            reason = _fill(wave, shard, int(self.offset[row]))
            if not reason and zlib.crc32(wave) != self.checksum[row]:
                reason = f"note {self.table.id[row]} has changed"
            if reason:
                raise ReadError(
                    f"{shard} can no longer be read ({reason}): put the file back as it was when "
                    f"the data set was opened, and give the same command again."
                )
        return waves


def open_folder(
    path: PathLike,
    progress: Callable[[int, int], object] = lambda done, total: None,
    warn: Callable[[str], object] = lambda text: None,
) -> NoteFolder:
    """Opens a folder that holds dataset_info.json; local, or at an address that TensorFlow reads.

    Args:
      progress: told of (notes done, notes in all) while the index is made.
      warn: told when the index cannot be kept.

    Raises:
      DataError: no such data set, features that are no notes, a damaged file.
    """
    path = os.fspath(path)
    _refuse_other_format(path)
    builder = _builder(path)
    sample_rate, audio_length = _audio(builder, path)
    splits = {
        split: [os.path.join(path, os.path.basename(name)) for name in info.filepaths]
        for split, info in builder.info.splits.items()
    }
    shards = [name for names in splits.values() for name in names]
    total = sum(info.num_examples for info in builder.info.splits.values())
    mark = _mark(shards, path)
    index = _saved_index(path, mark)
    if index is None:
        index = _make_index(path, builder, splits, audio_length, total, progress)
        _save_index(path, mark, index, warn)
    table = NoteTable(**{field.name: index[field.name] for field in dataclasses.fields(NoteTable)})
    return NoteFolder(
        path,
        builder.name,
        sample_rate,
        audio_length,
        table,
        tuple(shards),
        index["shard"],
        index["offset"],
        index["checksum"],
        str(index["content"]),
    )


def _refuse_other_format(path: str) -> None:
    """Of a folder that says its format; one that TFDS itself made does not."""
    try:
        with tf.io.gfile.GFile(os.path.join(path, PROVENANCE_FILE), "rb") as file:
            version = json.loads(file.read()).get("format_version", FORMAT_VERSION)
    except (tf.errors.OpError, ValueError, AttributeError):  # none, or nothing that we wrote
        return
    if version != FORMAT_VERSION:
        raise DataError(f"{path} has format {version}; this version reads format {FORMAT_VERSION}.")


# --- What TFDS says of the folder ---


def _builder(path: str):
    try:
        if _is_local(path):
            return tfds.builder_from_directory(path)
        # TFDS knows fewer kinds of addresses than TensorFlow.
        with tempfile.TemporaryDirectory() as local:
            for name in tf.io.gfile.listdir(path):
                if name.endswith((".json", ".txt")):
                    tf.io.gfile.copy(os.path.join(path, name), os.path.join(local, name))
            return tfds.builder_from_directory(local)
    except Exception as error:
        # TFDS raises what its parsers raise.
        raise DataError(
            f"{path} holds no data set that TensorFlow Datasets reads: {_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    """The first line of what it says, or its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _audio(builder: tfds.core.DatasetBuilder, path: str):
    """Rate and length of the folder's notes."""
    features = builder.info.features
    needed = {"id", "audio", "pitch", "velocity", "instrument", "qualities"}
    missing = sorted(needed - set(features))
    if missing:
        raise DataError(
            f"{path} holds data set {builder.name!r}, which has no {', '.join(missing)}: NSynth's "
            f"features were expected."
        )
    audio = features["audio"]
    (length,) = audio.shape or (None,)
    if length is None:
        raise DataError(f"{path} holds notes of different lengths: one length was expected.")
    return getattr(audio, "sample_rate", None) or _NSYNTH_RATE, int(length)


# --- The index ---


def _is_local(path: str):
    return "://" not in path


def _mark(shards: list[str], path: str) -> str:
    """What an index is of: names, sizes and, where there are any, times of all files."""
    entries = []
    for shard in shards:
        try:
            stat = tf.io.gfile.stat(shard)
        except tf.errors.OpError as error:
            raise DataError(
                f"{shard} is missing or cannot be read: it belongs to {path}."
            ) from error
        entries.append([os.path.basename(shard), stat.length, stat.mtime_nsec])
    return json.dumps([INDEX_VERSION, entries])


def _index_paths(path: str, mark: str) -> Iterator[pathlib.Path]:
    """Beside the files; where that takes none, among the user's caches."""
    if _is_local(path):
        yield pathlib.Path(path, INDEX_FILE)
    caches = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    yield pathlib.Path(caches, "gansynth_tf", f"{fingerprint(mark)}.npz")


def _saved_index(path: str, mark: str) -> dict[str, np.ndarray] | None:
    for place in _index_paths(path, mark):
        try:
            with np.load(place, allow_pickle=False) as arrays:
                index = dict(arrays)
            if str(index.pop("mark")) == mark:
                return index
        except (OSError, ValueError, KeyError, EOFError):
            continue
    return None


def _save_index(
    path: str, mark: str, index: dict[str, np.ndarray], warn: Callable[[str], object]
) -> None:
    for place in _index_paths(path, mark):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_arrays(place, {"mark": np.array(mark), **index}, is_compressed=True)
            return
        except OSError as error:
            reason = error.strerror
    warn(f"The index of {path} cannot be kept ({reason}): it is made again each time.")


def _make_index(
    path: str,
    builder: tfds.core.DatasetBuilder,
    splits: dict[str, list[str]],
    audio_length: int,
    total: int,
    progress: Callable[[int, int], object],
) -> dict[str, np.ndarray]:
    labels = builder.info.features["instrument"]["label"]
    columns, checksums = collections.defaultdict(list), []
    number = -1
    for split, shards in splits.items():
        for shard in shards:
            number += 1
            for offset, content in _records(shard):
                row = _row(content, shard, audio_length)
                checksums.append(str(zlib.crc32(content)))
                start = row.pop("start")
                row["label"] = labels.int2str(row["label"]) if labels.names else str(row["label"])
                row |= {"split": split, "shard": number, "offset": offset + start}
                for name, value in row.items():
                    columns[name].append(value)
                progress(len(columns["id"]), total)
    if len(columns["id"]) != total:
        raise DataError(
            f"{path} holds {counted(len(columns['id']), 'note')}, and its dataset_info.json says "
            f"{total:,}."
        )
    types = {"id": np.str_, "split": np.str_, "label": np.str_, "qualities": bool}
    types |= {"shard": np.int64, "offset": np.int64, "checksum": np.uint32}
    index = {name: np.array(values, types.get(name, np.int32)) for name, values in columns.items()}
    # Of what the files hold, not of their names or times: a copy is the same set of notes.
    index["content"] = np.array(fingerprint(columns["id"], checksums))
    ids, counts = np.unique(index["id"], return_counts=True)
    if (counts > 1).any():
        raise DataError(f"{path} holds note {ids[counts > 1][0]} more than once.")
    return index


def _records(shard: str) -> Iterator[tuple[int, bytes]]:
    """Where each record's content begins, and the content; TensorFlow checks its checksum."""
    offset = 0
    try:
        for record in tf.data.TFRecordDataset(shard):
            content = record.numpy()
            yield offset + _HEADER_BYTES, content
            offset += _HEADER_BYTES + len(content) + _FOOTER_BYTES
    except tf.errors.OpError as error:
        raise DataError(
            f"{shard} is damaged after byte {offset}: a whole record was expected."
        ) from (error)


def _row(content: bytes, shard: str, audio_length: int) -> dict:
    """What the index keeps of one note; "start" is where its samples begin within ``content``."""
    try:
        features = tf.train.Example.FromString(content).features.feature
        name = features["id"].bytes_list.value[0].decode()
        start, count = audio_span(content)

        def integer(feature: str) -> int:
            return features[feature].int64_list.value[0]

        row = {
            "id": name,
            "pitch": integer("pitch"),
            "velocity": integer("velocity"),
            "label": integer("instrument/label"),
            "family": integer("instrument/family"),
            "source": integer("instrument/source"),
            "qualities": [integer(f"qualities/{quality}") for quality in QUALITIES],
            "start": start,
            "checksum": zlib.crc32(content[start : start + 4 * count]),
        }
    except Exception as error:  # protobuf's own kinds among them
        raise DataError(f"{shard} holds a record that is no note of NSynth's features.") from error
    if count != audio_length:
        raise DataError(f"{shard}: note {name} has {count} samples, not {audio_length}.")
    if not np.isfinite(np.frombuffer(content, "<f4", count, start)).all():
        raise DataError(f"{shard}: note {name} holds samples that are NaN or infinite.")
    if not (0 <= row["pitch"] <= 127 and 0 <= row["velocity"] <= 127):
        raise DataError(f"{shard}: note {name} has a pitch or velocity outside of 0 to 127.")
    return row


def audio_span(example: bytes) -> tuple[int, int]:
    """Where the floats of feature "audio" lie in a serialised tf.train.Example: byte, count.

    They are there as they are in memory, so that they can be read without the rest.

    Raises:
      ValueError: there is no such feature, or not as one packed list.
    """
    position, end = _message(example, 0, 1)
    while position < end:
        entry, after = _message(example, position, 1)
        key, key_end = _message(example, entry, 1)
        if example[key:key_end] == b"audio":
            value, _ = _message(example, key_end, 2)
            floats, _ = _message(example, value, 2)
            first, last = _message(example, floats, 1)
            return first, (last - first) // 4
        position = after
    raise ValueError("no feature 'audio'")


def _message(data: bytes, position: int, field: int) -> tuple[int, int]:
    """Start and end of what field ``field`` at ``position`` holds, of the wire's type 2."""
    if data[position] != field << 3 | 2:
        raise ValueError(f"field {field} was expected at byte {position}")
    size, shift, position = 0, 0, position + 1
    while True:
        byte = data[position]
        size |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return position, position + size


# --- Samples ---


def _fill(wave: np.ndarray, shard: str, offset: int) -> str | None:
    """Reads a wave from where its samples begin; returns why it could not."""
    target = memoryview(wave).cast("B")
    try:
        if _is_local(shard):
            # Not mapped into memory: a mapped file that is cut off ends the whole process.
            with open(shard, "rb") as file:
                file.seek(offset)
                size = file.readinto(target)
        else:
            with tf.io.gfile.GFile(shard, "rb") as file:
                file.seek(offset)
                content = file.read(len(target))
            size = len(content)
            target[:size] = content
    except OSError as error:
        return error.strerror
    except tf.errors.OpError as error:
        return _reason(error)
    return None if size == len(target) else "it is cut off"
