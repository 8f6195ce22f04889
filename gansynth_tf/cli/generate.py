"""gansynth_generate: play a trained model."""

import pathlib
import sys

from absl import flags

from gansynth_tf.cli.command import check_folder, run_command
from gansynth_tf.wording import counted


def _define(values: flags.FlagValues):
    flags.DEFINE_string(
        "model",
        None,
        "Trained model: a run folder, a checkpoint's file, or an export.",
        flag_values=values,
    )
    flags.DEFINE_string("output_dir", None, "Folder for the notes.", flag_values=values)
    flags.DEFINE_list("pitches", None, "MIDI pitches, such as 60,64,67.", flag_values=values)
    flags.DEFINE_integer(
        "count", 8, "Notes of each pitch.", lower_bound=1, upper_bound=10_000, flag_values=values
    )
    flags.DEFINE_boolean(
        "interpolate",
        False,
        "Go from one timbre over to another in --count notes (default pitch: the middle one).",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "seed", 1, "Draws the timbres.", lower_bound=0, upper_bound=2**31 - 1, flag_values=values
    )


def _generate(values: flags.FlagValues) -> int:
    from gansynth_tf import generation
    from gansynth_tf.checkpoint import CheckpointError
    from gansynth_tf.config import UserError
    from gansynth_tf.loading import load

    for name in ("model", "output_dir"):
        if not values[name].value:
            raise UserError(f"--{name}=DIR is needed.")
    if not values.pitches and not values.interpolate:
        raise UserError("--pitches=60,64,67 or --interpolate is needed: what to play.")
    pitches = _pitches(values.pitches)
    check_folder("output_dir", values.output_dir, is_written=True)
    try:
        instrument = load(values.model)
        pitches = pitches or [instrument.pitches[len(instrument.pitches) // 2]]
        try:
            instrument.vocabulary.labels(pitches)
        except ValueError as error:
            raise UserError(f"--pitches: {error}") from error
        _check_memory(values.count, len(pitches), generation.most_notes(instrument))
        choose = generation.interpolation if values.interpolate else generation.notes_of_pitches
        latents, pitches = choose(instrument, pitches, values.count, values.seed)
        files = generation.write_notes(
            instrument, pathlib.Path(values.output_dir), latents, pitches, values.seed
        )
    except CheckpointError as error:
        raise UserError(f"--model={values.model}: {error}") from error
    except IsADirectoryError as error:
        raise UserError(
            f"--output_dir={values.output_dir}: {error.filename} {error.strerror}."
        ) from error
    print(f"{counted(len(files), 'note')} of {instrument.description} in {values.output_dir}.")
    return 0


def _check_memory(count: int, num_pitches: int, most: int) -> None:
    from gansynth_tf.config import UserError

    if count * num_pitches > most:
        fitting = most // num_pitches
        remedy = f"--count={fitting} at most, or fewer --pitches" if fitting else "fewer --pitches"
        raise UserError(
            f"--count={count} notes of each of {num_pitches} pitches are too many for one set: "
            f"{remedy}."
        )


def _pitches(entries: list[str] | None) -> list[int]:
    from gansynth_tf.config import UserError

    try:
        return [int(entry) for entry in entries or ()]
    except ValueError:
        raise UserError(
            f"--pitches must be MIDI numbers such as 60,64,67, not {','.join(entries)!r}."
        ) from None


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command("gansynth_generate", __doc__, _define, _generate, arguments)


def run() -> None:
    """Console entry point."""
    sys.exit(main())
