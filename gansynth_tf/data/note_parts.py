"""Records on their way into sorted shards: parts that grow, and a journal to go on from."""

import errno
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gansynth_tf.files import write_atomically

LOCK_FILE = "lock"
_JOURNAL, _INDEX = "journal.json", "notes.tsv"


def sort_key(split: str, note: str) -> bytes:
    """What TFDS sorts a split's examples by: 16 bytes, MD5 of the split's name and the key."""
    return hashlib.md5(split.encode() + note.encode()).digest()


class Record(NamedTuple):
    """A record in its part: the note's id, and how many bytes it has."""

    note: str
    length: int


class NoteParts:
    """Records by split and part; the parts of a split, each sorted, are the sorted split.

    A killed process leaves files longer than the journal tells: they are cut back to that.

    Attributes:
      state: what the last `checkpoint` was given; empty where there was none.
      is_whole: whether it said that nothing is to come.
      notes: ids of all records.
      records: (split, part) to its records, as they lie there.
    """

    def __init__(self, folder: pathlib.Path, task: Mapping[str, object], parts: Mapping[str, int]):
        """Opens a folder that exists; what was left there by another task is removed.

        Args:
          task: what the records are made from, as JSON has it.
          parts: split to the number of its parts.
        """
        self._folder, self._parts = folder, dict(parts)
        self._task = {**task, "parts": self._parts}
        self._changed: set[pathlib.Path] = set()
        self.state: dict[str, object] = {}
        self.is_whole = False
        self.notes: set[str] = set()
        self.records: dict[tuple[str, int], list[Record]] = {}
        if not self._resume():
            self._clear()
        self._index = open(folder / _INDEX, "ab")  # noqa: SIM115  until close

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._index.close()

    def add(self, split: str, note: str, content: bytes) -> None:
        """Appends a record to its part.

        Raises:
          ValueError: the note is there already.
        """
        if note in self.notes:
            raise ValueError(f"{note} comes twice.")
        part = int.from_bytes(sort_key(split, note)) * self._parts[split] >> 128
        path = self._path(split, part)
        with open(path, "ab") as file:
            file.write(content)
        self._changed.add(path)
        self._index.write(f"{split}\t{part}\t{len(content)}\t{note}\n".encode())
        self._enter(split, part, Record(note, len(content)))

    def checkpoint(self, state: Mapping[str, object], is_whole: bool = False) -> None:
        """Puts everything on disk; a later process goes on from here, with this `state`."""
        self._index.flush()
        for path in (*self._changed, self._folder / _INDEX):
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        self._changed.clear()
        self.state, self.is_whole = dict(state), is_whole
        journal = {
            "task": self._task,
            "state": self.state,
            "is_whole": is_whole,
            "index_bytes": self._index.tell(),
        }
        write_atomically(
            self._folder / _JOURNAL, lambda file: file.write(json.dumps(journal).encode())
        )

    def sorted_records(self, split: str, part: int) -> Iterator[bytes]:
        """A part's records, sorted; the part is read into memory.

        Raises:
          OSError: it is not as it was written.
        """
        content = memoryview(self._path(split, part).read_bytes())
        places, start = [], 0
        for note, length in self.records[split, part]:
            places.append((sort_key(split, note), start, start + length))
            start += length
        if len(content) != start:
            raise OSError(errno.EIO, "was changed by something else", str(self._path(split, part)))
        for _, start, end in sorted(places):
            yield bytes(content[start:end])

    def remove(self, split: str, part: int) -> None:
        """Removes a part's file, if it is still there."""
        self._path(split, part).unlink(missing_ok=True)

    def _path(self, split: str, part: int) -> pathlib.Path:
        return self._folder / f"{split}-{part:05d}.part"

    def _enter(self, split: str, part: int, record: Record) -> None:
        self.notes.add(record.note)
        self.records.setdefault((split, part), []).append(record)

    def _resume(self) -> bool:
        """Goes back to the last checkpoint; False where there is none of this task."""
        try:
            journal = json.loads((self._folder / _JOURNAL).read_bytes())
        except (FileNotFoundError, ValueError):
            return False
        if journal["task"] != self._task:
            return False
        index = self._folder / _INDEX
        os.truncate(index, journal["index_bytes"])
        for line in index.read_text(encoding="utf-8").splitlines():
            split, part, length, note = line.split("\t")
            self._enter(split, int(part), Record(note, int(length)))
        self.state, self.is_whole = journal["state"], journal["is_whole"]
        if not self.is_whole:  # else parts go as shards come
            known = {self._path(*key): records for key, records in self.records.items()}
            for path in self._folder.glob("*.part"):
                os.truncate(path, sum(record.length for record in known.get(path, ())))
        return True

    def _clear(self) -> None:
        (self._folder / _JOURNAL).unlink(missing_ok=True)  # first: it tells of the others
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK_FILE:
                path.unlink()
