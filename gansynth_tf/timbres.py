"""Timbres with names, kept in a file: the latents that were worth keeping."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from gansynth_tf.files import DAMAGED_ARRAYS, write_arrays

FORMAT_VERSION = 1
MAX_NAME = 100  # characters


class TimbresError(ValueError):
    """A file of timbres, or a choice among them, that cannot be used."""


@dataclasses.dataclass(frozen=True, eq=False)
class Timbres:
    """Named timbres of a model.

    Attributes:
      names: one a timbre, all different; a comma would end it in a list.
      latents: [n, latent] float32, n at least 1.
    """

    names: tuple[str, ...]
    latents: np.ndarray

    def __post_init__(self):
        latents = np.asarray(self.latents, np.float32)
        if latents.ndim != 2 or not latents.size or len(latents) != len(self.names):
            raise TimbresError(
                f"latents must have shape [{len(self.names)}, latent], one a name and at least "
                f"one, not {list(latents.shape)}."
            )
        if not (np.isfinite(latents).all() and np.any(latents, axis=1).all()):
            raise TimbresError("latents must be finite numbers, and none all zeros.")
        for name in self.names:
            is_good = name.isprintable() and name == name.strip() and "," not in name
            if not is_good or not 1 <= len(name) <= MAX_NAME:
                raise TimbresError(
                    f"a timbre's name must be 1 to {MAX_NAME} printable characters without "
                    f"commas, not {name[: MAX_NAME + 1]!r}."
                )
        twice = sorted(name for name in set(self.names) if self.names.count(name) > 1)
        if twice:
            raise TimbresError(f"two timbres have the name {twice[0]!r}.")
        object.__setattr__(self, "latents", latents)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def latent_size(self) -> int:
        return self.latents.shape[1]

    def chosen(self, names: Sequence[str]) -> "Timbres":
        """Those of these names, in their order.

        Raises:
          TimbresError: names one that there is not, and those that there are.
        """
        rows = []
        for name in names:
            if name not in self.names:
                known = ", ".join(self.names[:10]) + (", ..." if len(self) > 10 else "")
                raise TimbresError(f"there is no timbre {name!r}: it has {known}.")
            rows.append(self.names.index(name))
        return Timbres(tuple(names), self.latents[rows])


def numbered(latents: np.ndarray) -> Timbres:
    """Latents [n, latent] named by their rows."""
    return Timbres(tuple(f"timbre_{row:04d}" for row in range(len(latents))), latents)


def write(path: str | os.PathLike, timbres: Timbres) -> None:
    """Writes them as ``path``, an .npz, whole or not at all; an earlier file of timbres goes.

    Raises:
      TimbresError: there is another file, which stays as it is.
      OSError: it cannot be written.
    """
    if os.path.lexists(path):
        read(path)
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "format_version": np.array(FORMAT_VERSION),
        "names": np.array(timbres.names),
        "latent_size": np.array(timbres.latent_size),
        "latents": timbres.latents,
    }
    write_arrays(path, arrays)


def read(path: str | os.PathLike, latent_size: int | None = None) -> Timbres:
    """The timbres of a file.

    Args:
      latent_size: of the model that is to play them; any if not given.

    Raises:
      TimbresError: it cannot be read, is no file of timbres, of another format, or of another
        latent size; the message does not name the file.
    """
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            version = int(file["format_version"])
            if version == FORMAT_VERSION:
                names = tuple(map(str, file["names"].tolist()))
                size, latents = int(file["latent_size"]), file["latents"].astype(np.float32)
    except FileNotFoundError as error:
        raise TimbresError("there is no such file.") from error
    except DAMAGED_ARRAYS as error:
        raise TimbresError(
            "a file that --save_timbres wrote was expected: this is none, or a damaged one."
        ) from error
    if version != FORMAT_VERSION:
        raise TimbresError(f"it has format {version}; this version reads format {FORMAT_VERSION}.")
    timbres = Timbres(names, latents)
    if timbres.latent_size != size:
        raise TimbresError(
            f"it is damaged: its latents have {timbres.latent_size} numbers, not {size}."
        )
    if latent_size not in (None, size):
        raise TimbresError(
            f"its timbres are of a model with latents of {size} numbers; this model's have "
            f"{latent_size}."
        )
    return timbres
