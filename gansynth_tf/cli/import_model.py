"""gansynth_import: a folder of the original (Magenta's GANSynth) -> a run to go on training.

To play one, or to export it, nothing need be imported: --model of the other commands takes it.
"""

import pathlib
import sys

from absl import flags

from gansynth_tf.cli.command import check_folder, run_command


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "model",
        None,
        "Folder of the original, with experiment.json and stage_NNNNN/; its last stage is taken.",
        flag_values=values,
    )
    flags.DEFINE_string("run_dir", None, "Folder for the run: a new one.", flag_values=values)
    flags.DEFINE_integer(
        "total_num_images",
        None,
        "Images at which the run shall end; as the original's flags say if not given.",
        lower_bound=1,
        flag_values=values,
    )


def _import(values: flags.FlagValues) -> int:
    from gansynth_tf import magenta_import
    from gansynth_tf.checkpoint import CheckpointError
    from gansynth_tf.config import UserError

    for name in ("model", "run_dir"):
        if not values[name].value:
            raise UserError(f"--{name}=DIR is needed.")
    if not magenta_import.is_original(values.model):
        raise UserError(
            f"--model={values.model} is no folder of the original: {magenta_import.FLAGS_FILE} and "
            f"stage_NNNNN/ were expected in it."
        )
    check_folder("run_dir", values.run_dir, is_written=True)
    run_dir = pathlib.Path(values.run_dir)
    try:
        path = magenta_import.import_run(values.model, run_dir, values.total_num_images)
    except CheckpointError as error:
        raise UserError(f"--model={values.model}: {error}") from error
    except FileExistsError as error:
        raise UserError(f"--run_dir={run_dir}: {error}") from error
    except ValueError as error:
        raise UserError(f"--{error}") from error
    print(
        f"{path} is written. gansynth_train --run_dir={run_dir} goes on from it: its notes, of MIDI "
        f"pitches {magenta_import.PITCHES[0]}-{magenta_import.PITCHES[-1]}, are those of "
        f"--train_data_path."
    )
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command("gansynth_import", __doc__, _define, _import, arguments)


def run() -> None:
    """Console entry point."""
    sys.exit(main())
