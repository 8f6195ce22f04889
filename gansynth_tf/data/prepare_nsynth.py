"""NSynth's official archives to the folder that ``tfds.load("nsynth/...")`` reads, without Beam.

The examples and their order are those of TFDS's own builder, which sorts a split by a hash of the
notes' ids. Here each note goes, in one pass over the archives, to one of many parts by that hash;
then part after part is sorted. Whatever ends the work, the same call goes on with it.
"""

import contextlib
import errno
import hashlib
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping

import tensorflow as tf
import tensorflow_datasets as tfds

from gansynth_tf.data.archive_files import ArchiveError, archive_bytes
from gansynth_tf.data.note_parts import LOCK_FILE, NoteParts
from gansynth_tf.data.note_writer import (
    SHARD_BYTES,
    note_features,
    provenance_text,
    serialize_note,
)
from gansynth_tf.data.nsynth_archives import AUDIO_LENGTH, SAMPLE_RATE, Facts, read_entries
from gansynth_tf.data.nsynth_inputs import (
    GANSYNTH_SUBSET,
    NUM_INSTRUMENTS,
    SPLITS,
    Inputs,
    find_inputs,
    read_labels,
    read_splits,
)
from gansynth_tf.data.set_info import INFO_FILE, PROVENANCE_FILE, read_info
from gansynth_tf.files import PathLike, replacing, try_lock, write_atomically

VERSION = "2.3.3"
CHECKPOINT_SECONDS = 60.0  # most of the work that a kill undoes
_NOTE_BYTES = 4 * AUDIO_LENGTH + 1000
_FULL_COUNTS = {"train": 289_205, "valid": 12_678, "test": 4_096}

# Told of long work: (what is being done, bytes done, bytes in all).
Progress = Callable[[str, int, int], object]


def prepared_folder(output_dir: PathLike, subset: str) -> pathlib.Path:
    """Where TFDS looks for it in its ``data_dir``."""
    return pathlib.Path(output_dir, "nsynth", subset, VERSION)


def prepared_counts(output_dir: PathLike, subset: str) -> dict[str, int] | None:
    """Notes by split, if it is prepared already.

    Raises:
      OSError: its file cannot be read, or was not written by TFDS.
    """
    folder = prepared_folder(output_dir, subset)
    return read_info(folder).counts if (folder / INFO_FILE).exists() else None


def prepare(
    archives_dir: PathLike,
    output_dir: PathLike,
    subset: str = GANSYNTH_SUBSET,
    allow_missing: bool = False,
    progress: Progress = lambda text, done, total: None,
) -> dict[str, int]:
    """Makes ``output_dir/nsynth/<subset>/2.3.3``, which appears when it is whole.

    What is prepared already stays as it is.

    Args:
      archives_dir: NSynth's files, see `find_inputs`.
      output_dir: TFDS's ``data_dir``; needs room for the notes and one shard.
      subset: "gansynth_subset" or "full".
      allow_missing: leaves out what the subset names and no archive has.
      progress: called for every note.

    Returns:
      Notes by split.

    Raises:
      ArchiveError: one sentence; what was done is kept, and gone on from if it still can be.
      OSError: a file that cannot be read or written, or another process at the same work.
    """
    folder = prepared_folder(output_dir, subset)
    counts = prepared_counts(output_dir, subset)
    if counts is not None:
        shutil.rmtree(_work_path(folder), ignore_errors=True)  # of a process killed at the very end
        return counts
    inputs = find_inputs(pathlib.Path(archives_dir), wants_splits=subset == GANSYNTH_SUBSET)
    wanted = read_splits(inputs.splits) if inputs.splits else None
    instruments = _Instruments(inputs.labels)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(errno.EEXIST, f"is in the way, and has no {INFO_FILE}", str(folder))
    with _work_folder(folder) as work:
        task = _task(inputs, subset)
        with NoteParts(work, task, _num_parts(wanted)) as parts:
            instruments.restore(parts.state)
            if not parts.is_whole:
                _collect(inputs, wanted, instruments, parts, progress)
            missing = [] if wanted is None else sorted(wanted.keys() - parts.notes)
            if missing and not allow_missing:
                raise ArchiveError(
                    f"{inputs.splits} names {len(missing)} notes that are in no archive, such as "
                    f"{', '.join(missing[:3])}: all were expected; allow_missing goes on without."
                )
            for split in SPLITS:
                if not any(other == split for other, _ in parts.records):
                    raise ArchiveError(f"{archives_dir} has no note of the split {split}.")
            whole = work / "whole"
            whole.mkdir(exist_ok=True)
            infos = _write_shards(parts, whole, progress)
        _write_metadata(whole, subset, instruments.names(), infos)
        text = provenance_text({**task, "missing": missing})
        write_atomically(whole / PROVENANCE_FILE, lambda file: file.write(text))
        os.rename(whole, folder)
    return {info.name: info.num_examples for info in infos}


def _work_path(folder: pathlib.Path) -> pathlib.Path:
    return folder.with_name(f".preparing-{folder.name}")


@contextlib.contextmanager
def _work_folder(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder beside `folder`, for this process alone; it goes when the body succeeds."""
    work = _work_path(folder)
    work.mkdir(parents=True, exist_ok=True)
    with open(work / LOCK_FILE, "w") as lock:
        if not try_lock(lock.fileno()):
            raise BlockingIOError(errno.EAGAIN, "another process is at work here", str(work))
        yield work
        shutil.rmtree(work)


def _task(inputs: Inputs, subset: str) -> dict[str, object]:
    """What decides about the result, as far as can be told without reading 78 GB."""

    def digest(path: pathlib.Path | None) -> str | None:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path else None

    archives = {split: [path.name, archive_bytes(path)] for split, path in inputs.archives.items()}
    return {
        "subset": subset,
        "archives": archives,
        "instrument_labels_sha256": digest(inputs.labels),
        "gansynth_splits_sha256": digest(inputs.splits),
    }


def _num_parts(wanted: Mapping[str, str] | None) -> dict[str, int]:
    """Split to how many parts have about a quarter of a shard's size."""
    counts = dict(_FULL_COUNTS)
    if wanted is not None:
        counts = {split: sum(other == split for other in wanted.values()) for split in SPLITS}
    return {split: 1 + 4 * counts[split] * _NOTE_BYTES // SHARD_BYTES for split in SPLITS}


class _Instruments:
    """Which number an instrument has: as the official list says, or else as the archives do."""

    def __init__(self, labels: pathlib.Path | None):
        self._labels = labels
        self._names: dict[int, str] = dict(enumerate(read_labels(labels))) if labels else {}
        self._numbers = {name: number for number, name in self._names.items()}

    def restore(self, state: Mapping[str, object]) -> None:
        """Takes back what `state` gave."""
        for number, name in state.get("instruments", ()):
            self._names[number], self._numbers[name] = name, number

    def state(self) -> dict[str, object]:
        """As JSON has it."""
        return {} if self._labels else {"instruments": sorted(self._names.items())}

    def number(self, facts: Facts) -> int:
        """The number of a note's instrument.

        Raises:
          ArchiveError: it has none, or the archives contradict themselves.
        """
        if self._labels:
            if facts.instrument not in self._numbers:
                raise ArchiveError(
                    f"{self._labels} has no {facts.instrument}, the instrument of {facts.id}."
                )
            return self._numbers[facts.instrument]
        if facts.number is None:
            raise ArchiveError(
                f"{facts.id} has no instrument number: nsynth-instrument_labels.txt is needed."
            )
        name = self._names.setdefault(facts.number, facts.instrument)
        number = self._numbers.setdefault(facts.instrument, facts.number)
        if (number, name) != (facts.number, facts.instrument):
            raise ArchiveError(
                f"{facts.id} gives {facts.instrument} the number {facts.number}, another note has "
                f"{name} with {number}: nsynth-instrument_labels.txt is needed."
            )
        return number

    def names(self) -> list[str]:
        """All 1006, in the order of their numbers: TFDS refuses fewer."""
        return [self._names.get(n, f"unknown_{n:04d}") for n in range(NUM_INSTRUMENTS)]


def _collect(
    inputs: Inputs,
    wanted: Mapping[str, str] | None,
    instruments: _Instruments,
    parts: NoteParts,
    progress: Progress,
) -> None:
    """Reads all archives into the parts, from where an earlier process was."""
    begun, at = parts.state.get("position", (0, 0))
    sizes = [archive_bytes(path) for path in inputs.archives.values()]
    saved = time.monotonic()

    def save(archive: int, entries: int) -> None:
        nonlocal saved
        state = {"position": [archive, entries], **instruments.state()}
        parts.checkpoint(state, is_whole=archive == len(sizes))
        saved = time.monotonic()

    for archive, (split, path) in enumerate(inputs.archives.items()):
        if archive < begun:
            continue
        first = at if archive == begun else 0
        count = first

        def tell(position: int) -> None:
            text = f"{path.name}: {count:,} notes read, {len(parts.notes):,} kept"  # noqa: B023
            progress(text, sum(sizes[:archive]) + position, sum(sizes))  # noqa: B023

        for entry in read_entries(path, first, tell):
            number = instruments.number(entry.facts)
            target = split if wanted is None else wanted.get(entry.facts.id)
            if target is not None:
                content = serialize_note(entry.load(), number)
                try:
                    parts.add(target, entry.facts.id, content)
                except ValueError as error:
                    raise ArchiveError(f"{path}: {error}") from error
            count += 1
            if time.monotonic() - saved >= CHECKPOINT_SECONDS:
                save(archive, count)
        save(archive + 1, 0)


def _write_shards(
    parts: NoteParts, folder: pathlib.Path, progress: Progress
) -> list[tfds.core.SplitInfo]:
    """Sorts the parts into shards with TFDS's names; those that are there stay."""
    total = sum(record.length for records in parts.records.values() for record in records)
    infos, done = [], 0
    for split in SPLITS:
        shards = _group(parts, split)
        template = tfds.core.ShardedFileTemplate(
            data_dir=folder, dataset_name="nsynth", split=split, filetype_suffix="tfrecord"
        )
        lengths, num_bytes = [], 0
        for index, numbers in enumerate(shards):
            path = pathlib.Path(
                template.sharded_filepath(shard_index=index, num_shards=len(shards))
            )
            progress(f"sorting {split}, shard {index + 1} of {len(shards)}", done, total)
            if not path.exists():
                _write_shard(path, parts, split, numbers)
            records = [record for number in numbers for record in parts.records[split, number]]
            for number in numbers:
                parts.remove(split, number)
            size = sum(record.length for record in records)
            lengths.append(len(records))
            num_bytes += size
            done += size
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=lengths,
                num_bytes=num_bytes,
                filename_template=template,
            )
        )
    return infos


def _write_shard(path: pathlib.Path, parts: NoteParts, split: str, numbers: list[int]) -> None:
    with replacing(path) as temporary:
        try:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for number in numbers:
                    for record in parts.sorted_records(split, number):
                        writer.write(record)
        except tf.errors.OpError as error:  # a full disk would be taken for a full memory
            raise OSError(f"{path} cannot be written ({error.message}).") from error
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())  # before its parts go


def _group(parts: NoteParts, split: str) -> list[list[int]]:
    """Numbers of a split's parts, those together that fit into one shard."""
    shards, size = [], SHARD_BYTES
    for number in sorted(number for other, number in parts.records if other == split):
        length = sum(record.length for record in parts.records[split, number])
        if size + length > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append(number)
        size += length
    return shards


def _write_metadata(
    folder: pathlib.Path, subset: str, labels: list[str], infos: list[tfds.core.SplitInfo]
) -> None:
    """What TFDS's builder writes beside its shards; its own way to do it needs Beam."""
    builder = tfds.builder(f"nsynth/{subset}:{VERSION}", data_dir=folder)
    info = tfds.core.DatasetInfo(
        builder=builder,
        description=builder.info.description,
        features=note_features(SAMPLE_RATE, AUDIO_LENGTH, labels),
        homepage=builder.info.homepage,
        citation=builder.info.citation,
        metadata=tfds.core.MetadataDict(sample_rate=SAMPLE_RATE),
    )
    info.set_file_format(tfds.core.FileFormat.TFRECORD)
    info.set_splits(tfds.core.SplitDict(infos))
    info.write_to_directory(folder)
