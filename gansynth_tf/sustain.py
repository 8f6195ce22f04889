"""Notes that are held for longer than a model's sound: what is heard then.

As a sampler does, a stretch of the held sound is repeated: it is chosen so that its two ends fit,
and cross-faded where they meet. A sound that dies away while it is held, as a piano's, goes on
dying: each repetition is as much softer as the stretch itself has become.
"""

import dataclasses
import math

import numpy as np
from scipy import signal

LONG_NOTES = ("extend", "release")
# The stretch begins between these shares of the held sound, after its attack, and ends with it.
FIRST_START, LAST_START = 1 / 3, 1 / 2
FADE_SHARE = 1 / 8  # of the held sound, at most ...
FADE_SECONDS = 0.1  # ... so long


@dataclasses.dataclass(frozen=True)
class Loop:
    """The stretch of a wave that is repeated.

    Attributes:
      start: its first sample.
      end: the sample after its last.
      fade: samples before ``end`` that are cross-faded with those before ``start``.
      decay: level of a repetition beside the one before it, at most 1.
    """

    start: int
    end: int
    fade: int
    decay: float


def find_loop(wave: np.ndarray, sample_rate: int, held_seconds: float) -> Loop:
    """The stretch of ``wave`` [samples] to repeat, whose ends are alike.

    Args:
      held_seconds: how long the sound is held in it; the stretch ends there.

    Raises:
      ValueError: less than 16 samples are held.
    """
    end = min(len(wave), int(held_seconds * sample_rate))
    fade = int(min(FADE_SHARE * end, FADE_SECONDS * sample_rate))
    if end < 16:
        raise ValueError(f"at least 16 samples must be held, not {end}.")
    wave = np.asarray(wave[:end], np.float64)
    first, last = int(FIRST_START * end), int(LAST_START * end)
    # Each stretch of ``fade`` samples that may come before the start, beside the one at the end.
    before = wave[first - fade : last]
    ending = wave[end - fade :]
    products = signal.correlate(before, ending, mode="valid")  # [last - first + 1]
    energies = np.convolve(before**2, np.ones(fade), mode="valid")
    floor = 1e-12 + 1e-6 * energies.max()
    likeness = products / np.sqrt(np.maximum(energies, floor))
    start = first + int(np.argmax(likeness))
    # Longer than the fade, since a level is what many beats of a chorus or a vibrato have in mean.
    span = min(4 * fade, start, end - start)
    decay = _level(wave[end - span :]) / max(_level(wave[start - span : start]), 1e-12)
    return Loop(start, end, fade, min(1.0, decay))


def looped(wave: np.ndarray, loop: Loop) -> np.ndarray:
    """``wave`` up to the loop's end [loop.end], faded so that its start may follow its end."""
    wave = np.array(wave[: loop.end])
    ramp = np.linspace(0.0, 1.0, loop.fade, dtype=wave.dtype)
    into = wave[loop.start - loop.fade : loop.start] * wave.dtype.type(loop.decay)
    # Both are alike, so that their levels add up: a straight line keeps it.
    wave[loop.end - loop.fade :] *= 1.0 - ramp
    wave[loop.end - loop.fade :] += ramp * into
    return wave


def extended(wave: np.ndarray, samples: int, sample_rate: int, held_seconds: float) -> np.ndarray:
    """``wave`` held for longer, cut to ``samples``."""
    loop = find_loop(wave, sample_rate, held_seconds)
    wave = looped(wave, loop)
    longer = np.empty(samples, wave.dtype)
    longer[: loop.end] = wave[:samples]
    stretch, level = wave[loop.start :], 1.0
    for begin in range(loop.end, samples, len(stretch)):
        level *= loop.decay
        part = longer[begin : begin + len(stretch)]
        part[:] = stretch[: len(part)] * wave.dtype.type(level)
    return longer


def _level(wave: np.ndarray) -> float:
    return math.sqrt(np.mean(wave**2))
