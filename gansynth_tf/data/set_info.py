"""What a data set says of itself in its dataset_info.json, read without TensorFlow Datasets."""

import dataclasses
import errno
import json
import os

import tensorflow as tf

from gansynth_tf.files import PathLike

INFO_FILE = "dataset_info.json"


@dataclasses.dataclass(frozen=True)
class SetInfo:
    """Name and size of a data set.

    Attributes:
      name: as TFDS loads it: "gansynth_notes", or "nsynth/full" where there are configurations.
      counts: notes by split.
    """

    name: str
    counts: dict[str, int]


def read_info(folder: PathLike) -> SetInfo:
    """Reads a folder's dataset_info.json; local, or at an address that TensorFlow reads.

    Raises:
      OSError: it cannot be read, or was not written by TFDS.
    """
    path = os.path.join(os.fspath(folder), INFO_FILE)
    try:
        content = json.loads(tf.io.gfile.GFile(path).read())
        names = content["name"], content.get("configName", "")
        splits = content.get("splits", [])
        counts = {split["name"]: sum(map(int, split["shardLengths"])) for split in splits}
        return SetInfo("/".join(filter(None, names)), counts)
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, "cannot be read", path) from error
    except (ValueError, TypeError, LookupError, AttributeError):
        raise OSError(errno.EINVAL, "is not as TFDS writes it", path) from None
