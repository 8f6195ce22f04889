"""From the name of a data set to its notes."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable

import numpy as np
import soxr
import tensorflow as tf

from gansynth_tf.data import synth
from gansynth_tf.data.note_reader import DataError, NoteFolder, open_folder
from gansynth_tf.data.note_table import NoteFilter, NoteTable, fingerprint, paper_split_rows
from gansynth_tf.data.notes import Notes
from gansynth_tf.data.schema import FAMILIES, QUALITIES, SOURCES
from gansynth_tf.data.set_info import INFO_FILE, SetInfo, read_info

# Name -> where NSynth's builder keeps it, below a folder of TFDS.
NSYNTH = {
    "nsynth": "nsynth/gansynth_subset",
    "nsynth/gansynth_subset": "nsynth/gansynth_subset",
    "nsynth/full": "nsynth/full",
}
NSYNTH_VERSIONS = ("2.3.3", "2.3.2", "2.3.1", "2.3.0")
DATASETS = ("auto", "embedded", "folder", *NSYNTH)
SPLIT_SCHEMES = ("stored", "paper")
MAX_INSTRUMENTS = 1000  # of a family, as the synthesiser has it
# Noise, not notes (the full set's test split).
NOISE_INSTRUMENTS = ("brass_acoustic_046",)
_MIDI = range(128)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which notes to train on.

    Attributes:
      dataset_name: "embedded": the synthesiser of gansynth_tf.data.synth. "folder": what
        gansynth_data wrote into train_data_path, or TFDS in NSynth's features. "nsynth",
        "nsynth/gansynth_subset", "nsynth/full": as TFDS prepares them below train_data_path.
        "auto": what lies at train_data_path, and embedded notes where none is given.
      train_data_path: where a data set lies that is read from disk.
      split: which of the data set's splits to take; "all" takes every one.
      split_scheme: "stored": the splits that the data set has. "paper": "train" and "test" of the
        acoustic notes from 24 to 84, shuffled 80/20 by split_seed.
      min_pitch, max_pitch: MIDI pitches, both included.
      instrument_families, instrument_sources: names; empty: all.
      velocities: MIDI velocities; empty: all.
      with_qualities, without_qualities: NSynth's qualities that notes must have, must not have.
      without_instruments: labels of instruments to leave out.
      embedded_instruments: instruments of each of the eleven families.
      embedded_velocities: MIDI velocities of every note.
      embedded_seed: draws the instruments.
    """

    dataset_name: str = "auto"
    train_data_path: str = ""
    split: str = "train"
    split_scheme: str = "stored"
    split_seed: int = 0
    min_pitch: int = 24
    max_pitch: int = 84
    instrument_families: tuple[str, ...] = ()
    instrument_sources: tuple[str, ...] = ()
    velocities: tuple[int, ...] = ()
    with_qualities: tuple[str, ...] = ()
    without_qualities: tuple[str, ...] = ()
    without_instruments: tuple[str, ...] = NOISE_INSTRUMENTS
    embedded_instruments: int = 4
    embedded_velocities: tuple[int, ...] = (50, 100)
    embedded_seed: int = 0

    def __post_init__(self):
        if self.dataset_name not in DATASETS:
            raise ValueError(
                f"dataset_name must be one of {', '.join(DATASETS)}, not {self.dataset_name!r}."
            )
        if self.train_data_path and self.dataset_name == "embedded":
            raise ValueError(
                f"train_data_path must be left out with dataset_name=embedded, whose notes are "
                f"synthesised, not {self.train_data_path!r}."
            )
        if self.dataset_name == "folder" and not self.train_data_path:
            raise ValueError("dataset_name=folder needs train_data_path: the folder of the notes.")
        self._check_split()
        self._check_filter()
        self._check_embedded()

    @property
    def is_embedded(self) -> bool:
        """Whether the notes are synthesised."""
        name = self.dataset_name
        return name == "embedded" or (name == "auto" and not self.train_data_path)

    @property
    def note_filter(self) -> NoteFilter:
        """Which notes of the split to take."""
        return NoteFilter(
            self.min_pitch,
            self.max_pitch,
            self.instrument_families,
            self.instrument_sources,
            self.velocities,
            self.with_qualities,
            self.without_qualities,
            self.without_instruments,
        )

    def _check_split(self) -> None:
        if self.split_scheme not in SPLIT_SCHEMES:
            raise ValueError(
                f"split_scheme must be one of {', '.join(SPLIT_SCHEMES)}, "
                f"not {self.split_scheme!r}."
            )
        if not self.split:
            raise ValueError("split must name a split such as train, or be all.")
        if self.split_scheme == "paper" and self.split not in ("train", "test"):
            raise ValueError(
                f"split must be train or test with split_scheme=paper, not {self.split!r}."
            )
        if not 0 <= self.split_seed < 2**31:
            raise ValueError(f"split_seed must be in [0, 2^31), not {self.split_seed}.")

    def _check_filter(self) -> None:
        for name in ("min_pitch", "max_pitch"):
            if getattr(self, name) not in _MIDI:
                raise ValueError(
                    f"{name} must be a MIDI pitch from 0 to 127, not {getattr(self, name)}."
                )
        if self.min_pitch > self.max_pitch:
            raise ValueError(
                f"min_pitch must be at most max_pitch, not {self.min_pitch} with "
                f"max_pitch={self.max_pitch}."
            )
        for name, known in (
            ("instrument_families", FAMILIES),
            ("instrument_sources", SOURCES),
            ("with_qualities", QUALITIES),
            ("without_qualities", QUALITIES),
        ):
            unknown = [entry for entry in getattr(self, name) if entry not in known]
            if unknown:
                raise ValueError(f"{name} must be among {', '.join(known)}, not {unknown[0]!r}.")
        if not all(velocity in _MIDI for velocity in self.velocities):
            raise ValueError(
                f"velocities must be MIDI velocities from 0 to 127 such as 100,127, "
                f"not {','.join(map(str, self.velocities))!r}."
            )

    def _check_embedded(self) -> None:
        """What the synthesiser would refuse as well, but under names that no user gave."""
        if not 1 <= self.embedded_instruments <= MAX_INSTRUMENTS:
            raise ValueError(
                f"embedded_instruments must be from 1 to {MAX_INSTRUMENTS}, "
                f"not {self.embedded_instruments}."
            )
        velocities = self.embedded_velocities
        is_set = velocities and len(set(velocities)) == len(velocities)
        if not is_set or not all(velocity in _MIDI[1:] for velocity in velocities):
            raise ValueError(
                f"embedded_velocities must be different MIDI velocities from 1 to 127 such as "
                f"50,100, not {','.join(map(str, velocities))!r}."
            )
        if not 0 <= self.embedded_seed < 2**31:
            raise ValueError(f"embedded_seed must be in [0, 2^31), not {self.embedded_seed}.")


def synth_config(config: DataConfig, sample_rate: int, audio_length: int) -> synth.SynthConfig:
    """The embedded synthesiser's settings.

    Raises:
      ValueError: it cannot make such notes.
    """
    return synth.SynthConfig(
        sample_rate=sample_rate,
        audio_length=audio_length,
        min_pitch=config.min_pitch,
        max_pitch=config.max_pitch,
        instruments_per_family=config.embedded_instruments,
        velocities=config.embedded_velocities,
        seed=config.embedded_seed,
    )


def load_notes(
    config: DataConfig,
    sample_rate: int,
    audio_length: int,
    progress: Callable[[int, int], object] = lambda done, total: None,
    warn: Callable[[str], object] = print,
) -> Notes:
    """The chosen notes of the data set, at this rate and length.

    Args:
      progress: told of (done, total) while notes are synthesised or indexed.
      warn: told what is worth knowing but stops nothing.

    Raises:
      DataError: the data set is missing or damaged, or no note of it is left.
    """
    if config.is_embedded:
        notes = _embedded_notes(synth_config(config, sample_rate, audio_length), progress)
    else:
        folder = open_folder(find_folder(config), progress, warn)
        notes = fit_waves(folder, sample_rate, audio_length)
    return choose_notes(notes, config)


def choose_notes(notes: Notes, config: DataConfig) -> Notes:
    """The notes of the wanted split that pass the filter.

    Raises:
      DataError: there are none.
    """
    table = notes.table
    if config.split_scheme == "paper":
        in_split = paper_split_rows(table, config.split, config.split_seed)
    elif config.split == "all":
        in_split = np.arange(len(table))
    else:
        in_split = np.flatnonzero(table.split == config.split)
        if not len(in_split):
            raise _no_split(config.split, np.unique(table.split))
    rows = in_split[config.note_filter.rows(table.take(in_split))]
    if not len(rows):
        raise DataError(
            f"No note is left of the data set's {len(table):,}: split_scheme, min_pitch, "
            f"max_pitch, instrument_families, instrument_sources, velocities, with_qualities, "
            f"without_qualities or without_instruments leave out every one."
        )
    chosen = notes.take(rows)
    return dataclasses.replace(
        chosen, fingerprint=fingerprint(notes.fingerprint, chosen.table.id.tolist())
    )


def _no_split(split: str, known: Iterable[str]) -> DataError:
    return DataError(f"split={split}: the data set has only {', '.join(known)}.")


# --- Embedded notes ---


def _embedded_notes(config: synth.SynthConfig, progress: Callable[[int, int], object]) -> Notes:
    arrays = synth.render_arrays(config, progress=progress)
    table = NoteTable(
        id=arrays.id,
        split=np.full(len(arrays.id), "train"),
        pitch=arrays.pitch,
        velocity=arrays.velocity,
        label=np.array([name.rsplit("-", 2)[0] for name in arrays.id], np.str_),
        family=arrays.family,
        source=arrays.source,
        qualities=arrays.qualities,
    )
    return Notes.in_memory(arrays.audio, table, fingerprint(repr(config)))


# --- Stored notes ---


def find_folder(config: DataConfig) -> str:
    """Where the data set's dataset_info.json lies.

    Raises:
      DataError: nowhere, and the sentence says how to get it; or it is that of another data set.
    """
    given, name = config.train_data_path, config.dataset_name
    if given and _exists(given, INFO_FILE):
        found = _info(given).name
        if name in NSYNTH and found != NSYNTH[name]:
            raise DataError(
                f"train_data_path={given} holds {found}, and dataset_name={name} asks for "
                f"{NSYNTH[name]}: leave dataset_name out, or give the folder of that one."
            )
        return given
    if name == "folder":
        raise DataError(
            f"train_data_path={given} holds no {INFO_FILE}: a folder that a gansynth_data command "
            f"wrote was expected."
        )
    base = given or _tfds_folder()
    for place in [NSYNTH[name]] if name in NSYNTH else dict.fromkeys(NSYNTH.values()):
        for version in NSYNTH_VERSIONS:
            folder = os.path.join(base, place, version)
            if _exists(folder, INFO_FILE):
                return folder
    if name == "auto":
        raise DataError(
            f"train_data_path={given} holds no notes: a folder that a gansynth_data command wrote, "
            f"or TensorFlow Datasets' folder with nsynth in it, was expected."
        )
    raise DataError(
        f"{NSYNTH[name]} (version {NSYNTH_VERSIONS[-1]} to {NSYNTH_VERSIONS[0]}) is not in {base}: "
        f"make it from the official archives with gansynth_data prepare_nsynth "
        f"--output_dir={base}, or copy it from gs://tfds-data/datasets/{NSYNTH[name]} (73 GiB for "
        f"the full set); --train_data_path says where it lies."
    )


def count_stored(config: DataConfig) -> int:
    """How many notes the split has, before the filter; of the paper's split, all notes there are.

    Raises:
      DataError: as ``find_folder`` has it, or there is no such split.
    """
    counts = _info(find_folder(config)).counts
    if config.split_scheme == "paper" or config.split == "all":
        return sum(counts.values())
    if config.split not in counts:
        raise _no_split(config.split, counts)
    return counts[config.split]


def _info(folder: str) -> SetInfo:
    try:
        return read_info(folder, tf.io.gfile.GFile)
    except tf.errors.OpError as error:
        raise DataError(f"{os.path.join(folder, INFO_FILE)} cannot be read.") from error
    except OSError as error:
        raise DataError(f"{error.filename} {error.strerror}.") from error


def _exists(*parts: str):
    try:
        return tf.io.gfile.exists(os.path.join(*parts))
    except (tf.errors.OpError, ValueError):  # an address that cannot be reached, or is none
        return False


def _tfds_folder():
    """Where TFDS keeps data sets unless it is told otherwise."""
    home = pathlib.Path.home() / "tensorflow_datasets"
    return os.environ.get("TFDS_DATA_DIR") or str(home)


def fit_waves(folder: NoteFolder, sample_rate: int, audio_length: int) -> Notes:
    """A folder's notes at this rate; their ends are cut off, or padded with silence."""
    notes = folder.notes()
    if (folder.sample_rate, folder.audio_length) == (sample_rate, audio_length):
        return notes

    def read(rows: np.ndarray) -> np.ndarray:
        waves = notes.read(rows)
        fitted = np.zeros([len(rows), audio_length], np.float32)
        for wave, target in zip(waves, fitted, strict=True):
            if folder.sample_rate != sample_rate:
                wave = soxr.resample(wave, folder.sample_rate, sample_rate, "VHQ")
            count = min(len(wave), audio_length)
            target[:count] = wave[:count]
        return fitted

    mark = fingerprint(notes.fingerprint, f"{sample_rate} Hz, {audio_length} samples")
    return Notes(notes.table, read, mark)
