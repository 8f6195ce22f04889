"""Notes to one clip: their envelope, their level, their sum."""

import dataclasses

import numpy as np

from gansynth_tf.notelist import MAX_VELOCITY

# NSynth's notes, and those of the models that learned from them, are held for 3 of their 4 s.
HELD_SHARE = 0.75
MAX_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class EnvelopeConfig:
    """How a note begins and ends.

    Attributes:
      attack: seconds from silence to full level, within the note.
      release: seconds from full level to silence, after the note's end.
    """

    attack: float = 0.010
    release: float = 0.3

    def __post_init__(self):
        for name in ("attack", "release"):
            if not 0.0 <= getattr(self, name) <= MAX_SECONDS:
                raise ValueError(
                    f"{name} must be a number of seconds from 0 to {MAX_SECONDS:g}, "
                    f"not {getattr(self, name)!r}."
                )


def held_seconds(audio_length: int, sample_rate: int) -> float:
    """How long a model's note is held before it ends by itself."""
    return HELD_SHARE * audio_length / sample_rate


def enveloped_samples(
    note_seconds: float, sample_rate: int, config: EnvelopeConfig = EnvelopeConfig()
) -> int:
    """How many samples a note has that is held for ``note_seconds``, with its release."""
    return int(sample_rate * note_seconds) + int(sample_rate * config.release)


def enveloped(
    wave: np.ndarray,
    note_seconds: float,
    sample_rate: int,
    config: EnvelopeConfig = EnvelopeConfig(),
) -> np.ndarray:
    """A note [samples] with a line up, full level, and a line down after its end; then it is cut.

    As in the original the release takes the place of what is left of an attack that is longer
    than the note.
    """
    attack, held, release = (
        int(sample_rate * seconds) for seconds in (config.attack, note_seconds, config.release)
    )
    note = np.array(wave[: held + release])
    rising, falling = note[: min(attack, held)], note[held:]
    # Of the wave's own type: a long note in float64 would take twice the memory.
    rising *= np.linspace(0.0, 1.0, attack)[: len(rising)].astype(note.dtype)
    falling *= np.linspace(1.0, 0.0, release)[: len(falling)].astype(note.dtype)
    return note


def leveled(wave: np.ndarray, velocity: int) -> np.ndarray:
    """A note [samples] at the level of its velocity, whatever the model's level was.

    As in the original the highest sample becomes velocity / 127. Of a lopsided note, though, the
    lowest sample counts by half: nothing exceeds twice that level. Silence stays silence.
    """
    highest, lowest = np.max(wave, initial=0.0), np.min(wave, initial=0.0)
    peak = max(highest, -0.5 * lowest)
    # Below the smallest normal number a quotient may be infinite: that is silence too.
    if not peak > np.finfo(np.float32).tiny:
        return np.zeros_like(wave)
    return wave * (velocity / MAX_VELOCITY / peak)


def clip_samples(starts: np.ndarray, lengths: np.ndarray, sample_rate: int) -> int:
    """Samples of a clip in which notes begin at ``starts`` seconds and have ``lengths`` samples."""
    begins = (np.asarray(starts) * sample_rate).astype(np.int64)
    return int(np.max(begins + lengths, initial=0))


def add_note(clip: np.ndarray, wave: np.ndarray, start: float, sample_rate: int) -> None:
    """Adds a note [samples] to the clip [samples], from ``start`` seconds on; the clip changes."""
    begin = int(start * sample_rate)
    clip[begin : begin + len(wave)] += wave


def make_peak_safe(clip: np.ndarray) -> float:
    """Brings a clip [samples] that exceeds full scale, 1, to it by one gain; the clip changes.

    Returns:
      The gain: 1 where nothing exceeds full scale, and the clip stays as it is.
    """
    peak = max(np.max(clip, initial=0.0), -np.min(clip, initial=0.0))
    if not peak > 1.0:
        return 1.0
    gain = float(1.0 / peak)
    clip *= gain
    np.clip(clip, -1.0, 1.0, out=clip)  # the product's rounding may step over by one float
    return gain
