"""Notes a second from stored records to batches of specgrams, by block, with and without caches.

"dense" is the full-size pipeline with the original's steps of encoding, in the same run.

    python -m benchmarks.pipeline --config=mel_if_hires --cores=1
"""

import itertools
import os
import pathlib
import tempfile
from collections.abc import Callable

import numpy as np
from absl import flags

from benchmarks import command
from benchmarks.codec import OriginalSteps
from benchmarks.measuring import copy_rate, seconds, show
from gansynth_tf.data import pipeline
from gansynth_tf.data.note_reader import open_folder
from gansynth_tf.data.note_writer import writing_notes
from gansynth_tf.data.notes import Notes
from gansynth_tf.data.pipeline import PipelineConfig
from gansynth_tf.data.schema import QUALITIES, Note
from gansynth_tf.experiment import Experiment
from gansynth_tf.networks import StageEncoder
from gansynth_tf.schedule import Stage

COLUMNS = [
    *("blocks", "size", "no cache notes/s", "memory notes/s", "disk notes/s"),
    *("times full size", "times dense", "of a copy"),
]
NOTES, BATCH_CALLS = 64, 8


def _store(folder: str, experiment: Experiment) -> Notes:
    """Noise, as a data set on disk."""
    codec = experiment.codec
    rng = np.random.default_rng(0)
    with writing_notes(folder, codec.sample_rate, codec.audio_length, "Noise.", {}) as writer:
        for number in range(NOTES):
            audio = rng.normal(0.0, 0.1, codec.audio_length).astype(np.float32)
            qualities = dict.fromkeys(QUALITIES, False)
            label, pitch = "noise", experiment.data.min_pitch
            writer.write(Note(f"noise-{number}", audio, pitch, 100, label, None, None, qualities))
    return open_folder(folder).notes()


def _rate(
    notes: Notes, encoder: Callable, stage: Stage, cache: str, folder: str, least: float
) -> float:
    config = PipelineConfig(cache, cache_dir=folder if cache == "disk" else "")
    labels = np.zeros(len(notes), np.int32)
    batches = iter(pipeline.stage_batches(notes, labels, encoder, stage, config, 0, 0))
    taken = seconds(lambda: list(itertools.islice(batches, BATCH_CALLS)), least)
    return BATCH_CALLS * stage.batch_size / taken


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Measures each stable stage and shows them."""
    # Before the first operation, whose threads inherit it.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: values.cores])
    with tempfile.TemporaryDirectory() as folder:
        _measure(experiment, folder, values.seconds)
    print(f"{values.cores} cores")


def _measure(experiment: Experiment, folder: str, least: float) -> None:
    notes = _store(folder, experiment)
    config, resolutions = experiment.planned_model_config(), experiment.resolutions
    stages = experiment.schedule.stages()

    def encoder(stage: Stage) -> StageEncoder:
        by_frequency = config.normalizer.by_frequency
        return StageEncoder(config.codec, config.networks, stage.num_blocks, by_frequency)

    def rate(encode: Callable, stage: Stage, cache: str = "none") -> float:
        return _rate(notes, encode, stage, cache, str(pathlib.Path(folder, "cache")), least)

    last = stages[-1]
    full = rate(encoder(last), last)
    dense = np.nan
    if config.codec.representation == "mel":
        dense = rate(OriginalSteps(config.codec).waves_to_specgrams, last)
        print(f"dense: {dense:.3g} notes/s")
    copy = copy_rate()
    rows = []
    for block in range(1, resolutions.num_resolutions + 1):
        stage = next((s for s in stages if s.num_blocks == block), None)
        if stage is None:
            continue
        plain, memory, disk = (rate(encoder(stage), stage, cache) for cache in pipeline.CACHES)
        size = resolutions.resolution(block)
        specgram_bytes = 2 * 4 * 2 * size[0] * size[1]  # read and written
        numbers = [
            plain,
            memory,
            disk,
            memory / full,
            plain / dense,
            memory * specgram_bytes / copy,
        ]
        row = [block, f"{size[0]}x{size[1]}", *numbers]
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    show(command.title("pipeline", experiment), COLUMNS, rows)


def _define(values: flags.FlagValues) -> None:
    cores = len(os.sched_getaffinity(0))
    flags.DEFINE_integer("cores", cores, "Cores to use.", 1, cores, flag_values=values)


if __name__ == "__main__":
    command.main("benchmarks.pipeline", __doc__, run, _define)
