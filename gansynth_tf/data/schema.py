"""What a note is, wherever it comes from: NSynth's features and class labels."""

import dataclasses

import numpy as np

# NSynth's class labels: the position in each tuple is the number in the feature.
FAMILIES: tuple[str, ...] = (
    "bass",
    "brass",
    "flute",
    "guitar",
    "keyboard",
    "mallet",
    "organ",
    "reed",
    "string",
    "synth_lead",
    "vocal",
)
SOURCES = ("acoustic", "electronic", "synthetic")
QUALITIES = (
    "bright",
    "dark",
    "distortion",
    "fast_decay",
    "long_release",
    "multiphonic",
    "nonlinear_env",
    "percussive",
    "reverb",
    "tempo-synced",
)
# What stands for a family or a source that nobody knows: TFDS's number for "no label".
UNKNOWN = -1


@dataclasses.dataclass(frozen=True)
class Note:
    """One note in NSynth's feature schema.

    Attributes:
      id: as NSynth writes it, ``<instrument_label>-<pitch>-<velocity>``; no two notes share one.
      audio: float32 [audio_length], finite.
      pitch: MIDI pitch, 0 to 127.
      velocity: MIDI velocity, 0 to 127.
      instrument_label: ``<family>_<source>_<number in the family>``, or a name of the user's.
      instrument_family: one of ``FAMILIES``, or None where it is not known.
      instrument_source: one of ``SOURCES``, or None where it is not known.
      qualities: a truth value for each of ``QUALITIES``.
    """

    id: str
    audio: np.ndarray
    pitch: int
    velocity: int
    instrument_label: str
    instrument_family: str | None
    instrument_source: str | None
    qualities: dict[str, bool]


def note_id(label: str, pitch: int, velocity: int) -> str:
    """The id of an instrument's note."""
    return f"{label}-{pitch:03d}-{velocity:03d}"
