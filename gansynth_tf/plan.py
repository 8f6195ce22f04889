"""What a run will do and cost, as text: `--dry_run`. No network is built, no note loaded."""

import math

from gansynth_tf import costs
from gansynth_tf.callbacks import duration
from gansynth_tf.data import sources
from gansynth_tf.data.note_table import NoteFilter
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
    return "\n".join([*lines, "", *_notes_and_memory(experiment, max(step_bytes))])


def _notes_and_memory(experiment: Experiment, step_bytes: float) -> list[str]:
    """What notes there are, and the memory and disk that they and the largest step take."""
    codec, data, cache = experiment.codec, experiment.data, experiment.pipeline.cache
    lines, parts = [], {"the largest step's": step_bytes, "for TensorFlow itself": BASE_BYTES}
    if data.is_embedded:
        num_notes = sources.synth_config(data, codec.sample_rate, codec.audio_length).num_notes
        parts[f"for {num_notes:,} embedded notes"] = (
            costs.FLOAT_BYTES * num_notes * codec.audio_length
        )
    else:
        try:
            num_notes = sources.count_stored(data)
        except sources.DataError as error:
            lines.append(f"Notes: not known. {error}")
            num_notes = 0
        else:
            is_whole = data.split == "all" or data.split_scheme == "paper"
            split = "all splits" if is_whole else f"split {data.split}"
            choice = "the paper's split and filters" if data.split_scheme == "paper" else "filters"
            lines.append(f"Notes: {num_notes:,} of {split}, before {choice}; read from disk.")
    encoded = costs.FLOAT_BYTES * num_notes * CHANNELS
    encoded *= math.prod(experiment.resolutions.final_resolution)
    unfiltered = NoteFilter(
        data.min_pitch, data.max_pitch, without_instruments=data.without_instruments
    )
    is_filtered = not data.is_embedded or data.note_filter != unfiltered
    kind = "encoded at full size" + (", before filters" if is_filtered else "")
    if cache == "memory":
        parts[f"for them {kind}"] = encoded
    elif cache == "disk":
        lines.append(f"Expected disk: {encoded / 1e6:,.0f} MB for notes {kind}.")
    told = ", ".join(f"{size / 1e6:,.0f} MB {what}" for what, size in parts.items())
    return [*lines, f"Expected memory: {sum(parts.values()) / 1e6:,.0f} MB: {told}."]
