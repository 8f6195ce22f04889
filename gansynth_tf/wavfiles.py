"""Waves to wav and flac files: 16 bit, one common gain for a set, never a half-written file."""

import io
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from scipy.io import wavfile

from gansynth_tf.files import PathLike, replacing, write_atomically

FORMATS = ("wav", "flac")
FULL_SCALE = 32_768  # 16-bit steps of a sample value of 1.0
PEAK_DBFS = -1.0


def common_gain(waves: Sequence[np.ndarray], peak_dbfs: float = PEAK_DBFS) -> float:
    """The one gain that brings the loudest sample of all waves to ``peak_dbfs``.

    Args:
      waves: [n, samples], or a sequence of waves of any lengths.
      peak_dbfs: wanted peak in decibels of full scale, at most 0.

    Returns:
      A factor; 1 for silence, or when there are no waves.

    Raises:
      ValueError: a peak above 0 dBFS, or a wave that holds NaN or infinity.
    """
    if not peak_dbfs <= 0.0:
        raise ValueError(f"peak_dbfs must be at most 0, not {peak_dbfs!r}: more would clip.")
    peak = max((_peak(wave, f"waves[{i}]") for i, wave in enumerate(waves)), default=0.0)
    return 10.0 ** (peak_dbfs / 20.0) / peak if peak > 0.0 else 1.0


def write_wav(path: PathLike, wave: np.ndarray, sample_rate: int) -> None:
    """Writes ``wave`` [samples], values in [-1, 1], as 16-bit PCM, rounded to the nearest step.

    Raises:
      ValueError: another rank, samples beyond full scale, NaN or infinity, a bad sample rate.
    """
    steps = _steps(path, wave, sample_rate)
    with replacing(path) as temporary:
        wavfile.write(temporary, int(sample_rate), steps)


def write_flac(path: PathLike, wave: np.ndarray, sample_rate: int) -> None:
    """As ``write_wav``: the same samples in about half the bytes."""
    import soundfile  # libsndfile: only who writes flac loads it

    steps = _steps(path, wave, sample_rate)
    content = io.BytesIO()  # libsndfile would not tell a full disk from other failures
    soundfile.write(content, steps, int(sample_rate), subtype="PCM_16", format="FLAC")
    write_atomically(path, lambda file: file.write(content.getbuffer()))


def write_audio(path: PathLike, wave: np.ndarray, sample_rate: int) -> None:
    """``write_flac`` where ``path`` ends so, else ``write_wav``."""
    write = write_flac if os.fspath(path).endswith(".flac") else write_wav
    write(path, wave, sample_rate)


def _steps(path: PathLike, wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """``wave`` as steps [samples] int16, checked."""
    if isinstance(sample_rate, bool) or int(sample_rate) != sample_rate or sample_rate < 1:
        raise ValueError(f"sample_rate must be a positive integer, not {sample_rate!r}.")
    wave = np.asarray(wave)
    if wave.ndim != 1:
        raise ValueError(f"wave must have shape [samples], not {list(wave.shape)}.")
    peak = _peak(wave, "wave")
    if peak > 1.0:
        raise ValueError(
            f"wave peaks at {peak:.4g} and would clip in {os.fspath(path)}: apply a gain first "
            "(common_gain)."
        )
    # In float32 as exact as in float64, since the factor is a power of two. Full scale is 32768
    # downwards but 32767 upwards: a sample of exactly 1.0 loses one step.
    steps = np.rint(wave * np.float32(FULL_SCALE))
    return np.minimum(steps, FULL_SCALE - 1, out=steps).astype(np.int16)


def write_wavs(
    folder: PathLike,
    names: Sequence[str],
    waves: Sequence[np.ndarray],
    sample_rate: int,
    peak_dbfs: float = PEAK_DBFS,
) -> float:
    """Writes waves as ``folder/name``, all at the one gain that puts their peak at ``peak_dbfs``.

    Args:
      folder: created if missing.
      names: one file name per wave, of a wav or a flac; ".wav" is added where it is neither.
      waves: [n, samples], or a sequence of waves of any lengths.
      sample_rate: samples a second.
      peak_dbfs: peak of the set in decibels of full scale.

    Returns:
      The gain.

    Raises:
      ValueError: names and waves differ in number, a name comes twice, or a wave is not finite.
        Nothing is written then.
    """
    suffixes = tuple(f".{name}" for name in FORMATS)
    names = [name if name.endswith(suffixes) else f"{name}.wav" for name in names]
    if len(names) != len(waves):
        raise ValueError(f"names and waves must be as many: {len(names)} and {len(waves)}.")
    if len(set(names)) != len(names):
        raise ValueError("names must differ from each other.")
    gain = common_gain(waves, peak_dbfs)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, wave in zip(names, waves, strict=True):
        # Rounding of the product may step over full scale by one float when the peak is 0 dBFS.
        scaled = np.clip(gain * np.asarray(wave, np.float64), -1.0, 1.0)
        write_audio(folder / name, scaled, sample_rate)
    return gain


def read_wav(path: PathLike) -> tuple[np.ndarray, int]:
    """Reads a 16-bit mono file -> wave [samples] float32 in [-1, 1), samples a second.

    Raises:
      ValueError: the file holds another sample format or more channels.
    """
    sample_rate, steps = wavfile.read(path)
    if steps.dtype != np.int16 or steps.ndim != 1:
        raise ValueError(
            f"{os.fspath(path)} must hold one channel of 16-bit samples, "
            f"not {steps.dtype} {list(steps.shape)}."
        )
    return steps.astype(np.float32) / FULL_SCALE, int(sample_rate)


def _peak(wave: np.ndarray, name: str) -> float:
    """Largest absolute sample; refuses what is not finite."""
    wave = np.asarray(wave)  # no copy: a piece may be long
    peak = max(float(np.max(wave, initial=0)), -float(np.min(wave, initial=0)))
    if not np.isfinite(peak):
        raise ValueError(f"{name} holds samples that are NaN or infinite.")
    return peak
