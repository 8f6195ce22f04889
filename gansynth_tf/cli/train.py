"""gansynth_train: train a model by stages."""

import pathlib
import signal
import sys

from absl import flags

from gansynth_tf.cli.command import FAILED, INTERRUPTED, OUTPUT_CLOSED, check_folder, run_command
from gansynth_tf.cli.narrator import Narrator
from gansynth_tf.interruption import STOPPED


def define(values: flags.FlagValues) -> None:
    """Every flag of the command."""
    from gansynth_tf import config

    config.define_experiment_flags(values)
    flags.DEFINE_string("config", None, "Name of a shipped flagfile.", flag_values=values)
    flags.DEFINE_string("run_dir", None, "Folder of the run; made if needed.", flag_values=values)
    flags.DEFINE_boolean("dry_run", False, "Prints what would be done.", flag_values=values)


def train(values: flags.FlagValues) -> int:
    """Trains as the flags say; returns an exit code."""
    from gansynth_tf import callbacks, config, plan
    from gansynth_tf.data import sources
    from gansynth_tf.distribution import DistributionError, PeerLostError
    from gansynth_tf.training import CHECKPOINT_FOLDER, NonFiniteLossError, Trainer

    if not values.run_dir and not values.dry_run:
        raise config.UserError("--run_dir=DIR is needed: the folder of the run.")
    run_dir = pathlib.Path(values.run_dir or ".")
    given = config.given_values(values)
    resolved = given
    if values.run_dir:
        folders = (CHECKPOINT_FOLDER, callbacks.SAMPLE_FOLDER, callbacks.TENSORBOARD_FOLDER)
        check_folder("run_dir", values.run_dir, *folders, is_written=not values.dry_run)
        if (run_dir / callbacks.LOG_FILE).is_dir():
            raise config.UserError(
                f"{run_dir / callbacks.LOG_FILE} must be a file: it is a folder."
            )
        resolved = config.resolve(given, run_dir)
    experiment = config.make_experiment(resolved)
    if values.dry_run:
        print(plan.describe(experiment))
        return 0
    if not experiment.data.is_embedded:
        try:  # before anything is begun that another data set would contradict
            sources.find_folder(experiment.data)
        except sources.DataError as error:
            raise config.UserError(str(error)) from error
    narrator = Narrator()
    try:
        trainer = Trainer(experiment, run_dir, narrator.say)
        narrator.ask_to_stop = trainer.ask_to_stop
        with trainer.holding_folder():
            before = config.read_settings(run_dir)
            writes = before != experiment.values and trainer.cluster.is_chief
            if writes:
                config.write_settings(run_dir, experiment.values)
            try:
                outcome = trainer.run()
            except (sources.DataError, DistributionError):
                if writes:  # or the same refusal would meet every later command
                    config.restore_settings(run_dir, before)
                raise
    except (sources.DataError, DistributionError) as error:
        raise config.UserError(str(error)) from error
    except PeerLostError as error:
        print(f"gansynth_train: {error}", file=sys.stderr)
        return STOPPED
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
        return INTERRUPTED if outcome.signal == signal.SIGINT else STOPPED
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command("gansynth_train", __doc__, define, train, arguments)


def run() -> None:
    """Console entry point."""
    sys.exit(main())
