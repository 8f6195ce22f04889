"""Seconds of music a second: a piece of four tracks, read from a MIDI file, played and mixed.

Everything from the file's bytes to those of a wav; weights are not trained, which takes as long.
Once with a timbre a track, whose notes of one pitch are generated once, and once with timbres that
change all the time, as the original plays.

    python -m benchmarks.music --config=quickstart
"""

import pathlib
import tempfile
import time
from collections.abc import Sequence

import mido
import numpy as np
from absl import flags

from benchmarks import command
from benchmarks.measuring import show
from benchmarks.step import make_model
from gansynth_tf import wavfiles
from gansynth_tf.checkpoint import Checkpoint, RunState
from gansynth_tf.config import UserError
from gansynth_tf.experiment import Experiment
from gansynth_tf.instrument import RunInstrument
from gansynth_tf.performance import PerformanceConfig, choose_timbres, notes_of, perform
from gansynth_tf.variables import named_variables

COLUMNS = ["timbres", "piece s", "notes", "different", "generating s", "s", "times real time"]
TIMBRES = {"one a track": 0.0, "changing": 6.0}
MOST_MINUTES = 60.0
TICKS = 480  # a beat, half a second
_BAR = 4 * TICKS
# What each track plays in a bar: (tick, ticks, semitones above the bar's root).
_TRACKS = (
    [(TICKS * beat, 400, 24 + step) for beat, step in enumerate((7, 4, 9, 12))],  # a melody
    [(0, 1900, 12 + step) for step in (0, 4, 7)],  # chords
    [(2 * TICKS * half, 900, 0) for half in range(2)],  # a bass
    [(TICKS // 2 * i, 200, 12 + (0, 4, 7, 12)[i % 4]) for i in range(8)],  # broken chords
)
_ROOTS = (48, 45, 41, 43)


def song(minutes: float) -> mido.MidiFile:
    """Four tracks of this length; at 120 beats a minute a bar takes two seconds."""
    file = mido.MidiFile(ticks_per_beat=TICKS)
    for channel, pattern in enumerate(_TRACKS):
        events = []
        for bar in range(max(1, round(30 * minutes))):
            for tick, ticks, step in pattern:
                begin = bar * _BAR + tick
                # Roots move, and with them over the piece all pitches of some octaves are heard.
                pitch = _ROOTS[bar % 4] + step + bar // 4 % 5
                for when, kind in ((begin, "note_on"), (begin + ticks, "note_off")):
                    events.append((when, mido.Message(kind, note=pitch, channel=channel)))
        events.sort(key=lambda event: event[0])
        track, before = mido.MidiTrack(), 0
        for when, message in events:
            track.append(message.copy(time=when - before))
            before = when
        file.tracks.append(track)
    return file


class TimedInstrument(RunInstrument):
    """Counts the notes that are generated, and the seconds that this takes."""

    generated, generating = 0, 0.0

    @classmethod
    def untrained(cls, experiment: Experiment) -> "TimedInstrument":
        """First weights at the last stage."""
        model = make_model(experiment)
        vocabulary = model.config.vocabulary
        settings = {
            "values": experiment.values,
            "pitches": vocabulary.pitches,
            "counts": vocabulary.counts,
        }
        weights = named_variables(model.ema_generator, "ema_generator")
        arrays = {name: weight.numpy() for name, weight in weights.items()}
        arrays["normalizer"] = model.normalizer.scale_offset.numpy()
        state = RunState(stage=experiment.schedule.total_num_stages - 1)
        return cls(Checkpoint(pathlib.Path("untrained"), arrays, state, settings))

    def synthesize(self, latents: np.ndarray, pitches: Sequence[int]) -> np.ndarray:
        """As every instrument's."""
        started = time.perf_counter()
        waves = super().synthesize(latents, pitches)
        self.generating += time.perf_counter() - started
        self.generated += len(waves)
        return waves


def measure(instrument: TimedInstrument, path: pathlib.Path, timbres: str) -> dict:
    """One row: the MIDI file at ``path``, played once."""
    config = PerformanceConfig(secs_per_instrument=TIMBRES[timbres])
    instrument.generated, instrument.generating = 0, 0.0
    started = time.perf_counter()
    notes = notes_of(path)
    paths = choose_timbres(instrument, notes, config=config)
    wave = perform(instrument, notes, paths, config)
    wavfiles.write_wav(path.with_suffix(".wav"), wave, instrument.sample_rate)
    taken = time.perf_counter() - started
    piece = len(wave) / instrument.sample_rate
    values = [timbres, piece, len(notes), instrument.generated]
    values += [instrument.generating, taken, piece / taken]
    return dict(zip(COLUMNS, values, strict=True))


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Measures both ways and shows them."""
    if not 0 < values.minutes <= MOST_MINUTES:
        raise UserError(f"--minutes must be above 0 and at most {MOST_MINUTES:g}.")
    instrument = TimedInstrument.untrained(experiment)
    for notes in (1, 2, 4, 8, 16):  # each batch is traced once
        instrument.synthesize(instrument.latents(0, notes), instrument.pitches[:1] * notes)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "piece.mid"
        song(values.minutes).save(path)
        rows = [measure(instrument, path, timbres) for timbres in TIMBRES]
    show(command.title("music", experiment), COLUMNS, rows)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_float("minutes", 3.0, "Length of the piece.", flag_values=values)


if __name__ == "__main__":
    command.main("benchmarks.music", __doc__, run, _define)
