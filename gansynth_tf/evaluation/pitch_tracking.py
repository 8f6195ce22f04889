"""An independent ear: which pitch does a wave sound at, whatever pitch was asked for?

YIN over short frames, then the median over the frames that sound. Nothing here knows a network.
Pitches are MIDI numbers, with fractions.

Source: de Cheveigné and Kawahara, "YIN, a fundamental frequency estimator for speech and music"
(2002), as in librosa. On notes of many kinds pYIN was heard to be no more often right than YIN,
and takes some twenty-five times as long.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import signal

# YIN compares a wave with itself moved by whole samples. At 8 kHz a period of a middle C is 30.6
# of them: bright notes then match better after two periods, and are heard an octave too low.
TRACKING_RATE = 32_000
FRAME_SECONDS = 0.064  # at least; low pitches need more (PERIODS_PER_FRAME)
PERIODS_PER_FRAME = 2.2  # of the lowest pitch searched
TROUGH_THRESHOLD = 0.1  # YIN's absolute threshold, as in the paper

# Slowly dying DC, as of a plucked string, would draw YIN to its shortest periods.
HIGH_PASS_HZ = 20.0
GATE_DECIBELS = 30.0  # frames this far below the loudest do not count
SILENCE_RMS = 1e-4  # of full scale 1: a note whose loudest frame is below is silent
# A frame is voiced if it correlates so well with itself one period later (noise: about 0).
CLARITY = 0.5
# A pitch is heard if voiced frames hold this share of the power of all frames that sound ...
VOICED_POWER = 0.5
# ... and if this share of them agrees with their median within a semitone.
AGREEMENT_SHARE = 0.5
AGREEMENT_SEMITONES = 1.0

# The search goes this many semitones beyond the asked pitches on both sides: an octave error is
# then inside the range, so that a note cannot be right because nothing else was allowed.
SEARCH_MARGIN = 13.0


@dataclasses.dataclass(frozen=True, eq=False)
class PitchShare:
    """How many of n notes were heard at the pitch that was asked.

    Attributes:
      share: notes heard within the tolerance, of all notes; silent and unvoiced ones are wrong.
      sounding_share: notes that sound at all, of all notes.
      voiced_share: notes that a pitch is heard in, right or wrong, of all notes.
      octave_share: notes heard one or more whole octaves beside the asked pitch, of all notes.
      tolerance_cents: of the above.
      asked: [n] MIDI numbers.
      heard: [n] MIDI numbers, NaN where no pitch is heard.
      right: [n] whether within the tolerance.
    """

    share: float
    sounding_share: float
    voiced_share: float
    octave_share: float
    tolerance_cents: float
    asked: np.ndarray
    heard: np.ndarray
    right: np.ndarray

    @property
    def count(self) -> int:
        return len(self.asked)


def midi_to_hz(pitch: float) -> float:
    """MIDI number -> Hertz, at 440 for 69."""
    return 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)


def hz_to_midi(frequency: np.ndarray) -> np.ndarray:
    """Hertz -> MIDI number, any shape."""
    return 69.0 + 12.0 * np.log2(np.asarray(frequency) / 440.0)


def cents_off(heard: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """MIDI numbers of any matching shapes -> how far ``heard`` is above ``asked``, in cents."""
    return 100.0 * (np.asarray(heard, np.float64) - np.asarray(asked, np.float64))


def is_sounding(wave: np.ndarray, sample_rate: int) -> bool:
    """Whether the loudest 64 ms of ``wave`` [samples] are above -80 dB of full scale.

    A wave that holds NaN or infinity does not sound.
    """
    wave = np.asarray(wave, np.float64)
    if not len(wave) or not np.isfinite(wave).all():
        return False
    length = min(len(wave), max(1, round(FRAME_SECONDS * sample_rate)))
    energy = np.concatenate([[0.0], np.cumsum(wave**2)])
    return bool(np.max(energy[length:] - energy[:-length]) > length * SILENCE_RMS**2)


def track_pitch(wave: np.ndarray, sample_rate: int, min_pitch: float, max_pitch: float) -> float:
    """The MIDI number heard in a note [samples], NaN where it is silent or has no clear pitch.

    Args:
      wave: one note, full scale 1; its level does not matter above -80 dB.
      sample_rate: samples a second.
      min_pitch, max_pitch: bounds of the search. Set them an octave or more beyond what is asked
        for, as ``pitch_share`` does, or the tracker is right by lack of choice.

    Raises:
      ValueError: another rank, bounds in the wrong order, or above half the sample rate.
    """
    import librosa  # slow to import: only who tracks pays

    wave = np.asarray(wave, np.float64)
    if wave.ndim != 1:
        raise ValueError(f"wave must have shape [samples], not {list(wave.shape)}.")
    if not min_pitch < max_pitch:
        raise ValueError(f"min_pitch must be below max_pitch, not {min_pitch} and {max_pitch}.")
    if midi_to_hz(max_pitch) >= sample_rate / 2:
        raise ValueError(
            f"max_pitch={max_pitch} is above half of sample_rate={sample_rate}: no such tone."
        )
    if not is_sounding(wave, sample_rate):
        return math.nan
    high_pass = signal.butter(2, HIGH_PASS_HZ, "highpass", fs=sample_rate, output="sos")
    wave = signal.sosfilt(high_pass, wave)
    factor = math.ceil(TRACKING_RATE / sample_rate)
    wave = signal.resample_poly(wave, factor, 1)
    rate = factor * sample_rate
    longest_period = rate / midi_to_hz(min_pitch)
    # A power of two, since YIN goes through FFTs of twice the frame.
    least = max(FRAME_SECONDS * rate, PERIODS_PER_FRAME * longest_period)
    frame_length = 2 ** math.ceil(math.log2(least))
    hop_length = frame_length // 4
    wave = np.pad(wave, (0, max(0, frame_length - len(wave))))
    # YIN's sums of squares should be far from the smallest floats.
    wave = wave / np.max(np.abs(wave))
    frames = librosa.util.frame(wave, frame_length=frame_length, hop_length=hop_length)
    power = np.mean(frames**2, axis=0)  # [frames]
    sounding = np.flatnonzero(power > power.max() * 10.0 ** (-GATE_DECIBELS / 10.0))
    if len(sounding) > 2:
        sounding = sounding[1:]  # the attack is noise, and half of its frame is silence
    frequency = librosa.yin(
        wave,
        fmin=midi_to_hz(min_pitch),
        fmax=midi_to_hz(max_pitch),
        sr=rate,
        frame_length=frame_length,
        hop_length=hop_length,
        trough_threshold=TROUGH_THRESHOLD,
        center=False,
    )
    clear = np.array([clarity(frames[:, i], rate / frequency[i]) >= CLARITY for i in sounding])
    # A trough at the end of the search is none: the wave may go on falling beyond.
    inside = (frequency > midi_to_hz(min_pitch)) & (frequency < midi_to_hz(max_pitch))
    clear &= inside[sounding]
    if power[sounding][clear].sum() < VOICED_POWER * power[sounding].sum():
        return math.nan
    heard = hz_to_midi(frequency[sounding][clear])
    pitch = float(np.median(heard))
    agreeing = np.mean(np.abs(heard - pitch) <= AGREEMENT_SEMITONES)
    return pitch if agreeing >= AGREEMENT_SHARE else math.nan


def clarity(frame: np.ndarray, period: float) -> float:
    """Correlation of ``frame`` [samples] with itself ``period`` samples later, -1 to 1."""
    lag = round(period)
    early, late = frame[:-lag], frame[lag:]
    energy = np.dot(early, early) * np.dot(late, late)
    return float(np.dot(early, late) / math.sqrt(energy)) if energy > 0.0 else 0.0


def pitch_share(
    waves: Sequence[np.ndarray],
    pitches: Sequence[float],
    sample_rate: int,
    tolerance_cents: float = 50.0,
) -> PitchShare:
    """Tracks every note and counts those heard at the asked pitch.

    The search spans the asked pitches and more than an octave on both sides. An octave error is
    an error; so is silence.

    Args:
      waves: [n, samples], or n waves of any lengths.
      pitches: [n] asked MIDI numbers.
      sample_rate: samples a second.
      tolerance_cents: largest distance that counts as right.

    Raises:
      ValueError: no notes, another number of pitches, a tolerance that is not positive.
    """
    asked = np.asarray(pitches, np.float64)
    if asked.ndim != 1 or not len(asked):
        raise ValueError(f"pitches must be one number per note, not {list(asked.shape)}.")
    if len(waves) != len(asked):
        raise ValueError(f"pitches must be {len(waves)}, one per wave, not {len(asked)}.")
    if not tolerance_cents > 0.0:
        raise ValueError(f"tolerance_cents must be above 0, not {tolerance_cents!r}.")
    low, high = asked.min() - SEARCH_MARGIN, asked.max() + SEARCH_MARGIN
    high = min(high, float(hz_to_midi(0.45 * sample_rate)))
    heard = np.array([track_pitch(wave, sample_rate, low, high) for wave in waves])
    off = cents_off(heard, asked)  # comparisons with NaN are false
    right = np.abs(off) <= tolerance_cents
    octaves = np.round(off / 1200.0)
    octave_errors = (np.abs(off - 1200.0 * octaves) <= tolerance_cents) & (octaves != 0.0) & ~right
    return PitchShare(
        share=float(np.mean(right)),
        sounding_share=float(np.mean([is_sounding(wave, sample_rate) for wave in waves])),
        voiced_share=float(np.mean(np.isfinite(heard))),
        octave_share=float(np.mean(octave_errors & np.isfinite(heard))),
        tolerance_cents=float(tolerance_cents),
        asked=asked,
        heard=heard,
        right=right,
    )
