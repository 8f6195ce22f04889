"""Notes written here, read by TensorFlow Datasets itself."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from gansynth_tf.data import note_writer
from gansynth_tf.data.note_writer import serialize_note, writing_notes
from gansynth_tf.data.schema import FAMILIES, QUALITIES, Note, note_id

pytestmark = pytest.mark.latest


def make_note(pitch=60, velocity=100, label="brass_acoustic_000", family="brass", audio=None):
    """A short note whose samples are its own."""
    rng = np.random.default_rng([pitch, velocity])
    return Note(
        id=note_id(label, pitch, velocity),
        audio=rng.normal(size=256).astype(np.float32) if audio is None else audio,
        pitch=pitch,
        velocity=velocity,
        instrument_label=label,
        instrument_family=family,
        instrument_source="acoustic" if family else None,
        qualities={quality: quality == "tempo-synced" for quality in QUALITIES},
    )


def write(folder, notes, split="train"):
    with writing_notes(folder, 8000, 256, "Test notes.", {"by": "test"}) as writer:
        for note in notes:
            writer.write(note, split)


def test_serialized_as_tfds_does():
    note = make_note()
    features = note_writer.note_features(8000, 256, ["other", note.instrument_label])
    theirs = features.serialize_example(
        features.encode_example(
            {
                "id": note.id,
                "audio": note.audio,
                "pitch": note.pitch,
                "velocity": note.velocity,
                "instrument": {
                    "label": note.instrument_label,
                    "family": note.instrument_family,
                    "source": note.instrument_source,
                },
                "qualities": note.qualities,
            }
        )
    )
    ours = serialize_note(note, label=1)
    assert tf.train.Example.FromString(ours) == tf.train.Example.FromString(theirs)


def test_tfds_reads_every_feature(tmp_path, monkeypatch):
    monkeypatch.setattr(note_writer, "SHARD_BYTES", 3 * len(serialize_note(make_note(), 0)))
    notes = [make_note(pitch) for pitch in range(60, 67)] + [make_note(60, 50, "mine", None)]
    write(tmp_path, notes)
    builder = tfds.builder_from_directory(tmp_path)
    assert builder.info.splits["train"].num_examples == len(notes)
    assert builder.info.splits["train"].num_shards == 3
    assert builder.info.features["audio"].sample_rate == 8000
    label_names = builder.info.features["instrument"]["label"].names
    read = list(builder.as_dataset(split="train", shuffle_files=False).as_numpy_iterator())
    assert [example["id"].decode() for example in read] == [note.id for note in notes]
    for example, note in zip(read, notes, strict=True):
        np.testing.assert_array_equal(example["audio"], note.audio)
        assert (example["pitch"], example["velocity"]) == (note.pitch, note.velocity)
        assert label_names[example["instrument"]["label"]] == note.instrument_label
        family = example["instrument"]["family"]
        assert (None if family < 0 else FAMILIES[family]) == note.instrument_family
        assert example["qualities"] == note.qualities
    assert json.loads((tmp_path / "PROVENANCE.json").read_text()) == {
        "by": "test",
        "format_version": note_writer.FORMAT_VERSION,
    }


def test_the_same_notes_give_the_same_files(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, [make_note(60), make_note(61)])
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_an_earlier_data_set_is_replaced_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(note_writer, "SHARD_BYTES", 1000)
    write(tmp_path, [make_note(pitch) for pitch in range(60, 66)])
    write(tmp_path, [make_note(70)])
    for name in ("manifest.csv", "other.csv"):
        (tmp_path / name).touch()
    write(tmp_path, [make_note(70)])
    assert not (tmp_path / "manifest.csv").exists(), "it was of the notes before"
    assert (tmp_path / "other.csv").exists()
    builder = tfds.builder_from_directory(tmp_path)
    assert builder.info.splits["train"].num_examples == 1
    assert len(list(tmp_path.glob("*.tfrecord-*"))) == 1


def test_files_that_are_of_no_data_set_stay(tmp_path):
    (tmp_path / "manifest.csv").write_text("my own")
    write(tmp_path, [make_note(60)])
    assert (tmp_path / "manifest.csv").read_text() == "my own"


def test_nothing_is_written_when_a_note_is_refused(tmp_path):
    write(tmp_path, [make_note(60)])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="NaN or infinite"):
        write(tmp_path, [make_note(61), make_note(62, audio=np.full(256, np.nan, np.float32))])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ([make_note(), make_note()], "comes twice"),
        ([make_note(audio=np.zeros(255, np.float32))], r"shape \[255\], not \[256\]"),
        ([make_note(pitch=128)], "pitch 128"),
        ([], "at least one note"),
    ],
)
def test_refusals(tmp_path, notes, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path, notes)
    assert not list(tmp_path.iterdir())
