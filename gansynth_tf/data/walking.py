"""All files of a folder and its subfolders, in an order that does not depend on the disk."""

import os
from collections.abc import Callable


def walk_files(
    folder: str | os.PathLike,
    excluded: str | os.PathLike | None = None,
    unreadable: Callable[[str, str], None] = lambda path, reason: None,
) -> list[str]:
    """Paths below ``folder``, with "/" and sorted, of all that is no folder.

    Hidden files and folders are left out. Links are followed; no folder is entered twice, so
    that links in a circle end.

    Args:
      folder: where to begin.
      excluded: a folder to leave out with all in it; may be missing.
      unreadable: told the path of each folder that cannot be read, and why.

    Raises:
      OSError: ``folder`` itself cannot be read.
    """
    seen = set()
    if excluded is not None and os.path.isdir(excluded):
        seen.add(_identity(excluded))
    files: list[str] = []

    def enter(path: str, relative: str) -> None:
        if _identity(path) in seen:
            return
        seen.add(_identity(path))
        try:
            with os.scandir(path) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not relative:
                raise
            unreadable(relative, error.strerror)
            return
        for entry in found:
            if entry.name.startswith("."):
                continue
            below = f"{relative}/{entry.name}" if relative else entry.name
            if os.path.isdir(entry.path):
                enter(entry.path, below)
            else:
                files.append(below)

    enter(os.fspath(folder), "")
    return sorted(files)


def _identity(path: str | os.PathLike) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
