"""From a recording to the latent whose note is closest to it.

The distance compares spectra at several sizes of frames, so that neither phase nor loudness counts.
It is descended by its gradient through the generator and the inversion,
from the closest of many latents that were drawn.

Source of the distance: Engel et al., "DDSP: Differentiable Digital Signal Processing" (ICLR 2020),
multi-scale spectral loss.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy import stats

from gansynth_tf.data import trimming
from gansynth_tf.data.decoding import read_recording
from gansynth_tf.evaluation.pitch_tracking import SEARCH_MARGIN, track_pitch
from gansynth_tf.files import write_atomically
from gansynth_tf.instrument import Instrument

FRAME_LENGTHS = (2048, 1024, 512, 256, 128, 64)
_LEAST_LEVEL = 1e-3  # of magnitudes, of white noise as loud as the wave: what is below is silence
_SILENT = 1e-6  # RMS
REPORT = "match.json"
_MAX_SECONDS = 600.0  # of a recording; all but its first note's length is left out
# One latent of so many is drawn further out: the descent stays within.
_RARE = 1e-4


class MatchError(ValueError):
    """A recording that cannot be matched; one sentence."""


@dataclasses.dataclass(frozen=True, eq=False)
class Match:
    """A timbre that was found for a recording.

    Attributes:
      latent: [latent].
      pitch: MIDI pitch at which it was compared.
      distance: between its note and the recording.
      drawn_distances: of notes of latents that were merely drawn, ascending.
    """

    latent: np.ndarray
    pitch: int
    distance: float
    drawn_distances: np.ndarray


@dataclasses.dataclass(frozen=True)
class Search:
    """How long is searched.

    Attributes:
      drawn: latents that are drawn and listened to.
      starts: the closest of them, from each of which the distance is descended.
      steps: of the descent.
      learning_rate: of its first step, a latent's dimensions being of the size of 1; falls to 0.
      seed: draws the latents.
    """

    drawn: int = 64
    starts: int = 4
    steps: int = 300
    learning_rate: float = 0.1
    seed: int = 1

    def __post_init__(self):
        if not 1 <= self.starts <= self.drawn:
            raise ValueError(f"starts must be from 1 to drawn={self.drawn}, not {self.starts}.")


def spectral_distance(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Waves [n, samples] twice -> [n], at least 0, whatever the phases and the loudness of either.

    For each frame length, the mean difference of magnitudes and that of their logarithms; the mean
    of all lengths that the wave has room for. Differentiable.
    """
    return _distance(_spectra(first), _spectra(second))


def read_note(path: str | pathlib.Path, instrument: Instrument) -> np.ndarray:
    """A recording from where it begins to sound, [samples] of the model's length and rate.

    Raises:
      RecordingError: it is no recording that can be read.
    """
    wave = trimming.centered(read_recording(path, instrument.sample_rate, _MAX_SECONDS))
    onset = trimming.find_onset(wave, instrument.sample_rate)
    onset -= trimming.pre_roll(onset, instrument.sample_rate)
    return trimming.fit_length(wave[onset:], instrument.audio_length)


def hear_pitch(wave: np.ndarray, instrument: Instrument) -> int:
    """The pitch of the model's that is nearest to what is heard in a note [samples].

    Raises:
      MatchError: no clear pitch is heard.
    """
    low, high = instrument.pitches[0] - SEARCH_MARGIN, instrument.pitches[-1] + SEARCH_MARGIN
    heard = track_pitch(wave, instrument.sample_rate, low, high)
    if math.isnan(heard):
        raise MatchError("no clear pitch is heard in it: give its pitch.")
    return min(instrument.pitches, key=lambda pitch: abs(pitch - heard))


def write_report(folder: str | pathlib.Path, found: Match, search: Search) -> None:
    """Writes ``match.json``: the distance, those of drawn timbres, and how it was searched."""
    content = {
        "pitch": found.pitch,
        "distance": found.distance,
        "drawn_distances": found.drawn_distances.tolist(),
        "latent": found.latent.tolist(),
        "search": dataclasses.asdict(search),
    }
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(pathlib.Path(folder) / REPORT, lambda file: file.write(text.encode()))


def match(
    instrument: Instrument,
    wave: np.ndarray,
    pitch: int,
    search: Search = Search(),
    progress: Callable[[int, int, float], object] = lambda step, steps, distance: None,
) -> Match:
    """The timbre whose note of ``pitch`` is closest to a recording.

    Args:
      wave: [samples] at the model's rate, its note beginning at once; cut, or filled with silence,
        to the model's length.
      progress: is told of every step, of how many, and the least distance by then.

    Raises:
      ValueError: a pitch that the model does not know.
      MatchError: a recording that is silent or not finite.
    """
    target = _as_note(wave, instrument.audio_length)
    instrument.vocabulary.labels([pitch])  # raises where it is unknown
    goal = [tf.constant(spectrum) for spectrum in _spectra(tf.constant(target[np.newaxis]))]
    drawn = instrument.latents(search.seed, search.drawn)
    notes = instrument.synthesize(drawn, np.full(search.drawn, pitch))
    distances = np.array([_distance(_spectra(note[np.newaxis]), goal)[0] for note in notes])
    order = np.argsort(distances)
    starts = drawn[order[: search.starts]]
    latents, reached = _descend(instrument, goal, starts, pitch, search, progress)
    best = int(np.argmin(reached))
    return Match(latents[best], pitch, float(reached[best]), distances[order])


def _descend(
    instrument: Instrument,
    goal: list[tf.Tensor],
    starts: np.ndarray,
    pitch: int,
    search: Search,
    progress: Callable[[int, int, float], object],
) -> tuple[np.ndarray, np.ndarray]:
    """The best latent on the way from each start [n, latent], and its distance [n]."""
    latents = tf.Variable(starts)
    pitches = tf.fill([len(starts)], pitch)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(search.learning_rate, search.steps)
    )
    optimizer.build([latents])
    limit = stats.chi.ppf(1.0 - _RARE, instrument.latent_size)

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            distances = _distance(_spectra(instrument.differentiable(latents, pitches)), goal)
            total = tf.reduce_sum(distances)
        optimizer.apply_gradients([(tape.gradient(total, latents), latents)])
        latents.assign(tf.clip_by_norm(latents, limit, axes=[1]))
        return distances

    best, least = starts.copy(), np.full(len(starts), np.inf)
    for number in range(search.steps):
        before = latents.numpy()
        distances = step().numpy()
        better = distances < least
        best[better], least[better] = before[better], distances[better]
        progress(number + 1, search.steps, float(least.min()))
    return best, least


def _as_note(wave: np.ndarray, length: int) -> np.ndarray:
    wave = np.asarray(wave, np.float32)
    if wave.ndim != 1 or not np.isfinite(wave).all():
        raise MatchError("the recording must be finite samples [n].")
    note = trimming.fit_length(wave, length)
    if np.sqrt(np.mean(np.square(note))) < _SILENT:
        raise MatchError("it is silent.")
    return note


def _spectra(waves: tf.Tensor) -> list[tf.Tensor]:
    """Magnitudes [n, frames, bins] for each frame length; white noise of any loudness has about 1."""
    waves = tf.convert_to_tensor(waves)
    level = tf.sqrt(tf.reduce_mean(tf.square(waves), axis=1, keepdims=True))
    waves = waves / tf.maximum(level, _SILENT)
    spectra = []
    for length in FRAME_LENGTHS:
        if length > waves.shape[1]:
            continue
        stft = tf.signal.stft(waves, length, length // 4)
        power = tf.square(tf.math.real(stft)) + tf.square(tf.math.imag(stft))
        # Of a Hann window, whose squares sum up to 3/8 of its length. The root's slope at 0 has
        # no end.
        spectra.append(tf.sqrt(power / (0.375 * length) + _LEAST_LEVEL**2))
    return spectra


def _distance(first: list[tf.Tensor], second: list[tf.Tensor]) -> tf.Tensor:
    terms = [
        tf.reduce_mean(tf.abs(a - b) + tf.abs(tf.math.log(a) - tf.math.log(b)), axis=[1, 2])
        for a, b in zip(first, second, strict=True)
    ]
    return tf.reduce_mean(tf.stack(terms), axis=0)
