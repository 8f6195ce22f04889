"""The flags of every benchmark: those of gansynth_train, and how long to measure."""

import math
import sys
from collections.abc import Callable

from absl import flags

from gansynth_tf import config
from gansynth_tf.cli.command import run_command
from gansynth_tf.experiment import Experiment


def main(
    name: str,
    description: str,
    body: Callable[[Experiment, flags.FlagValues], None],
    define: Callable[[flags.FlagValues], None] = lambda _: None,
) -> None:
    """Command line of one benchmark; ``body`` measures and shows."""

    def define_all(values: flags.FlagValues) -> None:
        config.define_experiment_flags(values)
        flags.DEFINE_string("config", None, "Name of a shipped flagfile.", flag_values=values)
        flags.DEFINE_float(
            "seconds",
            2.0,
            "To measure each thing, at least.",
            lower_bound=0.0,
            upper_bound=3600.0,
            flag_values=values,
        )
        define(values)

    def run(values: flags.FlagValues) -> None:
        if math.isnan(values.seconds):  # which is below no bound, nor above one
            raise config.UserError("--seconds must be a number from 0 to 3600, not nan.")
        body(config.make_experiment(config.given_values(values)), values)

    sys.exit(run_command(name, description, define_all, run))


def whole_numbers(name: str, entries: list[str], low: int, high: int) -> list[int]:
    """A list flag's value as numbers.

    Raises:
      UserError: an entry is none, or not from ``low`` to ``high``.
    """
    numbers = [int(entry) for entry in entries if entry.isdecimal()]
    if len(numbers) != len(entries) or not all(low <= number <= high for number in numbers):
        raise config.UserError(
            f"--{name} must be whole numbers from {low} to {high} such as {low},{high}, "
            f"not {','.join(entries)!r}."
        )
    return numbers


def title(name: str, experiment: Experiment) -> str:
    """What was measured, on what, for the head of a table."""
    time, freq = experiment.resolutions.final_resolution
    precision = experiment.execution.precision
    return f"{name} {experiment.codec.representation} {time}x{freq} {precision}"
