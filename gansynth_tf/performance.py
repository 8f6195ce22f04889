"""A piece played by a model: notes and timbres -> one clip.

Each note of the model is generated once, however often the piece has it, mixed in wherever it
sounds, and forgotten: memory is the clip's and that of few notes.
"""

import dataclasses
import io
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol

import mido
import numpy as np

from gansynth_tf import mixing, sustain
from gansynth_tf.checkpoint import CheckpointError
from gansynth_tf.midi import read_midi
from gansynth_tf.mixing import EnvelopeConfig
from gansynth_tf.music import TimbrePath, timbre_times
from gansynth_tf.notelist import OUT_OF_RANGE, NoteList, playable_pitches
from gansynth_tf.sustain import LONG_NOTES

SECS_PER_INSTRUMENT = 6.0  # as in the original
LEAST_SECS, MOST_SECS = 0.1, 1e6
MOST_BYTES = 2**29  # of a clip, in float32
_BATCH = 16  # notes in memory at once


class Playable(Protocol):
    """What a piece is played on: ``instrument.Instrument``, or another that makes notes."""

    path: pathlib.Path
    sample_rate: int
    audio_length: int
    pitches: Sequence[int]
    latent_size: int

    def latents(self, seed: int, count: int) -> np.ndarray:
        """Latents [count, latent]."""

    def synthesize(self, latents: np.ndarray, pitches: Sequence[int]) -> np.ndarray:
        """Latents [n, latent] and MIDI pitches [n] -> waves [n, samples]."""


@dataclasses.dataclass(frozen=True)
class PerformanceConfig:
    """How a piece is played.

    Attributes:
      envelope: how a note begins and ends.
      long_notes: notes held for longer than the model's: "extend" repeats a stretch of the held
        sound (``sustain.py``); "release" lets go of them then, as the original does.
      out_of_range: pitches that the model lacks: "fold" moves them by octaves, "refuse" ends.
      secs_per_instrument: seconds from one timbre to the next, between which it changes steadily;
        0 keeps one timbre a part. By default 6 where they are drawn, as in the original, and 0
        where they are given.
      fixed_norm: whether timbres are brought to one norm; see ``TimbrePath``.
    """

    envelope: EnvelopeConfig = EnvelopeConfig()
    long_notes: str = "extend"
    out_of_range: str = "fold"
    secs_per_instrument: float | None = None
    fixed_norm: bool = False

    def __post_init__(self):
        seconds = self.secs_per_instrument or 0
        if not (seconds == 0 or LEAST_SECS <= seconds <= MOST_SECS):
            raise ValueError(
                f"secs_per_instrument must be 0, or a number from {LEAST_SECS:g} to "
                f"{MOST_SECS:g}, not {seconds!r}."
            )
        for name, known in (("long_notes", LONG_NOTES), ("out_of_range", OUT_OF_RANGE)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} must be {' or '.join(known)}, not {value!r}.")


class PieceError(ValueError):
    """A piece that cannot be played."""


def notes_of(midi: object) -> NoteList:
    """The notes of a MIDI file: its path, a file open for reading, a mido.MidiFile, or a
    pretty_midi.PrettyMIDI; a note list is given back as it is.

    Raises:
      MidiError: it is none, or damaged.
      OSError: it cannot be opened.
    """
    return midi if isinstance(midi, NoteList) else read_midi(_as_file(midi)).notes


def _as_file(midi: object) -> str | os.PathLike | BinaryIO:
    written = io.BytesIO()
    if isinstance(midi, mido.MidiFile):
        midi.save(file=written)
    elif hasattr(midi, "instruments"):  # pretty_midi's, which need not be installed
        midi.write(written)
    else:
        return midi
    written.seek(0)
    return written


def choose_timbres(
    playable: Playable,
    notes: NoteList,
    latents: np.ndarray | None = None,
    seed: int = 1,
    config: PerformanceConfig = PerformanceConfig(),
) -> list[TimbrePath]:
    """A path of timbres for each part of a piece.

    Args:
      latents: timbres [k, latent]; drawn by ``seed`` if not given, each for one part alone. The
        parts take them in turn, each beginning with the one after that of the part before, and
        begin again where there are too few.

    Raises:
      ValueError: latents of another shape.
    """
    seconds = config.secs_per_instrument
    if seconds is None:
        seconds = SECS_PER_INSTRUMENT if latents is None else 0.0
    times = timbre_times(notes.seconds, seconds) if seconds else np.zeros(1)
    num_parts, count = len(notes.part_names), len(times)
    if latents is None:
        latents = playable.latents(seed, num_parts * count)
        rows = np.arange(num_parts * count).reshape(num_parts, count)
    else:
        latents = np.asarray(latents)
        if latents.ndim != 2 or latents.shape[1] != playable.latent_size or not len(latents):
            raise ValueError(
                f"latents must have shape [n, {playable.latent_size}], n at least 1, "
                f"not {list(latents.shape)}."
            )
        # Parts with the same timbres share one path, and so the notes that they have in common.
        rows = np.add.outer(np.arange(min(num_parts, len(latents))), np.arange(count))
        rows %= len(latents)
    paths = [TimbrePath(latents[chosen], times, config.fixed_norm) for chosen in rows]
    return [paths[part % len(paths)] for part in range(num_parts)]


def perform(
    playable: Playable,
    notes: NoteList,
    timbres: Sequence[TimbrePath],
    config: PerformanceConfig = PerformanceConfig(),
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> np.ndarray:
    """Plays a piece -> clip [samples] float32, of peak at most 1; no samples where it has no notes.

    A note takes its part's timbre at its start, and its level from its velocity alone. A clip that
    would exceed full scale is brought to it by one gain.

    Args:
      timbres: a path for each part.
      progress: is told how many different notes are played, and of how many, batch by batch.

    Raises:
      PitchRangeError: pitches that cannot be played.
      PieceError: it is too long to be held in memory.
      CheckpointError: the model's notes are not finite numbers.
    """
    if len(timbres) != len(notes.part_names):
        raise ValueError(f"timbres must be {len(notes.part_names)}, one a part.")
    notes = notes.with_pitches(
        playable_pitches(notes.pitches, playable.pitches, config.out_of_range)
    )
    clip = _silence(playable, notes, config)
    different = _different_notes(notes, timbres)
    keys = list(different)
    for begin in range(0, len(keys), _BATCH):
        batch = keys[begin : begin + _BATCH]
        latents = np.concatenate([path.at([time]) for path, time, _ in batch])
        waves = playable.synthesize(latents.astype(np.float32), [pitch for *_, pitch in batch])
        if not np.isfinite(waves).all():
            raise CheckpointError(
                f"{playable.path} cannot be played: its notes hold NaN or infinity."
            )
        for key, wave in zip(batch, waves, strict=True):
            _mix(clip, wave, notes, different[key], playable, config)
        progress(begin + len(batch), len(keys))
    mixing.make_peak_safe(clip)
    return clip


def _different_notes(
    notes: NoteList, timbres: Sequence[TimbrePath]
) -> dict[tuple[TimbrePath, float, int], list[int]]:
    """(path, time on it, pitch) -> the notes that sound so; those of velocity 0 are left out."""
    found: dict[tuple[TimbrePath, float, int], list[int]] = {}
    for number in np.flatnonzero(notes.velocities):
        path = timbres[notes.parts[number]]
        time = float(notes.starts[number]) if len(path.times) > 1 else 0.0
        found.setdefault((path, time, int(notes.pitches[number])), []).append(number)
    return found


def _silence(playable: Playable, notes: NoteList, config: PerformanceConfig) -> np.ndarray:
    """The empty clip, as long as the notes with their releases."""
    rate = playable.sample_rate
    most = MOST_BYTES / np.dtype(np.float32).itemsize / rate
    if notes.seconds + config.envelope.release > most:
        raise PieceError(
            f"the piece lasts {notes.seconds:,.0f} s: {most:,.0f} s are the most at {rate} samples "
            f"a second."
        )
    lengths = []
    for duration in (notes.ends - notes.starts).tolist():
        held, release = _held_and_release(duration, playable, config)
        envelope = dataclasses.replace(config.envelope, release=release)
        lengths.append(mixing.enveloped_samples(held, rate, envelope))
    samples = mixing.clip_samples(notes.starts, np.array(lengths, int), rate)
    return np.zeros(samples, np.float32)


def _held_and_release(
    duration: float, playable: Playable, config: PerformanceConfig
) -> tuple[float, float]:
    """Seconds that a note of ``duration`` seconds is held, and those in which it is let go."""
    most = mixing.held_seconds(playable.audio_length, playable.sample_rate)
    if duration > most and config.long_notes == "extend":
        return duration, config.envelope.release
    held = min(duration, most)
    # Not beyond the model's sound, which would break off.
    return held, min(config.envelope.release, playable.audio_length / playable.sample_rate - held)


def _mix(
    clip: np.ndarray,
    wave: np.ndarray,
    notes: NoteList,
    numbers: Sequence[int],
    playable: Playable,
    config: PerformanceConfig,
) -> None:
    """Adds those of the notes that sound as ``wave`` [samples]; the clip changes."""
    rate = playable.sample_rate
    most = mixing.held_seconds(len(wave), rate)
    longest = max(float(notes.ends[number] - notes.starts[number]) for number in numbers)
    extended = wave
    if longest > most and config.long_notes == "extend":
        samples = mixing.enveloped_samples(longest, rate, config.envelope)
        extended = sustain.extended(wave, samples, rate, most)
    for number in numbers:
        duration = float(notes.ends[number] - notes.starts[number])
        held, release = _held_and_release(duration, playable, config)
        envelope = dataclasses.replace(config.envelope, release=release)
        note = mixing.enveloped(extended if held > most else wave, held, rate, envelope)
        note = mixing.leveled(note, int(notes.velocities[number]))
        mixing.add_note(clip, note, float(notes.starts[number]), rate)
