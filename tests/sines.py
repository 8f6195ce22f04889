"""A player of pieces whose pitch, level and timbre are known: sines in place of a model."""

import pathlib
from collections.abc import Sequence

import numpy as np

from gansynth_tf.evaluation.pitch_tracking import midi_to_hz


class Sines:
    """As a model: notes of 4 s, held for 3. The first number of a latent is the second partial.

    Attributes:
      synthesized: (latent, pitch) of all notes that were asked for.
    """

    path = pathlib.Path("sines")
    sample_rate = 16_000
    audio_length = 64_000
    latent_size = 3

    def __init__(self, pitches: Sequence[int] = range(24, 85)):
        self.pitches = tuple(pitches)
        self.synthesized: list[tuple[tuple[float, ...], int]] = []

    def latents(self, seed: int, count: int) -> np.ndarray:
        """Latents [count, 3]."""
        generator = np.random.default_rng(seed)
        return generator.standard_normal((count, self.latent_size)).astype(np.float32)

    def synthesize(self, latents: np.ndarray, pitches: Sequence[int]) -> np.ndarray:
        """Latents [n, 3] and MIDI pitches [n] -> waves [n, samples]."""
        assert set(pitches) <= set(self.pitches)
        assert len(pitches) <= 16
        self.synthesized += [
            (tuple(row), p) for row, p in zip(latents.tolist(), pitches, strict=True)
        ]
        time = np.arange(self.audio_length) / self.sample_rate
        angle = 2 * np.pi * midi_to_hz(np.asarray(pitches, float))[:, np.newaxis] * time
        waves = np.sin(angle) + 0.1 * np.asarray(latents)[:, :1] * np.sin(2 * angle)
        return (3.0 * waves * np.where(time < 3.0, 1.0, np.exp(-3 * (time - 3)))).astype(np.float32)
