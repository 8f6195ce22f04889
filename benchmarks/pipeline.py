"""Notes a second from waves in memory to batches of specgrams, by block, with and without cache.

python -m benchmarks.pipeline --config=mel_if_hires
"""

import itertools

import numpy as np
from absl import flags

from benchmarks import command
from benchmarks.measuring import copy_rate, seconds, show
from gansynth_tf.data import pipeline
from gansynth_tf.data.pipeline import Notes, PipelineConfig
from gansynth_tf.experiment import Experiment

COLUMNS = ["blocks", "size", "no cache notes/s", "memory notes/s", "times full size", "of a copy"]
NOTES, BATCH_CALLS = 64, 8


def _rate(notes: Notes, experiment: Experiment, index: int, cache: str, least: float) -> float:
    config = experiment.planned_model_config()
    stage = experiment.schedule.stages()[index]
    labels = np.zeros(len(notes), np.int32)
    batches = iter(
        pipeline.stage_batches(
            notes,
            labels,
            config.codec,
            config.networks,
            config.normalizer.by_frequency,
            stage,
            PipelineConfig(cache=cache),
            seed=0,
            first_image=0,
        )
    )
    taken = seconds(lambda: list(itertools.islice(batches, BATCH_CALLS)), least)
    return BATCH_CALLS * stage.batch_size / taken


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Measures each stable stage and shows them."""
    codec, resolutions = experiment.codec, experiment.resolutions
    rng = np.random.default_rng(0)
    waves = rng.normal(0.0, 0.1, [NOTES, codec.audio_length]).astype(np.float32)
    notes = Notes(waves, np.full(NOTES, experiment.data.min_pitch))
    last = experiment.schedule.total_num_stages - 1
    full = _rate(notes, experiment, last, "none", values.seconds)
    copy = copy_rate()
    rows = []
    for block in range(1, resolutions.num_resolutions + 1):
        plain, cached = (
            _rate(notes, experiment, 2 * (block - 1), cache, values.seconds)
            for cache in ("none", "memory")
        )
        size = resolutions.resolution(block)
        specgram_bytes = 2 * 4 * 2 * size[0] * size[1]  # read and written
        numbers = [plain, cached, cached / full, cached * specgram_bytes / copy]
        row = [block, f"{size[0]}x{size[1]}", *numbers]
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    show(command.title("pipeline", experiment), COLUMNS, rows)


if __name__ == "__main__":
    command.main("benchmarks.pipeline", __doc__, run)
