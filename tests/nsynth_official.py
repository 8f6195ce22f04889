"""Small archives in NSynth's two official forms, written with TensorFlow and the standard library."""

import io
import json
import pathlib
import tarfile
import tempfile
import wave

import numpy as np
import tensorflow as tf

from gansynth_tf.data.schema import FAMILIES, QUALITIES, SOURCES, Note, note_id

SPLITS = ("train", "valid", "test")
# As many as NSynth has, in an order that is not that of the numbers in the archives.
LABELS = [
    f"{family}_{source}_{n:03d}" for n in range(31) for family in FAMILIES for source in SOURCES
]
LABELS = LABELS[:1006]
NUMBERS = {label: 1005 - number for number, label in enumerate(LABELS)}


def make_note(index: int, length: int = 64000) -> Note:
    """A note of 16-bit noise whose every field depends on `index`."""
    label = LABELS[index % 37]
    family, source, _ = label.rsplit("_", 2)
    pitch, velocity = 24 + index % 61, 1 + index % 127
    samples = np.random.default_rng(index).integers(-32768, 32768, length)
    return Note(
        id=note_id(label, pitch, velocity),
        audio=(samples / 32768).astype(np.float32),
        pitch=pitch,
        velocity=velocity,
        instrument_label=label,
        instrument_family=family,
        instrument_source=source,
        qualities={quality: bool(index >> n & 1) for n, quality in enumerate(QUALITIES)},
    )


def fields(note: Note, index: int = 0) -> dict[str, object]:
    """A note's features but its sound, as both forms name them."""
    return {
        "note": index,
        "note_str": note.id,
        "instrument": NUMBERS.get(note.instrument_label, 0),
        "instrument_str": note.instrument_label,
        "pitch": note.pitch,
        "velocity": note.velocity,
        "sample_rate": 16000,
        "qualities": [int(note.qualities[quality]) for quality in QUALITIES],
        "qualities_str": [quality for quality in QUALITIES if note.qualities[quality]],
        "instrument_family": FAMILIES.index(note.instrument_family),
        "instrument_family_str": note.instrument_family,
        "instrument_source": SOURCES.index(note.instrument_source),
        "instrument_source_str": note.instrument_source,
    }


def example(note: Note, **changes: object) -> bytes:
    """A note as a record; `changes` replace fields, None leaves one out."""
    values = {**fields(note), "audio": note.audio, **changes}
    features = {name: _feature(value) for name, value in values.items() if value is not None}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _feature(value) -> tf.train.Feature:
    values = value if isinstance(value, (list, np.ndarray)) else [value]
    if isinstance(values, np.ndarray):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if values and isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode() for text in values]))


def records(contents) -> bytes:
    """A TFRecord file, as TensorFlow writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "records")
        with tf.io.TFRecordWriter(str(path)) as writer:
            for content in contents:
                writer.write(content)
        return path.read_bytes()


def wav(samples: np.ndarray, rate: int = 16000, channels: int = 1) -> bytes:
    """A 16-bit wav file of samples in [-1, 1)."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes((samples * 32768).astype("<i2").tobytes())
    return file.getvalue()


def write_tar(path: pathlib.Path, files: dict[str, bytes]) -> None:
    """An archive of these files; gzipped if its name ends so."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def tfrecord_files(split: str, notes: list[Note]) -> dict[str, bytes]:
    """What a split's tfrecord archive holds."""
    return {f"nsynth-{split}.tfrecord": records(example(note) for note in notes)}


def jsonwav_files(split: str, notes: list[Note], json_first: bool = False) -> dict[str, bytes]:
    """What a split's jsonwav archive holds."""
    examples = {note.id: fields(note, index) for index, note in enumerate(notes)}
    files = {f"nsynth-{split}/audio/{note.id}.wav": wav(note.audio) for note in notes}
    about = {f"nsynth-{split}/examples.json": json.dumps(examples, indent=4).encode()}
    return {**about, **files} if json_first else {**files, **about}


def write_archives(folder: pathlib.Path, notes: dict[str, list[Note]], form: str) -> None:
    """All of NSynth: `notes` by archive in "tfrecord" or "jsonwav" form, labels and splits.

    Of each archive's notes, the n-th goes to the subset's train, valid, test, train and no split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["id,split"]
    for split in SPLITS:
        if form == "tfrecord":
            write_tar(folder / f"nsynth-{split}.tfrecord.tar", tfrecord_files(split, notes[split]))
        else:
            write_tar(folder / f"nsynth-{split}.jsonwav.tar.gz", jsonwav_files(split, notes[split]))
        for index, note in enumerate(notes[split]):
            target = ("train", "valid", "test", "train", None)[index % 5]
            if target:
                rows.append(f"{note.id},{target}")
    (folder / "nsynth-gansynth_splits.csv").write_text("\n".join(rows) + "\n")
    (folder / "nsynth-instrument_labels.txt").write_text("\n".join(LABELS) + "\n")


def make_notes(count: int = 5) -> dict[str, list[Note]]:
    """Different notes for each archive."""
    return {
        split: [make_note(number * count + n) for n in range(count)]
        for number, split in enumerate(SPLITS)
    }
