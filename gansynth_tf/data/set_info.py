"""What a data set's folder says of itself, in small files that are read without TensorFlow.

That is its name and size, and whether it may be replaced: what somebody else put into a folder, or
changed there, is never lost.
"""

import dataclasses
import errno
import hashlib
import json
import os
import pathlib
from collections.abc import Callable

from gansynth_tf.files import PathLike

DATASET = "gansynth_notes"  # of what the commands here write, whatever the notes are
INFO_FILE = "dataset_info.json"
PROVENANCE_FILE = "PROVENANCE.json"
MANIFEST_FILE = "manifest.csv"
MAP_FILE = "soundfont_map.csv"
MAP_DIGEST = "map_sha256"  # in PROVENANCE_FILE
# All that a data set of ours may consist of, but for what tells of the others.
FILES = (f"{DATASET}-*.tfrecord-*", "features.json", PROVENANCE_FILE, MANIFEST_FILE, MAP_FILE)


@dataclasses.dataclass(frozen=True)
class SetInfo:
    """Name and size of a data set.

    Attributes:
      name: as TFDS loads it: "gansynth_notes", or "nsynth/full" where there are configurations.
      counts: notes by split.
    """

    name: str
    counts: dict[str, int]


def read_info(folder: PathLike, open_file: Callable = open) -> SetInfo:
    """Reads a folder's dataset_info.json.

    Args:
      open_file: what opens it; another one than Python's for addresses that are no paths.

    Raises:
      OSError: it cannot be read, or was not written by TFDS.
    """
    path = os.path.join(os.fspath(folder), INFO_FILE)
    with open_file(path) as file:
        text = file.read()
    try:
        content = json.loads(text)
        names = content["name"], content.get("configName", "")
        splits = content.get("splits", [])
        counts = {split["name"]: sum(map(int, split["shardLengths"])) for split in splits}
        return SetInfo("/".join(filter(None, names)), counts)
    except (ValueError, TypeError, LookupError, AttributeError):
        raise OSError(errno.EINVAL, "is not as TFDS writes it", path) from None


def why_kept(folder: PathLike, given_map: PathLike | None = None) -> str | None:
    """Why no data set of ours may be written into a folder; None where one may.

    Args:
      given_map: a map of a SoundFont that is going to be kept beside the notes as it is.

    Returns:
      What the folder holds, to complete "it holds", and what to do.
    """
    folder = pathlib.Path(folder)
    if not (folder / INFO_FILE).exists():
        found = (path for name in FILES for path in folder.glob(name))
        others = sorted(path.name for path in found if path.is_file())
        if not others:
            return None
        return f"{others[0]}, which is of no data set: choose another folder, or move the file away"
    try:
        name = read_info(folder).name
    except OSError as error:
        return f"{INFO_FILE}, which {error.strerror}: choose another folder"
    if name != DATASET:
        return f"the data set {name}, which is not of this command: choose another folder"
    path = folder / MAP_FILE
    if not path.is_file() or _digest(path) in (_written_digest(folder), _digest(given_map)):
        return None
    return (
        f"{MAP_FILE}, which was changed since it was written: give it to render_soundfont as "
        f"--map={path}, or move it away"
    )


def _digest(path: PathLike | None) -> str | None:
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest() if path else None


def _written_digest(folder: pathlib.Path) -> str | None:
    """Of the map that the command wrote beside the notes, where that can be told."""
    try:
        return json.loads((folder / PROVENANCE_FILE).read_text(encoding="utf-8"))[MAP_DIGEST]
    except (OSError, ValueError, TypeError, LookupError):
        return None
