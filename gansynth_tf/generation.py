"""From a trained model to a folder of notes: sounds, a manifest, latents and a picture."""

import csv
import io
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from gansynth_tf import pictures, wavfiles
from gansynth_tf.checkpoint import CheckpointError
from gansynth_tf.files import refuse_folders, replacing_set, write_arrays, write_atomically
from gansynth_tf.instrument import BATCH, Instrument
from gansynth_tf.music import TimbrePath

MANIFEST = "manifest.csv"
LATENTS = "latents.npz"
PICTURE = "rainbowgrams.png"
_PICTURE_NOTES = 64
# Of the waves of one set, which one gain holds together in memory.
MOST_BYTES = 4 * 2**30
_SOUND = re.compile(r"note_\d{4,}_p\d{3}\.(wav|flac)")
_PITCH_STREAM = 0x706974  # keeps drawn pitches apart from the latents of the same seed


Choice = tuple[np.ndarray, np.ndarray]  # latents [n, latent] and pitches [n] of notes


def notes_of_pitches(
    instrument: Instrument, pitches: Sequence[int], count: int, seed: int
) -> Choice:
    """``count`` notes of each pitch, every one with a timbre of its own."""
    repeated = np.repeat(np.asarray(pitches, np.int32), count)
    return instrument.latents(seed, len(repeated)), repeated


def random_notes(instrument: Instrument, count: int, seed: int) -> Choice:
    """``count`` notes of drawn timbres, and of pitches as frequent as in the model's training."""
    counts = np.asarray(instrument.vocabulary.counts, np.float64)
    generator = np.random.Generator(np.random.Philox(key=[seed, _PITCH_STREAM]))
    pitches = generator.choice(instrument.pitches, count, p=counts / counts.sum())
    return instrument.latents(seed, count), pitches.astype(np.int32)


def scale(latents: np.ndarray, pitches: Sequence[int]) -> Choice:
    """Each of the timbres [k, latent] over all pitches."""
    repeated = np.repeat(np.asarray(latents), len(pitches), axis=0)
    return repeated, np.tile(np.asarray(pitches, np.int32), len(latents))


def interpolation(
    latents: np.ndarray, pitches: Sequence[int], count: int, is_norm_fixed: bool = False
) -> Choice:
    """``count`` notes of each pitch, from the first of the timbres [k, latent] over to the last.

    Args:
      is_norm_fixed: whether all latents are brought to one norm (``music.with_norm``).
    """
    path = TimbrePath(latents, np.linspace(0.0, 1.0, len(latents)), is_norm_fixed)
    between = path.at(np.linspace(0.0, 1.0, count)).astype(np.float32)
    return np.tile(between, (len(pitches), 1)), np.repeat(np.asarray(pitches, np.int32), count)


def most_notes(instrument: Instrument) -> int:
    """How many notes a set can have: their waves, float32, are all held at once."""
    return MOST_BYTES // (np.dtype(np.float32).itemsize * instrument.audio_length)


def write_notes(
    instrument: Instrument,
    output_dir: str | pathlib.Path,
    latents: np.ndarray,
    pitches: Sequence[int],
    seed: int | None,
    audio_format: str = "wav",
) -> list[str]:
    """Writes one wav or flac a note at one common gain, and what is needed to make them again.

    Files of an earlier manifest in the same folder are replaced, once the new set lies whole
    beside them: those that the new one does not name go last.

    Args:
      seed: what drew the latents, for the manifest; None where nothing did.

    Returns:
      The sounds' names, in order.

    Raises:
      CheckpointError: the model's notes are not finite numbers; nothing is written or removed.
      IsADirectoryError: a folder has the name of one of the files; likewise.
    """
    folder = pathlib.Path(output_dir)
    files = [
        f"note_{number:04d}_p{pitch:03d}.{audio_format}" for number, pitch in enumerate(pitches)
    ]
    refuse_folders(folder, (*files, PICTURE, LATENTS, MANIFEST))
    waves, shown = _play(instrument, latents, pitches)
    earlier = earlier_sounds(folder)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "pitch", "seed", "latent"])
    writer.writerows((file, pitches[row], seed, row) for row, file in enumerate(files))
    with replacing_set(folder, MANIFEST) as new:
        wavfiles.write_wavs(new, files, waves, instrument.sample_rate)
        pictures.rainbowgram_grid(
            new / PICTURE,
            shown,
            [f"pitch {pitch}" for pitch in pitches[: len(shown)]],
            representation=instrument.codec.representation,
        )
        write_arrays(new / LATENTS, {"latents": latents, "pitches": pitches})
        write_atomically(new / MANIFEST, lambda file: file.write(table.getvalue().encode()))
    for name in earlier - set(files):
        if not (folder / name).is_dir():
            (folder / name).unlink(missing_ok=True)
    return files


def _play(
    instrument: Instrument, latents: np.ndarray, pitches: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Waves of all notes, and the specgrams of those that are drawn: no others are kept."""
    waves = np.empty((len(pitches), instrument.audio_length), np.float32)
    shown = None
    for start in range(0, len(pitches), _PICTURE_NOTES):
        part = slice(start, start + _PICTURE_NOTES)
        specgrams = instrument.specgrams(latents[part], pitches[part], BATCH)
        waves[part] = instrument.invert(specgrams, BATCH)
        if not np.isfinite(waves[part]).all():
            raise CheckpointError(
                f"{instrument.path} cannot be played: its notes hold NaN or infinity."
            )
        shown = specgrams if shown is None else shown
    return waves, shown


def earlier_sounds(folder: pathlib.Path) -> set[str]:
    """Names of the sounds of ours that a manifest of the folder names.

    Whatever else a manifest.csv there holds, it is not ours and names nothing.
    """
    manifest = folder / MANIFEST
    if not manifest.exists():
        return set()
    text = manifest.read_bytes().decode("utf-8", errors="replace")
    names = set()
    try:
        for row in csv.DictReader(io.StringIO(text, newline="")):
            names.add(row.get("file") or "")
    except csv.Error:
        pass  # what was read up to there holds
    return {name for name in names if _SOUND.fullmatch(name)}
