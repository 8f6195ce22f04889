"""How a run would grow with GPUs and hosts: a model, not a measurement.

A step takes what its products take at the rate that one device reaches, plus a fixed time, plus
what it takes to sum gradients over the devices: a ring passes every byte twice, but for a share,
over its slowest link. Parameters and operations are counted from shapes.

    python -m benchmarks.scaling --config=mel_if_hires --tflops=0.17 --fixed_ms=10
"""

from absl import flags

from benchmarks import command
from benchmarks.measuring import show
from gansynth_tf import costs
from gansynth_tf.experiment import Experiment
from gansynth_tf.schedule import Stage

COLUMNS = ["devices", "hosts", "batch", "first", "middle", "last", "sums", "days", "device days"]
DEVICES_OF_A_HOST = 8
DAY = 86400.0


def step_seconds(
    cost: costs.StageCost, local_batch: int, devices: int, values: flags.FlagValues
) -> tuple[float, float]:
    """Seconds of a step, and how many of them go into summing gradients."""
    product_seconds = local_batch * cost.iteration_operations / (values.tflops * 1e12)
    parameters = cost.generator_parameters + cost.discriminator_parameters
    passed = 2 * (devices - 1) / devices * costs.FLOAT_BYTES * parameters
    link = values.host_gbits if devices <= DEVICES_OF_A_HOST else values.network_gbits
    sum_seconds = 8 * passed / (link * 1e9)
    return product_seconds + values.fixed_ms / 1e3 + sum_seconds, sum_seconds


def row(
    experiment: Experiment, devices: int, is_weak: bool, values: flags.FlagValues
) -> dict[str, object]:
    """The whole schedule on so many devices; ``is_weak``: the batch grows with them."""
    networks = experiment.planned_model_config().networks
    by_frequency = experiment.normalizer.by_frequency
    stages, speeds, total, sums, end = experiment.schedule.stages(), [], 0.0, 0.0, 0
    for stage in stages:
        batch = _batch(stage, devices, is_weak)
        cost = costs.stage_cost(networks, stage.num_blocks, batch, by_frequency)
        taken, summing = step_seconds(cost, batch // devices, devices, values)
        steps = (stage.end_image - end) / batch
        total, sums, end = total + steps * taken, sums + steps * summing, stage.end_image
        speeds.append(batch / taken)
    hosts = -(-devices // DEVICES_OF_A_HOST)
    batch = _batch(stages[-1], devices, is_weak)
    shown = [speeds[0], speeds[len(speeds) // 2], speeds[-1], f"{sums / total:.0%}"]
    cells = [devices, hosts, batch, *shown, total / DAY, devices * total / DAY]
    return dict(zip(COLUMNS, cells, strict=True))


def _batch(stage: Stage, devices: int, is_weak: bool) -> int:
    return stage.batch_size * devices if is_weak else stage.batch_size


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Shows the batch as configured, and grown with the devices."""
    counts = command.whole_numbers("devices", values.devices, 1, 100_000)
    smallest = min(stage.batch_size for stage in experiment.schedule.stages())
    shared = [count for count in counts if smallest % count == 0]
    rows = [row(experiment, count, False, values) for count in shared]
    show(command.title("scaling (a model), batch as configured", experiment), COLUMNS, rows)
    rows = [row(experiment, count, True, values) for count in counts]
    show(command.title("scaling (a model), batch for each device", experiment), COLUMNS, rows)


def _define(values: flags.FlagValues) -> None:
    def number(name: str, default: float, text: str) -> None:
        flags.DEFINE_float(name, default, text, lower_bound=1e-6, flag_values=values)

    flags.DEFINE_list("devices", ["1", "8", "32"], "Numbers of devices.", flag_values=values)
    number("tflops", 10.0, "What one device reaches, in 1e12 operations a second.")
    number("fixed_ms", 10.0, "Milliseconds of a step that do not depend on its images.")
    number("host_gbits", 2400.0, "Gigabits a second between devices of a host.")
    number("network_gbits", 25.0, "Gigabits a second between hosts.")


if __name__ == "__main__":
    command.main("benchmarks.scaling", __doc__, run, _define)
