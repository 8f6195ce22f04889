"""What TensorFlow's strategies cost where there is one replica: a step with, and without.

The ways take turns, so that what else the machine does meets all of them.

    python -m benchmarks.distribute --config=tiny --stages=0,4
"""

import tensorflow as tf
from absl import flags

from benchmarks import command
from benchmarks.measuring import seconds_in_turn, show
from benchmarks.step import define_stages, make_model, step_function, wanted_stages
from gansynth_tf.execution import ExecutionConfig
from gansynth_tf.experiment import Experiment
from gansynth_tf.schedule import Stage

COLUMNS = ["stage", "size", "batch", "none s", "one_device", "mirrored"]


def strategies() -> dict[str, tf.distribute.Strategy]:
    """No strategy, and those that run one replica on the first device."""
    device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
    return {
        "none": tf.distribute.get_strategy(),
        "one_device": tf.distribute.OneDeviceStrategy(device),
        "mirrored": tf.distribute.MirroredStrategy([device]),
    }


def measure(
    experiment: Experiment, stage: Stage, execution: ExecutionConfig, least: float
) -> dict[str, object]:
    """One row: seconds of a step without a strategy, and how much longer it takes with each."""
    functions = {}
    for name, strategy in strategies().items():
        with strategy.scope():
            step = step_function(make_model(experiment), stage, execution)
        functions[name] = lambda step=step: step().numpy()
    taken = seconds_in_turn(functions, least)
    more = [f"{taken[name] / taken['none'] - 1.0:+.1%}" for name in COLUMNS[4:]]
    size = experiment.resolutions.resolution(stage.num_blocks)
    values = [stage.index, f"{size[0]}x{size[1]}", stage.batch_size, taken["none"], *more]
    return dict(zip(COLUMNS, values, strict=True))


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Measures the chosen stages and shows them."""
    rows = [
        measure(experiment, stage, experiment.execution, values.seconds)
        for stage in wanted_stages(experiment, values)
    ]
    show(command.title("distribute", experiment), COLUMNS, rows)


if __name__ == "__main__":
    command.main("benchmarks.distribute", __doc__, run, define_stages)
