"""Files that are written whole or not at all."""

import contextlib
import errno
import glob
import os
import pathlib
import secrets
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO

import numpy as np

try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None

PathLike = str | os.PathLike
# What reading a damaged file of arrays raises; zipfile uses RuntimeError for features it lacks.
DAMAGED_ARRAYS = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
_TOKEN_BYTES = 4
_SET_PREFIX = ".new_set_"


@contextlib.contextmanager
def naming(path: PathLike) -> Iterator[None]:
    """Within it, an OSError that names no file, as that of a full disk, names this one."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside ``path``; it takes that name only if the body succeeds.

    A reader therefore sees the old file or the whole new one. The suffix is kept, since many
    writers choose their format by it.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(_TOKEN_BYTES)}{path.suffix}")
    try:
        with naming(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: PathLike, write: Callable[[BinaryIO], object]) -> None:
    """Calls ``write(file)`` on a temporary file beside ``path``, puts it on disk, renames it.

    The new name is on disk too when this returns: older files may go then.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(pathlib.Path(path).parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system that cannot do this to folders
            os.fsync(folder)
    finally:
        os.close(folder)


def write_arrays(path: PathLike, arrays: Mapping[str, object], is_compressed: bool = False) -> None:
    """Writes an ``.npz`` as ``write_atomically`` does.

    NumPy's own leaves its archive open where the disk is full, which then complains unasked.
    """
    compression = zipfile.ZIP_DEFLATED if is_compressed else zipfile.ZIP_STORED

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", compression) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)

    write_atomically(path, write)


@contextlib.contextmanager
def replacing_set(folder: PathLike, index: str) -> Iterator[pathlib.Path]:
    """Yields an empty temporary folder inside ``folder``, whose files move out if the body succeeds.

    What a process that was killed in here left in ``folder`` is removed first.

    Args:
      folder: made if missing.
      index: the file that names the others. The earlier one goes before the first file moves, and
        the new one moves last: what an index names is there, whenever this is interrupted.

    Raises:
      IsADirectoryError: a folder has the name of a file; nothing is changed.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned_sets(folder)
    temporary = folder / f"{_SET_PREFIX}{secrets.token_hex(_TOKEN_BYTES)}"
    temporary.mkdir()
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        try_lock(descriptor)
        yield temporary
        names = sorted(path.name for path in temporary.iterdir())
        refuse_folders(folder, names)
        names.remove(index)
        (folder / index).unlink(missing_ok=True)
        for name in (*names, index):
            os.replace(temporary / name, folder / name)
    finally:
        os.close(descriptor)
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_folders(folder: PathLike, names: Iterable[str]) -> None:
    """Raises IsADirectoryError where a folder has the name of a file that is to come."""
    for path in (pathlib.Path(folder, name) for name in names):
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(
                errno.EISDIR, "is a folder, in the way of a file", os.fspath(path)
            )


def _remove_abandoned_sets(folder: pathlib.Path) -> None:
    """Removes the temporary folders that no living process holds."""
    pattern = _SET_PREFIX + "[0-9a-f]" * (2 * _TOKEN_BYTES)
    for left in folder.glob(pattern):
        with contextlib.suppress(OSError):  # another one removes it
            descriptor = os.open(left, os.O_RDONLY)
            is_abandoned = try_lock(descriptor)
            os.close(descriptor)
            if is_abandoned:
                shutil.rmtree(left, ignore_errors=True)


def try_lock(descriptor: int) -> bool:
    """Locks an open file or folder for this process, until it is closed or the process ends.

    Returns:
      False where it is locked already; True where it was not, and where locks cannot be had.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without such locks
        return True
    return True


def is_inside(folder: PathLike, other: PathLike) -> bool:
    """Whether a folder is another one or lies in it, links followed; it may be missing."""
    return pathlib.Path(folder).resolve().is_relative_to(pathlib.Path(other).resolve())


def reserve(path: PathLike) -> None:
    """Takes the disk's room for a file that is to be written as memory.

    Where the disk is full, writing to a mapped file ends the process without a word.

    Raises:
      OSError: there is no room.
    """
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)


def unwritable_reason(folder: PathLike) -> str | None:
    """Why no file can be made in a folder that exists; None where one can.

    It is tried: permissions alone say nothing of file systems that take no files, nor to root.
    """
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".gansynth_", dir=folder))
    except OSError as error:
        return error.strerror
    return None


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


def size_of(path: PathLike) -> int:
    """Bytes of a file, or of all files below a folder."""
    path = pathlib.Path(path)
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
