"""Files that are written whole or not at all."""

import contextlib
import os
import pathlib
import secrets
from collections.abc import Callable, Iterator
from typing import BinaryIO

PathLike = str | os.PathLike


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside ``path``; it takes that name only if the body succeeds.

    A reader therefore sees the old file or the whole new one. The suffix is kept, since many
    writers choose their format by it.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
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
