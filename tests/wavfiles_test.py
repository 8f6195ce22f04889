"""Wav files: levels, rounding, refusals, and that no half-written file stays."""

import wave as wave_module

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gansynth_tf import wavfiles

RATE = 8000


def dbfs(wave: np.ndarray) -> float:
    return 20.0 * np.log10(np.max(np.abs(wave)))


def sine(peak: float, frequency: float = 250.0) -> np.ndarray:
    return peak * np.sin(2.0 * np.pi * frequency * np.arange(RATE // 10) / RATE)


# --- Levels ---


@pytest.mark.parametrize("peak", [1e-4, 0.3, 7.5])
def test_set_peaks_at_minus_1_dbfs_and_keeps_its_ratios(tmp_path, peak):
    quiet, loud = 0.25 * sine(peak), sine(peak)
    gain = wavfiles.write_wavs(tmp_path, ["quiet", "loud.wav"], [quiet, loud], RATE)
    read = {name: wavfiles.read_wav(tmp_path / name)[0] for name in ("quiet.wav", "loud.wav")}
    assert dbfs(read["loud.wav"]) == pytest.approx(-1.0, abs=0.01)
    assert dbfs(read["quiet.wav"]) == pytest.approx(-1.0 + 20.0 * np.log10(0.25), abs=0.01)
    np.testing.assert_allclose(read["loud.wav"], gain * loud, atol=0.51 / 32768)


def test_negative_peaks_count():
    assert wavfiles.common_gain([[0.1, -0.5], [0.2]], peak_dbfs=0.0) == pytest.approx(2.0)


@pytest.mark.parametrize("waves", [[], [np.zeros(5)], [np.zeros(0)]])
def test_silence_has_gain_one(waves):
    assert wavfiles.common_gain(waves) == 1.0


def test_peak_at_full_scale_is_written(tmp_path):
    wavfiles.write_wavs(tmp_path, ["a"], [np.array([-3.0, 3.0])], RATE, peak_dbfs=0.0)
    steps = 32768 * wavfiles.read_wav(tmp_path / "a.wav")[0]
    assert steps.tolist() == [-32768, 32767]


# --- The file ---


def test_header_says_16_bit_mono_at_the_rate(tmp_path):
    wavfiles.write_wav(tmp_path / "a.wav", sine(0.5), 44_100)
    with wave_module.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 44_100, RATE // 10)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_flac_holds_the_samples_of_the_wav(tmp_path, kind):
    wave = np.concatenate([sine(1.0), [-1.0, 1.0], sine(1e-4)]).astype(kind)
    wavfiles.write_wavs(tmp_path, ["a.wav", "a.flac"], [wave, wave], 16_000, peak_dbfs=0.0)
    expected, _ = wavfiles.read_wav(tmp_path / "a.wav")
    read, rate = soundfile.read(tmp_path / "a.flac", dtype="float32")
    assert rate == 16_000
    np.testing.assert_array_equal(read, expected)
    assert soundfile.info(tmp_path / "a.flac").subtype == "PCM_16"
    with pytest.raises(ValueError, match="would clip"):
        wavfiles.write_flac(tmp_path / "b.flac", 2 * wave, 16_000)
    assert len(list(tmp_path.iterdir())) == 2


# No deadline: on a busy machine a file may take its time.
@settings(deadline=None, max_examples=50)
@given(
    steps=hnp.arrays(np.int16, st.integers(0, 50)),
    # 0.5 itself is a tie, rounded to the even step.
    shift=st.floats(-0.49, 0.49),
)
def test_samples_are_rounded_to_the_nearest_step(tmp_path_factory, steps, shift):
    path = tmp_path_factory.getbasetemp() / "rounding.wav"
    wave = np.clip((steps + shift) / 32768, -1.0, 1.0)
    wavfiles.write_wav(path, wave, RATE)
    assert (32768 * wavfiles.read_wav(path)[0]).astype(int).tolist() == steps.tolist()


# --- Refusals ---


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (np.array([0.0, 1.01]), "wave peaks at 1.01 and would clip"),
        (np.array([0.0, -1.01]), "would clip"),
        (np.array([0.0, np.nan]), "wave holds samples that are NaN or infinite"),
        (np.array([np.inf]), "NaN or infinite"),
        (np.zeros((2, 3)), r"wave must have shape \[samples\], not \[2, 3\]"),
    ],
)
def test_bad_wave_is_refused_and_the_old_file_kept(tmp_path, wave, message):
    path = tmp_path / "a.wav"
    wavfiles.write_wav(path, sine(0.5), RATE)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        wavfiles.write_wav(path, wave, RATE)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("rate", [0, -8000, 8000.5, True])
def test_bad_sample_rate_is_refused(tmp_path, rate):
    with pytest.raises(ValueError, match="sample_rate must be a positive integer"):
        wavfiles.write_wav(tmp_path / "a.wav", sine(0.5), rate)


@pytest.mark.parametrize(
    ("names", "waves", "message"),
    [
        (["a"], [sine(1.0), sine(1.0)], "names and waves must be as many: 1 and 2"),
        (["a", "a.wav"], [sine(1.0), sine(1.0)], "names must differ"),
        (["a", "b"], [sine(1.0), np.array([np.nan])], r"waves\[1\] holds samples that are NaN"),
    ],
)
def test_bad_set_is_refused_before_anything_is_written(tmp_path, names, waves, message):
    with pytest.raises(ValueError, match=message):
        wavfiles.write_wavs(tmp_path / "out", names, waves, RATE)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("peak", [0.1, np.nan])
def test_peak_above_full_scale_is_refused(peak):
    with pytest.raises(ValueError, match="peak_dbfs must be at most 0"):
        wavfiles.common_gain([sine(1.0)], peak_dbfs=peak)


def test_reading_another_format_is_refused(tmp_path):
    from scipy.io import wavfile

    wavfile.write(tmp_path / "float.wav", RATE, np.zeros(4, np.float32))
    wavfile.write(tmp_path / "stereo.wav", RATE, np.zeros((4, 2), np.int16))
    for name in ("float.wav", "stereo.wav"):
        with pytest.raises(ValueError, match="one channel of 16-bit samples"):
            wavfiles.read_wav(tmp_path / name)


# --- Replacing ---


def test_interrupted_writing_leaves_the_old_file_only(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with wavfiles.replacing(path) as temporary:
            assert temporary.parent == tmp_path
            assert temporary.suffix == ".txt"
            temporary.write_text("ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_finished_writing_takes_the_place(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with wavfiles.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
