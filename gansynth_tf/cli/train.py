"""gansynth_train: train a model by stages."""

import pathlib
import signal
import sys

from absl import flags

from gansynth_tf.cli.command import (
    FAILED,
    OUTPUT_CLOSED,
    check_folder,
    close_output,
    run_command,
)

INTERRUPTED = {2: 130, 15: 143}


def define(values):
    """Every flag of the command."""
    from gansynth_tf import config

    config.define_experiment_flags(values)
    flags.DEFINE_string("config", None, "Name of a shipped flagfile.", flag_values=values)
    flags.DEFINE_string("run_dir", None, "Folder of the run; made if needed.", flag_values=values)
    flags.DEFINE_boolean("dry_run", False, "Prints what would be done.", flag_values=values)


def train(values) -> int:
    """Trains as the flags say; returns an exit code."""
    from gansynth_tf import config
    from gansynth_tf.training import CHECKPOINT_FOLDER, NonFiniteLossError, Trainer

    if not values.run_dir and not values.dry_run:
        raise config.UserError("--run_dir=DIR is needed: the folder of the run.")
    run_dir = pathlib.Path(values.run_dir or ".")
    given = config.given_values(values)
    resolved = given
    if values.run_dir:
        check_folder("run_dir", values.run_dir, CHECKPOINT_FOLDER)
        resolved = config.resolve(given, run_dir)
    experiment = config.make_experiment(resolved)
    if values.dry_run:
        print(describe(experiment))
        return 0
    if config.read_settings(run_dir) != experiment.values:
        config.write_settings(run_dir, experiment.values)
    narrator = Narrator()
    try:
        outcome = Trainer(experiment, run_dir, narrator.say).run()
    except NonFiniteLossError as error:
        print(f"gansynth_train: {error}", file=sys.stderr)
        return FAILED
    if narrator.is_unheard:
        print(
            "gansynth_train: nobody reads the output any more: stopped and saved. The same "
            "command goes on from here.",
            file=sys.stderr,
        )
        return OUTPUT_CLOSED
    if outcome.was_finished:
        print(f"The run in {run_dir} is finished: {outcome.state.images:,} images.")
    if outcome.signal is not None:
        saved = "Interrupted and saved. The same command goes on from here."
        print(saved if outcome.state.images else "Interrupted before the first step.")
        return INTERRUPTED[outcome.signal]
    return 0


def describe(experiment) -> str:
    """The resolved settings and what each stage costs, as text."""
    from gansynth_tf import costs
    from gansynth_tf.callbacks import duration
    from gansynth_tf.model import PitchVocabulary

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


class Narrator:
    """Prints how the run goes; where nobody reads it any more, has the run saved and ended.

    As other commands do (`gansynth_train ... | head -1`), but not in the middle of a step.
    """

    def __init__(self):
        self.is_unheard = False

    def say(self, text: str) -> None:
        """Prints a line at once.

        Raises:
          BrokenPipeError: nobody reads, and there is no run yet that could be asked to end.
        """
        try:
            print(text, flush=True)
        except BrokenPipeError:
            if signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, signal.SIG_IGN, None):
                raise
            self.is_unheard = True
            close_output()
            signal.raise_signal(signal.SIGTERM)  # what asks the trainer to stop and save


def main(arguments=None) -> int:
    """Runs the command; returns its exit code."""
    return run_command("gansynth_train", __doc__, define, train, arguments)


def run():
    """Console entry point."""
    sys.exit(main())
