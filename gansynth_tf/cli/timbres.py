"""The flags of timbres that are kept in files, which several commands have."""

import os
import pathlib

import numpy as np
from absl import flags


def define(values: flags.FlagValues) -> None:
    """Those that choose."""
    flags.DEFINE_string(
        "timbres",
        None,
        "File of timbres that --save_timbres of gansynth_generate wrote: they are played, and "
        "none are drawn.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "timbre_names",
        None,
        "Those of the --timbres that are meant, such as bell,organ; names of those that "
        "--save_timbres writes.",
        flag_values=values,
    )


def define_saving(values: flags.FlagValues) -> None:
    """The one that keeps."""
    flags.DEFINE_string(
        "save_timbres",
        None,
        "File for the timbres of what is played, such as mine.npz; an earlier one is replaced.",
        flag_values=values,
    )


def check(values: flags.FlagValues) -> None:
    """Refuses what can be refused before a model is loaded.

    Raises:
      UserError: names the flag.
    """
    from gansynth_tf import timbres
    from gansynth_tf.config import UserError

    saved = values.save_timbres if "save_timbres" in values else None
    if values.timbre_names and not (values.timbres or saved):
        raise UserError("--timbre_names goes with --timbres=FILE or --save_timbres=FILE only.")
    read(values)
    if not saved:
        return
    if pathlib.Path(saved).suffix != ".npz":
        raise UserError(f"--save_timbres={saved} must end with .npz.")
    try:
        if os.path.lexists(saved):
            timbres.read(saved)
    except timbres.TimbresError as error:
        raise UserError(f"--save_timbres={saved} is there already: {error}") from error


def read(values: flags.FlagValues, latent_size: int | None = None) -> "timbres.Timbres | None":  # noqa: F821
    """The timbres that are meant, for a model of this latent size; None where none are given.

    Raises:
      UserError: names the flag, and what is wrong with the file or the choice.
    """
    from gansynth_tf import timbres
    from gansynth_tf.config import UserError

    if not values.timbres:
        return None
    try:
        found = timbres.read(values.timbres, latent_size)
        return found.chosen(values.timbre_names) if values.timbre_names else found
    except timbres.TimbresError as error:
        raise UserError(f"--timbres={values.timbres}: {error}") from error


def named(values: flags.FlagValues, latents: np.ndarray) -> "timbres.Timbres | None":  # noqa: F821
    """The timbres [n, latent] of what is to be played, to be saved; None where that is not asked.

    Raises:
      UserError: the names are not as many, or none.
    """
    from gansynth_tf import timbres
    from gansynth_tf.config import UserError

    if not values.save_timbres:
        return None
    names = tuple(values.timbre_names or timbres.numbered(latents).names)
    if len(names) != len(latents):
        raise UserError(
            f"--timbre_names must be {len(latents)}, one for each timbre that --save_timbres "
            f"writes, not {len(names)}."
        )
    try:
        return timbres.Timbres(names, latents)
    except timbres.TimbresError as error:
        raise UserError(f"--timbre_names: {error}") from error


def save(values: flags.FlagValues, kept: "timbres.Timbres | None") -> None:  # noqa: F821
    """Writes what ``named`` gave, once all has been played."""
    from gansynth_tf import timbres

    if kept is not None:
        timbres.write(values.save_timbres, kept)
