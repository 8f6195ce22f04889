"""Pitches from names and tables: what is understood, what is refused, and nothing guessed."""

import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gansynth_tf.data.pitch_names import (
    COLUMNS,
    NamedPitch,
    TableRow,
    match_table,
    name_pitch,
    parse_pitch,
    read_table,
)
from gansynth_tf.data.schema import FAMILIES, SOURCES, note_id

pytestmark = pytest.mark.latest
STEPS = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]


@pytest.mark.parametrize(
    ("stem", "label", "pitch", "velocity"),
    [
        ("name_060_100", "name", 60, 100),
        ("guitar_acoustic_001-060-100", "guitar_acoustic_001", 60, 100),
        ("guitar_acoustic_001-060-100-1", "guitar_acoustic_001", 60, 100),
        ("C#4", "", 61, None),
        ("Db3", "", 49, None),
        ("B♭3", "", 58, None),
        ("cb4", "", 59, None),
        ("C-1", "", 0, None),
        ("G9", "", 127, None),
        ("Piano.mf.C4", "Piano.mf", 60, None),
        ("pianoC4", "piano", 60, None),
        ("violin_As4_1_forte", "violin_1_forte", 70, None),
        ("D#4v16", "v16", 63, None),
        ("piano C4 v064", "piano", 60, 64),
        ("piano_vel5_C4", "piano", 60, 5),
        ("note_0000_p060", "note_0000", 60, None),
        ("organ midi60", "organ", 60, None),
        ("Piano 60", "Piano", 60, None),
        ("piano-C4-060-100", "piano", 60, 100),
        ("C4_C4", "", 60, None),
    ],
)
def test_names(stem, label, pitch, velocity):
    assert name_pitch(stem) == NamedPitch(label, pitch, velocity)


@pytest.mark.parametrize(
    "stem",
    ["", "kick", "take 12", "Piano 001", "usb3", "C14", "H4", "808", "rec_2024_01_15", "name_60_9"]
    # Several pitches, or one that is none.
    + ["A1_C#4", "C4_001_002", "take 2 of 60", "G#9", "Cb-1", "a-128-100", "p200"],
)
def test_names_without_one_pitch(stem):
    assert name_pitch(stem) == NamedPitch(stem, None, name_pitch(stem).velocity)


@given(st.integers(0, 127), st.integers(0, 127), st.sampled_from(["strings", "bass_synthetic_033"]))
def test_ids_are_read_back(pitch, velocity, label):
    assert name_pitch(note_id(label, pitch, velocity)) == NamedPitch(label, pitch, velocity)


@given(st.integers(0, 127))
def test_notes_and_numbers_agree(pitch):
    name = f"{STEPS[pitch % 12]}{pitch // 12 - 1}"
    assert parse_pitch(name) == parse_pitch(name.lower()) == parse_pitch(str(pitch)) == pitch
    assert name_pitch(f"violin_{name}").pitch == pitch


@given(st.text(max_size=40))
def test_any_name(stem):
    named = name_pitch(stem)
    assert named.pitch in (None, *range(128))
    assert named.velocity in (None, *range(128))


@pytest.mark.parametrize(
    "text", ["", "128", "-1", "nan", "60.5", "C", "C10", "G#9", "sixty", "1e1"]
)
def test_what_is_no_pitch(text):
    with pytest.raises(ValueError, match=r"neither|outside"):
        parse_pitch(text)


def table(tmp_path, text):
    path = tmp_path / "pitches.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table(tmp_path, start, delimiter, end):
    lines = [
        "File,Comment,Pitch,velocity,instrument,family,source",
        "a/x.wav,loud,C#4,90,my violin,string,Acoustic",
        r".\b\y.flac,,62.0,,,,",
        ",,,,,,",
        "z.wav,no pitch known,,,,,",
        "z.wav,,",
    ]
    text = end.join(line.replace(",", delimiter) for line in lines)
    assert table(tmp_path, start + text.encode()) == [
        TableRow("a/x.wav", 61, 90, "my violin", "string", "acoustic"),
        TableRow("b/y.flac", 62),
        TableRow("z.wav", None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must name the columns file and pitch"),
        ("file,note\na.wav,60", "must name the columns file and pitch"),
        ("file,pitch,pitch\na.wav,60,61", "each once"),
        ("a.wav,60\nb.wav,61", "must name the columns"),
        ("file,pitch\na.wav,sixty", "line 2: pitch must be .* not 'sixty'"),
        ("file,pitch\na.wav,60\n\nb.wav,128", "line 4: pitch must be .* not '128'"),
        ("file,pitch\na.wav,-1", "not '-1'"),
        ("file,pitch\na.wav,NaN", "not 'NaN'"),
        ("file,pitch\na.wav,60.5", "not '60.5'"),
        ("file,pitch\n,60", "line 2: the cell of file is empty"),
        ("file,pitch\na.wav,60\na.wav,61", "line 3: a.wav comes again, with other values"),
        ("file,pitch\na.wav,60\n./a.wav,61", "line 3: a.wav comes again"),
        ("file,pitch\na,b.wav,60", "line 2: 3 cells"),
        ("file,pitch,velocity\na.wav,60,128", "velocity must be .* not '128'"),
        ("file,pitch,velocity\na.wav,60,loud", "velocity must be .* not 'loud'"),
        ("file,pitch,family\na.wav,60,violin", "family must be one of bass, .* not 'violin'"),
        ("file,pitch,source\na.wav,60,vinyl", "source must be one of acoustic, .* not 'vinyl'"),
        ('file,pitch\n"a.wav,60\n', "is no table"),
        (b"file,pitch\n\xe9.wav,60", "must be UTF-8"),
        ("file,pitch\na.wav,60".encode("utf-16"), "must be UTF-8"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"pitches\.csv.*{message}"):
        table(tmp_path, text)


CELLS = st.text(string.ascii_letters + string.digits + " .,;\t\"'\n#-/é\0", max_size=12)


@settings(max_examples=200, deadline=None)
@given(header=st.lists(st.sampled_from([*COLUMNS, "x"]), max_size=6), rows=st.lists(CELLS))
@example(header=["file", "pitch"], rows=["a.wav,60"])
def test_any_table_is_read_or_refused(tmp_path_factory, header, rows):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes("\n".join([",".join(header), *rows]).encode())
    try:
        read = read_table(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
        return
    for row in read:
        assert row.pitch in (None, *range(128))
        assert row.velocity in (None, *range(128))
        assert row.family in (None, *FAMILIES)
        assert row.source in (None, *SOURCES)


def test_rows_find_their_files():
    by_path, by_name = TableRow("a/x.wav", 60), TableRow("y.wav", 61)
    accented, absent = TableRow("é.wav", 62), TableRow("c/x.wav", 63)
    files = ["a/x.wav", "b/y.wav", "e\u0301.wav", "b/x.wav"]
    assert match_table([by_path, by_name, accented, absent], files) == (
        {"a/x.wav": by_path, "b/y.wav": by_name, "e\u0301.wav": accented},
        ["c/x.wav"],
    )


def test_a_mere_name_of_several_files_is_refused():
    with pytest.raises(ValueError, match=r"x.wav is the name of 2 files: give .* a/x.wav"):
        match_table([TableRow("x.wav", 60)], ["a/x.wav", "b/x.wav"])


def test_two_rows_of_one_file_are_refused():
    with pytest.raises(ValueError, match=r"a/x.wav has two rows"):
        match_table([TableRow("a/x.wav", 60), TableRow("x.wav", 61)], ["a/x.wav"])
