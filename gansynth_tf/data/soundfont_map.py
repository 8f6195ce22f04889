"""Maps of SoundFonts: each program's family, source and the keys that sound at their pitch.

A map is a CSV file with the columns of `COLUMNS`. `maps/` holds those of two SoundFonts; of any
other one it is measured (evaluation/soundfont_range.py) or given by the user.
"""

import csv
import dataclasses
import importlib.resources
import io
import math
import pathlib
from collections.abc import Iterable, Sequence

from gansynth_tf.data.schema import FAMILIES, SOURCES
from gansynth_tf.data.soundfont_file import SoundfontInfo
from gansynth_tf.files import PathLike

COLUMNS = (
    "program",
    "gm_name",
    "family",
    "source",
    "usable_range",
    "n_keys",
    "median_abs_cents",
    "note",
)
_NEAR_DUPLICATE = "near-duplicate"  # how the note of such a program begins
_GENERAL_MIDI = "gm_map_fr3.csv"
# Name inside the file and bytes of it -> map. Two releases of one name may differ in what sounds.
_SHIPPED = {
    ("Fluid R3 GM", 148_398_306): _GENERAL_MIDI,
    ("TimGM6mb1.sf2", 5_969_788): "gm_map_tim.csv",
}


class MapError(ValueError):
    """A map that cannot be used; the message names the line."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A row of a map.

    Attributes:
      number: MIDI program of bank 0, 0 to 127.
      name: for people.
      family: one of `FAMILIES`.
      source: one of `SOURCES`.
      keys: MIDI keys that sound at their pitch, ascending.
      median_abs_cents: how far those are off, NaN where there are none.
      note: for people; "near-duplicate of N" says that another program sounds almost the same.
    """

    number: int
    name: str
    family: str
    source: str
    keys: tuple[int, ...]
    median_abs_cents: float = math.nan
    note: str = ""

    @property
    def is_near_duplicate(self) -> bool:
        return self.note.startswith(_NEAR_DUPLICATE)


def shipped_map(info: SoundfontInfo) -> tuple[Program, ...] | None:
    """The map of a SoundFont that is known, by the name inside the file and its size."""
    name = _SHIPPED.get((info.name, info.num_bytes))
    return None if name is None else _read_shipped(name)


def general_midi_map(info: SoundfontInfo, keys: Sequence[int]) -> tuple[Program, ...]:
    """The SoundFont's programs as General MIDI numbers them, with keys that nobody has listened to.

    Programs without a pitch, such as drums and helicopters, are left out.
    """
    return tuple(
        Program(known.number, info.programs[known.number], known.family, known.source, tuple(keys))
        for known in _read_shipped(_GENERAL_MIDI)
        if known.number in info.programs
    )


def _read_shipped(name: str) -> tuple[Program, ...]:
    file = importlib.resources.files("gansynth_tf.data") / "maps" / name
    return parse_map(file.read_text(encoding="utf-8"))


def read_map(path: PathLike) -> tuple[Program, ...]:
    """Reads a map from a file.

    Raises:
      MapError: it is no such map.
      OSError: it cannot be read.
    """
    try:
        return parse_map(pathlib.Path(path).read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise MapError("it is no text in UTF-8.") from None


def parse_map(text: str) -> tuple[Program, ...]:
    """A map's text -> its programs, in the order of the lines.

    Raises:
      MapError: a column is missing, a value is none that may be there, or a program comes twice.
    """
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        missing = [name for name in COLUMNS[:5] if name not in (reader.fieldnames or ())]
        if missing:
            raise MapError(f"its first line must name the columns {', '.join(COLUMNS)}.")
        programs = {}
        for row in reader:
            try:
                program = _parse_row(row)
                if program.number in programs:
                    raise ValueError(f"program {program.number} comes twice")
            except ValueError as error:
                raise MapError(f"line {reader.line_num}: {error}.") from None
            programs[program.number] = program
    except csv.Error as error:
        raise MapError(f"it is no CSV file ({error}).") from None
    if not programs:
        raise MapError("it has no program.")
    return tuple(programs.values())


def _parse_row(row: dict[str, str | None]) -> Program:
    values = {name: (row.get(name) or "").strip() for name in COLUMNS}
    number = _integer("program", values["program"])
    for name, allowed in (("family", FAMILIES), ("source", SOURCES)):
        if values[name] not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {values[name]!r}")
    keys = _parse_ranges(values["usable_range"])
    if values["n_keys"] and _integer("n_keys", values["n_keys"], 128) != len(keys):
        raise ValueError(
            f"n_keys is {values['n_keys']}, but usable_range {values['usable_range']!r} has "
            f"{len(keys)} keys"
        )
    try:
        cents = float(values["median_abs_cents"] or math.nan)
    except ValueError:
        raise ValueError(
            f"median_abs_cents must be a number, not {values['median_abs_cents']!r}"
        ) from None
    return Program(
        number, values["gm_name"], values["family"], values["source"], keys, cents, values["note"]
    )


def _integer(name: str, text: str, highest: int = 127) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= highest):
        raise ValueError(f"{name} must be an integer from 0 to {highest}, not {text!r}")
    return int(text)


def _parse_ranges(text: str) -> tuple[int, ...]:
    """ "24-40 43-43" -> keys; "-" is none."""
    keys: list[int] = []
    for part in [] if text == "-" else text.split() or [text]:
        ends = part.split("-")
        low, high = (_integer("a key of usable_range", ends[n]) for n in (0, -1))
        if len(ends) > 2 or low > high or (keys and low <= keys[-1]):
            raise ValueError(
                f"usable_range must be ranges of keys such as 24-84 or 24-40 43-84, ascending, "
                f"or -, not {text!r}"
            )
        keys += range(low, high + 1)
    return tuple(keys)


def _format_ranges(keys: Sequence[int]) -> str:
    ranges: list[list[int]] = []
    for key in keys:
        if ranges and key == ranges[-1][1] + 1:
            ranges[-1][1] = key
        else:
            ranges.append([key, key])
    return " ".join(f"{low}-{high}" for low, high in ranges) or "-"


def format_map(programs: Iterable[Program]) -> str:
    """The text that `parse_map` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for program in programs:
        writer.writerow(
            [
                program.number,
                program.name,
                program.family,
                program.source,
                _format_ranges(program.keys),
                len(program.keys),
                f"{program.median_abs_cents:.0f}",
                program.note,
            ]
        )
    return text.getvalue()
