"""What a run will do and cost, as text: `--dry_run`. Nothing is built or loaded."""

import math

from gansynth_tf import costs
from gansynth_tf.callbacks import duration
from gansynth_tf.data import sources
from gansynth_tf.experiment import Experiment
from gansynth_tf.networks import CHANNELS

BASE_BYTES = 800e6  # the package imported, its graphs traced


def describe(experiment: Experiment) -> str:
    """The resolved settings and what each stage costs."""
    lines = [f"--{name}={value}" for name, value in sorted(experiment.values.items())]
    networks = experiment.planned_model_config().networks
    lines += [
        "",
        "stage kind        frames x bins  batch  ends at images  G params  D params"
        "  GFLOP/image    step MB",
    ]
    step_bytes = []
    limit = experiment.schedule.train_time_limit
    for stage in experiment.schedule.stages():
        time, freq = experiment.resolutions.resolution(stage.num_blocks)
        cost = costs.stage_cost(
            networks, stage.num_blocks, stage.batch_size, experiment.normalizer.by_frequency
        )
        step_bytes.append(cost.memory_bytes)
        end = f"{stage.end_image:,}"
        if limit is not None:
            end = duration(experiment.schedule.stage_end_times()[stage.index])
        lines.append(
            f"{stage.index:5} {stage.kind:10} {time:6} x {freq:<6} {stage.batch_size:6}"
            f" {end:>15} {cost.generator_parameters:9,} {cost.discriminator_parameters:9,}"
            f" {cost.iteration_operations / 1e9:12.3f} {cost.memory_bytes / 1e6:10,.0f}"
        )
    codec, data = experiment.codec, experiment.data
    num_notes = sources.synth_config(data, codec.sample_rate, codec.audio_length).num_notes
    notes_bytes = costs.FLOAT_BYTES * num_notes * codec.audio_length
    cached = f"{notes_bytes / 1e6:,.0f} MB for {num_notes:,} notes"
    if experiment.pipeline.cache == "memory":
        cells = math.prod(experiment.resolutions.final_resolution) * CHANNELS
        # Once as arrays while they are encoded, once as the store.
        cache_bytes = 2 * costs.FLOAT_BYTES * num_notes * cells
        notes_bytes += cache_bytes
        cached += f", {cache_bytes / 1e6:,.0f} MB for them encoded at full size"
    total = max(step_bytes) + notes_bytes + BASE_BYTES
    lines += [
        "",
        f"Expected memory: {total / 1e6:,.0f} MB: the largest step's, {cached}, "
        f"{BASE_BYTES / 1e6:,.0f} MB for TensorFlow itself.",
    ]
    return "\n".join(lines)
