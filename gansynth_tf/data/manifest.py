"""What became of every file of an import: a table beside the notes."""

import csv
import dataclasses
import math
import os
from collections.abc import Iterable

from gansynth_tf.files import PathLike

KEPT, DROPPED, IGNORED = "kept", "dropped", "ignored"


@dataclasses.dataclass
class Entry:
    """A file, or a note cut out of one or made from one.

    Attributes:
      file: path below the folder.
      start_seconds: where the note begins in it.
      id: of the note that was kept; empty otherwise.
      pitch, velocity: of the note.
      pitch_from: "csv", "name", "measured", or "filled".
      measured_pitch: MIDI number heard, NaN for none.
      peak_dbfs: of the recorded note, before its level was changed.
      fate: kept; dropped; ignored, as no recording.
      reason: why it was dropped, or what to know about it; its kind, a colon, and more.
    """

    file: str
    start_seconds: float | None = None
    id: str = ""
    pitch: int | None = None
    velocity: int | None = None
    pitch_from: str = ""
    measured_pitch: float = math.nan
    peak_dbfs: float = math.nan
    fate: str = DROPPED
    reason: str = ""

    @property
    def kind(self) -> str:
        """The first words of the reason, to count by."""
        return self.reason.partition(":")[0]


def shown(path: str) -> str:
    """A path as printable text on one line: names on a disk need be neither."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def write_manifest(path: PathLike, entries: Iterable[Entry]) -> None:
    """Writes a table with the fields of ``Entry`` as columns; what is unknown is empty."""
    names = [field.name for field in dataclasses.fields(Entry)]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for entry in entries:
            cells = {
                **dataclasses.asdict(entry),
                "file": shown(entry.file),
                "start_seconds": _number(entry.start_seconds, 4),
                "measured_pitch": _number(entry.measured_pitch, 2),
                "peak_dbfs": _number(entry.peak_dbfs, 1),
            }
            writer.writerow(["" if cells[name] is None else cells[name] for name in names])


def _number(value: float | None, digits: int) -> str:
    return f"{value:.{digits}f}" if value is not None and math.isfinite(value) else ""
