"""The independent ear: right on tones of known pitch, and on nothing else."""

import numpy as np
import pytest

from gansynth_tf.evaluation import pitch_tracking

RATE = 8000
LENGTH = 8192


def tone(pitch, rate=RATE, length=LENGTH, weights=(1.0, 0.5, 0.33, 0.25), decay=2.0, **changes):
    """A sum of harmonics with a short attack, decaying; ``first`` is the lowest harmonic."""
    time = np.arange(length) / rate
    frequency = pitch_tracking.midi_to_hz(pitch)
    harmonics = np.arange(len(weights)) + changes.get("first", 1)
    wave = sum(
        weight * np.sin(2.0 * np.pi * harmonic * frequency * time + harmonic**2)
        for weight, harmonic in zip(weights, harmonics, strict=True)
        if harmonic * frequency < 0.48 * rate
    )
    return 0.3 * wave * np.minimum(1.0, time / 0.01) * np.exp(-decay * time)


KINDS = {
    "sine": {"weights": (1.0,)},
    "plain": {},
    "bright": {"weights": (0.3, 0.5, 0.8, 1.0, 1.0, 0.8)},
    "odd": {"weights": (1.0, 0.0, 0.6, 0.0, 0.4)},
    "missing fundamental": {"weights": (1.0, 0.8, 0.7, 0.6), "first": 2},
    "short": {"decay": 25.0},
}


# --- One note ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pitch", [48, 53.3, 60, 67, 72])
def test_hears_tones_of_many_kinds(kind, pitch):
    heard = pitch_tracking.track_pitch(tone(pitch, **KINDS[kind]), RATE, 35, 85)
    assert abs(pitch_tracking.cents_off(heard, pitch)) < 10


@pytest.mark.parametrize("pitch", [24, 40, 60, 84])
def test_hears_the_whole_range_at_16_khz(pitch):
    wave = tone(pitch, 16_000, 32_000)
    heard = pitch_tracking.track_pitch(wave, 16_000, 11, 97)
    assert abs(pitch_tracking.cents_off(heard, pitch)) < 10


@pytest.mark.parametrize("gain", [2e-3, 8.0])
def test_level_does_not_matter(gain):
    heard = pitch_tracking.track_pitch(gain * tone(60), RATE, 35, 85)
    assert heard == pytest.approx(60, abs=0.1)


def test_silence_around_the_note_and_dying_dc_do_not_matter():
    time = np.arange(LENGTH) / RATE
    for wave in (np.pad(tone(60), (4000, 4000)), tone(60) + np.exp(-3.0 * time)):
        heard = pitch_tracking.track_pitch(wave, RATE, 35, 85)
        assert heard == pytest.approx(60, abs=0.1)


def test_noise_after_a_dying_note_does_not_outvote_it():
    noise = 3e-3 * np.random.default_rng(0).standard_normal(LENGTH)
    heard = pitch_tracking.track_pitch(tone(60, decay=12.0) + noise, RATE, 35, 85)
    assert heard == pytest.approx(60, abs=0.2)


@pytest.mark.parametrize(
    "wave",
    [
        np.zeros(LENGTH),
        np.zeros(0),
        1e-6 * tone(60),
        np.full(LENGTH, np.nan),
        0.1 * np.random.default_rng(1).standard_normal(LENGTH),
    ],
    ids=["silent", "empty", "too faint", "nan", "noise"],
)
def test_no_pitch_is_heard_where_there_is_none(wave):
    assert np.isnan(pitch_tracking.track_pitch(wave, RATE, 35, 85))


def test_a_tone_outside_the_search_is_not_pulled_inside():
    heard = pitch_tracking.track_pitch(tone(90, weights=(1.0,)), RATE, 48, 72)
    assert not abs(heard - 90) < 0.5
    # Subharmonics of it are honest periods; what must not come is the end of the search.
    assert np.isnan(heard) or heard < 71.9


def test_a_note_shorter_than_a_frame_is_tracked():
    heard = pitch_tracking.track_pitch(tone(72, length=480), RATE, 48, 85)
    assert heard == pytest.approx(72, abs=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 9)), RATE, 40, 60), r"wave must have shape \[samples\], not \[2, 9\]"),
        ((np.zeros(9), RATE, 60, 60), "min_pitch must be below max_pitch"),
        ((np.zeros(9), RATE, 60, 120), "max_pitch=120 is above half of sample_rate=8000"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        pitch_tracking.track_pitch(*arguments)


# --- A set ---


def test_share_counts_what_is_right_wrong_and_silent():
    sounding = [60, 60.4, 60.6, 72, 48, 61]  # asked: 60
    waves = [*(tone(pitch) for pitch in sounding), np.zeros(LENGTH), np.full(LENGTH, np.inf)]
    result = pitch_tracking.pitch_share(waves, [60] * 8, RATE)
    assert result.right.tolist() == [True, True, False, False, False, False, False, False]
    assert result.share == 2 / 8
    assert result.sounding_share == result.voiced_share == 6 / 8
    assert result.octave_share == 2 / 8
    np.testing.assert_allclose(result.heard[:6], sounding, atol=0.1)
    assert np.isnan(result.heard[6:]).all()
    assert result.count == 8


def test_octave_errors_are_wrong_at_both_ends_of_the_vocabulary():
    asked = [48, 72]
    waves = [tone(pitch) for pitch in (36, 84)]
    result = pitch_tracking.pitch_share(waves, asked, RATE)
    np.testing.assert_allclose(result.heard, [36, 84], atol=0.1)
    assert result.share == 0.0
    assert result.octave_share == 1.0


def test_tolerance_is_in_cents():
    waves = [tone(60.4)]
    assert pitch_tracking.pitch_share(waves, [60], RATE, tolerance_cents=50).share == 1.0
    assert pitch_tracking.pitch_share(waves, [60], RATE, tolerance_cents=30).share == 0.0


def test_noise_is_not_right_beyond_chance():
    rng = np.random.default_rng(2)
    pitches = rng.integers(48, 73, 25)
    white = 0.1 * rng.standard_normal((25, LENGTH))
    brown = 0.01 * np.cumsum(rng.standard_normal((25, LENGTH)), axis=1)
    for waves in (white, brown):
        assert pitch_tracking.pitch_share(waves, pitches, RATE).share <= 2 / 25


def test_tones_of_other_pitches_are_not_right():
    pitches = np.arange(48, 73)
    waves = [tone(pitch) for pitch in pitches]
    assert pitch_tracking.pitch_share(waves, pitches, RATE).share == 1.0
    assert pitch_tracking.pitch_share(waves, pitches[::-1], RATE).share == 1 / 25


def test_cents():
    np.testing.assert_allclose(pitch_tracking.cents_off([60.5, 59.0], 60), [50.0, -100.0])
    assert pitch_tracking.midi_to_hz(57) == pytest.approx(220.0)
    assert pitch_tracking.hz_to_midi(880.0) == pytest.approx(81.0)


@pytest.mark.parametrize(
    ("waves", "pitches", "tolerance", "message"),
    [
        ([], [], 50, "pitches must be one number per note"),
        ([np.zeros(9)], [60, 61], 50, "pitches must be 1, one per wave, not 2"),
        ([np.zeros(9)], [60], 0, "tolerance_cents must be above 0"),
    ],
)
def test_bad_sets_are_refused(waves, pitches, tolerance, message):
    with pytest.raises(ValueError, match=message):
        pitch_tracking.pitch_share(waves, pitches, RATE, tolerance)
