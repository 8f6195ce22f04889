"""Archives in both official forms, whole and damaged."""

import dataclasses
import gzip
import json
import struct
import tarfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nsynth_official import (
    LABELS,
    NUMBERS,
    example,
    fields,
    jsonwav_files,
    make_note,
    records,
    tfrecord_files,
    wav,
    write_archives,
    write_tar,
)

from gansynth_tf.data.archive_files import ArchiveError, archive_bytes
from gansynth_tf.data.nsynth_archives import read_entries
from gansynth_tf.data.nsynth_inputs import find_inputs, read_labels, read_splits
from gansynth_tf.data.tfrecords import masked_crc32c

NOTES = [make_note(n) for n in range(3)]


def read(path, skip=0):
    return [entry.load() for entry in read_entries(path, skip)]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for note, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(note.audio, other.audio)
        assert note.audio.dtype == np.float32
        assert dataclasses.replace(note, audio=None) == dataclasses.replace(other, audio=None)


def assert_refused_or_same(path, expected):
    try:
        found, refusal = read(path), ""
    except ArchiveError as error:
        found, refusal = [], str(error)
    if refusal:
        assert str(path) in refusal
    else:
        assert_same(found, expected)


def unpack(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


# --- Whole ---


@pytest.mark.parametrize("name", ["tfrecord.tar", "tfrecord.tar.gz", "tar", "tfrecord"])
def test_tfrecord_form(tmp_path, name):
    path = tmp_path / f"nsynth-test.{name}"
    files = tfrecord_files("test", NOTES)
    if name == "tfrecord":
        unpack(tmp_path, files)
    else:
        write_tar(path, files)
    assert_same(read(path), NOTES)
    assert_same(read(path, skip=2), NOTES[2:])
    assert [entry.facts.number for entry in read_entries(path)] == [
        NUMBERS[note.instrument_label] for note in NOTES
    ]


@pytest.mark.parametrize("json_first", [False, True])
@pytest.mark.parametrize("name", ["jsonwav.tar.gz", "jsonwav.tar", ""])
def test_jsonwav_form(tmp_path, name, json_first):
    files = jsonwav_files("test", NOTES, json_first)
    path = tmp_path / f"nsynth-test.{name}".rstrip(".")
    if name:
        write_tar(path, files)
    else:
        unpack(tmp_path, files)
    expected = NOTES if name else sorted(NOTES, key=lambda note: note.id)
    assert_same(read(path), expected)
    assert_same(read(path, skip=1), expected[1:])


def test_two_files_in_one_archive_and_hidden_ones(tmp_path):
    one, two = (records([example(note)]) for note in NOTES[:2])
    path = tmp_path / "nsynth-test.tfrecord.tar"
    write_tar(path, {"a.tfrecord": one, "._a.tfrecord": b"from a Mac", "b.tfrecord": two})
    assert_same(read(path), NOTES[:2])
    assert_same(read(path, skip=1), NOTES[1:2])


def test_positions_rise_to_the_size(tmp_path):
    for name, files in (
        ("nsynth-test.tfrecord.tar", tfrecord_files("test", NOTES)),
        ("nsynth-test.jsonwav.tar.gz", jsonwav_files("test", NOTES, json_first=True)),
    ):
        write_tar(tmp_path / name, files)
        positions = []
        list(read_entries(tmp_path / name, tell=positions.append))
        assert positions == sorted(positions)
        # Told before the last sound is read.
        assert archive_bytes(tmp_path / name) / 2 < positions[-1] <= archive_bytes(tmp_path / name)


# --- Damaged ---


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Archive name to its bytes."""
    folder = tmp_path_factory.mktemp("whole")
    write_tar(folder / "tfrecord.tar", tfrecord_files("test", NOTES[:2]))
    write_tar(folder / "tfrecord.tar.gz", tfrecord_files("test", NOTES[:2]))
    write_tar(folder / "jsonwav.tar.gz", jsonwav_files("test", NOTES[:2]))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["tfrecord.tar", "tfrecord.tar.gz", "jsonwav.tar.gz"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_makes_no_difference(tmp_path, whole, name, data):
    content = bytearray(whole[name])
    kind = data.draw(st.sampled_from(["cut", "flip", "zero", "insert"]))
    # Half of the places within the first block, where the headers are.
    places = st.integers(0, 512) | st.integers(0, len(content) - 1)
    place = data.draw(places)
    if kind == "cut":
        del content[place:]
    elif kind == "flip":
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "zero":
        content[place : place + 600] = bytes(len(content[place : place + 600]))
    else:
        content[place:place] = data.draw(st.binary(min_size=1, max_size=600))
    path = tmp_path / f"nsynth-test.{name}"
    path.write_bytes(content)
    assert_refused_or_same(path, NOTES[:2])


@pytest.mark.parametrize("name", ["tfrecord.tar", "jsonwav.tar"])
def test_every_cut_between_files_is_seen(tmp_path, name):
    # Where tarfile sees nothing but an early end.
    files = {"a.tfrecord": records([example(NOTES[0])]), "b.tfrecord": records([])}
    if name == "jsonwav.tar":
        files = jsonwav_files("test", NOTES, json_first=True)
    path = tmp_path / f"nsynth-test.{name}"
    write_tar(path, files)
    content = path.read_bytes()
    with tarfile.open(path) as tar:
        offsets = [member.offset for member in tar][1:] + [tar.offset - 512]
    for offset in offsets:
        for end in (offset, offset + 100):
            path.write_bytes(content[:end])
            with pytest.raises(ArchiveError, match="damaged or cut off"):
                read(path)


@pytest.mark.parametrize("size", [-512, 300 * 2**20, 2**40, 2**80])
@pytest.mark.parametrize("name", ["README.txt", f"{NOTES[0].id}.wav"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_file_that_claims_another_size(tmp_path, size, name, compress):
    path = tmp_path / "nsynth-test.tar"
    files = jsonwav_files("test", NOTES[:1], json_first=True)
    about, sound = files.values()
    files = {"examples.json": about, "README.txt": b"?" * 512, f"{NOTES[0].id}.wav": sound}
    write_tar(path, files)
    assert_same(read(path), NOTES[:1])
    honest, claiming = tarfile.TarInfo(name), tarfile.TarInfo(name)
    honest.size, claiming.size = len(files[name]), size
    content = path.read_bytes()
    assert content.count(honest.tobuf()) == 1
    content = content.replace(honest.tobuf(), claiming.tobuf(tarfile.GNU_FORMAT))
    path.write_bytes(compress(content))
    with pytest.raises(ArchiveError, match=str(path)):
        read(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio": np.zeros(63999, np.float32)}, "has 63999 samples, 64000 were expected"),
        ({"audio": None}, "has 0 samples, 64000 were expected"),
        ({"audio": [1]}, "has 0 samples, 64000 were expected"),
        ({"audio": np.full(64000, np.nan, np.float32)}, "NaN or infinite"),
        ({"pitch": None}, "pitch None, an integer from 0 to 127 was expected"),
        ({"pitch": 128}, "pitch 128, an integer"),
        ({"velocity": "loud"}, "velocity b'loud', an integer"),
        ({"note_str": None}, "note_str None, a name"),
        ({"note_str": "a\tb"}, "note_str 'a.tb', a name"),
        ({"instrument_family_str": "drum"}, "instrument_family_str 'drum', one of bass, brass"),
        ({"instrument_source_str": ""}, "instrument_source_str '', a name"),
        ({"qualities": [0] * 9}, "a list of 10 was expected"),
        ({"qualities": [2] * 10}, "a list of 0 and 1 was expected"),
        ({"sample_rate": 8000}, "sample_rate 8000, 16000 was expected"),
        ({"instrument": 1006}, "instrument 1006, an integer from 0 to 1005"),
    ],
)
def test_refused_examples(tmp_path, changes, message):
    path = tmp_path / "nsynth-test.tfrecord"
    path.write_bytes(records([example(NOTES[0]), example(NOTES[1], **changes)]))
    with pytest.raises(ArchiveError, match=message) as caught:
        read(path)
    assert f"{path}: record 1 of nsynth-test.tfrecord" in str(caught.value)


def test_records_of_something_else(tmp_path):
    path = tmp_path / "nsynth-test.tfrecord"
    path.write_bytes(records([b"\xff\xff"]))
    with pytest.raises(ArchiveError, match=r"no tf\.train\.Example"):
        read(path)
    length = struct.pack("<Q", 300 * 2**20)
    path.write_bytes(length + struct.pack("<I", masked_crc32c(length)))
    with pytest.raises(ArchiveError, match="has 314572800 bytes, 16777216 at most"):
        read(path)
    path.write_bytes(b"")
    assert read(path) == []
    write_tar(tmp_path / "nsynth-test.tar", {})
    with pytest.raises(ArchiveError, match="holds no files"):
        read(tmp_path / "nsynth-test.tar")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (wav(NOTES[0].audio[:-1]), "has 63999 samples"),
        (wav(NOTES[0].audio[:0]), "has 0 samples"),
        (wav(NOTES[0].audio)[:-1], "has 63999 samples"),
        (wav(NOTES[0].audio, rate=44100), "1 channels of 16 bits at 44100 Hz"),
        (wav(NOTES[0].audio, channels=2), "2 channels of 16 bits"),
        (b"", "is no wav file"),
        (b"RIFF\xff\xff\xff\x7fWAVEfmt ", "is no wav file"),
        (bytes(2**24 + 1), "has 16777217 bytes"),
    ],
)
def test_refused_wav_files(tmp_path, content, message):
    files = jsonwav_files("test", NOTES[:1])
    name = f"nsynth-test/audio/{NOTES[0].id}.wav"
    path = tmp_path / "nsynth-test.jsonwav.tar"
    write_tar(path, files | {name: content})
    with pytest.raises(ArchiveError, match=message) as caught:
        read(path)
    assert f"{path}: {NOTES[0].id}.wav" in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_fuzzed_wav_headers(tmp_path_factory, data):
    content = bytearray(wav(NOTES[0].audio))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, 43))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "nsynth-test.jsonwav.tar"
    files = jsonwav_files("test", NOTES[:1])
    write_tar(path, files | {f"nsynth-test/audio/{NOTES[0].id}.wav": bytes(content)})
    assert_refused_or_same(path, NOTES[:1])


ABOUT = "nsynth-test/examples.json"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not the examples.json"),
        (b"", "damaged or cut off"),
        (b"[]", "damaged or cut off"),
        (b"{" * 100_000, "damaged or cut off"),
        (b'{"a": ' + b"[" * 100_000, "damaged or cut off"),
        (b'{"a" 1}', "a colon was expected after 'a'"),
        (b'{"a": 1}', "'a' in examples.json is no note of that name"),
        (b"\xff{}", "damaged or cut off"),
        (json.dumps({"b": fields(NOTES[0])}).encode(), "'b' in examples.json is no note"),
        (json.dumps({NOTES[0].id: fields(NOTES[0])}).encode()[:-1], "damaged or cut off"),
        (json.dumps({NOTES[1].id: fields(NOTES[1])}).encode(), "does not tell"),
        (
            json.dumps({note.id: fields(note) for note in NOTES}).encode(),
            "has 1 wav files, 3 were expected",
        ),
        (
            json.dumps({NOTES[0].id: {**fields(NOTES[0]), "pitch": 60.5}}).encode(),
            "has pitch 60.5, an integer",
        ),
    ],
)
def test_refused_examples_json(tmp_path, content, message):
    files = jsonwav_files("test", NOTES[:1])
    if content is None:
        del files[ABOUT]
    else:
        files[ABOUT] = content
    path = tmp_path / "nsynth-test.jsonwav.tar"
    write_tar(path, files)
    with pytest.raises(ArchiveError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_examples_json_of_many_chunks(tmp_path):
    # 2 MB before the note: read in pieces, cut anywhere.
    others = {f"{NOTES[0].id}_{n}": fields(NOTES[0]) for n in range(4000)}
    for name, features in others.items():
        features["note_str"] = name
    examples = {**others, NOTES[1].id: fields(NOTES[1])}
    files = {ABOUT: json.dumps(examples, indent=4).encode()}
    files |= {f"nsynth-test/audio/{NOTES[1].id}.wav": wav(NOTES[1].audio)}
    write_tar(tmp_path / "nsynth-test.jsonwav.tar", files)
    entries = read_entries(tmp_path / "nsynth-test.jsonwav.tar")
    assert_same([next(entries).load()], [NOTES[1]])
    with pytest.raises(ArchiveError, match="1 wav files, 4001 were expected"):
        next(entries)


# --- The other files ---


def test_find_inputs(tmp_path):
    notes = {split: [note] for split, note in zip(("train", "valid", "test"), NOTES, strict=True)}
    write_archives(tmp_path, notes, "jsonwav")
    inputs = find_inputs(tmp_path, wants_splits=True)
    assert inputs.archives["valid"].name == "nsynth-valid.jsonwav.tar.gz"
    assert read_labels(inputs.labels) == LABELS
    assert read_splits(inputs.splits) == {note.id: "train" for note in NOTES}
    # The tfrecord form is taken where both are there: it needs no decompression.
    write_tar(tmp_path / "nsynth-valid.tfrecord.tar", tfrecord_files("valid", NOTES[:1]))
    assert find_inputs(tmp_path, True).archives["valid"].name == "nsynth-valid.tfrecord.tar"
    inputs.splits.rename(tmp_path / "gansynth_splits.csv")
    inputs.labels.unlink()
    assert find_inputs(tmp_path, True).splits.name == "gansynth_splits.csv"
    assert find_inputs(tmp_path, True).labels is None
    (tmp_path / "gansynth_splits.csv").unlink()
    with pytest.raises(ArchiveError, match=r"has no nsynth-gansynth_splits\.csv"):
        find_inputs(tmp_path, True)
    assert find_inputs(tmp_path, wants_splits=False).splits is None
    inputs.archives["test"].unlink()
    with pytest.raises(ArchiveError, match=r"has no nsynth-test\.tfrecord\.tar, nor"):
        find_inputs(tmp_path, wants_splits=False)


@pytest.mark.parametrize("labels", [LABELS[1:], [*LABELS[1:], LABELS[1]], [*LABELS, "more"]])
def test_refused_labels(tmp_path, labels):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(labels))
    with pytest.raises(ArchiveError, match="1006 were expected"):
        read_labels(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("id,split\n", "has no rows"),
        ("name,split\na,train\n", "row 1 is .'a', 'train'., an id and one of"),
        ("id,split\na,train\nb,dev\n", "row 2 is .'b', 'dev'., an id and one of"),
        ("id,split\na\n", "row 1 is .'a', None."),
        ("id,split\na,train\na,test\n", "a is in train and in test"),
        ("id,split\n\xff,train\n", "is no CSV file"),
    ],
)
def test_refused_splits(tmp_path, text, message):
    path = tmp_path / "splits.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ArchiveError, match=message):
        read_splits(path)
