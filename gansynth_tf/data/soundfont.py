"""Notes of a SoundFont, rendered on all cores.

A note is rendered at 48 kHz and resampled: at 16 kHz the synthesiser would alias. It depends on
the SoundFont, its own key and velocity and, by the level, on the loudest note of its instrument;
how many processes render changes no bit.
"""

import dataclasses
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
import soxr

from gansynth_tf.data import fluidsynth, voices, workers
from gansynth_tf.data.schema import QUALITIES, Note, note_id
from gansynth_tf.data.soundfont_choice import Instrument, SoundfontConfig
from gansynth_tf.files import PathLike

RENDER_RATE = 48_000
FADE_SECONDS = 0.01
# One gain for all notes of an instrument: its loudest peaks here, as if the recordings of one
# session had been normalised together. A gain for each note would make the five velocities of a key
# near-copies; one for the whole set would leave it to a SoundFont's mix which instruments are heard.
PEAK_DBFS = -1.0
SILENT_DBFS = -60.0  # a peak below: 30 dB under the softest notes of FluidR3
KEPT, SILENT, NOT_FINITE = range(3)
_REASONS = {SILENT: "silent", NOT_FINITE: "samples that are not finite"}
_MEMORY = 2 * 2**30  # bytes that workers may take together; more of them would wait for the writer


@dataclasses.dataclass(frozen=True)
class Dropped:
    """A note that is not kept."""

    id: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Sounds:
    """All notes of an instrument.

    Attributes:
      fates: uint8 [n], `KEPT`, `SILENT` or `NOT_FINITE`.
      qualities: bool [n, 10], columns as `QUALITIES`.
      audio: float32 [n, audio_length].
    """

    fates: np.ndarray
    qualities: np.ndarray
    audio: np.ndarray


# ---------------------------------------------------------------------------------------------
# One note
# ---------------------------------------------------------------------------------------------


def render_wave(
    synth: fluidsynth.Synth, config: SoundfontConfig, program: int, key: int, velocity: int
) -> np.ndarray:
    """One note at the SoundFont's own level, faded at its end: float32 [audio_length]."""
    length = math.ceil(config.audio_length * RENDER_RATE / config.sample_rate)
    sound = synth.render(program, key, velocity, round(config.hold_time * RENDER_RATE), length)
    if config.sample_rate == RENDER_RATE:
        wave = sound.copy()  # the synthesiser uses its buffer again
    else:
        wave = soxr.resample(sound, RENDER_RATE, config.sample_rate, quality="VHQ")
    wave = wave[: config.audio_length]
    if len(wave) < config.audio_length:  # it may come out a sample short
        wave = np.pad(wave, (0, config.audio_length - len(wave)))
    fade = np.linspace(1.0, 0.0, round(FADE_SECONDS * config.sample_rate), dtype=np.float32)
    wave[-len(fade) :] *= fade
    return wave


def render_instrument(
    synth: fluidsynth.Synth, instrument: Instrument, config: SoundfontConfig
) -> Sounds:
    """All notes of an instrument, at one gain that puts their peak at `PEAK_DBFS`."""
    notes = instrument.notes
    audio = np.empty((len(notes), config.audio_length), np.float32)
    peaks = np.empty(len(notes))
    for n, (key, velocity) in enumerate(notes):
        audio[n] = render_wave(synth, config, instrument.program, key, velocity)
        peaks[n] = np.max(np.abs(audio[n]))  # NaN stays NaN
    is_finite = np.isfinite(peaks)
    peak = np.max(peaks, initial=0.0, where=is_finite)
    gain = 10.0 ** (PEAK_DBFS / 20.0) / peak if peak > 0.0 else 0.0
    is_silent = ~(gain * peaks >= 10.0 ** (SILENT_DBFS / 20.0))
    fates = np.where(is_finite, np.where(is_silent, SILENT, KEPT), NOT_FINITE).astype(np.uint8)
    qualities = np.zeros((len(notes), len(QUALITIES)), bool)
    for n in np.flatnonzero(fates == KEPT):
        audio[n] *= np.float32(gain)
        qualities[n] = _qualities(audio[n], *notes[n], config)
    return Sounds(fates, qualities, audio)


def _qualities(audio: np.ndarray, key: int, velocity: int, config: SoundfontConfig) -> list[bool]:
    """What can be measured, as of the embedded notes (synth.py); the rest is False."""
    tone = voices.Tone(
        voices.pitch_to_frequency(key), velocity, config.sample_rate, config.audio_length
    )
    brightness = voices.brightness(audio, tone)
    size = len(audio) // 16
    parts = audio[: 16 * size].reshape(16, size)
    onset = math.sqrt(np.einsum("ij,ij->i", parts, parts).max() / size)
    note_off = round(config.hold_time * config.sample_rate)

    def level(stop: int) -> float:
        piece = audio[stop - size : stop]
        return math.sqrt(np.dot(piece, piece) / size)

    held, tail = level(max(note_off, size)), level(15 * size)
    is_true = {
        "bright": brightness > 3.0,
        "dark": brightness < 1.25,
        "fast_decay": held < 0.1 * onset,
        "long_release": note_off < 14 * size and held > 0.05 * onset and tail > 0.1 * held,
    }
    return [is_true.get(quality, False) for quality in QUALITIES]


# ---------------------------------------------------------------------------------------------
# All notes
# ---------------------------------------------------------------------------------------------


def render_notes(
    path: PathLike,
    instruments: Sequence[Instrument],
    config: SoundfontConfig,
    processes: int = 0,
) -> Iterator[Note | Dropped]:
    """Renders all notes, instrument by instrument; the order and all bits are always the same.

    Close the iterator where it is not read to its end (`contextlib.closing`): it ends the workers.

    Args:
      path: the SoundFont.
      instruments: of `choose`.
      config: how notes are rendered.
      processes: how many render; 0 takes one for each core, as far as the memory allows.

    Raises:
      fluidsynth.FluidSynthError: no library, the SoundFont cannot be loaded or lacks a program.
      workers.WorkerError: a worker ended early.
    """
    processes = min(
        processes or workers.default_processes(), _fitting_processes(path, instruments, config)
    )
    if processes == 1 or len(instruments) == 1:
        with fluidsynth.Synth(path, RENDER_RATE) as synth:
            for instrument in instruments:
                sounds = render_instrument(synth, instrument, config)
                yield from _as_notes(instrument, sounds.fates, sounds.qualities, sounds.audio)
        return
    order = {"path": os.fspath(path), "config": dataclasses.asdict(config)}
    tasks = [dataclasses.asdict(instrument) for instrument in instruments]
    with workers.in_order(__name__, order, tasks, processes) as streams:
        for instrument, stream in zip(instruments, streams, strict=True):
            count = len(instrument.notes)
            fates = workers.read_into(stream, np.empty(count, np.uint8))
            qualities = workers.read_into(stream, np.empty((count, len(QUALITIES)), bool))
            audio = _read_audio(stream, count, config.audio_length)
            yield from _as_notes(instrument, fates, qualities, audio)


def work() -> None:
    """A worker's main: the `Sounds` of each instrument, in order."""
    workers.serve(_answer)


def _answer(order: dict) -> Iterator[bytes]:
    config = SoundfontConfig(**order["config"])
    with fluidsynth.Synth(order["path"], RENDER_RATE) as synth:
        for task in order["tasks"]:
            sounds = render_instrument(synth, Instrument(**task), config)
            for array in (sounds.fates, sounds.qualities, sounds.audio):
                yield memoryview(array).cast("B")


def _fitting_processes(
    path: PathLike, instruments: Sequence[Instrument], config: SoundfontConfig
) -> int:
    """How many workers hold the SoundFont and the notes of an instrument within `_MEMORY`."""
    most = max(len(instrument.notes) for instrument in instruments)
    return max(1, _MEMORY // (os.path.getsize(path) + 4 * most * config.audio_length))


def _read_audio(stream: BinaryIO, count: int, length: int) -> Iterator[np.ndarray]:
    for _ in range(count):
        yield workers.read_into(stream, np.empty(length, np.float32))


def _as_notes(
    instrument: Instrument,
    fates: np.ndarray,
    qualities: np.ndarray,
    audio: Iterable[np.ndarray],
) -> Iterator[Note | Dropped]:
    for (key, velocity), fate, row, wave in zip(
        instrument.notes, fates, qualities, audio, strict=True
    ):
        name = note_id(instrument.label, key, velocity)
        if fate != KEPT:
            yield Dropped(name, _REASONS[int(fate)])
            continue
        yield Note(
            id=name,
            audio=wave,
            pitch=key,
            velocity=velocity,
            instrument_label=instrument.label,
            instrument_family=instrument.family,
            instrument_source=instrument.source,
            qualities=dict(zip(QUALITIES, map(bool, row), strict=True)),
        )
