"""A folder of a user's own recordings -> notes in one schema, and what became of every file.

Nothing here knows how a pitch is heard: the caller brings an ear.
"""

import contextlib
import dataclasses
import itertools
import pathlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import soundfile
import soxr

from gansynth_tf.data import decoding
from gansynth_tf.data.manifest import (
    DROPPED,
    IGNORED,
    KEPT,
    Entry,
    shown,
    write_manifest,
)
from gansynth_tf.data.note_writer import writing_notes
from gansynth_tf.data.pitch_names import TableRow, match_table
from gansynth_tf.data.recordings import FILLED, FolderConfig, RecordingImporter
from gansynth_tf.data.set_info import MANIFEST_FILE
from gansynth_tf.data.walking import walk_files
from gansynth_tf.files import PathLike, is_inside
from gansynth_tf.wording import counted


@dataclasses.dataclass(frozen=True)
class Report:
    """What an import made: every entry of its manifest."""

    entries: tuple[Entry, ...]

    @property
    def kept(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.fate == KEPT]

    def kinds(self, fate: str) -> Counter[str]:
        """How many entries of this fate have a reason, by its kind."""
        kinds = (entry.kind for entry in self.entries if entry.fate == fate and entry.reason)
        return Counter(kinds)

    def summary(self, folder: PathLike) -> str:
        """What there is and what is not, in a few lines for people."""
        pitches = [entry.pitch for entry in self.kept]
        lines = [
            f"{counted(len(pitches), 'note')}, pitches {min(pitches)} to {max(pitches)}, in {folder}; "
            f"{MANIFEST_FILE} there tells the fate of every file."
        ]
        for fate, name in ((KEPT, "Of these"), (DROPPED, "Dropped"), (IGNORED, "Ignored")):
            if kinds := self.kinds(fate).most_common():
                counts = ", ".join(f"{kind} {count:,}" for kind, count in kinds)
                lines.append(f"{name}: {counts}.")
        return "\n".join(lines)


class NoNotesError(ValueError):
    """Nothing of a folder could be used; the message says why."""


class TableMismatchError(ValueError):
    """A table does not fit the files of a folder; the message says which."""


# --- The whole folder ---


def import_folder(
    audio_dir: PathLike,
    output_dir: PathLike,
    config: FolderConfig,
    listen: Callable[[np.ndarray], float],
    table: Sequence[TableRow] = (),
    warn: Callable[[str], object] = lambda text: None,
    progress: Callable[[int, int, int], object] = lambda done, total, notes: None,
) -> Report:
    """Writes the notes of a folder's recordings, and ``manifest.csv``, into another folder.

    They appear together at the end; when this is interrupted, or nothing can be used, the output
    folder is as before. The same files and settings give the same bytes.

    Args:
      audio_dir: folder with recordings, also in subfolders.
      output_dir: folder of the data set; made if missing. What an earlier one left is replaced.
      config: how.
      listen: wave [samples] at ``config.sample_rate`` -> MIDI number, NaN for no clear pitch.
      table: what is known of files.
      warn: told a sentence for every file that cannot be used.
      progress: told (files done, files in all, notes so far).

    Raises:
      NoNotesError: no file gives a note.
      TableMismatchError: a row of the table fits several files.
      OSError: a folder cannot be read or written.
    """
    entries: list[Entry] = []

    def lose(file: str, reason: str) -> None:
        entries.append(Entry(file, reason=f"unreadable: {reason}"))
        warn(f"{shown(file)}: {reason}.")

    if is_inside(output_dir, audio_dir):
        warn(f"{output_dir} lies in the folder of the recordings: nothing in it is read.")
    files = walk_files(audio_dir, output_dir, lose)
    recordings = [file for file in files if file.lower().endswith(decoding.SUFFIXES)]
    others = sorted(set(files) - set(recordings))
    entries += [Entry(file, fate=IGNORED, reason="no sound file") for file in others]
    if not recordings:
        raise NoNotesError(f"no {', '.join(decoding.SUFFIXES)} file is in it")
    try:
        rows, absent = match_table(table, recordings)
    except ValueError as error:
        raise TableMismatchError(str(error)) from error
    if absent:
        names = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
        warn(f"the table names {len(absent)} that are not in the folder: {names}.")
    provenance = {
        "made_by": "gansynth_data import_folder",
        "settings": dataclasses.asdict(config),
        "libsndfile": soundfile.__libsndfile_version__,
        "soxr": soxr.__version__,
    }
    with (
        _leaving_no_folder(output_dir),
        writing_notes(
            output_dir, config.sample_rate, config.audio_length, "Recorded notes.", provenance
        ) as writer,
    ):
        importer = RecordingImporter(pathlib.Path(audio_dir), config, listen, writer, entries, lose)
        for done, file in enumerate(recordings):
            progress(done, len(recordings), importer.count)
            importer.take_file(file, rows.get(file))
        if config.fill_pitches:
            importer.fill(lambda done, total: progress(done, total, importer.count))
        report = Report(tuple(sorted(entries, key=_place)))
        if not report.kept:
            kinds = report.kinds(DROPPED).most_common()
            raise NoNotesError(
                f"of {counted(len(recordings), 'recording')} none can be used "
                f"({', '.join(f'{kind} {count}' for kind, count in kinds)})"
            )
        write_manifest(writer.folder / MANIFEST_FILE, report.entries)
    return report


def _place(entry: Entry) -> tuple:
    """Orders the manifest: by file, then by note, those filled after those recorded."""
    return entry.file, entry.pitch_from == FILLED, entry.start_seconds or 0.0, entry.pitch or 0


@contextlib.contextmanager
def _leaving_no_folder(folder: PathLike) -> Iterator[None]:
    """Removes what folders were made for nothing, when the body fails."""
    folder = pathlib.Path(folder)
    made = list(itertools.takewhile(lambda path: not path.exists(), (folder, *folder.parents)))
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # not made, or somebody else's by now
            for path in made:
                path.rmdir()
        raise
