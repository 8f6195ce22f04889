"""How far apart notes of one pitch sound: does the generator make many timbres or one?"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

WINDOW_SECONDS = 0.064
MELS = 64
LOWEST_HZ = 20.0
FLOOR_DECIBELS = -80.0


def hz_to_mel(frequency: np.ndarray) -> np.ndarray:
    """Hertz -> mel (HTK's formula), any shape."""
    return 2595.0 * np.log10(1.0 + np.asarray(frequency, np.float64) / 700.0)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Mel (HTK's formula) -> Hertz, any shape."""
    return 700.0 * (10.0 ** (np.asarray(mel, np.float64) / 2595.0) - 1.0)


def mel_filters(frame_length: int, sample_rate: int, mels: int = MELS) -> np.ndarray:
    """Triangles [frame_length // 2 + 1, mels] that sum an FFT's power into mel bands."""
    bins = np.arange(frame_length // 2 + 1) * sample_rate / frame_length
    edges = mel_to_hz(np.linspace(hz_to_mel(LOWEST_HZ), hz_to_mel(sample_rate / 2), mels + 2))
    low, center, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, np.newaxis] - low) / (center - low)
    falling = (high - bins[:, np.newaxis]) / (high - center)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    # A low band may lie between two bins: the nearest one stands for it.
    for band in np.flatnonzero(filters.sum(axis=0) == 0.0):
        filters[np.argmin(np.abs(bins - center[band])), band] = 1.0
    return filters


def log_mel(waves: np.ndarray, sample_rate: int, mels: int = MELS) -> np.ndarray:
    """Waves [n, samples] -> log-mel spectra [n, frames, mels] in decibels below each note's peak.

    Windows of 64 ms, half overlapping. Every note's loudest cell is 0 and nothing is below -80,
    so that neither level nor faint noise matters; a silent note is -80 throughout.

    Raises:
      ValueError: another rank, no samples, or samples that are NaN or infinite.
    """
    waves = np.asarray(waves, np.float64)
    if waves.ndim != 2 or not waves.shape[1]:
        raise ValueError(f"waves must have shape [n, samples], not {list(waves.shape)}.")
    if not np.isfinite(waves).all():
        raise ValueError("waves must be finite.")
    frame_length = 2 ** max(4, round(math.log2(WINDOW_SECONDS * sample_rate)))
    step = frame_length // 2
    # Zeros on both sides: every sample lies under two windows.
    padded = np.pad(waves, [(0, 0), (step, frame_length)])
    window = np.hanning(frame_length + 1)[:-1]
    filters = mel_filters(frame_length, sample_rate, mels)
    return np.stack([_note_log_mel(wave, window, step, filters) for wave in padded])


def spectral_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Root mean square difference of two log-mel spectra [frames, mels], in decibels."""
    return float(np.sqrt(np.mean((first - second) ** 2)))


def timbre_spread(waves: np.ndarray, pitches: Sequence[float], sample_rate: int) -> float:
    """Mean distance between the log-mel spectra of notes of one pitch, in decibels.

    Over the pairs of each pitch, then over the pitches that have two notes or more: each pitch
    weighs the same, whatever its number of notes.

    Args:
      waves: [n, samples].
      pitches: [n] MIDI numbers.
      sample_rate: samples a second.

    Returns:
      Decibels: 0 where all notes of a pitch are the same but for their level; NaN where no pitch
      has two notes.

    Raises:
      ValueError: another number of pitches, or waves that ``log_mel`` refuses.
    """
    pitches = np.asarray(pitches)
    if pitches.shape != (len(waves),):
        raise ValueError(f"pitches must be {len(waves)}, one per wave, not {list(pitches.shape)}.")
    by_pitch = [np.flatnonzero(pitches == pitch) for pitch in np.unique(pitches)]
    by_pitch = [notes for notes in by_pitch if len(notes) >= 2]
    if not by_pitch:
        return math.nan
    spectra = log_mel(waves, sample_rate)  # [n, frames, mels]
    return float(
        np.mean(
            [
                np.mean(
                    [
                        spectral_distance(spectra[first], spectra[second])
                        for first, second in itertools.combinations(notes, 2)
                    ]
                )
                for notes in by_pitch
            ]
        )
    )


def _note_log_mel(
    wave: np.ndarray, window: np.ndarray, step: int, filters: np.ndarray
) -> np.ndarray:
    """Padded wave [samples] -> [frames, mels] decibels."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, len(window))[::step]
    power = np.abs(np.fft.rfft(frames * window)) ** 2 @ filters  # [frames, mels]
    loudest = power.max()
    if loudest <= 0.0:
        return np.full(power.shape, FLOOR_DECIBELS)
    floor = 10.0 ** (FLOOR_DECIBELS / 10.0)
    return 10.0 * np.log10(np.maximum(power / loudest, floor))
