"""MIDI files to note lists.

Read are notes, tempo changes, the sustain pedal, program changes and the controllers that end all
notes. Passed over is what GANSynth has no means for: drums, pitch bend, volume, expression,
sostenuto and soft pedal.

Source: MIDI 1.0 Detailed Specification; Standard MIDI Files 1.0.
"""

import dataclasses
import os
from collections.abc import Iterator
from typing import BinaryIO

import mido
import numpy as np

from gansynth_tf.notelist import NoteList

DRUM_CHANNEL = 9  # channel 10 to a musician
SUSTAIN = 64
PEDAL_DOWN = 64  # values from here on
NOTES_OFF = (120, 123)  # all sound off, all notes off
_TEMPO = 500_000  # microseconds a beat where a file says nothing: 120 beats a minute
_DROP_FRAMES = 30_000 / 1_001  # a second, which SMPTE calls 29


class MidiError(ValueError):
    """A file that is no MIDI file, or a damaged one."""


@dataclasses.dataclass(frozen=True, eq=False)
class MidiNotes:
    """What a MIDI file holds to be played.

    Attributes:
      notes: its notes; a part is what one track plays on one channel with one program.
      num_drums: notes on the drum channel, which are left out.
    """

    notes: NoteList
    num_drums: int


@dataclasses.dataclass
class _Sounding:
    """A note that has begun: its part's key, pitch, velocity, and whether only the pedal holds it."""

    part: tuple[int, int, int]
    pitch: int
    velocity: int
    start: int
    is_released: bool = False


def read_midi(file: str | os.PathLike | BinaryIO) -> MidiNotes:
    """Reads a MIDI file of one song: a path, or a file open for reading bytes.

    Notes of one pitch that overlap on a channel end in the order in which they began. A note that
    nothing ends, ends with the file. The pedal holds the notes of its channel, in whatever track,
    until it is up again or the pitch is struck anew.

    Raises:
      MidiError: what is wrong with it, without its name.
      OSError: it cannot be opened.
    """
    song = _parse(file)
    if song.type == 2:
        raise MidiError("holds several songs (format 2), and can only be played as one.")
    if not song.ticks_per_beat:
        raise MidiError("is damaged: it has 0 ticks a beat.")
    events = list(_events(song))
    finished, num_drums = _pair(events)
    return MidiNotes(_note_list(song, finished), num_drums)


def _parse(file: str | os.PathLike | BinaryIO) -> mido.MidiFile:
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as opened:
            return _parse(opened)
    try:
        # Data bytes above 127, which some programs write, are clipped.
        return mido.MidiFile(file=file, clip=True)
    except Exception as error:  # whatever of Python's own a damaged byte brings about in mido
        text = str(error) or "it ends in the midst of an event"
        raise MidiError(f"is no MIDI file, or a damaged one ({text.rstrip('.')}).") from error


def _events(song: mido.MidiFile) -> Iterator[tuple[int, int, mido.Message]]:
    """(tick, track, message) of the whole song in the order of time, then of the tracks."""
    timed = []
    for track, messages in enumerate(song.tracks):
        ticks = 0
        for message in messages:
            ticks += message.time
            timed.append((ticks, track, message))
    return iter(sorted(timed, key=lambda event: event[0]))  # stable


def _pair(
    events: list[tuple[int, int, mido.Message]],
) -> tuple[list[tuple[_Sounding, int]], int]:
    """Notes with the ticks of their ends, and how many drum notes were left out."""
    sounding: dict[int, list[_Sounding]] = {channel: [] for channel in range(16)}
    programs, pedals = [0] * 16, [False] * 16
    finished: list[tuple[_Sounding, int]] = []
    num_drums = 0

    def end(channel: int, ticks: int, notes: list[_Sounding]) -> None:
        for note in notes:
            sounding[channel].remove(note)
            finished.append((note, ticks))

    for ticks, track, message in events:
        if message.is_meta or not hasattr(message, "channel"):
            continue
        channel = message.channel
        here = sounding[channel]
        if message.type == "program_change":
            programs[channel] = message.program
        elif channel == DRUM_CHANNEL:
            num_drums += message.type == "note_on" and message.velocity > 0
        elif message.type == "note_on" and message.velocity:
            end(channel, ticks, [n for n in here if n.is_released and n.pitch == message.note])
            part = (track, channel, programs[channel])
            here.append(_Sounding(part, message.note, message.velocity, ticks))
        elif message.type in ("note_on", "note_off"):
            held = [n for n in here if n.pitch == message.note and not n.is_released]
            held.sort(key=lambda n: n.part[0] != track)  # the same track's first
            if held and pedals[channel]:
                held[0].is_released = True
            else:
                end(channel, ticks, held[:1])
        elif message.type == "control_change":
            if message.control == SUSTAIN:
                pedals[channel] = message.value >= PEDAL_DOWN
            if message.control in NOTES_OFF:
                end(channel, ticks, list(here))
            elif not pedals[channel]:
                end(channel, ticks, [n for n in here if n.is_released])
    last = events[-1][0] if events else 0
    for channel, notes in sounding.items():
        end(channel, last, list(notes))
    return finished, num_drums


def _note_list(song: mido.MidiFile, finished: list[tuple[_Sounding, int]]) -> NoteList:
    keys = sorted({note.part for note, _ in finished})
    index = {key: number for number, key in enumerate(keys)}
    starts = np.array([note.start for note, _ in finished], np.int64)
    ends = np.array([ticks for _, ticks in finished], np.int64)
    return NoteList(
        starts=_seconds(song, starts),
        ends=_seconds(song, ends),
        pitches=[note.pitch for note, _ in finished],
        velocities=[note.velocity for note, _ in finished],
        parts=[index[note.part] for note, _ in finished],
        part_names=tuple(_part_name(song, *key) for key in keys),
    )


def _part_name(song: mido.MidiFile, track: int, channel: int, program: int) -> str:
    """As a musician counts: from 1."""
    name = song.tracks[track].name.strip() or f"track {track + 1}"
    return f"{name}, channel {channel + 1}, program {program + 1}"


def _seconds(song: mido.MidiFile, ticks: np.ndarray) -> np.ndarray:
    """Ticks [n] from the start -> seconds, by all tempo changes of the song."""
    division = song.ticks_per_beat
    if division < 0:  # frames a second and ticks a frame, one byte each
        frames = -(division >> 8)
        return ticks / ((_DROP_FRAMES if frames == 29 else frames) * (division & 0xFF or 1))
    changes, tempos = [0], [_TEMPO]
    for tick, _, message in _events(song):
        if message.type == "set_tempo":
            changes.append(tick)
            tempos.append(message.tempo)
    changes, per_tick = np.array(changes), np.array(tempos) / (1e6 * division)
    reached = np.concatenate([[0.0], np.cumsum(np.diff(changes) * per_tick[:-1])])
    latest = np.searchsorted(changes, ticks, side="right") - 1
    return reached[latest] + (ticks - changes[latest]) * per_tick[latest]
