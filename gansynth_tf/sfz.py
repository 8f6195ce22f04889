"""A timbre as an SFZ instrument, which any sampler plays.

Samples are the model's notes, each at one level, as pieces have them. A sound that lasts while it
is held gets a loop, within which its level is made even, since a sampler repeats it as it is; one
that dies away is played to its end.

Source: the SFZ format, sfzformat.com: opcodes of version 1, and `amp_velcurve_N`.
"""

import itertools
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gansynth_tf import mixing, sustain, wavfiles
from gansynth_tf.checkpoint import CheckpointError
from gansynth_tf.files import refuse_folders, replacing_set, write_atomically
from gansynth_tf.mixing import EnvelopeConfig
from gansynth_tf.notelist import MAX_VELOCITY
from gansynth_tf.performance import Playable

# A loop's level after one round; what falls by more, 3 dB, is taken for a sound that dies away.
LEAST_DECAY = 0.7
MAX_STEP = 24  # semitones between two samples


class Region(NamedTuple):
    """The keys that one sample plays."""

    low: int
    high: int
    center: int


def regions(pitches: Sequence[int], step: int = 1) -> list[Region]:
    """The keys of a model's pitches, each played by a sample at most ``step // 2`` keys away.

    Keys between the model's lowest and highest pitch all sound, those beyond do not.

    Args:
      step: semitones from one sample to the next; more where the model lacks pitches.

    Raises:
      ValueError: a step that is none.
    """
    if not 1 <= step <= MAX_STEP:
        raise ValueError(f"sfz_step must be from 1 to {MAX_STEP}, not {step}.")
    pitches = sorted(pitches)
    centers = []
    # The first sample lies half a step above the lowest key, which plays it too.
    wanted = min(pitches[0] + step // 2, pitches[-1])
    for pitch in pitches:
        if pitch >= wanted:
            centers.append(pitch)
            wanted = pitch + step
    if pitches[-1] - centers[-1] > step // 2:
        centers.append(pitches[-1])
    middles = [(left + right) // 2 for left, right in itertools.pairwise(centers)]
    lows = [pitches[0], *(middle + 1 for middle in middles)]
    return [Region(*keys) for keys in zip(lows, [*middles, pitches[-1]], centers, strict=True)]


def write_sfz(
    playable: Playable,
    latent: np.ndarray,
    folder: str | pathlib.Path,
    name: str,
    step: int = 1,
    envelope: EnvelopeConfig = EnvelopeConfig(),
) -> pathlib.Path:
    """Writes ``folder/NAME.sfz`` and its samples ``NAME_pPPP.wav``, 16 bit, whole or not at all.

    Earlier files of these names are replaced; samples of an earlier instrument of this name that
    the new one does not have go last.

    Args:
      latent: the timbre, [latent].
      name: what the files' names begin with.
      step: semitones from one sample to the next.
      envelope: how notes begin and end.

    Returns:
      The instrument's file.

    Raises:
      ValueError: a step that is none.
      CheckpointError: the model's notes are not finite numbers; nothing is written.
      IsADirectoryError: a folder has the name of one of the files; likewise.
    """
    folder, keys = pathlib.Path(folder), regions(playable.pitches, step)
    files = [f"{name}_p{region.center:03d}.wav" for region in keys]
    index = f"{name}.sfz"
    refuse_folders(folder, (*files, index))
    latents = np.repeat(np.asarray(latent)[np.newaxis], len(keys), axis=0)
    waves = playable.synthesize(latents, [region.center for region in keys])
    if not np.isfinite(waves).all():
        raise CheckpointError(f"{playable.path} cannot be played: its notes hold NaN or infinity.")
    samples = [_sample(wave, playable.sample_rate) for wave in waves]
    lines = [_header(name, envelope)]
    for file, region, (_, loop) in zip(files, keys, samples, strict=True):
        lines.append(_region(file, region, loop))
    earlier = earlier_samples(folder, name)
    with replacing_set(folder, index) as new:
        wavfiles.write_wavs(new, files, [wave for wave, _ in samples], playable.sample_rate)
        write_atomically(new / index, lambda file: file.write("".join(lines).encode()))
    for old in earlier - set(files):
        (folder / old).unlink(missing_ok=True)
    return folder / index


def file_name(name: str) -> str:
    """A timbre's name as that of files, and with nothing in it that means something in SFZ."""
    return re.sub(r"[^\w -]", "_", name)


def earlier_samples(folder: pathlib.Path, name: str) -> set[str]:
    """Files in ``folder`` that are samples of an instrument of this name."""
    pattern = re.compile(re.escape(name) + r"_p\d{3}\.wav")
    return {path.name for path in folder.glob("*.wav") if pattern.fullmatch(path.name)}


def _sample(wave: np.ndarray, sample_rate: int) -> tuple[np.ndarray, tuple[int, int] | None]:
    """A note [samples] as a sampler has it, and the first and the last sample of its loop."""
    loop = sustain.find_loop(wave, sample_rate, mixing.held_seconds(len(wave), sample_rate))
    if loop.decay < LEAST_DECAY:
        return mixing.leveled(wave, MAX_VELOCITY), None
    # Louder by as much as the sound grows softer: from the loop's start on its level stays.
    wave = np.array(wave[: loop.end], np.float64)
    rounds = np.maximum(np.arange(loop.end) - loop.start, 0) / (loop.end - loop.start)
    wave *= loop.decay**-rounds
    wave = sustain.looped(wave, sustain.Loop(loop.start, loop.end, loop.fade, decay=1.0))
    return mixing.leveled(wave, MAX_VELOCITY), (loop.start, loop.end - 1)


def _header(name: str, envelope: EnvelopeConfig) -> str:
    return (
        f"// {name}, a timbre of GANSynth\n\n<global>\n"
        f"ampeg_attack={envelope.attack:g}\nampeg_release={envelope.release:g}\n"
        # A level in proportion to the velocity, as pieces have it.
        f"amp_velcurve_1={1 / MAX_VELOCITY:.5f}\namp_velcurve_{MAX_VELOCITY}=1\n"
    )


def _region(file: str, region: Region, loop: tuple[int, int] | None) -> str:
    how = "loop_mode=no_loop"
    if loop:
        how = f"loop_mode=loop_continuous loop_start={loop[0]} loop_end={loop[1]}"
    return (
        f"\n<region> sample={file}\n"
        f"lokey={region.low} hikey={region.high} pitch_keycenter={region.center}\n{how}\n"
    )
