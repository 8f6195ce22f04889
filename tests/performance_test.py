"""Pieces: every note at its time, pitch, level and timbre; nothing clips and memory stays small."""

import dataclasses
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sines import Sines
from songs import note, song

from gansynth_tf.checkpoint import CheckpointError
from gansynth_tf.evaluation.pitch_tracking import track_pitch
from gansynth_tf.midi import MidiError
from gansynth_tf.mixing import EnvelopeConfig
from gansynth_tf.notelist import NoteList, PitchRangeError
from gansynth_tf.performance import (
    PerformanceConfig,
    PieceError,
    choose_timbres,
    notes_of,
    perform,
)

pytestmark = pytest.mark.latest

RATE = Sines.sample_rate
RELEASE = EnvelopeConfig().release


def notes(*rows, num_parts=1) -> NoteList:
    """Of rows (start, end, pitch, velocity, part), the last two 100 and 0 if not given."""
    rows = [(*row, *(100, 0)[len(row) - 3 :]) for row in rows]
    columns = np.array(rows, float).reshape(-1, 5).T
    names = tuple(f"part {number}" for number in range(num_parts))
    return NoteList(*columns, part_names=names)


def played(piece, sines=None, latents=None, **settings) -> np.ndarray:
    sines = sines or Sines()
    piece, config = notes_of(piece), PerformanceConfig(**settings)
    return perform(sines, piece, choose_timbres(sines, piece, latents, config=config), config)


def peak(clip, start, end) -> float:
    return float(np.abs(clip[int(start * RATE) : int(end * RATE)]).max(initial=0.0))


def midi(*tracks) -> io.BytesIO:
    file = io.BytesIO()
    song(*tracks).save(file=file)
    file.seek(0)
    return file


def test_notes_sound_at_their_times_and_pitches():
    """From pitch 24 on, which the original leaves out up to 35."""
    pitches = [24, 30, 35, 36, 60, 84]
    clip = played(notes(*((2 * i, 2 * i + 1, p) for i, p in enumerate(pitches))))
    assert len(clip) == int((11 + RELEASE) * RATE)
    assert clip.dtype == np.float32
    for i, pitch in enumerate(pitches):
        heard = track_pitch(clip[2 * i * RATE : (2 * i + 1) * RATE], RATE, pitch - 13, pitch + 13)
        assert heard == pytest.approx(pitch, abs=0.1)
        assert peak(clip, 2 * i + 1 + RELEASE + 0.001, 2 * i + 2) == 0.0


def test_velocity_is_level_and_0_is_silence():
    clip = played(notes((0, 1, 60, 127), (2, 3, 60, 32), (4, 5, 60, 0), (6, 7, 60, 1)))
    assert peak(clip, 0, 2) == pytest.approx(1.0, abs=0.01)
    assert peak(clip, 2, 4) == pytest.approx(32 / 127, abs=0.01)
    assert peak(clip, 4, 6) == 0.0
    assert 0 < peak(clip, 6, 7.4) < 0.011
    silent = played(notes((0, 1, 60, 0), (1, 2, 62, 0)))
    assert len(silent) == int((2 + RELEASE) * RATE)
    assert not silent.any()


def test_a_sum_is_brought_to_full_scale():
    clip = played(notes(*((0, 1, 40 + i, 127) for i in range(20)), (2, 3, 60, 127)))
    assert np.abs(clip).max() == pytest.approx(1.0, abs=1e-6)
    assert 0.02 < peak(clip, 2, 4) < 0.4  # by one gain for all


@pytest.mark.parametrize("seconds", [2, 8])
def test_a_piece_of_any_length(seconds):
    """The original fails on what is shorter than two of its timbres, 12 s."""
    beats = 2 * seconds
    tracks = [[e for b in range(0, beats, 2) for e in note(60 + b, b, b + 1)]]
    sines = Sines()
    clip = played(midi(*tracks), sines)
    assert len(clip) == pytest.approx((seconds - 0.5 + RELEASE) * RATE, abs=1)
    assert np.isfinite(clip).all()
    for second in range(seconds):
        assert peak(clip, second, second + 0.5) > 0.5
    assert len({latent for latent, _ in sines.synthesized}) == 1


@pytest.mark.parametrize(
    "track",
    [
        [],
        [*note(40, 0, 1, channel=9), *note(42, 1, 2, channel=9)],
        note(60, 0, 1, velocity=0),
    ],
    ids=["empty", "drums only", "velocity 0 only"],
)
def test_without_notes_there_are_no_samples(track):
    sines = Sines()
    assert played(midi(track), sines).shape == (0,)
    assert not sines.synthesized


def test_a_corrupt_file_is_named_so():
    with pytest.raises(MidiError, match="is no MIDI file, or a damaged one"):
        notes_of(io.BytesIO(b"MThd\0\0"))


def test_a_song_of_mido_is_as_its_file():
    made = song(note(60, 0, 1), note(64, 1, 3, channel=1))
    ours, theirs = notes_of(made), notes_of(midi(note(60, 0, 1), note(64, 1, 3, channel=1)))
    for field in dataclasses.fields(NoteList):
        np.testing.assert_array_equal(getattr(ours, field.name), getattr(theirs, field.name))
    assert notes_of(ours) is ours


def test_long_notes_go_on_or_are_let_go():
    piece = notes((0, 10, 60))
    extended = played(piece)
    released = played(piece, long_notes="release")
    assert len(extended) == int((10 + RELEASE) * RATE)
    assert len(released) == int((3 + RELEASE) * RATE)
    for second in range(10):
        assert peak(extended, second, second + 1) == pytest.approx(100 / 127, abs=0.02)
    heard = track_pitch(extended[8 * RATE :], RATE, 47, 73)
    assert heard == pytest.approx(60, abs=0.1)
    begun = int(2.8 * RATE)
    np.testing.assert_allclose(extended[:begun], released[:begun], atol=0.01)


def test_a_long_release_does_not_break_off():
    clip = played(notes((0, 1, 60)), envelope=EnvelopeConfig(release=20.0))
    assert len(clip) == Sines.audio_length
    assert np.abs(np.diff(clip[-RATE:])).max() < 0.1
    assert abs(clip[-1]) < 1e-3


def test_pitches_that_the_model_lacks():
    piece, sines = notes((0, 1, 20), (1, 2, 100)), Sines(range(48, 73))
    played(piece, sines)
    assert [pitch for _, pitch in sines.synthesized] == [56, 64]
    with pytest.raises(PitchRangeError, match="pitches 20, 100"):
        played(piece, sines, out_of_range="refuse")


def test_each_different_note_is_generated_once():
    rows = [(i, i + 0.5, 60 + i % 3, 100, i % 2) for i in range(40)]
    sines = Sines()
    played(notes(*rows, num_parts=2), sines, secs_per_instrument=0)
    assert len(sines.synthesized) == 6
    assert len({latent for latent, _ in sines.synthesized}) == 2
    sines = Sines()
    played(notes(*rows, num_parts=2), sines, latents=np.ones((1, 3)))
    assert len(sines.synthesized) == 3  # both parts have the one timbre
    sines = Sines()
    played(notes(*rows, num_parts=2), sines)
    assert len(set(sines.synthesized)) == 40  # the timbre changes all the time


def test_timbres_are_taken_in_turn():
    latents = np.arange(1.0, 7.0).reshape(2, 3)
    piece = notes(*((0, 12, 60, 100, part) for part in range(3)), num_parts=3)
    first, second, third = choose_timbres(Sines(), piece, latents)
    assert first is third
    np.testing.assert_array_equal([first.latents[0], second.latents[0]], latents)
    changing = PerformanceConfig(secs_per_instrument=4)
    over_time = choose_timbres(Sines(), piece, latents, config=changing)
    for part, path in enumerate(over_time):
        np.testing.assert_allclose(
            path.at([0.0, 6.0, 12.0]), latents[[0, 1, 0] if part % 2 == 0 else [1, 0, 1]], rtol=1e-3
        )
    drawn = choose_timbres(Sines(), piece, seed=3, config=changing)
    assert len(np.unique(np.concatenate([path.latents for path in drawn]), axis=0)) == 9
    again = choose_timbres(Sines(), piece, seed=3, config=changing)
    np.testing.assert_array_equal(drawn[1].latents, again[1].latents)


@pytest.mark.parametrize("fixed_norm", [False, True])
def test_parallel_timbres(fixed_norm):
    """Between which the original's path is NaN."""
    sines = Sines()
    piece = notes((0, 1, 60), (1, 2, 60), (10, 12, 60))
    one = np.array([[1.0, 2.0, 2.0]])
    clip = played(piece, sines, latents=one, secs_per_instrument=3, fixed_norm=fixed_norm)
    assert np.isfinite(clip).all()
    expected = one * (np.sqrt(3) / 3 if fixed_norm else 1)
    np.testing.assert_allclose(
        [row for row, _ in sines.synthesized], np.repeat(expected, 3, 0), rtol=1e-6
    )


def most_memory(piece, sines) -> int:
    """Bytes that playing it takes beside the clip."""
    paths = choose_timbres(sines, piece)
    tracemalloc.start()
    clip = perform(sines, piece, paths)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most - clip.nbytes


def test_memory_does_not_grow_with_the_notes():
    sines = Sines()
    piece = notes(*((i / 4, i / 4 + 0.2, 40 + i % 40) for i in range(240)))
    assert most_memory(piece, sines) < 45e6  # all notes are 61 MB, and as many in float64
    assert len(sines.synthesized) == 240


def test_a_note_that_never_ends_takes_few_times_its_samples():
    assert most_memory(notes((0, 600, 60)), Sines()) < 4.5 * 600 * RATE * 4


def test_progress_is_told():
    told = []
    sines, piece = Sines(), notes(*((i, i + 1, 50 + i) for i in range(20)))
    perform(
        sines, piece, choose_timbres(sines, piece), progress=lambda *counts: told.append(counts)
    )
    assert told == [(16, 20), (20, 20)]


def test_what_cannot_be_played():
    with pytest.raises(PieceError, match="the piece lasts 1,000,001 s"):
        played(notes((0, 1, 60), (1e6, 1e6 + 1, 60)))
    with pytest.raises(ValueError, match="timbres must be 1, one a part"):
        perform(Sines(), notes((0, 1, 60)), [])
    with pytest.raises(ValueError, match=r"latents must have shape \[n, 3\]"):
        played(notes((0, 1, 60)), latents=np.ones((2, 4)))
    for seconds in (-1, 0.01, np.nan, np.inf):
        with pytest.raises(ValueError, match="secs_per_instrument must be 0, or a"):
            PerformanceConfig(secs_per_instrument=seconds)
    for name in ("long_notes", "out_of_range"):
        with pytest.raises(ValueError, match=f"{name} must be"):
            PerformanceConfig(**{name: "clip"})


class Broken(Sines):
    """A model whose training went wrong."""

    def synthesize(self, latents, pitches):
        return np.nan * super().synthesize(latents, pitches)


def test_a_model_without_finite_notes_is_named():
    with pytest.raises(CheckpointError, match="sines cannot be played"):
        played(notes((0, 1, 60)), Broken())


rows = st.tuples(
    st.floats(0, 3), st.floats(0, 5), st.integers(0, 127), st.integers(0, 127), st.integers(0, 1)
)


@settings(deadline=None, max_examples=20)
@given(
    rows=st.lists(rows, max_size=5),
    release=st.floats(0, 2),
    attack=st.floats(0, 2),
    long_notes=st.sampled_from(["extend", "release"]),
    seconds=st.sampled_from([None, 0, 1]),
)
def test_any_piece(rows, release, attack, long_notes, seconds):
    piece = notes(*((start, start + length, *rest) for start, length, *rest in rows), num_parts=2)
    clip = played(
        piece,
        envelope=EnvelopeConfig(attack, release),
        long_notes=long_notes,
        secs_per_instrument=seconds,
    )
    assert np.isfinite(clip).all()
    assert np.abs(clip).max(initial=0.0) <= 1.0
    assert len(clip) <= (piece.seconds + release) * RATE + 1
    begin = int(min(piece.starts, default=0) * RATE)
    assert not clip[:begin].any()
