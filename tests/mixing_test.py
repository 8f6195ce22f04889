"""Envelopes, levels and sums are the original's; silence stays silence and nothing clips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf import mixing
from gansynth_tf.mixing import EnvelopeConfig

pytestmark = pytest.mark.latest

RATE = 16_000
HELD = 3.0  # seconds, the most that the original holds a note


def envelope(seconds, rate, config=EnvelopeConfig()) -> np.ndarray:
    """Factors [samples]: what becomes of ones."""
    samples = mixing.enveloped_samples(seconds, rate, config)
    factors = mixing.enveloped(np.ones(samples + 9), seconds, rate, config)
    assert len(factors) == samples
    return factors


def test_envelopes_are_the_original_s(goldens):
    arrays = goldens.load("generate.npz")
    for index, seconds in enumerate(arrays["envelope/t_note_length"]):
        ours = envelope(min(seconds, HELD), RATE)
        np.testing.assert_array_equal(ours, arrays[f"envelope/default_{index}"])
    custom = envelope(0.2, 8000, EnvelopeConfig(attack=0.05, release=0.1))
    np.testing.assert_array_equal(custom, arrays["envelope/custom_0.2_att0.05_rel0.1_sr8000"])


def test_the_original_s_notes_are_held_for_three_seconds():
    assert mixing.held_seconds(64_000, RATE) == HELD


@settings(deadline=None)
@given(
    seconds=st.floats(0, 2),
    attack=st.floats(0, 1),
    release=st.floats(0, 1),
    rate=st.integers(8, 999),
)
def test_an_envelope_is_within_bounds_and_ends_in_silence(seconds, attack, release, rate):
    factors = envelope(seconds, rate, EnvelopeConfig(attack, release))
    assert len(factors) == int(rate * seconds) + int(rate * release)
    assert np.all((factors >= 0.0) & (factors <= 1.0))
    if int(rate * release) > 1:
        assert factors[-1] == 0.0
    if 1 < int(rate * attack) <= int(rate * seconds):
        assert factors[0] == 0.0


@pytest.mark.parametrize("name", ["attack", "release"])
@pytest.mark.parametrize("value", [-0.1, 61.0, np.nan, np.inf])
def test_an_envelope_that_is_none_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a number of seconds from 0 to 60"):
        EnvelopeConfig(**{name: value})


def mixed(waves, starts, ends, velocities, samples) -> np.ndarray:
    clip = np.zeros(samples)
    for wave, start, end, velocity in zip(waves, starts, ends, velocities, strict=True):
        note = mixing.leveled(
            mixing.enveloped(wave.astype(float), min(end - start, HELD), RATE), velocity
        )
        mixing.add_note(clip, note, start, RATE)
    return clip


def test_a_mix_is_the_original_s_but_for_its_level(goldens):
    arrays = goldens.load("generate.npz")
    if "notes/audio" not in arrays:
        pytest.skip("the small goldens hold no waves")
    expected = arrays["combine/clip"]
    names = ("audio", "start_times", "end_times", "velocities")
    ours = mixed(*(arrays[f"notes/{name}"] for name in names), len(expected))
    ours *= 0.5 / ours.max()  # the original's level; ours depends on the velocities alone
    np.testing.assert_allclose(ours, expected, atol=1e-12)
    saved = arrays["combine/clip_float32_as_saved"]
    np.testing.assert_array_equal(ours.astype(np.float32), saved)


def test_a_silent_note_adds_silence(goldens):
    """The original divides it by zero, and the whole clip with it."""
    assert goldens.load("generate.npz").get("combine/silent_note_all_nan", True)
    assert not mixing.leveled(np.zeros(8), 127).any()
    assert not mixing.leveled(np.full(8, 1e-40), 127).any()
    assert not mixing.leveled(np.sin(np.arange(8.0)), 0).any()


waves = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30).map(np.array)


@given(wave=waves, velocity=st.integers(0, 127), factor=st.floats(0.01, 100))
def test_a_level_is_the_velocity_s_whatever_the_model_s(wave, velocity, factor):
    note = mixing.leveled(wave, velocity)
    level = velocity / 127
    assert np.isfinite(note).all()
    assert note.max() <= level * (1 + 1e-9)
    assert -note.min() <= 2 * level * (1 + 1e-9)
    if np.abs(wave).max() > 1e-30:
        assert max(note.max(), -note.min()) >= level * (1 - 1e-9)
        np.testing.assert_allclose(mixing.leveled(factor * wave, velocity), note, atol=1e-9)


@given(first=waves, second=waves, starts=st.tuples(st.floats(0, 2), st.floats(0, 2)))
def test_mixing_is_linear(first, second, starts):
    lengths = np.array([len(first), len(second)])
    samples = mixing.clip_samples(starts, lengths, 10)
    both, apart = np.zeros(samples), np.zeros((2, samples))
    for row, (wave, start) in enumerate(zip((first, second), starts, strict=True)):
        mixing.add_note(both, wave, start, 10)
        mixing.add_note(apart[row], wave, start, 10)
        assert apart[row].sum() == pytest.approx(wave.sum(), abs=1e-9)
    np.testing.assert_allclose(both, apart.sum(axis=0), atol=1e-9)


@given(clip=waves, kind=st.sampled_from([np.float32, np.float64]))
def test_one_gain_and_only_above_full_scale(clip, kind):
    clip = clip.astype(kind)
    before = clip.copy()
    gain = mixing.make_peak_safe(clip)
    if np.abs(before).max() <= 1.0:
        assert gain == 1.0
        np.testing.assert_array_equal(clip, before)
    else:
        assert np.abs(clip).max() == pytest.approx(1.0, rel=1e-6)
        np.testing.assert_allclose(clip, gain * before, rtol=1e-6)
    assert np.abs(clip).max() <= 1.0


def test_a_clip_of_no_notes():
    assert mixing.clip_samples([], np.zeros(0, int), RATE) == 0
    assert mixing.make_peak_safe(np.zeros(0)) == 1.0
