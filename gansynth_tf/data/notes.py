"""A set of notes to train on: a table, and waves read in any order."""

import dataclasses
from collections.abc import Callable

import numpy as np

from gansynth_tf.data.note_table import NoteTable
from gansynth_tf.data.schema import QUALITIES, UNKNOWN


@dataclasses.dataclass(frozen=True, eq=False)
class Notes:
    """n notes of one length and rate.

    Attributes:
      table: what is known of each.
      read: rows [k] -> waves [k, audio_length] float32; may be called from several threads.
      fingerprint: names this set of waves: equal only where they are.
    """

    table: NoteTable
    read: Callable[[np.ndarray], np.ndarray]
    fingerprint: str = ""

    def __post_init__(self):
        if not len(self.table):
            raise ValueError("A set of notes needs at least one.")

    def __len__(self):
        return len(self.table)

    @property
    def pitches(self) -> np.ndarray:
        return self.table.pitch

    @classmethod
    def in_memory(
        cls, waves: np.ndarray, table: NoteTable | np.ndarray, fingerprint: str = ""
    ) -> "Notes":
        """Notes whose waves [n, audio_length] are at hand; of ``table``, pitches [n] will do."""
        if not isinstance(table, NoteTable):
            table = _table_of_pitches(np.asarray(table))
        if len(waves) != len(table):
            raise ValueError(f"There are {len(waves)} waves, and pitches for {len(table)}.")
        return cls(table, lambda rows: waves[rows], fingerprint)

    def take(self, rows: np.ndarray) -> "Notes":
        """The chosen notes, in that order."""
        rows = np.asarray(rows)
        return Notes(
            self.table.take(rows), lambda chosen: self.read(rows[chosen]), self.fingerprint
        )

    def waves(self) -> np.ndarray:
        """All waves [n, audio_length]."""
        return self.read(np.arange(len(self)))


def _table_of_pitches(pitches: np.ndarray):
    count = len(pitches)
    unknown = np.full(count, UNKNOWN, np.int32)
    return NoteTable(
        id=np.array([f"note-{index}" for index in range(count)], np.str_),
        split=np.full(count, "train"),
        pitch=pitches.astype(np.int32),
        velocity=np.full(count, 127, np.int32),
        label=np.full(count, "note"),
        family=unknown,
        source=unknown,
        qualities=np.zeros([count, len(QUALITIES)], bool),
    )
