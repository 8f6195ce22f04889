"""Seconds of a training iteration, stage by stage, beside the ceiling of its convolutions.

The ceiling is what the iteration would take if every product that it needs (costs.stage_cost) ran
at the rate of a bare forward convolution of the same size, measured in the same run.

    python -m benchmarks.step --config=mel_if_hires --stages=0,2,4
"""

import resource
from collections.abc import Callable

import tensorflow as tf
from absl import flags

from benchmarks import command
from benchmarks.measuring import convolution_rate, seconds, show
from gansynth_tf import costs
from gansynth_tf.config import UserError
from gansynth_tf.distribution import distribute_batches
from gansynth_tf.execution import ExecutionConfig, StepFunction
from gansynth_tf.experiment import Experiment
from gansynth_tf.model import GANSynth
from gansynth_tf.networks import NetworkConfig
from gansynth_tf.schedule import Stage

COLUMNS = ["stage", "size", "GFLOP", "s", "images/s", "ceiling s", "share", "peak MB"]
# How often a forward pass of each network is worth being counted in an iteration.
GENERATOR_PASSES, DISCRIMINATOR_PASSES = 4, 14


def ceiling_seconds(networks: NetworkConfig, num_blocks: int, batch: int) -> float:
    """What the products of an iteration take at the rate of bare convolutions."""
    total = 0.0
    for passes, layers in (
        (GENERATOR_PASSES, costs.generator_layers(networks, num_blocks)),
        (DISCRIMINATOR_PASSES, costs.discriminator_layers(networks, num_blocks)),
    ):
        for layer in layers:
            total += passes * layer.operations * batch / convolution_rate(layer, batch)
    return total


def make_model(experiment: Experiment) -> GANSynth:
    """The experiment's networks with their first weights, for the strategy in whose scope it is."""
    config = experiment.planned_model_config()
    if config.normalizer.data_normalizer == "specgrams_freq_normalizer":
        raise UserError(
            "--data_normalizer=specgrams_freq_normalizer needs notes to be fitted on: benchmarks "
            "take the others."
        )
    experiment.execution.set_up()
    return GANSynth(
        config,
        experiment.losses,
        experiment.optimizer,
        config.normalizer.prespecified(),  # one by channel, which a run would fit, costs the same
        image_type=experiment.execution.image_type,
    )


def step_function(
    model: GANSynth, stage: Stage, execution: ExecutionConfig
) -> Callable[[], object]:
    """An execution of the stage on noise, as the trainer's, by the strategy in whose scope it is."""
    strategy = tf.distribute.get_strategy()
    networks, batch = model.config.networks, stage.batch_size
    model.begin_stage(stage)
    data = {
        "specgrams": tf.random.normal(
            [batch, *networks.resolutions.resolution(stage.num_blocks), 2]
        ),
        "labels": tf.zeros([batch], tf.int32),
    }
    batches = distribute_batches(strategy, lambda _: tf.data.Dataset.from_tensors(data).repeat())
    take_steps = StepFunction(model, strategy, execution)
    return lambda: take_steps(batches, 0, [0.5] * execution.steps_per_execution)


def measure(model: GANSynth, stage: Stage, least: float, execution: ExecutionConfig) -> dict:
    """One row: the stage's iteration and its ceiling."""
    networks, batch = model.config.networks, stage.batch_size
    size = networks.resolutions.resolution(stage.num_blocks)
    step = step_function(model, stage, execution)
    taken = seconds(step, least) / execution.steps_per_execution
    # Before the ceiling is measured, whose images are no smaller.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    ceiling = ceiling_seconds(networks, stage.num_blocks, batch)
    cost = costs.stage_cost(networks, stage.num_blocks, batch)
    values = [
        stage.index,
        f"{size[0]}x{size[1]}",
        cost.iteration_operations * batch / 1e9,
        taken,
        batch / taken,
        ceiling,
        ceiling / taken,
        peak,
    ]
    return dict(zip(COLUMNS, values, strict=True))


def wanted_stages(experiment: Experiment, values: flags.FlagValues) -> list[Stage]:
    """The stages that --stages names, or all.

    Raises:
      UserError: there is no such stage.
    """
    stages = experiment.schedule.stages()
    if values.stages is None:
        return stages
    wanted = command.whole_numbers("stages", values.stages, 0, len(stages) - 1)
    return [stages[index] for index in wanted]


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Measures the chosen stages and shows them."""
    stages = wanted_stages(experiment, values)
    model = make_model(experiment)
    rows = [measure(model, stage, values.seconds, experiment.execution) for stage in stages]
    show(command.title("step", experiment), COLUMNS, rows)


def define_stages(values: flags.FlagValues) -> None:
    """--stages."""
    flags.DEFINE_list("stages", None, "Stages to measure; default: all.", flag_values=values)


if __name__ == "__main__":
    command.main("benchmarks.step", __doc__, run, define_stages)
