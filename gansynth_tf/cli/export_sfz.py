"""gansynth_export, where SFZ instruments are to be written."""

import pathlib
from collections.abc import Iterator

from absl import flags

from gansynth_tf.cli import timbres

FOLDER = "sfz"
_ONLY = ("sfz_step", "seed", "timbres", "timbre_names")


def define(values: flags.FlagValues) -> None:
    """Defines its flags."""
    flags.DEFINE_boolean(
        "sfz",
        False,
        "Write each of the --timbres, or that of --seed, as an SFZ instrument for samplers, into "
        "export_dir/sfz/NAME.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "sfz_step",
        1,
        "Semitones from one sample to the next; between them samples are transposed.",
        lower_bound=1,
        upper_bound=24,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "seed",
        1,
        "Draws the timbre, as the first of gansynth_generate.",
        lower_bound=0,
        upper_bound=2**31 - 1,
        flag_values=values,
    )
    timbres.define(values)


def check(values: flags.FlagValues) -> None:
    """Refuses what can be refused before a model is loaded.

    Raises:
      UserError: names the flag.
    """
    from gansynth_tf.config import UserError

    for name in _ONLY:
        if values[name].present and not values.sfz:
            raise UserError(f"--{name} goes with --sfz only.")
    if values.timbres and values["seed"].present:
        raise UserError("--seed and --timbres exclude each other: given timbres are not drawn.")
    timbres.check(values)


def write(instrument: "instrument.Instrument", values: flags.FlagValues) -> Iterator[pathlib.Path]:  # noqa: F821
    """Writes them one by one; yields each one's file.

    Raises:
      UserError: the timbres cannot be used, or a folder is in the way.
    """
    from gansynth_tf import sfz
    from gansynth_tf.config import UserError
    from gansynth_tf.timbres import Timbres

    chosen = timbres.read(values, instrument.latent_size)
    if chosen is None:
        chosen = Timbres((f"seed_{values.seed}",), instrument.latents(values.seed, 1))
    names = [sfz.file_name(name) for name in chosen.names]
    if len(set(names)) < len(names):
        raise UserError(f"--timbres={values.timbres}: two timbres would have files of one name.")
    for name, latent in zip(names, chosen.latents, strict=True):
        folder = pathlib.Path(values.export_dir) / FOLDER / name
        try:
            yield sfz.write_sfz(instrument, latent, folder, name, values.sfz_step)
        except IsADirectoryError as error:
            raise UserError(
                f"--export_dir={values.export_dir}: {error.filename} {error.strerror}."
            ) from error
