"""MIDI files: every note at its time, in its part, and one sentence for what is no such file."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mido import Message, MetaMessage
from songs import note, pedal, song

from gansynth_tf.midi import MidiError, read_midi

pytestmark = pytest.mark.latest


def read(*tracks, **settings):
    """What is read of tracks, each a list of (beat, message)."""
    file = io.BytesIO()
    song(*tracks, **settings).save(file=file)
    file.seek(0)
    return read_midi(file)


def times(notes) -> list[tuple[float, float]]:
    return [tuple(np.round(pair, 9)) for pair in zip(notes.starts, notes.ends, strict=True)]


@pytest.mark.parametrize(
    ("key", "low", "high"), [("load_midi", 36, 84), ("load_midi_24_84", 24, 84)]
)
def test_the_notes_are_the_original_s(goldens, key, low, high):
    arrays = goldens.load("generate.npz")
    notes = read_midi(goldens.path("notes.mid")).notes
    chosen = (notes.pitches >= low) & (notes.pitches <= high)  # as the original drops the others
    theirs = {
        n: arrays[f"{key}/{n}"] for n in ("start_times", "end_times", "pitches", "velocities")
    }
    order = np.lexsort((theirs["pitches"], theirs["start_times"]))  # theirs is by their ends
    np.testing.assert_allclose(notes.starts[chosen], theirs["start_times"][order], atol=1e-12)
    np.testing.assert_allclose(notes.ends[chosen], theirs["end_times"][order], atol=1e-12)
    np.testing.assert_array_equal(notes.pitches[chosen], theirs["pitches"][order])
    np.testing.assert_array_equal(notes.velocities[chosen], theirs["velocities"][order])


def test_tempo_changes():
    """From 120 to 60 beats a minute at beat 2, in the midst of a note, in another track."""
    tempos = [
        (0, MetaMessage("set_tempo", tempo=500_000)),
        (2, MetaMessage("set_tempo", tempo=10**6)),
    ]
    midi = read(tempos, [*note(60, 1, 3), *note(62, 3, 4)])
    assert times(midi.notes) == [(0.5, 2.0), (2.0, 3.0)]


def test_without_a_tempo_a_beat_is_half_a_second():
    assert times(read(note(60, 1, 3)).notes) == [(0.5, 1.5)]


def test_smpte_time():
    """25 frames of 40 ticks a second."""
    midi = song(note(60, 0, 1), ticks=1000)
    midi.ticks_per_beat = -(25 << 8) + 40
    file = io.BytesIO()
    midi.save(file=file)
    file.seek(0)
    assert times(read_midi(file).notes) == [(0.0, 1.0)]


def test_the_pedal_holds_notes_until_it_is_up():
    presses = [(0.5, pedal(127)), (4, pedal(0))]
    midi = read([*note(60, 0, 1), *note(64, 3, 6), *presses])
    assert times(midi.notes) == [(0.0, 2.0), (1.5, 3.0)]


def test_a_pitch_struck_anew_ends_the_one_that_the_pedal_holds():
    presses = [(0, pedal(64)), (8, pedal(63))]
    midi = read([*presses, *note(60, 0, 1), *note(60, 4, 5)])
    assert times(midi.notes) == [(0.0, 2.0), (2.0, 4.0)]


def test_the_pedal_is_its_channel_s_in_every_track():
    presses = [(0, pedal(127)), (4, pedal(0))]
    midi = read([*note(60, 0, 1), *presses], note(62, 0, 1), note(64, 0, 1, channel=1))
    assert dict(zip(midi.notes.pitches.tolist(), midi.notes.ends.tolist(), strict=True)) == {
        60: 2.0,
        62: 2.0,
        64: 0.5,
    }


def test_a_pedal_that_stays_down_ends_with_the_file():
    midi = read([(0, pedal(127)), *note(60, 0, 1), *note(62, 3, 4)])
    assert times(midi.notes) == [(0.0, 2.0), (1.5, 2.0)]


@pytest.mark.parametrize("control", [120, 123])
def test_all_notes_off(control):
    off = Message("control_change", control=control, value=0)
    assert times(read([*note(60, 0, 8), (2, off)]).notes)[0] == (0.0, 1.0)


def test_a_part_is_what_a_track_plays_on_a_channel_with_a_program():
    named = [(0, MetaMessage("track_name", name="Flute")), *note(60, 0, 1, channel=2)]
    programs = [
        *note(64, 0, 1),
        (2, Message("program_change", program=40)),
        *note(64, 2, 3),
    ]
    notes = read(named, programs).notes
    assert notes.part_names == (
        "Flute, channel 3, program 1",
        "track 2, channel 1, program 1",
        "track 2, channel 1, program 41",
    )
    assert notes.parts.tolist() == [0, 1, 2]


def test_drums_are_left_out_and_counted():
    midi = read([*note(60, 0, 1), *note(36, 0, 1, channel=9), *note(38, 1, 2, channel=9)])
    assert (len(midi.notes), midi.num_drums) == (1, 2)


def test_notes_of_one_pitch_that_overlap_end_in_their_order():
    notes = read([*note(60, 0, 3, 10), *note(60, 1, 4, 20)]).notes
    assert times(notes) == [(0.0, 1.5), (0.5, 2.0)]
    assert notes.velocities.tolist() == [10, 20]


def test_one_pitch_in_two_tracks_of_one_channel():
    """Each track ends its own."""
    notes = read(note(60, 0, 4, 10), note(60, 1, 2, 20)).notes
    assert times(notes) == [(0.0, 2.0), (0.5, 1.0)]
    assert notes.parts.tolist() == [0, 1]


def test_odd_notes():
    """Of no length, never ended, ended without a beginning, of least velocity."""
    track = [
        *note(60, 1, 1),
        (2, Message("note_on", note=61, velocity=1)),
        (3, Message("note_off", note=99)),
        (4, Message("note_on", note=98, velocity=0)),
    ]
    notes = read(track).notes
    assert times(notes) == [(0.5, 0.5), (1.0, 2.0)]
    assert notes.velocities.tolist() == [100, 1]


def test_a_file_without_notes():
    midi = read([(0, MetaMessage("track_name", name="nothing"))])
    assert (len(midi.notes), midi.notes.seconds, midi.notes.part_names) == (0, 0.0, ())
    assert len(read(note(36, 0, 1, channel=9)).notes) == 0


def whole_file() -> bytes:
    file = io.BytesIO()
    song([*note(60, 0, 1), (0, pedal(127)), *note(64, 1, 2)], note(67, 0, 3)).save(file=file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no MIDI file, or a damaged one"),
        (b"\0" * 100, "is no MIDI file"),
        (b"RIFF....WAVE", "is no MIDI file"),
        (whole_file()[:-9], "or a damaged one"),
        (whole_file()[:20], "or a damaged one"),
        (whole_file()[:8] + b"\0\2" + whole_file()[10:], r"several songs \(format 2\)"),
        (whole_file()[:12] + b"\0\0" + whole_file()[14:], "0 ticks a beat"),
    ],
)
def test_what_is_no_midi_file(content, message):
    with pytest.raises(MidiError, match=message) as caught:
        read_midi(io.BytesIO(content))
    assert len(str(caught.value).splitlines()) == 1


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_damaged_bytes_give_notes_or_one_error(data):
    content = bytearray(whole_file())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    try:
        notes = read_midi(io.BytesIO(bytes(content))).notes
    except MidiError:
        return
    assert np.all(notes.ends >= notes.starts)


def test_a_long_file(tmp_path):
    """Three hours; a path."""
    path = tmp_path / "long.mid"
    song([e for beat in range(0, 21_600, 4) for e in note(60, beat, beat + 2)]).save(path)
    notes = read_midi(path).notes
    assert len(notes) == 5400
    assert notes.seconds == pytest.approx(21_598 * 0.5)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_midi(tmp_path / "none.mid")
