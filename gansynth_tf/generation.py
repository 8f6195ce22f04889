"""From a trained model to a folder of notes: wavs, a manifest, latents and a picture."""

import csv
import io
import pathlib

import numpy as np

from gansynth_tf import pictures, wavfiles
from gansynth_tf.files import write_atomically
from gansynth_tf.instrument import Instrument
from gansynth_tf.music import slerp

MANIFEST = "manifest.csv"
LATENTS = "latents.npz"
PICTURE = "rainbowgrams.png"
_PICTURE_NOTES = 64


def notes_of_pitches(instrument: Instrument, pitches, count: int, seed: int):
    """(latents, pitches) of ``count`` notes of each pitch, every one with a timbre of its own."""
    repeated = np.repeat(np.asarray(pitches, np.int32), count)
    return instrument.latents(seed, len(repeated)), repeated


def interpolation(instrument: Instrument, pitches, count: int, seed: int):
    """(latents, pitches) of ``count`` notes of each pitch, from one timbre over to another."""
    start, end = instrument.latents(seed, 2)
    path = slerp(start, end, np.linspace(0.0, 1.0, count)).astype(np.float32)
    return np.tile(path, (len(pitches), 1)), np.repeat(np.asarray(pitches, np.int32), count)


def write_notes(instrument: Instrument, output_dir, latents, pitches, seed: int) -> list[str]:
    """Writes one wav a note at one common gain, and what is needed to make them again.

    Files of an earlier manifest in the same folder are replaced.

    Returns:
      The wavs' names, in order.
    """
    folder = pathlib.Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    specgrams = instrument.specgrams(latents, pitches)
    waves = instrument.invert(specgrams)
    remove_earlier(folder)
    names = [f"note_{number:04d}_p{pitch:03d}" for number, pitch in enumerate(pitches)]
    files = [f"{name}.wav" for name in names]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "pitch", "seed", "latent"])
    writer.writerows((file, pitches[row], seed, row) for row, file in enumerate(files))
    # The manifest first: should the rest be interrupted, the next call knows what to remove.
    write_atomically(folder / MANIFEST, lambda file: file.write(table.getvalue().encode()))
    write_atomically(
        folder / LATENTS, lambda file: np.savez(file, latents=latents, pitches=pitches)
    )
    wavfiles.write_wavs(folder, names, waves, instrument.sample_rate)
    shown = slice(0, _PICTURE_NOTES)
    pictures.rainbowgram_grid(
        folder / PICTURE,
        specgrams[shown],
        [f"pitch {pitch}" for pitch in pitches[shown]],
        representation=instrument.codec.representation,
    )
    return files


def remove_earlier(folder: pathlib.Path) -> None:
    """Removes the wavs that a manifest of the folder names."""
    manifest = folder / MANIFEST
    if not manifest.exists():
        return
    with open(manifest, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = row.get("file") or ""
            if name.startswith("note_") and pathlib.PurePath(name).name == name:
                (folder / name).unlink(missing_ok=True)
