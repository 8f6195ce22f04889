"""The files in a tar archive (plain or gzipped) or in a folder, one after another, never unpacked."""

import contextlib
import dataclasses
import gzip
import os
import pathlib
import tarfile
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import BinaryIO

_BLOCK = 512
_DAMAGE = (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError)


class ArchiveError(ValueError):
    """What is wrong with an archive: one sentence that names the file and what was expected."""


@dataclasses.dataclass(frozen=True)
class ArchivedFile:
    """A file in an archive, to be read before the next one is asked for.

    Attributes:
      name: within the archive.
      size: in bytes.
      stream: its content.
      position: how many bytes of the archive have been gone through, of `archive_bytes`.
    """

    name: str
    size: int
    stream: BinaryIO
    position: Callable[[], int]


def archive_bytes(path: pathlib.Path) -> int:
    """Size on disk of an archive, a file or a folder with all below it."""
    return sum(file.stat().st_size for file in _files(path)) if path.is_dir() else _size(path)


def iterate_files(path: pathlib.Path) -> Generator[ArchivedFile, None, None]:
    """All regular files of an archive, in its order, or of a folder, by name, but hidden ones.

    A file whose name has no ".tar" or ".tgz" is itself the only one.

    Raises:
      ArchiveError: the archive is damaged or cut off. What of it came before was whole as far as
        the format can tell: a gzipped archive's checksum is compared at its end.
    """
    if path.is_dir():
        return _in_folder(_files(path))
    if any(suffix in (".tar", ".tgz") for suffix in path.suffixes):
        return _in_tar(path)
    return _in_folder(iter([path]))


@contextlib.contextmanager
def refusing_damage(path: pathlib.Path) -> Iterator[None]:
    """Turns what reading a damaged archive raises into ArchiveError."""
    try:
        yield
    except ArchiveError:
        raise
    except (*_DAMAGE, ValueError, OverflowError) as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise ArchiveError(f"{path} is damaged or cut off ({reason}): get it anew.") from error


def _size(path: pathlib.Path) -> int:
    return path.stat().st_size


def _files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield pathlib.Path(root, name)


def _in_folder(paths: Iterator[pathlib.Path]) -> Generator[ArchivedFile, None, None]:
    done = 0
    for path in paths:
        size = _size(path)
        with open(path, "rb") as stream:
            yield ArchivedFile(
                str(path), size, stream, lambda stream=stream, done=done: done + stream.tell()
            )
        done += size


class _Remembering:
    """A stream whose last read is kept, to see what ended an archive without going back."""

    def __init__(self, stream: BinaryIO):
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable
        self._read = stream.read
        self.last = b""

    def read(self, size: int) -> bytes:
        self.last = self._read(size)
        return self.last


def _in_tar(path: pathlib.Path) -> Generator[ArchivedFile, None, None]:
    with refusing_damage(path), open(path, "rb") as file:
        is_gzipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = _Remembering(gzip.GzipFile(fileobj=file) if is_gzipped else file)
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # it would keep all 289,205 of them
                if member.size < 0:
                    raise tarfile.ReadError("negative size")  # tarfile would go back, for ever
                name = pathlib.PurePosixPath(member.name).name
                if member.isreg() and not name.startswith("."):
                    yield ArchivedFile(member.name, member.size, tar.extractfile(member), file.tell)
        # tarfile takes a damaged header, and none at all, for the end.
        if stream.last != bytes(_BLOCK):
            raise tarfile.ReadError("it does not end as an archive does")
        if is_gzipped:
            while stream.read(2**20):  # to its checksum
                pass
