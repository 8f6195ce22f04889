"""gansynth_generate: play a trained model."""

import sys

from absl import flags

from gansynth_tf.cli import (
    generate_flags,
    generate_match,
    generate_notes,
    generate_piece,
    timbres,
)
from gansynth_tf.cli.command import check_folder, run_command


def _generate(values: flags.FlagValues) -> int:
    from gansynth_tf.checkpoint import CheckpointError
    from gansynth_tf.config import UserError

    for name in ("model", "output_dir"):
        if not values[name].value:
            raise UserError(f"--{name}=DIR is needed.")
    mode = generate_flags.mode(values)
    generate_notes.parse_pitches(values.pitches)
    check_folder("output_dir", values.output_dir, is_written=True)
    timbres.check(values)
    if mode == "midi_file":
        config = generate_piece.read_config(values)
        notes = generate_piece.read_notes(values.midi_file)
    from gansynth_tf.loading import load

    try:
        instrument = load(values.model)
        if mode == "midi_file":
            written = generate_piece.write(instrument, values, notes, config)
        elif mode == "match":
            written = generate_match.write(instrument, values)
        else:
            written = generate_notes.write(instrument, values, mode)
    except CheckpointError as error:
        raise UserError(f"--model={values.model}: {error}") from error
    except IsADirectoryError as error:
        raise UserError(
            f"--output_dir={values.output_dir}: {error.filename} {error.strerror}."
        ) from error
    print(f"{written} of {instrument.description} in {values.output_dir}.")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command("gansynth_generate", __doc__, generate_flags.define, _generate, arguments)


def run() -> None:
    """Console entry point."""
    sys.exit(main())
