"""The notes of a piece: when, which pitch, how loud, in which part."""

import dataclasses
from collections.abc import Sequence

import numpy as np

OUT_OF_RANGE = ("fold", "refuse")
OCTAVE = 12
MAX_PITCH = MAX_VELOCITY = 127


class PitchRangeError(ValueError):
    """Pitches that a model cannot play."""


@dataclasses.dataclass(frozen=True, eq=False)
class NoteList:
    """Notes [n], in the order of their starts, lower pitches first; each part has its own timbre.

    Attributes:
      starts: seconds from the beginning of the piece.
      ends: seconds; never before the start.
      pitches: MIDI numbers.
      velocities: 0 (silent) to 127.
      parts: index of each note's part.
      part_names: one a part.
    """

    starts: np.ndarray
    ends: np.ndarray
    pitches: np.ndarray
    velocities: np.ndarray
    parts: np.ndarray
    part_names: tuple[str, ...] = ("notes",)

    def __post_init__(self):
        types = {"starts": np.float64, "ends": np.float64}
        arrays = {
            name: np.asarray(getattr(self, name), types.get(name, np.int64))
            for name in ("starts", "ends", "pitches", "velocities", "parts")
        }
        for name, array in arrays.items():
            if array.ndim != 1 or len(array) != len(arrays["starts"]):
                raise ValueError(f"{name} must be one number a note, not {list(array.shape)}.")
        starts, ends = arrays["starts"], arrays["ends"]
        if not np.all((starts >= 0.0) & (ends >= starts) & np.isfinite(ends)):
            raise ValueError("starts must be at least 0, and no end before its start.")
        for name, highest in (
            ("pitches", MAX_PITCH),
            ("velocities", MAX_VELOCITY),
            ("parts", len(self.part_names) - 1),
        ):
            if not np.all((arrays[name] >= 0) & (arrays[name] <= highest)):
                raise ValueError(f"{name} must be whole numbers from 0 to {highest}.")
        order = np.lexsort((arrays["pitches"], starts))
        for name, array in arrays.items():
            object.__setattr__(self, name, array[order])

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def seconds(self) -> float:
        """From time 0 to the end of the note that ends last; 0 where there are none."""
        return float(self.ends.max(initial=0.0))

    def with_pitches(self, pitches: np.ndarray) -> "NoteList":
        """The same notes at other pitches [n]."""
        return dataclasses.replace(self, pitches=pitches)


def playable_pitches(
    pitches: np.ndarray, known: Sequence[int], out_of_range: str = "fold"
) -> np.ndarray:
    """Pitches [n] -> those that a model of the pitches ``known`` plays in their place.

    Args:
      out_of_range: "fold" moves a pitch that it lacks by as few octaves as bring it to one that it
        has, down where both ways are as far; "refuse" moves none.

    Raises:
      PitchRangeError: names the pitches that cannot be played.
      ValueError: another ``out_of_range``.
    """
    if out_of_range not in OUT_OF_RANGE:
        raise ValueError(f"out_of_range must be fold or refuse, not {out_of_range!r}.")
    pitches = np.asarray(pitches, np.int64)
    played = {}
    for pitch in np.unique(pitches).tolist():
        same = [other for other in known if (other - pitch) % OCTAVE == 0]
        played[pitch] = min(same, key=lambda other: (abs(other - pitch), other), default=None)
        if out_of_range == "refuse" and played[pitch] != pitch:
            played[pitch] = None
    missing = [pitch for pitch, other in played.items() if other is None]
    if missing:
        octaves = " nor any octave of them" if out_of_range == "fold" else ""
        raise PitchRangeError(
            f"pitches {', '.join(map(str, missing))} are none of the model's "
            f"({min(known)}-{max(known)}){octaves}."
        )
    return np.array([played[pitch] for pitch in pitches.tolist()], np.int64)
