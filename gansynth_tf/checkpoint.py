"""Checkpoints: one file each, written whole or not at all.

A checkpoint is an ``.npz`` of every variable by name and of one JSON text: the format's version,
the run's settings, and where the run stood. Files are written under a temporary name and
renamed, so that an interruption leaves the one before untouched.
"""

import contextlib
import dataclasses
import errno
import json
import math
import os
import pathlib
import re
from collections.abc import Callable, Iterator

import numpy as np

from gansynth_tf.files import DAMAGED_ARRAYS, try_lock, write_arrays

LOCK_FILE = ".lock"
FORMAT_VERSION = 1
TEMPORARY = "ckpt_*.npz"  # final names of the files that a killed process may leave half-written
_NAME = re.compile(r"ckpt_(\d{12})(_stage_\d{2})?\.npz$")
_ASIDE = ".damaged"

# Failures of the moment, of a good file too: to pass it over would be to lose what it holds.
_PASSING = (errno.EIO, errno.EACCES, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)

# What a readable checkpoint raises where its content is not what a run or a model needs.
_MISFIT = (LookupError, ValueError, TypeError, AttributeError)


class CheckpointError(OSError):
    """A checkpoint that cannot be read or used; the message names the file and the reason.

    An OSError, so that every command turns it into a sentence.
    """


@dataclasses.dataclass(frozen=True)
class RunState:
    """Where a run stands.

    Attributes:
      stage: index of the stage in progress.
      images: real images consumed.
      steps: iterations done.
      seconds: time spent in training, over all sessions.
      stage_done: whether the stage has ended.
    """

    stage: int = 0
    images: int = 0
    steps: int = 0
    seconds: float = 0.0
    stage_done: bool = False

    def __post_init__(self):
        for name in ("stage", "images", "steps"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be a whole number of at least 0, not {value!r}")
        seconds = self.seconds
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise ValueError(f"seconds must be a number, not {seconds!r}")
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds must be at least 0 and finite, not {seconds!r}")
        if not isinstance(self.stage_done, bool):
            raise ValueError(f"stage_done must be true or false, not {self.stage_done!r}")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One checkpoint, read: its arrays by name, the run's state and its settings."""

    path: pathlib.Path
    arrays: dict[str, np.ndarray]
    state: RunState
    settings: dict


@contextlib.contextmanager
def held(run_dir: str | pathlib.Path) -> Iterator[None]:
    """Within it, no other process (nor another call) holds ``run_dir``, which is made if needed.

    The lock is the kernel's: it ends with the process, however that ends. Where locks or the file
    for one cannot be had, nothing is held.

    Raises:
      OSError: the folder is held already.
    """
    run_dir = pathlib.Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(run_dir / LOCK_FILE, "ab"))
        except OSError as error:
            # Where nothing can be written, there may be nothing to write: a finished run.
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
        else:
            if not try_lock(file.fileno()):
                raise OSError(
                    f"Another process is training in {run_dir}: wait for its end, or give another "
                    f"folder."
                )
        yield


def save(
    folder: str | pathlib.Path,
    arrays: dict,
    state: RunState,
    settings: dict,
    keep: int = 2,
    say: Callable[[str], object] = print,
) -> pathlib.Path:
    """Writes a checkpoint and removes all but the last ``keep`` and those of a stage's end.

    What is just written always stays. Checkpoints further on than it could not be read, or the
    run would have gone on from them: they are renamed, which ``say`` is told.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    suffix = f"_stage_{state.stage:02d}" if state.stage_done else ""
    path = folder / f"ckpt_{state.images:012d}{suffix}.npz"
    header = {
        "format_version": FORMAT_VERSION,
        "state": dataclasses.asdict(state),
        "settings": settings,
        "arrays": sorted(arrays),
    }
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    write_arrays(path, {"header": text, **arrays})
    _set_aside(folder, path, say)
    within_stage = [p for p in list_checkpoints(folder) if "_stage_" not in p.name]
    for old in within_stage[:-keep] if keep else within_stage:
        if old != path:
            old.unlink(missing_ok=True)
    return path


def _set_aside(folder: pathlib.Path, written: pathlib.Path, say: Callable[[str], object]) -> None:
    """Renames checkpoints beyond ``written``: counted among the newest, they would displace it."""
    for ahead in list_checkpoints(folder):
        if ahead.name > written.name:
            aside = ahead.with_name(ahead.name + _ASIDE)
            os.replace(ahead, aside)
            say(f"{ahead.name}, which could not be used, is now {aside.name}.")


def list_checkpoints(folder: str | pathlib.Path) -> list[pathlib.Path]:
    """Checkpoints of ``folder``, oldest first."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.match(path.name))


def load(path: str | pathlib.Path) -> Checkpoint:
    """Reads one checkpoint.

    Raises:
      CheckpointError: it is damaged, half-written, of an unknown format, or says of the run
        what cannot be.
    """
    path = pathlib.Path(path)
    with reading(path):
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes().decode())
        version = header["format_version"]
        if sorted(arrays) != header["arrays"]:
            raise ValueError("arrays are missing")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format {version}; this version reads format {FORMAT_VERSION}."
        )
    with fitting(path):
        state, settings = RunState(**header["state"]), header["settings"]
        if not isinstance(settings, dict):
            raise ValueError("its settings are no table")
    return Checkpoint(path, arrays, state, settings)


@contextlib.contextmanager
def reading(path: str | pathlib.Path) -> Iterator[None]:
    """Within it, what a file's damaged bytes raise becomes a CheckpointError that names it.

    A disk or a process that cannot read just now raises as it did.
    """
    try:
        yield
    except DAMAGED_ARRAYS as error:
        if isinstance(error, OSError) and error.errno in _PASSING:
            error.filename = error.filename or str(path)
            raise
        raise CheckpointError(f"{path} is damaged: {_reason(error)}") from error


@contextlib.contextmanager
def fitting(path: str | pathlib.Path) -> Iterator[None]:
    """Within it, what a checkpoint's content raises becomes a CheckpointError that names it."""
    try:
        yield
    except _MISFIT as error:
        raise CheckpointError(f"{path} cannot be used: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """One line; a KeyError's text is only the key."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return " ".join(str(error).split()) or type(error).__name__


def load_latest(
    folder: str | pathlib.Path, warn: Callable[[str], object] = print
) -> Checkpoint | None:
    """The newest checkpoint that can be read; each newer one that cannot is named by ``warn``.

    Returns:
      None where there is no checkpoint at all.

    Raises:
      CheckpointError: there are checkpoints, and none can be read. To begin anew would be to
        throw the run away.
    """
    errors = []
    for path in reversed(list_checkpoints(folder)):
        try:
            found = load(path)
        except CheckpointError as error:
            errors.append((path, error))
            continue
        for _, error in errors:
            warn(f"{str(error).rstrip('.')}; an earlier one is used.")
        return found
    if errors:
        names = ", ".join(path.name for path, _ in errors)
        raise CheckpointError(
            f"No checkpoint in {folder} can be read ({names}), the newest because: "
            f"{str(errors[0][1]).rstrip('.')}; to begin anew, move the folder away."
        )
    return None
