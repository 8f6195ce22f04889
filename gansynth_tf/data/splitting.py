"""A long recording -> where its notes begin and end.

Candidates are the peaks of SuperFlux, which overlooks most of a vibrato; one counts as a note's
begin if there is more sound after it than before, in all or in the bands that sound.

Source: Böck and Widmer, "Maximum filter vibrato suppression for onset detection" (2013), as in
librosa.
"""

import math

import numpy as np

from gansynth_tf.data import trimming

HOP_SECONDS = 0.01
# Two begins that are nearer are one slow attack.
MIN_NOTE_SECONDS = 0.15
# How much more sound there is in the 80 ms after a begin than in those before: in all, or on
# average over the bands that sound, of those that gain. Vibrato alone was seen to give 0.6 and
# 3.7 dB; 99 of 100 begins of legato notes give more than 2.9 dB in their bands.
RISE_DECIBELS, BAND_RISE_DECIBELS = 6.0, 4.0
WINDOW_HOPS = 8
# What is this far below the loudest is silence; where the noise between notes is louder, what
# does not pass it clearly.
SILENCE_DECIBELS, OVER_NOISE_DECIBELS = 40.0, 8.0
# A note is over when it was silent for so long.
RELEASE_HOPS = 5
_NUM_BANDS, _LOWEST_HZ = 64, 27.5
_BAND_RANGE = 70.0
_FRAMES_AT_ONCE = 2_000


def split_at_onsets(wave: np.ndarray, sample_rate: int) -> list[tuple[int, int]]:
    """Cuts a recording into its notes.

    Args:
      wave: [samples], any length.
      sample_rate: samples a second.

    Returns:
      First sample and end of each note in order: each ends before the next begins, or where it
      falls silent. Empty where nothing sounds.
    """
    import librosa  # slow to import: only who splits pays

    hop = max(1, round(HOP_SECONDS * sample_rate))
    if trimming.to_decibels(trimming.peak(wave)) < trimming.SILENCE_DBFS:
        return []
    frame = 2 ** math.ceil(math.log2(4 * hop))
    bands = _band_powers(wave, sample_rate, frame, hop)  # [bands, hops]
    level = 10.0 * np.log10(np.maximum(bands.sum(axis=0), 1e-20))
    level -= level.max()  # [hops] dB
    noise = float(np.percentile(level, 5))
    gate = max(-SILENCE_DECIBELS, min(noise + OVER_NOISE_DECIBELS, -SILENCE_DECIBELS / 2))
    bands = librosa.power_to_db(bands, ref=np.max, top_db=_BAND_RANGE)
    flux = librosa.onset.onset_strength(
        S=bands, sr=sample_rate, n_fft=frame, hop_length=hop, lag=2, max_size=3
    )
    peaks = librosa.onset.onset_detect(
        onset_envelope=flux, sr=sample_rate, hop_length=hop, units="frames"
    )
    begins = []
    # A recording may begin with a note.
    for hop_index in [0, *peaks] if level[:WINDOW_HOPS].max() > gate else peaks:
        if begins and hop_index - begins[-1] < MIN_NOTE_SECONDS / HOP_SECONDS:
            continue
        if hop_index == 0 or _is_begin(level, bands, hop_index, gate):
            begins.append(int(hop_index))
    starts = [_quietest(wave, begin * hop, hop) for begin in begins]
    notes = []
    for start, end in zip(starts, [*starts[1:], len(wave)], strict=True):
        end = min(end, hop * _silent_from(level, start // hop, gate))
        if end > start:
            notes.append((start, end))
    return notes


def _band_powers(wave: np.ndarray, sample_rate: int, frame: int, hop: int) -> np.ndarray:
    """Power [bands, hops] around every hop, some frames at a time: an hour's spectra are large."""
    import librosa

    filters = librosa.filters.mel(sr=sample_rate, n_fft=frame, n_mels=_NUM_BANDS, fmin=_LOWEST_HZ)
    num_hops = 1 + len(wave) // hop
    padded = np.pad(wave, frame // 2 + hop)[hop:]
    parts = []
    for first in range(0, num_hops, _FRAMES_AT_ONCE):
        last = min(first + _FRAMES_AT_ONCE, num_hops) - 1
        part = padded[first * hop : last * hop + frame]
        spectra = librosa.stft(part, n_fft=frame, hop_length=hop, center=False)
        parts.append(filters @ np.square(np.abs(spectra)))
    return np.concatenate(parts, axis=1)


def _is_begin(level: np.ndarray, bands: np.ndarray, hop_index: int, gate: float) -> bool:
    before = slice(max(0, hop_index - WINDOW_HOPS), max(1, hop_index - 1))
    after = slice(hop_index + 2, hop_index + 2 + WINDOW_HOPS)
    if after.start >= len(level) or level[after].mean() < gate:
        return False
    bands_after = bands[:, after].mean(axis=1)
    rises = np.maximum(0.0, bands_after - bands[:, before].mean(axis=1))
    sounding = bands_after > -SILENCE_DECIBELS
    return bool(
        level[after].mean() - level[before].mean() >= RISE_DECIBELS
        or (sounding.any() and rises[sounding].mean() >= BAND_RISE_DECIBELS)
    )


def _quietest(wave: np.ndarray, around: int, hop: int) -> int:
    """The sample near a begin where the note before is over and this one hardly there."""
    first = max(0, around - 6 * hop)
    length = max(1, hop // 2)
    levels = trimming.window_levels(wave[first : around + 2 * hop], length)
    # The last of equals: in digital silence, right before the note.
    return first + length * (len(levels) - 1 - int(np.argmin(levels[::-1])))


def _silent_from(level: np.ndarray, start: int, gate: float) -> int:
    """The hop from which a note that begins at hop ``start`` stays below the gate for a while."""
    is_loud = level >= gate
    loud = start + np.flatnonzero(is_loud[start:])
    if not len(loud):
        return start
    gaps = np.flatnonzero(np.diff(loud) > RELEASE_HOPS)
    return int(loud[gaps[0]] if len(gaps) else loud[-1]) + 1
