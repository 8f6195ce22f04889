"""What a run will do and cost, as text: `--dry_run`. Nothing is built or loaded."""

from gansynth_tf import costs
from gansynth_tf.callbacks import duration
from gansynth_tf.experiment import Experiment
from gansynth_tf.model import PitchVocabulary


def describe(experiment: Experiment) -> str:
    """The resolved settings and what each stage costs."""
    lines = [f"--{name}={value}" for name, value in sorted(experiment.values.items())]
    pitches = range(experiment.data.min_pitch, experiment.data.max_pitch + 1)
    vocabulary = PitchVocabulary(tuple(pitches), (1,) * len(pitches))
    networks = experiment.model_config(vocabulary).networks
    lines += [
        "",
        "stage kind        frames x bins  batch  ends at images  G params  D params"
        "  GFLOP/image  memory MB",
    ]
    limit = experiment.schedule.train_time_limit
    for stage in experiment.schedule.stages():
        time, freq = experiment.resolutions.resolution(stage.num_blocks)
        cost = costs.stage_cost(networks, stage.num_blocks, stage.batch_size)
        end = f"{stage.end_image:,}"
        if limit is not None:
            end = duration(experiment.schedule.stage_end_times()[stage.index])
        lines.append(
            f"{stage.index:5} {stage.kind:10} {time:6} x {freq:<6} {stage.batch_size:6}"
            f" {end:>15} {cost.generator_parameters:9,} {cost.discriminator_parameters:9,}"
            f" {cost.iteration_operations / 1e9:12.3f} {cost.memory_bytes / 1e6:10,.0f}"
        )
    return "\n".join(lines)
