"""How notes are best stored: bytes a note, and notes a second back to waves, on one core.

"records" are float32 as TensorFlow Datasets stores them, read by their place in the file; "parsed"
are the same through TensorFlow's parser; FLAC is decoded by libsndfile.

    python -m benchmarks.storage --config=mel_if_hires
"""

import io
import os
import tempfile

import numpy as np
import soundfile
import tensorflow as tf
from absl import flags

from benchmarks import command
from benchmarks.measuring import seconds, show
from gansynth_tf.data import synth
from gansynth_tf.data.note_reader import open_folder
from gansynth_tf.data.note_writer import note_features, writing_notes
from gansynth_tf.experiment import Experiment

COLUMNS = ["storage", "bytes/note", "notes/s"]


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Measures each way on embedded notes, two of each family, and shows them."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    codec = experiment.codec
    rate, length = codec.sample_rate, codec.audio_length
    config = synth.SynthConfig(
        rate, length, min_pitch=60, max_pitch=61, instruments_per_family=1, velocities=(100,)
    )
    notes = list(synth.iterate_notes(config))
    rows = []

    def measure(name: str, size: float, read: object) -> None:
        row = [name, round(size / len(notes)), len(notes) / seconds(read, values.seconds)]
        rows.append(dict(zip(COLUMNS, row, strict=True)))

    with tempfile.TemporaryDirectory() as folder:
        with writing_notes(folder, rate, length, "Embedded notes.", {}) as writer:
            for note in notes:
                writer.write(note)
        opened = open_folder(folder)
        size = sum(os.path.getsize(shard) for shard in opened.shards)
        measure("records", size, opened.notes().waves)
        features = note_features(rate, length, 1)
        records = list(tf.data.TFRecordDataset(opened.shards))
        parse = tf.function(lambda record: features.deserialize_example(record)["audio"])
        measure("parsed", size, lambda: [parse(record) for record in records])
    for subtype in ("PCM_16", "PCM_24"):
        files = []
        for note in notes:
            file = io.BytesIO()
            soundfile.write(file, np.clip(note.audio, -1, 1), rate, subtype, format="FLAC")
            files.append(file.getvalue())
        measure(
            f"FLAC {subtype}",
            sum(map(len, files)),
            lambda files=files: [soundfile.read(io.BytesIO(f), dtype="float32") for f in files],
        )
    show(command.title("storage", experiment), COLUMNS, rows)


if __name__ == "__main__":
    command.main("benchmarks.storage", __doc__, run)
