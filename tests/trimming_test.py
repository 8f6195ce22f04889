"""Where a note begins, how it ends, how loud it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansynth_tf.data import trimming
from gansynth_tf.data.synth import SynthConfig, render_note
from gansynth_tf.evaluation.pitch_tracking import track_pitch

pytestmark = pytest.mark.latest
RATE = 16_000
WAVES = st.lists(st.floats(-1, 1, width=32), max_size=300).map(
    lambda samples: np.array(samples, np.float32)
)


def note(pitch=60, family="guitar", seconds=1.0):
    config = SynthConfig(sample_rate=RATE, audio_length=round(RATE * seconds))
    return render_note(config, family, 0, pitch, 100).audio


@pytest.mark.parametrize("family", ["guitar", "mallet", "organ", "bass"])
@pytest.mark.parametrize("noise_dbfs", [-200, -70, -60])
@pytest.mark.parametrize("lead", [0.0, 0.01, 0.7])
def test_onset(family, noise_dbfs, lead):
    lead = round(lead * RATE)
    wave = np.concatenate([np.zeros(lead, np.float32), note(family=family)])
    noise = np.random.default_rng(0).normal(size=len(wave)) * 10 ** (noise_dbfs / 20)
    onset = trimming.find_onset(wave + noise.astype(np.float32), RATE)
    assert lead - 0.005 * RATE <= onset <= lead + 0.02 * RATE


def test_onset_of_silence():
    assert trimming.find_onset(np.zeros(100, np.float32), RATE) == 0
    assert trimming.find_onset(np.zeros(0, np.float32), RATE) == 0


def test_an_offset_is_no_sound():
    wave = np.concatenate([np.zeros(8_000, np.float32), note(seconds=0.5)]) + np.float32(0.1)
    assert trimming.find_onset(wave, RATE) == 0
    assert abs(trimming.find_onset(trimming.centered(wave), RATE) - 8_000) < 0.02 * RATE


@given(WAVES, st.integers(1, 50))
def test_window_levels(wave, length):
    levels = trimming.window_levels(wave, length)
    wanted = [
        np.sqrt(np.mean(np.square(wave[start : start + length], dtype=np.float64)))
        for start in range(0, len(wave), length)
    ]
    np.testing.assert_allclose(levels, wanted, atol=1e-12)


@given(WAVES, st.integers(0, 400), st.integers(0, 400))
def test_fades_touch_the_ends_only(wave, fade_in, fade_out):
    before = wave.copy()
    faded = trimming.faded(wave, fade_in, fade_out)
    np.testing.assert_array_equal(wave, before)
    assert np.all(np.abs(faded) <= np.abs(wave))
    untouched = slice(fade_in, max(fade_in, len(wave) - fade_out))
    np.testing.assert_array_equal(faded[untouched], wave[untouched])
    if len(wave) and fade_in:
        assert faded[0] == 0
    if len(wave) and fade_out:
        assert faded[-1] == 0


@pytest.mark.parametrize("gain", [1e-3, 0.2, 30.0])
def test_levels(gain):
    wave = note(family="organ") * np.float32(gain)
    peaked = wave * trimming.level_gain(wave, RATE, "peak")
    assert trimming.to_decibels(trimming.peak(peaked)) == pytest.approx(-1.0, abs=1e-3)
    even = wave * trimming.level_gain(wave, RATE, "rms")
    loudest = trimming.window_levels(even, RATE).max()
    assert trimming.to_decibels(loudest) == pytest.approx(-20.0, abs=1e-3)
    assert trimming.level_gain(wave, RATE, "none") == 1.0
    with pytest.raises(ValueError, match="level must be one of peak, rms, none"):
        trimming.level_gain(wave, RATE, "loud")


def test_an_rms_never_drives_the_peak_over_full_scale():
    click = np.zeros(RATE, np.float32)
    click[100] = 0.5
    assert trimming.peak(click * trimming.level_gain(click, RATE, "rms")) < 1.0


def test_silence_keeps_its_level():
    for level in trimming.LEVELS:
        assert trimming.level_gain(np.zeros(10, np.float32), RATE, level) == 1.0


@given(WAVES, st.integers(1, 600))
def test_fit_length(wave, length):
    fitted = trimming.fit_length(wave, length)
    assert fitted.shape == (length,)
    kept = min(length, len(wave))
    np.testing.assert_array_equal(fitted[:kept], wave[:kept])
    assert not fitted[kept:].any()


@pytest.mark.parametrize("semitones", [-12, -5, 1, 7, 12])
def test_shift_pitch(semitones):
    wave = note(60, seconds=2.0)
    shifted = trimming.shift_pitch(wave, semitones)
    assert shifted.dtype == np.float32
    assert abs(len(shifted) - len(wave) / 2 ** (semitones / 12)) <= 1
    assert track_pitch(shifted, RATE, 30, 90) == pytest.approx(60 + semitones, abs=0.05)
