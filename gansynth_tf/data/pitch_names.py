"""Pitch and velocity of a recording: from its file's name, or from a table.

Octaves as most makers of MIDI instruments count them: C4 is 60, A4 is 69, C-1 is 0.
"""

import csv
import dataclasses
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from gansynth_tf.data.schema import FAMILIES, SOURCES

_MIDI = range(128)
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "s": 1, "b": -1, "♭": -1}
_NOTE = "([A-Ga-g])([#♯sb♭]?)(-1|[0-9])"

# C4, piano.C#4, pianoC4, As4_1, D#4v16, but neither usb3 nor C14.
_NOTE_NAME = re.compile(
    rf"(?:(?<![A-Za-z0-9])|(?<=[a-z])(?=[A-G])){_NOTE}(?=v[0-9]|[^A-Za-z0-9]|$)"
)
# p060, midi60, pitch_60, key60.
_MARKED = re.compile(
    r"(?<![A-Za-z0-9])(?:p|(?:midi|pitch|key)[-_ ]?)([0-9]{2,3})(?![0-9])", re.IGNORECASE
)
# name-060-100 and name_060_100, and a further take of it: name-060-100-1.
_PAIR = re.compile(r"(?<![0-9])([0-9]{3})[-_]([0-9]{3})(?:[-_][0-9]{1,2})?$")
# v100, vel5, velocity_64. A lone digit or two after a v mostly number a layer.
_VELOCITY = re.compile(
    r"(?<![A-Za-z])(?:v(?=[0-9]{3})|vel(?:ocity)?[-_ ]?)([0-9]{1,3})(?![0-9])", re.IGNORECASE
)
_NUMBER = re.compile("[0-9]+")
# Lower ones count takes and strings more often than they mean a pitch; a piano begins at 21.
_LOWEST_LONE = 21


# --- Names ---


@dataclasses.dataclass(frozen=True)
class NamedPitch:
    """What a file's name says.

    Attributes:
      label: the name without pitch and velocity; may be empty.
      pitch: MIDI number; None where the name tells none, or several.
      velocity: MIDI velocity, or None.
    """

    label: str
    pitch: int | None
    velocity: int | None


def name_pitch(stem: str) -> NamedPitch:
    """Reads a file's name, without its suffix.

    A pitch is ``name_060_100`` at the end (pitch and velocity, three digits each, as in NSynth's
    ids), a note's name with its octave, or ``p060``, ``midi60``, ``pitch60``, ``key60``; where
    there is none of these, a number from 21 to 127 that is the only number. A velocity is
    ``v100`` or ``vel100``. Where they tell different pitches, none is believed.
    """
    pitches, velocity, spans = set(), None, []
    for found in _VELOCITY.finditer(stem):
        velocity = int(found[1])
        spans.append(found.span())
    for found in _NOTE_NAME.finditer(stem):
        pitches.add(_note_number(*found.groups()))
        spans.append(found.span())
    for found in _MARKED.finditer(stem):
        pitches.add(int(found[1]))
        spans.append(found.span())
    for found in _PAIR.finditer(stem):
        pitches.add(int(found[1]))
        velocity = int(found[2])
        spans.append(found.span())
    if not pitches:
        numbers = list(_NUMBER.finditer(_blanked(stem, spans)))
        if len(numbers) == 1 and int(numbers[0][0]) >= _LOWEST_LONE:
            pitches.add(int(numbers[0][0]))
            spans.append(numbers[0].span())
    if velocity is not None and velocity not in _MIDI:
        velocity = None
    if len(pitches) != 1 or not pitches <= set(_MIDI):
        return NamedPitch(stem, None, velocity)
    label = re.sub(r"[\s._-]*\0+[\s._-]*", "_", _blanked(stem, spans))
    return NamedPitch(label.strip(" ._-"), pitches.pop(), velocity)


def _blanked(stem: str, spans: Iterable[tuple[int, int]]) -> str:
    """``stem`` with what was understood overwritten, at its old length."""
    for start, end in spans:
        stem = stem[:start] + "\0" * (end - start) + stem[end:]
    return stem


def _note_number(step: str, accidental: str, octave: str) -> int:
    return 12 * (int(octave) + 1) + _STEPS[step.upper()] + _ACCIDENTALS[accidental]


def parse_pitch(text: str) -> int:
    """A MIDI number ("60", "60.0") or a note's name ("C#4", "Db3", "c-1") -> MIDI number.

    Raises:
      ValueError: it is neither, or outside of 0 to 127.
    """
    found = re.fullmatch(_NOTE, text)
    if found:
        pitch = _note_number(*found.groups())
    elif re.fullmatch(r"[0-9]{1,3}(\.0*)?", text):
        pitch = int(float(text))
    else:
        raise ValueError("neither a number nor a note's name")
    if pitch not in _MIDI:
        raise ValueError("outside of 0 to 127")
    return pitch


# --- Tables ---

COLUMNS = ("file", "pitch", "velocity", "instrument", "family", "source")
_NEEDED = COLUMNS[:2]


@dataclasses.dataclass(frozen=True)
class TableRow:
    """What a table says of one file; None where a cell is empty or its column missing."""

    file: str
    pitch: int | None
    velocity: int | None = None
    instrument: str | None = None
    family: str | None = None
    source: str | None = None


def read_table(path: str | os.PathLike) -> list[TableRow]:
    """Reads a table of pitches: UTF-8, columns after ``COLUMNS`` in any order, others ignored.

    Cells are separated by commas, semicolons or tabs, whichever the first line has most of. Only
    ``file`` and ``pitch`` are needed; a pitch is a MIDI number or a note's name, and may be empty.

    Raises:
      ValueError: names the file, the line and what was expected there.
    """
    rows: dict[str, TableRow] = {}
    for line, cells in _lines(path):
        try:
            row = _parse_row(cells)
            if rows.setdefault(row.file, row) != row:
                raise ValueError(f"{row.file} comes again, with other values")
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}, line {line}: {error}.") from None
    return list(rows.values())


def _lines(path: str | os.PathLike) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and cells by column of every line that is not empty."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = max(",;\t", key=first.count)
            header = next(csv.reader([first], delimiter=delimiter), [])
            header = [cell.strip().lower() for cell in header]
            missing = [name for name in _NEEDED if name not in header]
            if missing or len(set(header)) != len(header):
                raise ValueError(
                    f"{os.fspath(path)}: the first line must name the columns file and pitch, and "
                    f"may name {', '.join(COLUMNS[2:])}, each once, not {first.strip()[:200]!r}."
                )
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for cells in reader:
                cells = [cell.strip() for cell in cells]
                if not any(cells):
                    continue
                if len(cells) > len(header):
                    raise ValueError(
                        f"{os.fspath(path)}, line {reader.line_num + 1}: {len(cells)} cells, and "
                        f"the first line names {len(header)} columns."
                    )
                yield reader.line_num + 1, dict(zip(header, cells, strict=False))
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(path)} must be UTF-8: {error.reason}.") from error
    except csv.Error as error:
        raise ValueError(f"{os.fspath(path)} is no table: {error}.") from error


def _parse_row(cells: dict[str, str]) -> TableRow:
    file = cells.get("file", "")
    if not file:
        raise ValueError("the cell of file is empty")
    pitch = velocity = None
    if text := cells.get("pitch", ""):
        try:
            pitch = parse_pitch(text)
        except ValueError:
            raise ValueError(
                f"pitch must be a MIDI number from 0 to 127 or a note's name such as C#4, "
                f"not {text!r}"
            ) from None
    if text := cells.get("velocity", ""):
        if not re.fullmatch("[0-9]{1,3}", text) or int(text) not in _MIDI:
            raise ValueError(f"velocity must be a whole number from 0 to 127, not {text!r}")
        velocity = int(text)
    return TableRow(
        file=_normalized(file),
        pitch=pitch,
        velocity=velocity,
        instrument=cells.get("instrument") or None,
        family=_one_of("family", cells.get("family", ""), FAMILIES),
        source=_one_of("source", cells.get("source", ""), SOURCES),
    )


def _one_of(column: str, text: str, names: Sequence[str]) -> str | None:
    if text and text.lower() not in names:
        raise ValueError(f"{column} must be one of {', '.join(names)}, or empty, not {text!r}")
    return text.lower() or None


def _normalized(path: str) -> str:
    """One spelling for a path: that of a Mac splits letters from their accents."""
    return posixpath.normpath(unicodedata.normalize("NFC", path.replace("\\", "/")))


def match_table(
    rows: Iterable[TableRow], files: Sequence[str]
) -> tuple[dict[str, TableRow], list[str]]:
    """Finds the row of each file: by its path below the folder, or by its mere name.

    Args:
      rows: of a table.
      files: paths below the folder, with "/".

    Returns:
      The rows by file, and what rows call files that are not there.

    Raises:
      ValueError: a mere name fits several files, or two rows one file.
    """
    by_path = {_normalized(file): file for file in files}
    by_name: dict[str, list[str]] = {}
    for path, file in by_path.items():
        by_name.setdefault(posixpath.basename(path), []).append(file)
    found, absent = {}, []
    for row in rows:
        fitting = [by_path[row.file]] if row.file in by_path else by_name.get(row.file, [])
        if not fitting:
            absent.append(row.file)
        elif len(fitting) > 1:
            raise ValueError(
                f"{row.file} is the name of {len(fitting)} files: give their paths, such as "
                f"{fitting[0]}."
            )
        elif found.setdefault(fitting[0], row) is not row:
            raise ValueError(f"{fitting[0]} has two rows: by its path and by its name.")
    return found, absent
