"""Files that are written whole or not at all."""

import contextlib
import glob
import os
import pathlib
import secrets
from collections.abc import Callable, Iterator
from typing import BinaryIO

PathLike = str | os.PathLike
_TOKEN_BYTES = 4


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside ``path``; it takes that name only if the body succeeds.

    A reader therefore sees the old file or the whole new one. The suffix is kept, since many
    writers choose their format by it.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(_TOKEN_BYTES)}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: PathLike, write: Callable[[BinaryIO], object]) -> None:
    """Calls ``write(file)`` on a temporary file beside ``path``, puts it on disk, renames it."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def remove_temporaries(folder: PathLike, *names: str) -> None:
    """Removes what a killed process left half-written in ``folder``.

    Args:
      folder: may be missing.
      names: final names of the files, such as "ckpt_*.npz"; nothing else is touched.
    """
    token = "[0-9a-f]" * (2 * _TOKEN_BYTES)
    for name in map(pathlib.PurePath, names):
        pattern = f".{name.stem}.{token}{name.suffix}"
        for left in glob.glob(pattern, root_dir=folder, include_hidden=True):
            pathlib.Path(folder, left).unlink(missing_ok=True)
