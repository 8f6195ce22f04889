"""gansynth_generate, where a MIDI file is to be played."""

import pathlib

from absl import flags

from gansynth_tf.cli import timbres
from gansynth_tf.cli.progress import Progress
from gansynth_tf.wording import counted


def read_config(values: flags.FlagValues) -> "performance.PerformanceConfig":  # noqa: F821
    """How the piece is to be played.

    Raises:
      UserError: names the value that is none.
    """
    from gansynth_tf.config import UserError
    from gansynth_tf.mixing import EnvelopeConfig
    from gansynth_tf.performance import PerformanceConfig

    try:
        return PerformanceConfig(
            EnvelopeConfig(values.attack, values.release),
            values.long_notes,
            values.out_of_range,
            values.secs_per_instrument,
            values.fixed_norm,
        )
    except ValueError as error:
        raise UserError(f"--{error}") from error


def read_notes(path: str) -> "notelist.NoteList":  # noqa: F821
    """The notes of --midi_file; at least one.

    Raises:
      UserError: it cannot be read, or holds none.
    """
    from gansynth_tf.config import UserError
    from gansynth_tf.midi import MidiError, read_midi

    try:
        midi = read_midi(path)
    except MidiError as error:
        raise UserError(f"--midi_file={path} {error}") from error
    except OSError as error:
        raise UserError(f"--midi_file={path} cannot be read: {error.strerror}.") from error
    if not len(midi.notes):
        drums = f" but {counted(midi.num_drums, 'drum note')}" if midi.num_drums else ""
        raise UserError(f"--midi_file={path} holds no notes to play{drums}.")
    print(
        f"{counted(len(midi.notes), 'note')} of {counted(len(midi.notes.part_names), 'part')}; "
        f"{counted(midi.num_drums, 'drum note')} left out.",
        flush=True,
    )
    return midi.notes


def write(
    instrument: "instrument.Instrument",  # noqa: F821
    values: flags.FlagValues,
    notes: "notelist.NoteList",  # noqa: F821
    config: "performance.PerformanceConfig",  # noqa: F821
) -> str:
    """Plays and writes the piece; returns what to say of it.

    Raises:
      UserError: it cannot be played.
    """
    from gansynth_tf import piece
    from gansynth_tf.config import UserError
    from gansynth_tf.notelist import PitchRangeError
    from gansynth_tf.performance import PieceError, choose_timbres

    given = timbres.read(values, instrument.latent_size)
    latents = None if given is None else given.latents
    paths = choose_timbres(instrument, notes, latents, values.seed, config)
    kept = timbres.named(values, piece.latents_of(paths))
    name, progress = pathlib.Path(values.midi_file).stem, Progress("different notes")
    try:
        path, seconds = piece.write_piece(
            instrument, notes, paths, values.output_dir, name, config, values.format, progress
        )
    except PitchRangeError as error:
        remedy = "" if config.out_of_range == "fold" else " --out_of_range=fold moves them."
        raise UserError(f"--midi_file={values.midi_file}: {error}{remedy}") from error
    except PieceError as error:
        raise UserError(f"--midi_file={values.midi_file}: {error}") from error
    timbres.save(values, kept)
    return f"{path.name}, {seconds:.1f} s,"
