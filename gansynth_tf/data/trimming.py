"""From a recording to a note: where its sound begins, how it ends, how loud it is.

Pure functions on waves: float32 [samples], full scale 1.
"""

import math

import numpy as np
import soxr

LEVELS = ("peak", "rms", "none")
PEAK_DBFS = -1.0
RMS_DBFS = -20.0
# Nothing in a recording whose loudest samples stay below is heard.
SILENCE_DBFS = -70.0
# A note begins where it first comes within this of its loudest window ...
ONSET_DECIBELS = 40.0
WINDOW_SECONDS = 0.005
# ... and a little earlier, faded in, so that the first swing is whole.
PRE_ROLL_SECONDS = 0.002


def to_decibels(amplitude: float) -> float:
    """Amplitude -> dB of full scale; minus infinity for 0."""
    return 20.0 * math.log10(amplitude) if amplitude > 0.0 else -math.inf


def peak(wave: np.ndarray) -> float:
    """Largest absolute sample; 0 for none."""
    return float(np.max(np.abs(wave), initial=0.0))


def centered(wave: np.ndarray) -> np.ndarray:
    """Without its mean: a constant offset, of a poor sound card, would pass for sound."""
    return wave - np.float32(np.mean(wave, dtype=np.float64))


def window_levels(wave: np.ndarray, length: int) -> np.ndarray:
    """RMS [ceil(samples / length)] float64 of windows side by side; the last may be shorter."""
    starts = np.arange(0, len(wave), length)
    if not len(starts):
        return np.zeros(0)
    energy = np.add.reduceat(np.square(wave, dtype=np.float64), starts)
    return np.sqrt(energy / np.diff(starts, append=len(wave)))


def find_onset(wave: np.ndarray, sample_rate: int) -> int:
    """The sample at which the sound begins; 0 for silence."""
    length = max(1, round(WINDOW_SECONDS * sample_rate))
    levels = window_levels(wave, length)
    if not np.any(levels):
        return 0
    return length * int(np.argmax(levels >= levels.max() * 10.0 ** (-ONSET_DECIBELS / 20.0)))


def pre_roll(onset: int, sample_rate: int) -> int:
    """Samples to keep in front of a sound that begins at ``onset``."""
    return min(onset, round(PRE_ROLL_SECONDS * sample_rate))


def faded(wave: np.ndarray, fade_in: int, fade_out: int) -> np.ndarray:
    """A copy whose first and last samples rise from and fall to 0 as half a cosine."""
    wave = np.array(wave, np.float32)
    for length, part in ((fade_in, slice(None)), (fade_out, slice(None, None, -1))):
        length = min(length, len(wave))
        ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(1, length))
        wave[part][:length] *= ramp.astype(np.float32)
    return wave


def level_gain(wave: np.ndarray, sample_rate: int, level: str) -> float:
    """The factor that brings a note to its level; 1 for silence.

    Args:
      wave: [samples].
      sample_rate: samples a second.
      level: "peak" puts the peak at ``PEAK_DBFS``; "rms" puts the loudest second's RMS at
        ``RMS_DBFS``, lower where the peak would pass ``PEAK_DBFS``; "none" is 1.

    Raises:
      ValueError: another level.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}.")
    highest = peak(wave)
    if level == "none" or not highest:
        return 1.0
    gain = 10.0 ** (PEAK_DBFS / 20.0) / highest
    if level == "rms":
        loudest = window_levels(wave, min(len(wave), sample_rate)).max()
        gain = min(gain, 10.0 ** (RMS_DBFS / 20.0) / loudest)
    return gain


def fit_length(wave: np.ndarray, length: int) -> np.ndarray:
    """Cuts the end off, or appends silence -> [length]."""
    wave = wave[:length]
    return np.pad(wave, (0, length - len(wave)))


def shift_pitch(wave: np.ndarray, semitones: float) -> np.ndarray:
    """Plays a wave faster, or slower -> [samples / 2^(semitones / 12)] float32.

    Timbre and envelope move along; what would pass half the sample rate is left out.
    """
    ratio = 2.0 ** (semitones / 12.0)
    return soxr.resample(wave, ratio, 1.0, quality="VHQ").astype(np.float32, copy=False)
