"""MIDI files for tests: tracks as lists of (beat, message)."""

from collections.abc import Sequence

import mido
from mido import Message

Event = tuple[float, mido.Message]


def note(
    pitch: int, start: float, end: float, velocity: int = 100, channel: int = 0
) -> list[Event]:
    """A note from beat to beat."""
    return [
        (start, Message("note_on", note=pitch, velocity=velocity, channel=channel)),
        (end, Message("note_off", note=pitch, channel=channel)),
    ]


def pedal(value: int, channel: int = 0) -> Message:
    """The sustain pedal."""
    return Message("control_change", control=64, value=value, channel=channel)


def song(*tracks: Sequence[Event], ticks: int = 480) -> mido.MidiFile:
    """A file of 120 beats a minute, half a second each, where no message says otherwise."""
    file = mido.MidiFile(ticks_per_beat=ticks)
    for events in tracks:
        track, before = mido.MidiTrack(), 0
        for beat, message in sorted(events, key=lambda event: event[0]):
            now = round(beat * ticks)
            track.append(message.copy(time=now - before))
            before = now
        file.tracks.append(track)
    return file
