"""Notes in any order from files that TensorFlow Datasets reads from their start."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from hypothesis import given, settings
from hypothesis import strategies as st
from note_writer_test import make_note, write

from gansynth_tf.data import note_reader, note_writer
from gansynth_tf.data.note_reader import (
    INDEX_FILE,
    DataError,
    ReadError,
    audio_span,
    open_folder,
)
from gansynth_tf.data.schema import FAMILIES, SOURCES

pytestmark = pytest.mark.latest


NOTES = [make_note(pitch) for pitch in range(60, 67)] + [make_note(50, 25, "mine", None)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(note_writer, "SHARD_BYTES", 4000)
    write(tmp_path / "data", NOTES)
    return tmp_path / "data"


def test_every_note_is_found(folder):
    told = []
    opened = open_folder(folder, lambda *done: told.append(done))
    assert (opened.sample_rate, opened.audio_length) == (8000, 256)
    assert told[-1] == (8, 8)
    notes = opened.notes()
    rows = np.array([7, 0, 3, 3])
    np.testing.assert_array_equal(notes.read(rows), [NOTES[row].audio for row in rows])
    np.testing.assert_array_equal(notes.waves(), [note.audio for note in NOTES])
    table = opened.table
    assert table.id.tolist() == [note.id for note in NOTES]
    assert table.pitch.tolist() == [note.pitch for note in NOTES]
    assert table.velocity.tolist() == [note.velocity for note in NOTES]
    assert table.label.tolist() == [note.instrument_label for note in NOTES]
    assert table.split.tolist() == ["train"] * 8
    assert FAMILIES[table.family[0]] == "brass"
    assert SOURCES[table.source[0]] == "acoustic"
    assert (table.family[7], table.source[7]) == (-1, -1)
    assert table.qualities[0].tolist() == list(NOTES[0].qualities.values())


@pytest.mark.parametrize("text", ['{"format_version": 1}', "{}", "[1]", "not JSON", None])
def test_a_folder_of_this_format_or_of_none_is_read(folder, text):
    path = folder / note_writer.PROVENANCE_FILE
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert len(open_folder(folder).table) == 8


def test_a_folder_of_a_later_format_is_refused(folder):
    (folder / note_writer.PROVENANCE_FILE).write_text('{"format_version": 2}')
    with pytest.raises(DataError, match=f"{folder} has format 2; this version reads format 1."):
        open_folder(folder)


def test_what_tfds_itself_writes_is_read(tmp_path):
    """As a builder of TFDS stores notes: its own encoder, order and names of files."""

    class MyNotes(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = note_writer.note_features(8000, 256, 1006)
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(NOTES[:5]),
                "valid": self._generate_examples(NOTES[5:]),
            }

        def _generate_examples(self, notes):
            for number, note in enumerate(notes):
                yield (
                    note.id,
                    {
                        "id": note.id,
                        "audio": note.audio,
                        "pitch": note.pitch,
                        "velocity": note.velocity,
                        "instrument": {
                            "label": number,
                            "family": note.instrument_family or -1,
                            "source": note.instrument_source or -1,
                        },
                        "qualities": note.qualities,
                    },
                )

    builder = MyNotes(data_dir=tmp_path)
    builder.download_and_prepare()
    opened = open_folder(builder.data_dir)
    waves = dict(zip(opened.table.id, opened.notes().waves(), strict=True))
    assert len(waves) == len(NOTES)
    for note in NOTES:
        np.testing.assert_array_equal(waves[note.id], note.audio)
    assert sorted(opened.table.split) == ["train"] * 5 + ["valid"] * 3


def test_the_index_is_kept_beside_the_files_and_made_again_for_others(folder, monkeypatch):
    first = open_folder(folder)
    assert (folder / INDEX_FILE).exists()

    def fail(*_):
        raise AssertionError("made again")

    with monkeypatch.context() as patch:
        patch.setattr(note_reader, "_make_index", fail)
        again = open_folder(folder)
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(again.notes().waves(), first.notes().waves())
    write(folder, NOTES[:3])
    other = open_folder(folder)
    assert other.table.id.tolist() == [note.id for note in NOTES[:3]]
    assert other.fingerprint != first.fingerprint


def test_a_damaged_index_is_made_again(folder):
    open_folder(folder)
    (folder / INDEX_FILE).write_bytes(b"no index")
    assert len(open_folder(folder).table) == 8


def test_a_folder_that_takes_no_files_has_its_index_among_the_caches(folder, tmp_path):
    (folder / INDEX_FILE).mkdir()  # in the way of the file, to root as well
    warnings = []
    open_folder(folder, warn=warnings.append)
    assert len(list((tmp_path / "caches").rglob("*.npz"))) == 1
    assert not warnings


def test_an_address_that_is_no_path(folder, tmp_path):
    remote = "ram://note_reader_test"
    tf.io.gfile.makedirs(remote)
    for path in folder.iterdir():
        tf.io.gfile.copy(os.fspath(path), f"{remote}/{path.name}", overwrite=True)
    opened = open_folder(remote)
    rows = np.array([6, 1])
    np.testing.assert_array_equal(opened.notes().read(rows), [NOTES[row].audio for row in rows])
    assert len(list((tmp_path / "caches").rglob("*.npz"))) == 1


# --- What cannot be used ---


def shards(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.glob("*.tfrecord-*"))


def test_refusals_name_the_place(folder, tmp_path):
    with pytest.raises(DataError, match=r"nowhere holds no data set"):
        open_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no data set"):
        open_folder(tmp_path / "empty")
    shards(folder)[1].unlink()
    with pytest.raises(DataError, match=r"00001-of-00003 is missing"):
        open_folder(folder)


def test_other_features_are_refused(tmp_path):
    tfds.testing.DummyDataset(data_dir=tmp_path).download_and_prepare()
    (path,) = tmp_path.rglob("dataset_info.json")
    with pytest.raises(DataError, match=r"dummy_dataset.*has no audio"):
        open_folder(path.parent)


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_damaged_byte_is_never_a_silent_wrong_note(place, flip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    write(folder, NOTES[:2])
    (shard,) = shards(folder)
    content = bytearray(shard.read_bytes())
    content[int(place * len(content))] ^= flip
    shard.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        open_folder(folder)


def test_a_short_file_is_refused(folder):
    shard = shards(folder)[2]
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(DataError, match=r"00002-of-00003 is damaged after byte"):
        open_folder(folder)


def change_samples(folder, row: int) -> pathlib.Path:
    """Changes a note's last sample, and nothing that the file's name, size or time tells."""
    opened = open_folder(folder)
    shard = pathlib.Path(opened.shards[opened.shard[row]])
    time = shard.stat().st_mtime_ns
    content = bytearray(shard.read_bytes())
    content[opened.offset[row] + 4 * opened.audio_length - 1] ^= 1
    shard.write_bytes(content)
    os.utime(shard, ns=(time, time))
    return shard


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("changed", r"note brass_acoustic_000-061-100 has changed"),
        ("cut", "it is cut off"),
        ("deleted", "(No such file or directory|NotFoundError)"),
    ],
)
def test_what_was_opened_and_can_no_longer_be_read(folder, damage, reason, remote):
    opened = open_folder(folder)
    if damage == "changed":
        shard = change_samples(folder, 1)
    else:
        shard = pathlib.Path(opened.shards[opened.shard[1]])
        shard.unlink() if damage == "deleted" else os.truncate(shard, opened.offset[1] + 9)
    place = str(shard)
    if remote:
        base = f"ram://note_reader_test_{damage}"
        tf.io.gfile.makedirs(base)
        for path in shards(folder):
            tf.io.gfile.copy(str(path), f"{base}/{path.name}", overwrite=True)
        names = tuple(f"{base}/{pathlib.Path(name).name}" for name in opened.shards)
        opened, place = dataclasses.replace(opened, shards=names), f"{base}/{shard.name}"
    notes = opened.notes()
    np.testing.assert_array_equal(notes.read(np.array([7])), [NOTES[7].audio])
    message = rf"^{place} can no longer be read \({reason}\): put the file back as it was .*\.$"
    with pytest.raises(ReadError, match=message):
        notes.read(np.array([7, 1]))


def record(changes=(), drop=(), audio=None):
    """The folder's only note, serialised with changes that no writer of ours makes."""
    example = tf.train.Example.FromString(note_writer.serialize_note(make_note(), 0))
    for name, value in changes:
        example.features.feature[name].int64_list.value[:] = value
    for name in drop:
        del example.features.feature[name]
    if audio is not None:
        example.features.feature["audio"].float_list.value[:] = audio
    return example.SerializeToString()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (record([("pitch", [128])]), "pitch or velocity outside"),
        (record([("pitch", [])]), "no note of NSynth's features"),
        (record(drop=["audio"]), "no note of NSynth's features"),
        (record(drop=["qualities/bright"]), "no note of NSynth's features"),
        (record(audio=[0.0] * 255), "255 samples, not 256"),
        (record(audio=[float("nan")] * 256), "NaN or infinite"),
        (b"", "no note of NSynth's features"),
        (b"\xff\xff", "no note of NSynth's features"),
    ],
)
def test_records_that_are_no_notes(tmp_path, content, message):
    write(tmp_path, [make_note()])
    (shard,) = shards(tmp_path)
    with tf.io.TFRecordWriter(str(shard)) as writer:
        writer.write(content)
    with pytest.raises(DataError, match=message):
        open_folder(tmp_path)


def test_fewer_notes_than_promised(tmp_path):
    write(tmp_path, NOTES)
    (shard,) = shards(tmp_path)
    with tf.io.TFRecordWriter(str(shard)) as writer:
        writer.write(record())
    with pytest.raises(DataError, match=r"holds 1 note, and its dataset_info\.json says 8"):
        open_folder(tmp_path)


# --- The wire ---

feature = st.one_of(
    st.lists(st.binary(max_size=5), max_size=3).map(
        lambda values: tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    ),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3).map(
        lambda values: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    ),
)


@settings(max_examples=100, deadline=None)
@given(
    floats=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=300),
    others=st.dictionaries(st.text(max_size=8).filter(lambda name: name != "audio"), feature),
)
def test_the_samples_lie_where_they_are_said_to(floats, others):
    audio = tf.train.Feature(float_list=tf.train.FloatList(value=floats))
    features = tf.train.Features(feature={**others, "audio": audio})
    content = tf.train.Example(features=features).SerializeToString()
    start, count = audio_span(content)
    np.testing.assert_array_equal(np.frombuffer(content, "<f4", count, start), np.float32(floats))
