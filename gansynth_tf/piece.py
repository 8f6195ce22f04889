"""From a piece to its files: the sound, a piano roll and a rainbowgram."""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from gansynth_tf import piece_pictures, wavfiles
from gansynth_tf.files import refuse_folders, replacing_set
from gansynth_tf.music import TimbrePath
from gansynth_tf.notelist import NoteList
from gansynth_tf.performance import PerformanceConfig, Playable, perform


def write_piece(
    playable: Playable,
    notes: NoteList,
    timbres: Sequence[TimbrePath],
    output_dir: str | pathlib.Path,
    name: str,
    config: PerformanceConfig = PerformanceConfig(),
    audio_format: str = "wav",
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> tuple[pathlib.Path, float]:
    """Plays a piece into ``NAME_played.wav`` and draws two pictures beside it.

    Earlier files of these names are replaced once all three lie whole beside them.

    Args:
      name: what the files' names begin with.
      audio_format: "wav" or "flac".

    Returns:
      The sound's file, and its seconds.

    Raises:
      ValueError, CheckpointError: as ``perform``; nothing is written.
      IsADirectoryError: a folder has the name of one of the files; likewise.
    """
    folder = pathlib.Path(output_dir)
    sound, roll, rainbow = (
        f"{name}_{what}" for what in (f"played.{audio_format}", "piano_roll.png", "rainbowgram.png")
    )
    refuse_folders(folder, (sound, roll, rainbow))
    wave = perform(playable, notes, timbres, config, progress)
    seconds = len(wave) / playable.sample_rate
    with replacing_set(folder, sound) as new:
        wavfiles.write_audio(new / sound, wave, playable.sample_rate)
        piece_pictures.piano_roll(new / roll, notes, seconds)
        piece_pictures.rainbowgram(new / rainbow, wave, playable.sample_rate)
    return folder / sound, seconds


def latents_of(timbres: Sequence[TimbrePath]) -> np.ndarray:
    """The latents [n, latent] that the paths of a piece go through, part by part, each once."""
    return np.concatenate([path.latents for path in dict.fromkeys(timbres)])
