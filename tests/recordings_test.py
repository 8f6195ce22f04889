"""What becomes of one recording: pitch, velocity, label, level, length, takes, missing pitches."""

import dataclasses
import math

import numpy as np
import pytest
import soundfile

from gansynth_tf.data import trimming
from gansynth_tf.data.manifest import Entry
from gansynth_tf.data.pitch_names import TableRow
from gansynth_tf.data.recordings import FolderConfig, RecordingImporter
from gansynth_tf.data.synth import SynthConfig, render_note
from gansynth_tf.evaluation.pitch_tracking import track_pitch

pytestmark = pytest.mark.latest
RATE = 16_000
CONFIG = FolderConfig(audio_length=RATE)


def listen(wave):
    return track_pitch(wave, RATE, 11, 97)


def tone(pitch, seconds=0.6, lead=0.1, family="organ"):
    config = SynthConfig(sample_rate=RATE, audio_length=round(seconds * RATE))
    note = render_note(config, family, 0, pitch, 100).audio
    return np.concatenate([np.zeros(round(lead * RATE)), note])


class Notes(list):
    """Takes notes in place of a file."""

    write = list.append


def take(folder, files, rows=None, **changes):
    """Imports waves by file name -> notes, manifest entries, lost files."""
    notes, entries, lost = Notes(), [], {}
    config = dataclasses.replace(CONFIG, **changes)
    importer = RecordingImporter(folder, config, listen, notes, entries, lost.setdefault)
    for file, wave in files.items():
        (folder / file).parent.mkdir(exist_ok=True)
        if wave is not None:
            soundfile.write(folder / file, wave, RATE, subtype="FLOAT")
        importer.take_file(file, (rows or {}).get(file))
    if config.fill_pitches:
        importer.fill(lambda done, total: None)
    assert all(isinstance(entry, Entry) for entry in entries)
    assert [note.id for note in notes] == [entry.id for entry in entries if entry.id]
    return notes, entries, lost


def test_trimmed_faded_levelled_and_padded(tmp_path):
    (note,), (entry,), _ = take(tmp_path, {"x_060_090.wav": 0.1 * tone(60, lead=0.3)})
    assert (note.pitch, note.velocity, note.id) == (60, 90, "x-060-090")
    assert note.audio.shape == (RATE,)
    assert note.audio.dtype == np.float32
    assert trimming.to_decibels(trimming.peak(note.audio)) == pytest.approx(-1.0, abs=0.01)
    assert np.abs(note.audio[: RATE // 100]).max() > 0.01
    assert not note.audio[round(0.61 * RATE) :].any()
    assert entry.start_seconds == pytest.approx(0.3, abs=0.01)
    assert entry.measured_pitch == pytest.approx(60, abs=0.1)
    assert (entry.pitch_from, entry.fate, entry.reason) == ("name", "kept", "")


def test_a_long_note_is_cut_and_faded(tmp_path):
    (note,), *_ = take(tmp_path, {"C4.wav": tone(60, seconds=3.0)}, fade=0.2, level="none")
    assert trimming.peak(note.audio[-100:]) < 0.01 * trimming.peak(note.audio)
    assert trimming.peak(note.audio[RATE // 2 : -RATE // 4]) > 0.5 * trimming.peak(note.audio)


def test_level_none_leaves_the_samples(tmp_path):
    wave = tone(60, lead=0.0)
    (note,), *_ = take(tmp_path, {"C4.wav": wave}, fade=0.0, level="none")
    assert np.max(np.abs(note.audio[: len(wave)] - wave)) < 1e-3


@pytest.mark.parametrize(
    ("pitch", "origin", "heard_instead"),
    [("auto", "csv", 62), ("csv", "csv", 62), ("names", "name", 64), ("measured", "measured", 60)],
)
def test_where_the_pitch_comes_from(tmp_path, pitch, origin, heard_instead):
    rows = {"E4.wav": TableRow("E4.wav", 62)}
    (note,), (entry,), _ = take(tmp_path, {"E4.wav": tone(60)}, rows, pitch=pitch)
    assert (note.pitch, entry.pitch_from) == (heard_instead, origin)
    if origin == "measured":
        assert not entry.reason
    else:
        assert entry.reason == f"not heard at its pitch: 60.00 where {heard_instead} is told"


def test_auto_takes_the_name_then_the_ear(tmp_path):
    files = {"C4.wav": tone(60), "kick.wav": tone(55)}
    notes, entries, _ = take(tmp_path, files, {"C4.wav": TableRow("C4.wav", None)})
    assert [note.pitch for note in notes] == [60, 55]
    assert [entry.pitch_from for entry in entries] == ["name", "measured"]


def test_check_pitch_drops_what_is_not_heard(tmp_path):
    noise = np.random.default_rng(0).normal(size=RATE) * 0.1
    files = {"a_C#4.wav": tone(60), "b_D4.wav": tone(60), "c_C4.wav": noise}
    notes, entries, _ = take(tmp_path, files, check_pitch=True)
    assert [note.pitch for note in notes] == [61]  # a semitone is near enough
    assert [entry.kind for entry in entries] == ["", *["not heard at its pitch"] * 2]
    assert len(take(tmp_path, files)[0]) == 3


@pytest.mark.parametrize(
    ("changes", "wave", "kind"),
    [
        ({}, np.zeros(RATE), "silent"),
        ({}, 1e-4 * tone(60), "silent"),
        ({}, tone(60)[: RATE // 8], "too short"),
        ({"pitch": "names"}, tone(60), "no pitch"),
        ({"pitch": "csv"}, tone(60), "no pitch"),
        ({}, np.random.default_rng(0).normal(size=RATE) * 0.1, "no pitch"),
        ({"min_pitch": 61}, tone(60), "out of range"),
        ({"max_pitch": 59}, tone(60), "out of range"),
        ({"split": "onset"}, np.zeros(RATE), "silent"),
    ],
)
def test_what_is_dropped(tmp_path, changes, wave, kind):
    notes, (entry,), lost = take(tmp_path, {"x.wav": wave}, **changes)
    assert not notes
    assert not lost
    assert (entry.fate, entry.kind) == ("dropped", kind)


def test_a_missing_file_is_lost(tmp_path):
    notes, entries, lost = take(tmp_path, {"x.wav": None})
    assert not notes
    assert not entries
    assert "No such file" in lost["x.wav"]


def test_labels_velocities_families(tmp_path):
    wave = tone(60)
    names = ["violin/arco_C4.wav", "C4.wav", "oboe C4 v033.wav", "brass_acoustic_007-060-050.wav"]
    row = TableRow(names[0], 60, 7, "my\n/violin", "string", "acoustic")
    notes, *_ = take(tmp_path, dict.fromkeys(names, wave), {names[0]: row}, source="electronic")
    seen = [
        (note.instrument_label, note.velocity, note.instrument_family, note.instrument_source)
        for note in notes
    ]
    assert seen == [
        (r"my_n_violin", 7, "string", "acoustic"),
        (tmp_path.name, 100, None, "electronic"),
        ("oboe", 33, None, "electronic"),
        ("brass_acoustic_007", 50, "brass", "electronic"),
    ]
    (first, *_), *_ = take(tmp_path, {names[0]: wave})
    assert first.instrument_label == "violin"


def test_takes_of_one_note(tmp_path):
    files = {f"v/{take}_C4.wav": tone(60) for take in "abc"}
    notes, *_ = take(tmp_path, files)
    assert [note.id for note in notes] == ["v-060-100", "v-060-100-1", "v-060-100-2"]


def test_split_at_onsets(tmp_path):
    wave = np.concatenate([tone(pitch, lead=0.3) for pitch in (60, 64, 67)])
    rows = {"scale.wav": TableRow("scale.wav", None, instrument="organ")}
    notes, entries, _ = take(tmp_path, {"scale.wav": wave, "C4.wav": wave}, rows, split="onset")
    assert [note.pitch for note in notes] == [60, 64, 67] * 2  # a name is not believed
    assert {note.instrument_label for note in notes[:3]} == {"organ"}
    assert [entry.pitch_from for entry in entries] == ["measured"] * 6
    starts = [entry.start_seconds for entry in entries[:3]]
    assert starts == pytest.approx([0.3, 1.2, 2.1], abs=0.05)
    notes, *_ = take(tmp_path, {"C4.wav": wave}, split="onset", pitch="names")
    assert [note.pitch for note in notes] == [60] * 3


def test_missing_pitches_are_filled_from_the_nearest(tmp_path):
    files = {"a/x_060_050.wav": tone(60), "a/x_060_100.wav": tone(60), "a/x_066_100.wav": tone(66)}
    notes, entries, _ = take(tmp_path, files, fill_pitches=2, max_pitch=67)
    filled = [entry for entry in entries if entry.pitch_from == "filled"]
    made = {(entry.pitch, entry.velocity, entry.file) for entry in filled}
    from_60 = {(p, v, f"a/x_060_{v:03d}.wav") for p in (58, 59, 61, 62) for v in (50, 100)}
    assert made == from_60 | {(pitch, 100, "a/x_066_100.wav") for pitch in (64, 65, 67)}
    assert len(filled) == len(made)
    assert "filled: from pitch 60, moved by -2 semitones" in {entry.reason for entry in filled}
    for note in notes:
        assert listen(note.audio) == pytest.approx(note.pitch, abs=0.1)
        assert note.audio.shape == (RATE,)
        assert trimming.to_decibels(trimming.peak(note.audio)) == pytest.approx(-1.0, abs=0.01)
    assert len({note.id for note in notes}) == len(notes)


def test_of_two_as_near_the_lower_is_played_faster(tmp_path):
    files = {"a/x_060_100.wav": tone(60), "a/x_062_100.wav": tone(62)}
    _, entries, _ = take(tmp_path, files, fill_pitches=1)
    reasons = {entry.pitch: entry.reason for entry in entries if entry.pitch_from == "filled"}
    assert sorted(reasons) == [59, 61, 63]
    assert "from pitch 60, moved by +1" in reasons[61]


def test_instruments_do_not_fill_each_other(tmp_path):
    files = {"a/C4.wav": tone(60), "b/D4.wav": tone(62)}
    notes, *_ = take(tmp_path, files, fill_pitches=1)
    pitches = {(note.instrument_label, note.pitch) for note in notes}
    assert pitches == {("a", 59), ("a", 60), ("a", 61), ("b", 61), ("b", 62), ("b", 63)}


def test_what_is_not_heard_at_its_pitch_fills_nothing(tmp_path):
    files = {"a/C4.wav": tone(60), "a/D4.wav": tone(57)}
    notes, *_ = take(tmp_path, files, fill_pitches=2)
    assert sorted(note.pitch for note in notes) == [58, 59, 60, 61, 62]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pitch": "guess"}, "pitch must be one of auto, names, csv, measured, not 'guess'"),
        ({"level": "loud"}, "level must be one of"),
        ({"split": "yes"}, "split must be one of none, onset"),
        ({"family": "violin"}, "family must be one of bass, .* not 'violin'"),
        ({"source": "vinyl"}, "source must be one of"),
        ({"decoder": "ffmpeg"}, "decoder must be one of"),
        ({"sample_rate": 0}, "sample_rate must be from 8000 to 192000, not 0"),
        ({"min_pitch": 85}, "max_pitch must be from 85 to 127, not 84"),
        ({"max_pitch": 128}, "max_pitch must be"),
        ({"max_pitch": 127}, "max_pitch=127 is a tone of 12544 Hz, more than sample_rate=16000"),
        ({"fade": math.nan}, "fade must be"),
        ({"fade": -0.1}, "fade must be"),
        ({"fill_pitches": 25}, "fill_pitches must be from 0 to 24"),
        ({"max_seconds": math.inf}, "max_seconds must be"),
        ({"audio_length": 0}, "length must be from 0.05 to 60 seconds, not 0"),
        ({"audio_length": 10**9}, "length must be"),
    ],
)
def test_settings_that_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)
