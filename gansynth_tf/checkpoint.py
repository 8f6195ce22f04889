"""Checkpoints: one file each, written whole or not at all.

A checkpoint is an ``.npz`` of every variable by name and of one JSON text: the format's version,
the run's settings, and where the run stood. Files are written under a temporary name and
renamed, so that an interruption leaves the one before untouched.
"""

import dataclasses
import json
import pathlib
import re
import zipfile
import zlib

import numpy as np

from gansynth_tf.files import write_atomically

FORMAT_VERSION = 1
_NAME = re.compile(r"ckpt_(\d{12})(_stage_\d{2})?\.npz$")

# What reading damaged bytes raises; zipfile uses RuntimeError for features that it lacks.
_DAMAGE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    zipfile.BadZipFile,
    zlib.error,
)


class CheckpointError(Exception):
    """A checkpoint that cannot be read; the message names the file and the reason."""


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


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One checkpoint, read: its arrays by name, the run's state and its settings."""

    path: pathlib.Path
    arrays: dict[str, np.ndarray]
    state: RunState
    settings: dict


def save(folder, arrays: dict, state: RunState, settings: dict, keep: int = 2) -> pathlib.Path:
    """Writes a checkpoint and removes all but the last ``keep`` and those of a stage's end."""
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
    write_atomically(path, lambda file: np.savez(file, header=text, **arrays))
    within_stage = [p for p in list_checkpoints(folder) if "_stage_" not in p.name]
    for old in within_stage[:-keep] if keep else within_stage:
        old.unlink(missing_ok=True)
    return path


def list_checkpoints(folder) -> list[pathlib.Path]:
    """Checkpoints of ``folder``, oldest first."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.match(path.name))


def load(path) -> Checkpoint:
    """Reads one checkpoint.

    Raises:
      CheckpointError: it is damaged, half-written or of an unknown format.
    """
    path = pathlib.Path(path)
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes().decode())
        version = header["format_version"]
        state, settings = RunState(**header["state"]), header["settings"]
        if sorted(arrays) != header["arrays"]:
            raise ValueError("arrays are missing")
    except _DAMAGE as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format {version}; this version reads format {FORMAT_VERSION}."
        )
    return Checkpoint(path, arrays, state, settings)


def load_latest(folder, warn=print) -> Checkpoint | None:
    """The newest checkpoint that can be read, or None; each damaged one is named by ``warn``."""
    for path in reversed(list_checkpoints(folder)):
        try:
            return load(path)
        except CheckpointError as error:
            warn(f"{error}; the one before is used.")
    return None
