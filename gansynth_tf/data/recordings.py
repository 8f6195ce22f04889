"""One recording after another -> notes: trimmed, pitched, levelled, named, written."""

import dataclasses
import itertools
import math
import pathlib
import posixpath
import re
from collections.abc import Callable, Iterator

import numpy as np

from gansynth_tf.data import decoding, trimming
from gansynth_tf.data.manifest import KEPT, Entry, shown
from gansynth_tf.data.note_writer import NoteWriter
from gansynth_tf.data.pitch_names import TableRow, name_pitch
from gansynth_tf.data.schema import FAMILIES, QUALITIES, SOURCES, Note, note_id
from gansynth_tf.data.splitting import split_at_onsets

PITCHES_FROM = ("auto", "names", "csv", "measured")
SPLITS = ("none", "onset")
FILLED = "filled"
DEFAULT_VELOCITY = 100
MIN_SECONDS = 0.05
# How far a pitch that is told may be from the one that is heard.
TOLERANCE_SEMITONES = 1.0
MAX_FILL = 24

# Where to look for a note's pitch, in this order; a recording of many notes has no one name.
_ORDERS = {
    "auto": ("csv", "name", "measured"),
    "names": ("name",),
    "csv": ("csv",),
    "measured": ("measured",),
}
_MISSING = {
    "auto": "neither table nor name tells it, and no clear one is heard",
    "names": "the name tells none, or several",
    "csv": "the table tells none",
    "measured": "no clear one is heard",
}
_NSYNTH_LABEL = re.compile(rf"({'|'.join(FAMILIES)})_({'|'.join(SOURCES)})_[0-9]+")


# --- Settings ---


@dataclasses.dataclass(frozen=True)
class FolderConfig:
    """How recordings become notes.

    Attributes:
      sample_rate: samples a second of the notes.
      audio_length: samples of a note; a longer one is cut, silence follows a shorter one.
      min_pitch, max_pitch: MIDI pitches of the notes that are kept, both included.
      pitch: "names", "csv", "measured", or "auto": the table, else the name, else the ear.
      check_pitch: whether a note is dropped that is not heard where table or name say.
      level: as in ``trimming.level_gain``.
      fade: seconds of fading out at a note's end.
      split: "none" makes one note of a recording, "onset" cuts it into its notes; "auto" then
        is "measured".
      fill_pitches: semitones that a note may be moved to stand for a pitch that an instrument
        lacks: between its recorded pitches, and beyond the lowest and the highest.
      family, source: of all notes for which the table says nothing else.
      max_seconds: longer recordings are dropped.
      decoder: as in ``decoding.read_recording``.

    Raises:
      ValueError: a value is out of its range; the message names it.
    """

    sample_rate: int = 16_000
    audio_length: int = 64_000
    min_pitch: int = 24
    max_pitch: int = 84
    pitch: str = "auto"
    check_pitch: bool = False
    level: str = "peak"
    fade: float = 0.05
    split: str = "none"
    fill_pitches: int = 0
    family: str | None = None
    source: str | None = None
    max_seconds: float = 600.0
    decoder: str = "auto"

    def __post_init__(self):
        for name, values in (
            ("pitch", PITCHES_FROM),
            ("level", trimming.LEVELS),
            ("split", SPLITS),
            ("family", (None, *FAMILIES)),
            ("source", (None, *SOURCES)),
            ("decoder", decoding.DECODERS),
        ):
            if getattr(self, name) not in values:
                raise ValueError(
                    f"{name} must be one of {', '.join(filter(None, values))}, "
                    f"not {getattr(self, name)!r}."
                )
        for name, low, high in (
            ("sample_rate", 8_000, 192_000),
            ("min_pitch", 0, 127),
            ("max_pitch", self.min_pitch, 127),
            ("fade", 0.0, 10.0),
            ("fill_pitches", 0, MAX_FILL),
            ("max_seconds", 1.0, 3_600.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be from {low} to {high}, not {getattr(self, name)}.")
        if not MIN_SECONDS <= self.audio_length / self.sample_rate <= 60.0:
            raise ValueError(
                f"length must be from {MIN_SECONDS} to 60 seconds, "
                f"not {self.audio_length / self.sample_rate:g}."
            )
        highest = 440.0 * 2.0 ** ((self.max_pitch - 69) / 12)
        if highest > 0.45 * self.sample_rate:
            raise ValueError(
                f"max_pitch={self.max_pitch} is a tone of {highest:.0f} Hz, more than "
                f"sample_rate={self.sample_rate} can hold: lower the one or raise the other."
            )


# --- One file, one note ---


@dataclasses.dataclass(frozen=True)
class _Source:
    """A note that others may be made from: where it is, and whose it is."""

    file: str
    start: int
    end: int
    fade_in: int
    label: str
    pitch: int
    velocity: int
    family: str | None
    source: str | None
    is_heard: bool  # at its pitch


class _DroppedError(Exception):
    """Why a note is not kept."""


class RecordingImporter:
    """Turns files into notes, one file at a time in memory."""

    def __init__(
        self,
        folder: pathlib.Path,
        config: FolderConfig,
        listen: Callable[[np.ndarray], float],
        writer: NoteWriter,
        entries: list[Entry],
        lose: Callable[[str, str], None],
    ):
        self.folder, self.config, self.listen = folder, config, listen
        self.writer, self.entries, self.lose = writer, entries, lose
        self.count = 0
        self._ids: set[str] = set()
        self._sources: list[_Source] = []

    def take_file(self, file: str, row: TableRow | None) -> None:
        """Writes the notes of a recording."""
        try:
            wave = self._read(file)
        except decoding.RecordingError as error:
            self.lose(file, str(error))
            return
        pieces = [(0, len(wave))]
        if self.config.split == "onset":
            pieces = split_at_onsets(wave, self.config.sample_rate)
            if not pieces:
                self.entries.append(Entry(file, reason="silent: no note is heard in it"))
        for start, end in pieces:
            entry = Entry(file, start / self.config.sample_rate)
            self.entries.append(entry)
            try:
                self._take_note(wave, start, end, row or TableRow(file, None), entry)
            except _DroppedError as error:
                entry.reason = str(error)

    def _read(self, file: str) -> np.ndarray:
        config = self.config
        return trimming.centered(
            decoding.read_recording(
                self.folder / file, config.sample_rate, config.max_seconds, config.decoder
            )
        )

    def _take_note(
        self, wave: np.ndarray, start: int, end: int, row: TableRow, entry: Entry
    ) -> None:
        rate = self.config.sample_rate
        onset = start + trimming.find_onset(wave[start:end], rate)
        fade_in = trimming.pre_roll(onset - start, rate)
        start = onset - fade_in
        note = wave[start:end]
        entry.start_seconds = start / rate
        entry.peak_dbfs = trimming.to_decibels(trimming.peak(note))
        if entry.peak_dbfs < trimming.SILENCE_DBFS:
            raise _DroppedError(f"silent: below {trimming.SILENCE_DBFS:g} dBFS")
        if len(note) < MIN_SECONDS * rate:
            raise _DroppedError(f"too short: {len(note) / rate:.3f} s, less than {MIN_SECONDS}")
        entry.measured_pitch = self.listen(note[: self.config.audio_length])
        named = name_pitch(posixpath.splitext(posixpath.basename(entry.file))[0])
        self._decide_pitch(entry, {"csv": row.pitch, "name": named.pitch})
        known = (row.velocity, named.velocity, DEFAULT_VELOCITY)
        entry.velocity = next(velocity for velocity in known if velocity is not None)
        label = row.instrument or posixpath.dirname(entry.file) or named.label
        label = _clean_label(label or self.folder.resolve().name)
        family, source = row.family or self.config.family, row.source or self.config.source
        if found := _NSYNTH_LABEL.fullmatch(label):
            family, source = family or found[1], source or found[2]
        origin = _Source(
            file=entry.file,
            start=start,
            end=end,
            fade_in=fade_in,
            label=label,
            pitch=entry.pitch,
            velocity=entry.velocity,
            family=family,
            source=source,
            is_heard=not entry.reason,
        )
        self._write(note, fade_in, origin, entry)
        self._sources.append(origin)

    def _decide_pitch(self, entry: Entry, told: dict[str, int | None]) -> None:
        """Fills in the pitch, or drops the note."""
        config, heard = self.config, entry.measured_pitch
        known = {**told, "measured": None if math.isnan(heard) else round(heard)}
        mode = config.pitch
        if mode == "auto" and config.split == "onset":
            mode = "measured"  # a recording of many notes has no one name
        origin = next((name for name in _ORDERS[mode] if known[name] is not None), None)
        if origin is None:
            raise _DroppedError(f"no pitch: {_MISSING[mode]}")
        entry.pitch, entry.pitch_from = known[origin], origin
        if not config.min_pitch <= entry.pitch <= config.max_pitch:
            raise _DroppedError(
                f"out of range: pitch {entry.pitch} is not in {config.min_pitch} to "
                f"{config.max_pitch} (--min_pitch, --max_pitch)"
            )
        if not abs(heard - entry.pitch) <= TOLERANCE_SEMITONES:  # NaN included
            sound = "no clear pitch" if math.isnan(heard) else f"{heard:.2f}"
            entry.reason = f"not heard at its pitch: {sound} where {entry.pitch} is told"
            if config.check_pitch:
                raise _DroppedError(entry.reason)

    def _write(self, wave: np.ndarray, fade_in: int, origin: _Source, entry: Entry) -> None:
        """Gives a note its form and its id, and writes it."""
        config = self.config
        wave = wave[: config.audio_length]
        fade_out = round(config.fade * config.sample_rate)
        wave = trimming.faded(wave, fade_in, fade_out)
        wave *= np.float32(trimming.level_gain(wave, config.sample_rate, config.level))
        entry.id = self._new_id(note_id(origin.label, entry.pitch, entry.velocity))
        self.writer.write(
            Note(
                id=entry.id,
                audio=trimming.fit_length(wave, config.audio_length),
                pitch=entry.pitch,
                velocity=entry.velocity,
                instrument_label=origin.label,
                instrument_family=origin.family,
                instrument_source=origin.source,
                qualities=dict.fromkeys(QUALITIES, False),
            )
        )
        entry.fate = KEPT
        self.count += 1

    def _new_id(self, wanted: str) -> str:
        """``wanted``, or for a further take of the same note the first free of -1, -2, ..."""
        takes = (f"{wanted}-{take}" for take in itertools.count(1))
        name = next(name for name in itertools.chain([wanted], takes) if name not in self._ids)
        self._ids.add(name)
        return name

    # --- Pitches that nobody recorded ---

    def fill(self, progress: Callable[[int, int], object]) -> None:
        """Makes the missing pitches of every instrument, each file read once more.

        ``progress`` is told how many of the files that are needed are done.
        """
        fills: dict[str, list[tuple[_Source, int]]] = {}
        for origin, pitch in self._missing():
            fills.setdefault(origin.file, []).append((origin, pitch))
        for done, (file, wanted) in enumerate(sorted(fills.items())):
            progress(done, len(fills))
            try:
                wave = self._read(file)
            except decoding.RecordingError as error:  # it was whole a moment ago
                self.lose(file, str(error))
                continue
            for origin, pitch in wanted:
                self._fill_pitch(wave, origin, pitch)

    def _missing(self) -> Iterator[tuple[_Source, int]]:
        """What to make: from which note, which pitch. At every velocity, its first take.

        Notes that are not heard at their pitch are left out: a wrong one would become many.
        """
        config = self.config
        recorded: dict[str, set[int]] = {}
        sources: dict[str, dict[int, dict[int, _Source]]] = {}
        for origin in self._sources:
            recorded.setdefault(origin.label, set()).add(origin.pitch)
            if origin.is_heard:
                pitches = sources.setdefault(origin.label, {})
                pitches.setdefault(origin.pitch, {}).setdefault(origin.velocity, origin)
        for label, pitches in sources.items():
            for pitch in range(config.min_pitch, config.max_pitch + 1):
                # Of two as near, the lower: played faster, it keeps its upper partials.
                nearest = min(pitches, key=lambda other: (abs(other - pitch), other))
                if pitch not in recorded[label] and abs(nearest - pitch) <= config.fill_pitches:
                    for origin in pitches[nearest].values():
                        yield origin, pitch

    def _fill_pitch(self, wave: np.ndarray, origin: _Source, pitch: int) -> None:
        config, moved = self.config, pitch - origin.pitch
        ratio = 2.0 ** (moved / 12.0)
        # No more than is heard of it, and what the resampler looks ahead.
        length = math.ceil(config.audio_length * ratio) + config.sample_rate // 10
        note = wave[origin.start : min(origin.end, origin.start + length)]
        entry = Entry(
            origin.file,
            origin.start / config.sample_rate,
            pitch=pitch,
            velocity=origin.velocity,
            pitch_from=FILLED,
            peak_dbfs=trimming.to_decibels(trimming.peak(note)),
            reason=f"filled: from pitch {origin.pitch}, moved by {moved:+d} semitones",
        )
        self.entries.append(entry)
        shifted = trimming.shift_pitch(note, moved)
        self._write(shifted, round(origin.fade_in / ratio), origin, entry)


def _clean_label(label: str) -> str:
    """An instrument's name that any file, and any reader of UTF-8, can hold on one line."""
    label = re.sub(r"[/\\]+", "_", shown(label)).strip()
    return label or "recording"
