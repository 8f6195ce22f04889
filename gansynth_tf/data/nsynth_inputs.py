"""Which of NSynth's official files lie in a folder, and the two small ones read."""

import csv
import dataclasses
import pathlib
from collections.abc import Mapping

from gansynth_tf.data.archive_files import ArchiveError, refusing_damage

GANSYNTH_SUBSET, FULL = SUBSETS = ("gansynth_subset", "full")  # as TFDS names them
SPLITS = ("train", "valid", "test")
NUM_INSTRUMENTS = 1006
_FORMS = ("tfrecord", "jsonwav", "")
_PACKINGS = (".tar", ".tar.gz", ".tgz", "")


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The files that NSynth is made from.

    Attributes:
      archives: split to its archive, or to the folder or file it was unpacked to.
      labels: the names of all instruments in the order of their numbers, if it is there.
      splits: which note belongs to which split of GANSynth's subset, if it is wanted.
    """

    archives: Mapping[str, pathlib.Path]
    labels: pathlib.Path | None
    splits: pathlib.Path | None


def find_inputs(folder: pathlib.Path, wants_splits: bool) -> Inputs:
    """Looks into a folder for NSynth's files.

    Raises:
      ArchiveError: one of them is missing.
    """
    archives = {}
    for split in SPLITS:
        stems = [f"nsynth-{split}.{form}".rstrip(".") for form in _FORMS]
        names = [stem + packing for stem in stems for packing in _PACKINGS]
        archives[split] = _first(folder, names)
        if archives[split] is None:
            raise ArchiveError(
                f"{folder} has no nsynth-{split}.tfrecord.tar, nor nsynth-{split}.jsonwav.tar.gz, "
                "nor what either unpacks to."
            )
    splits = None
    if wants_splits:
        splits = _first(folder, ["nsynth-gansynth_splits.csv", "gansynth_splits.csv"])
        if splits is None:
            raise ArchiveError(
                f"{folder} has no nsynth-gansynth_splits.csv, which names the notes of "
                "gansynth_subset."
            )
    labels = _first(folder, ["nsynth-instrument_labels.txt", "instrument_labels.txt"])
    return Inputs(archives, labels, splits)


def _first(folder: pathlib.Path, names: list[str]) -> pathlib.Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


def read_labels(path: pathlib.Path) -> list[str]:
    """The names of NSynth's instruments, in the order of their numbers.

    Raises:
      ArchiveError: they are not 1006 different ones.
    """
    with refusing_damage(path):
        labels = path.read_text(encoding="utf-8").strip().splitlines()
    if len(labels) != NUM_INSTRUMENTS or len(set(labels)) != NUM_INSTRUMENTS:
        raise ArchiveError(
            f"{path} has {len(set(labels))} different names in {len(labels)} lines, "
            f"{NUM_INSTRUMENTS} were expected."
        )
    return labels


def read_splits(path: pathlib.Path) -> dict[str, str]:
    """Note id to its split in GANSynth's subset.

    Raises:
      ArchiveError: columns other than "id" and "split", another split than NSynth's, a note that
        is in two.
    """
    splits = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=1):
                note, split = row.get("id"), row.get("split")
                if not note or split not in SPLITS:
                    raise ArchiveError(
                        f"{path}: row {number} is {list(row.values())}, an id and one of "
                        f"{', '.join(SPLITS)} were expected under the heads id and split."
                    )
                if splits.setdefault(note, split) != split:
                    raise ArchiveError(f"{path}: {note} is in {splits[note]} and in {split}.")
    except (csv.Error, UnicodeDecodeError) as error:
        raise ArchiveError(f"{path} is no CSV file ({error}).") from error
    if not splits:
        raise ArchiveError(f"{path} has no rows, one for each note was expected.")
    return splits
