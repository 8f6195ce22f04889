"""libfluidsynth, played through the wrapper."""

import ctypes.util

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_soundfont import PERIOD, SAMPLE_RATE, Preset, need_fluidsynth, write_soundfont

from gansynth_tf.data import fluidsynth

pytestmark = pytest.mark.latest
RATE = 48_000


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    need_fluidsynth()
    folder = tmp_path_factory.mktemp("soundfont")
    presets = [Preset(0, 40, 80), Preset(1, pan=-500), Preset(2, pan=500)]
    return write_soundfont(folder / "tiny.sf2", *presets, Preset(5, 60, 62, semitones=12))


@pytest.fixture(scope="module")
def synth(path):
    with fluidsynth.Synth(path, RATE) as synth:
        yield synth


def loudest_frequency(wave):
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 10 * len(wave)))
    return np.argmax(spectrum) * RATE / (10 * len(wave))


def test_version():
    need_fluidsynth()
    assert int(fluidsynth.version().split(".")[0]) >= 2


@pytest.mark.parametrize(
    ("program", "key", "semitones"), [(0, 69, 0), (0, 57, -12), (0, 74, 5), (5, 60, 3)]
)
def test_the_key_sounds_at_its_pitch(synth, program, key, semitones):
    wave = synth.render(program, key, 127, held=RATE, length=RATE)
    expected = SAMPLE_RATE / PERIOD * 2 ** (semitones / 12)
    assert loudest_frequency(wave[RATE // 4 :]) == pytest.approx(expected, rel=1e-3)


def test_a_note_sounds_while_its_key_is_held(synth):
    wave = synth.render(0, 60, 127, held=9_600, length=24_001)
    assert wave.shape == (24_001,)
    assert wave.dtype == np.float32
    assert np.abs(wave[9_000:9_600]).max() > 0.1
    assert np.abs(wave[14_400:]).max() < 1e-4


def test_both_channels_are_averaged(synth):
    """Panning keeps the power: in the middle each channel has 1/√2 of what a side alone has."""
    middle, left, right = (
        np.abs(synth.render(program, 60, 127, 4_800, 4_800)[1_000:]).max() for program in (0, 1, 2)
    )
    assert left == pytest.approx(right, rel=1e-3)
    assert middle == pytest.approx(np.sqrt(2) * left, rel=1e-3)


@pytest.mark.parametrize(("program", "key"), [(0, 39), (0, 81), (5, 63)])
def test_a_key_that_a_program_lacks_is_silent(synth, program, key):
    assert not synth.render(program, key, 127, held=640, length=1_280).any()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 5]), st.integers(0, 127), st.integers(1, 127)), max_size=6
    ),
    st.integers(40, 80),
    st.integers(1, 127),
)
def test_a_note_does_not_depend_on_the_notes_before(synth, path, before, key, velocity):
    with fluidsynth.Synth(path, RATE) as fresh:
        alone = fresh.render(0, key, velocity, held=960, length=1_920)
        for program, other, force in before:  # some of them end while they sound
            synth.render(program, other, force, held=640, length=960)
        again = synth.render(0, key, velocity, held=960, length=1_920)
        np.testing.assert_array_equal(alone, again)
        assert alone.any()


def test_softer_keys_are_softer(synth):
    peaks = [np.abs(synth.render(0, 60, v, 2_400, 2_400)).max() for v in (25, 75, 127)]
    assert peaks[0] < 0.5 * peaks[1] < 0.5 * peaks[2]


def test_a_program_that_is_not_there(synth):
    with pytest.raises(fluidsynth.FluidSynthError, match="no program 7 in bank 0"):
        synth.render(7, 60, 100, 640, 640)
    assert synth.render(0, 60, 100, 640, 640).any()  # it goes on


@pytest.mark.parametrize("content", [b"", b"RIFF\0\0\0\0sfbk", b"MThd" + bytes(100)])
def test_a_file_that_it_cannot_load(tmp_path, capfd, content):
    need_fluidsynth()
    path = tmp_path / "bad.sf2"
    path.write_bytes(content)
    with pytest.raises(fluidsynth.FluidSynthError, match=r"cannot load .*bad\.sf2"):
        fluidsynth.Synth(path, RATE)
    assert capfd.readouterr() == ("", "")


def test_without_the_library(monkeypatch):
    monkeypatch.setattr(fluidsynth, "_NAMES", ("libfluidsynth.so.none",))
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    fluidsynth._library.cache_clear()
    try:
        with pytest.raises(fluidsynth.FluidSynthError, match="package libfluidsynth3"):
            fluidsynth.version()
    finally:
        fluidsynth._library.cache_clear()
