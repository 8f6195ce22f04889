"""A SoundFont's notes to a folder that trains: notes, the map they come from, their provenance."""

import contextlib
import dataclasses
import hashlib
import pathlib
from collections.abc import Callable

import soxr

import gansynth_tf
from gansynth_tf.data import fluidsynth, note_writer, soundfont
from gansynth_tf.data.set_info import INFO_FILE, MAP_DIGEST, MAP_FILE, PROVENANCE_FILE
from gansynth_tf.data.soundfont_choice import Choice, SoundfontConfig
from gansynth_tf.data.soundfont_file import SoundfontInfo
from gansynth_tf.data.soundfont_map import format_map
from gansynth_tf.files import PathLike, refuse_folders
from gansynth_tf.wording import counted

_FILES = (MAP_FILE, INFO_FILE, PROVENANCE_FILE)


class SilenceError(ValueError):
    """No note sounds."""


def write_soundfont_notes(
    folder: PathLike,
    path: PathLike,
    info: SoundfontInfo,
    choice: Choice,
    config: SoundfontConfig,
    processes: int = 0,
    progress: Callable[[int], object] | None = None,
    given_map: PathLike | None = None,
) -> list[soundfont.Dropped]:
    """Renders the chosen notes into a data set; returns what was dropped.

    Args:
      folder: made if missing; an earlier data set in it is replaced, once all notes are there.
      path: the SoundFont.
      info: what it says of itself.
      choice: what is rendered; its map is stored beside the notes.
      config: how notes are rendered.
      processes: as `render_notes` has it.
      progress: told after each note how many have been rendered.
      given_map: the user's own map, which is stored as it is.

    Raises:
      SilenceError: no note sounds; nothing is written.
      IsADirectoryError: a folder has the name of a file.
      fluidsynth.FluidSynthError, workers.WorkerError: as `render_notes` has it.
    """
    if given_map is None:
        text = format_map(choice.programs).encode()
    else:
        text = pathlib.Path(given_map).read_bytes()
    provenance = {
        "command": "gansynth_data render_soundfont",
        "versions": {
            "gansynth_tf": gansynth_tf.__version__,
            "fluidsynth": fluidsynth.version(),
            "soxr": soxr.__version__,
        },
        "soundfont": {
            name: value for name, value in dataclasses.asdict(info).items() if name != "programs"
        },
        "map": choice.map_origin,
        MAP_DIGEST: hashlib.sha256(text).hexdigest(),
        "options": dataclasses.asdict(config),
        "level": f"the loudest note of each instrument peaks at {soundfont.PEAK_DBFS:g} dBFS",
    }
    description = f"Notes of the SoundFont {info.name!r}, by gansynth_data render_soundfont."
    dropped = []
    refuse_folders(folder, _FILES)  # now, and not after all notes are rendered
    with (
        note_writer.writing_notes(
            folder, config.sample_rate, config.audio_length, description, provenance
        ) as writer,
        contextlib.closing(
            soundfont.render_notes(path, choice.instruments, config, processes)
        ) as notes,
    ):
        for done, note in enumerate(notes, 1):
            if isinstance(note, soundfont.Dropped):
                dropped.append(note)
            else:
                writer.write(note)
            if progress is not None:
                progress(done)
        if not writer.counts:
            raise SilenceError(f"of {counted(len(dropped), 'note')} none sounds.")
        provenance["dropped"] = {note.id: note.reason for note in dropped}
        (writer.folder / MAP_FILE).write_bytes(text)
    return dropped
