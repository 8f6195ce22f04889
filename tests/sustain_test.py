"""A note held for longer goes on as it was: without a dip, a click or a growing level."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf import sustain

pytestmark = pytest.mark.latest

RATE = 16_000
HELD = 3.0


def tone(pitch: float, seconds: float, decay: float = np.inf, dtype=np.float64) -> np.ndarray:
    """Three partials, held for all of the time."""
    time = np.arange(int(seconds * RATE)) / RATE
    angle = 2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time
    partials = sum(np.sin(k * angle + k) / k for k in (1, 2, 3))
    return (partials * np.exp(-time / decay)).astype(dtype)


def note(pitch: float, decay: float = np.inf) -> np.ndarray:
    """As a model makes it: held for 3 s, then let go."""
    wave = tone(pitch, 4.0, decay)
    wave[int(HELD * RATE) :] *= np.exp(-np.arange(RATE) / 1600)
    return wave


def levels(wave: np.ndarray) -> np.ndarray:
    """Of windows of 50 ms."""
    return np.sqrt(np.convolve(wave**2, np.ones(800) / 800, "valid"))


@settings(deadline=None, max_examples=15)
@given(pitch=st.floats(36, 96), decay=st.sampled_from([np.inf, 5.0, 1.0, 0.3]))
def test_a_level_goes_on_as_it_was(pitch, decay):
    ours = sustain.extended(note(pitch, decay), 10 * RATE, RATE, HELD)
    ideal = levels(tone(pitch, 10.0, decay))
    audible = ideal > 1e-6
    decibels = 20 * np.log10(levels(ours)[audible] / ideal[audible])
    assert np.abs(decibels).max() < 0.5


def test_no_click_where_the_stretch_repeats():
    wave = note(61.3)
    ours = sustain.extended(wave, 12 * RATE, RATE, HELD)
    assert np.abs(np.diff(ours)).max() < 1.01 * np.abs(np.diff(wave)).max()


def test_what_is_within_the_held_sound_stays_as_it_is():
    wave = note(50.0).astype(np.float32)
    ours = sustain.extended(wave, 5 * RATE, RATE, HELD)
    assert ours.dtype == np.float32
    begun = int(HELD * RATE) - int(sustain.FADE_SECONDS * RATE)
    np.testing.assert_array_equal(ours[:begun], wave[:begun])
    np.testing.assert_array_equal(sustain.extended(wave, 100, RATE, HELD), wave[:100])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99), samples=st.integers(16, 3000), wanted=st.integers(1, 9000))
def test_any_wave_is_extended_and_none_grows(seed, samples, wanted):
    wave = np.random.default_rng(seed).standard_normal(samples)
    wave *= np.linspace(0.1, 1.0, samples)  # a sound that swells
    ours = sustain.extended(wave, wanted, RATE, samples / RATE)
    assert len(ours) == wanted
    assert np.isfinite(ours).all()
    assert np.abs(ours).max() <= 2 * np.abs(wave).max()


def test_silence_stays_silence():
    assert not sustain.extended(np.zeros(64_000), 100_000, RATE, HELD).any()


def test_too_short_a_sound_is_refused():
    with pytest.raises(ValueError, match="at least 16 samples must be held, not 15"):
        sustain.find_loop(np.ones(20), RATE, 15 / RATE)
