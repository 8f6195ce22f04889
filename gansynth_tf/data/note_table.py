"""What is known of every note of a data set but its samples, and which notes to take.

Plain NumPy: the same choice on every machine, whatever the versions of its libraries.
"""

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from gansynth_tf.data.schema import FAMILIES, QUALITIES, SOURCES

# The paper's split: section 3.1 of Engel et al., "GANSynth".
PAPER_PITCHES = (24, 84)
PAPER_TRAIN_SHARE = 0.8


@dataclasses.dataclass(frozen=True, eq=False)
class NoteTable:
    """Columns over n notes.

    Attributes:
      id: str [n].
      split: str [n], as the data set has it.
      pitch, velocity: int32 [n], MIDI.
      label: str [n], the instrument.
      family, source: int32 [n], positions in FAMILIES and SOURCES, -1 where not known.
      qualities: bool [n, 10], columns as QUALITIES.
    """

    id: np.ndarray
    split: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    label: np.ndarray
    family: np.ndarray
    source: np.ndarray
    qualities: np.ndarray

    def __len__(self):
        return len(self.id)

    def take(self, rows: np.ndarray) -> "NoteTable":
        """The chosen rows, in that order."""
        return NoteTable(**{name: column[rows] for name, column in self.columns().items()})

    def columns(self) -> dict[str, np.ndarray]:
        """Column name -> column."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@dataclasses.dataclass(frozen=True)
class NoteFilter:
    """Which notes to take; what is empty allows all.

    Attributes:
      min_pitch, max_pitch: MIDI pitches, both included.
      families: out of FAMILIES.
      sources: out of SOURCES.
      velocities: MIDI velocities.
      with_qualities: out of QUALITIES: a note must have each.
      without_qualities: out of QUALITIES: a note must have none.
      without_instruments: labels of instruments to leave out.
    """

    min_pitch: int = 0
    max_pitch: int = 127
    families: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    velocities: tuple[int, ...] = ()
    with_qualities: tuple[str, ...] = ()
    without_qualities: tuple[str, ...] = ()
    without_instruments: tuple[str, ...] = ()

    def rows(self, table: NoteTable) -> np.ndarray:
        """Rows of the notes to take, ascending."""
        keep = (table.pitch >= self.min_pitch) & (table.pitch <= self.max_pitch)
        for column, names, chosen in (
            (table.family, FAMILIES, self.families),
            (table.source, SOURCES, self.sources),
        ):
            if chosen:
                keep &= np.isin(column, [names.index(name) for name in chosen])
        if self.velocities:
            keep &= np.isin(table.velocity, self.velocities)
        for chosen, value in ((self.with_qualities, True), (self.without_qualities, False)):
            for name in chosen:
                keep &= table.qualities[:, QUALITIES.index(name)] == value
        if self.without_instruments:
            keep &= ~np.isin(table.label, self.without_instruments)
        return np.flatnonzero(keep)


def paper_split_rows(table: NoteTable, split: str, seed: int) -> np.ndarray:
    """Rows of "train" or "test" of the paper's split: acoustic, MIDI 24 to 84, shuffled, 80/20.

    The shuffle is the order of the SHA-256 sums of seed and id: it depends on nothing else, not
    on the order in which a data set stores its notes.
    """
    low, high = PAPER_PITCHES
    rows = NoteFilter(low, high, sources=("acoustic",)).rows(table)
    keys = [hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in table.id[rows]]
    shuffled = rows[sorted(range(len(rows)), key=keys.__getitem__)]
    first = round(PAPER_TRAIN_SHARE * len(rows))
    return np.sort(shuffled[:first] if split == "train" else shuffled[first:])


def fingerprint(*parts: str | Sequence[str]) -> str:
    """A short name for a set of notes: equal only where all parts are."""
    total = hashlib.sha256()
    for part in parts:
        for text in [part] if isinstance(part, str) else part:
            total.update(text.encode() + b"\0")
    return total.hexdigest()[:16]
