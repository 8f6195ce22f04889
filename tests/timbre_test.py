"""The spread of timbres: blind to level, not to colour."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf.evaluation import timbre

RATE = 8000
TIME = np.arange(4096) / RATE


def tone(frequency, slope):
    """Eight harmonics, each ``slope`` decibels below the one before it."""
    return sum(
        10.0 ** (-slope * k / 20.0) * np.sin(2.0 * np.pi * (k + 1) * frequency * TIME)
        for k in range(8)
    )


# --- Log-mel spectra ---


def test_log_mel_peaks_at_0_in_the_band_of_the_tone():
    spectra = timbre.log_mel(np.stack([tone(1000.0, 200.0)]), RATE)
    assert spectra.shape == (1, spectra.shape[1], timbre.MELS)
    edges = timbre.mel_to_hz(
        np.linspace(timbre.hz_to_mel(timbre.LOWEST_HZ), timbre.hz_to_mel(RATE / 2), 66)
    )
    band = int(spectra[0].max(axis=0).argmax())
    assert edges[band] < 1000.0 < edges[band + 2]
    assert spectra.max() == 0.0
    assert spectra.min() == timbre.FLOOR_DECIBELS


def test_a_tenth_of_the_amplitude_is_20_decibels_lower():
    wave = np.sin(2.0 * np.pi * 1000.0 * TIME) * np.where(TIME < 0.25, 1.0, 0.1)
    spectrum = timbre.log_mel(wave[np.newaxis], RATE)[0]
    band = int(spectrum.max(axis=0).argmax())
    assert spectrum[10, band] - spectrum[3, band] == pytest.approx(-20.0, abs=0.1)


def test_every_frequency_falls_into_a_band():
    filters = timbre.mel_filters(512, RATE)
    assert (filters.sum(axis=0) > 0.0).all()
    bins = np.arange(257) * RATE / 512
    inside = (bins > 60.0) & (bins < 3900.0)
    assert (filters[inside].sum(axis=1) > 0.3).all()


def test_silence_is_at_the_floor():
    assert (timbre.log_mel(np.zeros((1, 4096)), RATE) == timbre.FLOOR_DECIBELS).all()


@pytest.mark.parametrize(
    ("waves", "message"),
    [
        (np.zeros(9), r"waves must have shape \[n, samples\], not \[9\]"),
        (np.zeros((2, 0)), r"waves must have shape"),
        (np.full((2, 9), np.nan), "waves must be finite"),
    ],
)
def test_bad_waves_are_refused(waves, message):
    with pytest.raises(ValueError, match=message):
        timbre.log_mel(waves, RATE)


# --- Spread ---


def test_equal_notes_have_no_spread_whatever_their_level():
    waves = np.stack([tone(220.0, 6.0), 0.01 * tone(220.0, 6.0), 5.0 * tone(220.0, 6.0)])
    assert timbre.timbre_spread(waves, [57, 57, 57], RATE) == pytest.approx(0.0, abs=1e-6)


def test_spread_grows_with_the_difference_of_colour():
    near = np.stack([tone(220.0, 6.0), tone(220.0, 8.0)])
    far = np.stack([tone(220.0, 6.0), tone(220.0, 20.0)])
    near, far = (timbre.timbre_spread(waves, [57, 57], RATE) for waves in (near, far))
    assert 0.5 < near < far


def test_only_notes_of_one_pitch_are_compared():
    waves = np.stack([tone(220.0, 6.0), tone(220.0, 6.0), tone(440.0, 12.0), tone(440.0, 12.0)])
    assert timbre.timbre_spread(waves, [57, 57, 69, 69], RATE) == pytest.approx(0.0, abs=1e-6)
    assert timbre.timbre_spread(waves, [57, 69, 57, 69], RATE) > 5.0


def test_every_pitch_weighs_the_same_and_single_notes_nothing():
    slopes = (3.0, 9.0)
    a = [tone(220.0, slope) for slope in slopes]
    b = [tone(440.0, slope) for slope in slopes]
    spread_a, spread_b = (timbre.timbre_spread(np.stack(x), [1, 1], RATE) for x in (a, b))
    both = np.stack([*a, *b, b[0], tone(330.0, 0.0)])
    # Pitch 2 has three notes, of whose three pairs one is of equal notes.
    expected = (spread_a + 2.0 / 3.0 * spread_b) / 2.0
    spread = timbre.timbre_spread(both, [1, 1, 2, 2, 2, 3], RATE)
    assert spread == pytest.approx(expected, rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(4)), st.floats(1e-3, 1e3))
def test_order_and_level_do_not_matter(order, gain):
    waves = np.stack([tone(220.0, slope) for slope in (2.0, 5.0, 9.0, 14.0)])
    pitches = np.array([57, 57, 60, 60])
    spread = timbre.timbre_spread(waves, pitches, RATE)
    assert timbre.timbre_spread(gain * waves[order], pitches[order], RATE) == pytest.approx(spread)


def test_no_pair_no_spread():
    waves = np.stack([tone(220.0, 6.0), tone(440.0, 6.0)])
    assert math.isnan(timbre.timbre_spread(waves, [57, 69], RATE))


def test_number_of_pitches_is_checked():
    with pytest.raises(ValueError, match="pitches must be 2, one per wave"):
        timbre.timbre_spread(np.zeros((2, 9)), [57], RATE)
