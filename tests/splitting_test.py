"""Long recordings cut into their notes."""

import numpy as np
import pytest

from gansynth_tf.data import splitting, trimming
from gansynth_tf.data.splitting import split_at_onsets
from gansynth_tf.data.synth import SynthConfig, render_note
from gansynth_tf.evaluation.pitch_tracking import track_pitch

pytestmark = pytest.mark.latest
PITCHES = (48, 50, 55, 52, 60, 57, 64)


def melody(family, rate, gap, noise_dbfs=-70, lead=0.5):
    """Notes with silence between them, or with none and cut while they are held: wave, onsets."""
    config = SynthConfig(sample_rate=rate, audio_length=rate)
    parts, starts = [np.zeros(round(lead * rate))], []
    for pitch in PITCHES:
        note = render_note(config, family, 0, pitch, 100).audio
        if not gap:
            note = trimming.faded(note[: rate // 2], 0, rate // 50)
        starts.append(sum(map(len, parts)))
        parts += [note, np.zeros(round(gap * rate))]
    wave = np.concatenate(parts)
    wave += np.random.default_rng(0).normal(size=len(wave)) * 10 ** (noise_dbfs / 20)
    return wave.astype(np.float32), np.array(starts) / rate


# Slow and fast attacks, with and without vibrato.
@pytest.mark.parametrize("family", ["guitar", "string", "organ", "brass", "mallet"])
@pytest.mark.parametrize(
    ("rate", "gap", "noise_dbfs"), [(16_000, 0.3, -70), (16_000, 0.0, -60), (44_100, 0.2, -45)]
)
def test_every_note_is_found(family, rate, gap, noise_dbfs):
    wave, starts = melody(family, rate, gap, noise_dbfs)
    notes = split_at_onsets(wave, rate)
    found = np.array([start for start, _ in notes]) / rate
    assert len(found) == len(starts)
    assert np.max(np.abs(found - starts)) < 0.1
    for (start, end), (after, _) in zip(notes, [*notes[1:], (len(wave), 0)], strict=True):
        assert start < end <= after
    for (start, end), pitch in zip(notes, PITCHES, strict=True):
        assert abs(track_pitch(wave[start:end], rate, 35, 77) - pitch) < 0.5


def test_a_note_ends_at_silence():
    wave, starts = melody("organ", 16_000, gap=1.0)
    for (_, end), start in zip(split_at_onsets(wave, 16_000), starts, strict=True):
        assert 0.7 < end / 16_000 - start < 1.2


def test_a_recording_that_begins_with_a_note():
    wave, starts = melody("guitar", 16_000, gap=0.3, lead=0.0)
    notes = split_at_onsets(wave, 16_000)
    assert len(notes) == len(starts)
    assert notes[0][0] < 160


@pytest.mark.parametrize("length", [0, 1, 10, 500, 5_000])
def test_what_is_silent_or_short(length):
    assert split_at_onsets(np.zeros(length, np.float32), 16_000) == []
    wave = np.sin(np.arange(length, dtype=np.float32) / 10)
    for start, end in split_at_onsets(wave, 16_000):
        assert 0 <= start < end <= length


def test_spectra_in_parts_are_the_same(monkeypatch):
    wave, _ = melody("guitar", 16_000, gap=0.3)
    whole = split_at_onsets(wave, 16_000)
    monkeypatch.setattr(splitting, "_FRAMES_AT_ONCE", 37)
    assert split_at_onsets(wave, 16_000) == whole
