"""Which keys of a SoundFont's programs sound at their pitch, heard by the pitch tracker."""

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence

import numpy as np

from gansynth_tf.data import fluidsynth, soundfont, workers
from gansynth_tf.data.soundfont_choice import SoundfontConfig
from gansynth_tf.data.soundfont_map import Program
from gansynth_tf.evaluation import pitch_tracking
from gansynth_tf.files import PathLike

TOLERANCE_CENTS = 50.0
VELOCITY = 100
# The notes that are heard are NSynth's, whatever is rendered later: 4 s at 16 kHz, held for 3.
_CONFIG = SoundfontConfig()
_HIGHEST = 0.45  # of the sample rate: the end of the search


def measure_ranges(
    path: PathLike, programs: Sequence[Program], processes: int = 0
) -> Iterator[Program]:
    """Each program with those of its keys that are heard within `TOLERANCE_CENTS`.

    Close the iterator where it is not read to its end (`contextlib.closing`): it ends the workers.

    Args:
      path: the SoundFont.
      programs: their keys are those that are tried.
      processes: how many listen; 0 takes one for each core.

    Raises:
      fluidsynth.FluidSynthError: no library, the SoundFont cannot be loaded or lacks a program.
      workers.WorkerError: a worker ended early.
    """
    fluidsynth.version()  # that it is missing is said here, not by a worker
    tasks = [{"program": program.number, "keys": program.keys} for program in programs]
    processes = processes or workers.default_processes()
    order = {"path": os.fspath(path)}
    with workers.in_order(__name__, order, tasks, processes) as streams:
        for program, stream in zip(programs, streams, strict=True):
            off = workers.read_into(stream, np.empty(len(program.keys)))
            off = dict(zip(program.keys, np.abs(off), strict=True))
            right = [key for key in program.keys if off[key] <= TOLERANCE_CENTS]  # False of NaN
            median = float(np.median([off[key] for key in right])) if right else math.nan
            yield dataclasses.replace(program, keys=tuple(right), median_abs_cents=median)


def work() -> None:
    """A worker's main: for each program, how many cents each key is off, float64 [keys]."""
    workers.serve(_answer)


def _answer(order: dict) -> Iterator[bytes]:
    with fluidsynth.Synth(order["path"], soundfont.RENDER_RATE) as synth:
        for task in order["tasks"]:
            off = [_cents_off(synth, task["program"], key) for key in task["keys"]]
            yield np.array(off, np.float64).tobytes()


def _cents_off(synth: fluidsynth.Synth, program: int, key: int) -> float:
    """NaN where no pitch is heard."""
    wave = soundfont.render_wave(synth, _CONFIG, program, key, VELOCITY)
    peak = np.max(np.abs(wave))
    if not 0.0 < peak < math.inf:
        return math.nan
    # The search spans more than any key: of a tone an octave or two above its key, a search around
    # the key would find every second or fourth period, and call that the pitch.
    lowest = min(_CONFIG.min_pitch, key) - pitch_tracking.SEARCH_MARGIN
    highest = float(pitch_tracking.hz_to_midi(_HIGHEST * _CONFIG.sample_rate))
    heard = pitch_tracking.track_pitch(wave / peak, _CONFIG.sample_rate, lowest, highest)
    return float(pitch_tracking.cents_off(heard, key))
