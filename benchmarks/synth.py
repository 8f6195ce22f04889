"""Embedded notes rendered a second on one core, by family.

python -m benchmarks.synth --config=mel_if_hires
"""

import itertools
import time

from absl import flags

from benchmarks import command
from benchmarks.measuring import show
from gansynth_tf.data import sources, synth
from gansynth_tf.experiment import Experiment

COLUMNS = ["family", "notes", "notes/s"]
STRIDE = 7  # no divisor of pitches times velocities: every pitch and velocity comes in turn


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Measures every family and all of them, in seconds of one core."""
    codec = experiment.codec
    config = sources.synth_config(experiment.data, codec.sample_rate, codec.audio_length)
    per_family = config.num_notes // len(config.families)
    rows = []
    for number, family in enumerate(config.families):
        first = number * per_family
        synth.note_at(config, first)
        started, taken, done = time.process_time(), 0.0, 0
        for index in itertools.cycle(range(first, first + per_family, STRIDE)):
            if taken >= values.seconds:
                break
            synth.note_at(config, index)
            done += 1
            taken = time.process_time() - started
        rows.append(dict(zip(COLUMNS, [family, done, done / taken], strict=True)))
    each = len(rows) / sum(1 / row["notes/s"] for row in rows)
    rows.append(dict(zip(COLUMNS, ["a note of each", len(rows), each], strict=True)))
    show(command.title("synth", experiment), COLUMNS, rows)


if __name__ == "__main__":
    command.main("benchmarks.synth", __doc__, run)
