"""The codec between waves and specgrams, and the normaliser of specgrams.

A *specgram* is float32 ``[batch, time, freq, 2]``: channel 0 is the log magnitude, channel 1 the
phase or the instantaneous frequency in units of pi. The ``wave`` representation stands in its
place as ``[batch, samples, 1]``.

Source: Engel et al., "GANSynth", section 2.3 (IF, IF-Mel, Phase); Donahue et al., "WaveGAN".
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from gansynth_tf import spectral

# Those that the networks can train on; a wave is encoded and decoded only.
SPECGRAMS = ("linear", "mel", "phase", "unwrapped_phase")
REPRESENTATIONS = (*SPECGRAMS, "wave")
OVERLAP = 0.75


@dataclasses.dataclass(frozen=True)
class SpecgramCodec:
    """Waves <-> specgrams of one size and representation.

    The frame is ``2 * freq`` samples long and moves by a quarter of itself; all padding is in
    front of the note; DC is dropped and Nyquist kept.

    Attributes:
      representation: "linear" (log magnitude and instantaneous frequency), "mel" (the same on
        the mel scale), "phase", "unwrapped_phase", or "wave".
      time: frames, a power of two times anything.
      freq: frequency bins, a power of two.
      audio_length: samples of a note.
      sample_rate: samples a second.
    """

    representation: str = "mel"
    time: int = 128
    freq: int = 1024
    audio_length: int = 64_000
    sample_rate: int = 16_000

    def __post_init__(self):
        if self.representation not in REPRESENTATIONS:
            raise ValueError(
                f"data_type must be one of {', '.join(REPRESENTATIONS)}, "
                f"not {self.representation!r}."
            )
        for name in ("time", "freq", "audio_length", "sample_rate"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}.")
        if self.representation == "wave":
            return
        if self.freq < 2 or self.freq & (self.freq - 1):
            raise ValueError(
                f"The specgram's frequency bins must be a power of two, not {self.freq}."
            )
        if self.padding < 0:
            raise ValueError(
                f"audio_length={self.audio_length} does not fit in a specgram of {self.time} "
                f"frames x {self.freq} bins, which holds at most "
                f"{self.audio_length + self.padding} samples."
            )

    # --- Sizes ---

    @property
    def frame_length(self) -> int:
        return 2 * self.freq

    @property
    def frame_step(self) -> int:
        return self.frame_length // 4

    @property
    def padding(self) -> int:
        """Zeros in front of the note, in samples."""
        return self.frame_step * (self.time - 1) + self.frame_length - self.audio_length

    @property
    def specgram_shape(self) -> tuple[int, ...]:
        """Shape of one specgram, without the batch."""
        return (
            (self.audio_length, 1) if self.representation == "wave" else (self.time, self.freq, 2)
        )

    # --- Forward ---

    def waves_to_specgrams(self, waves: tf.Tensor) -> tf.Tensor:
        """[batch, audio_length] float32 -> specgrams [batch, time, freq, 2].

        Raises:
          ValueError: another rank or number of samples.
        """
        waves = tf.convert_to_tensor(waves)
        if waves.shape.rank != 2 or waves.shape[1] not in (None, self.audio_length):
            raise ValueError(
                f"waves must have shape [batch, {self.audio_length}], not {waves.shape}."
            )
        if self.representation == "wave":
            return waves[:, :, tf.newaxis]
        padded = tf.pad(waves, [[0, 0], [self.padding, 0]])
        stft = spectral.wave_to_stft(padded, self.frame_length, self.frame_step)
        return self.stfts_to_specgrams(stft[..., 1:])  # [batch, time, freq], without DC

    def stfts_to_specgrams(self, stfts: tf.Tensor) -> tf.Tensor:
        """[batch, time, freq] complex, without DC -> specgrams [batch, time, freq, 2]."""
        magnitude, phase = spectral.rect_to_polar(stfts)
        if self.representation == "phase":
            return spectral.pair(spectral.safe_log(magnitude), phase / math.pi)
        frequency = spectral.instantaneous_frequency(phase)
        if self.representation == "unwrapped_phase":
            return spectral.pair(spectral.safe_log(magnitude), spectral.accumulate(frequency))
        if self.representation == "mel":
            to_mel = spectral.linear_to_mel(self.freq, self.sample_rate)
            # The original takes the power of exp(log magnitude): its epsilon is in it.
            magnitude = to_mel.apply(tf.square(magnitude + spectral.LOG_EPSILON))
            frequency = spectral.wrap_instantaneous_frequency(to_mel.apply(frequency))
        return spectral.pair(spectral.safe_log(magnitude), frequency)

    # --- Inverse ---

    def specgrams_to_waves(self, specgrams: tf.Tensor) -> tf.Tensor:
        """Specgrams [batch, time, freq, 2] -> [batch, audio_length] float32."""
        if self.representation == "wave":
            return specgrams[..., 0]
        stfts = tf.pad(self.specgrams_to_stfts(specgrams), [[0, 0], [0, 0], [1, 0]])
        waves = spectral.stft_to_wave(stfts, self.frame_length, self.frame_step)
        return waves[:, self.padding :]

    def specgrams_to_stfts(self, specgrams: tf.Tensor) -> tf.Tensor:
        """Specgrams [batch, time, freq, 2] -> [batch, time, freq] complex, without DC."""
        magnitude, phase = self.magnitudes_and_phases(specgrams)
        if self.accumulates:
            phase = spectral.accumulate_half_turns(phase)
        else:
            phase = spectral.wrap_half_turns(phase)
        return spectral.polar_to_rect(magnitude, math.pi * phase)

    @property
    def accumulates(self) -> bool:
        """Whether the phase is the running sum of channel 1."""
        return self.representation in ("linear", "mel")

    def magnitudes_and_phases(self, specgrams: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Specgrams [batch, time, freq, 2] -> linear magnitudes, and channel 1 in linear bins."""
        log_magnitude, phase = tf.unstack(specgrams, axis=-1)
        if self.representation != "mel":
            return tf.exp(log_magnitude), phase
        to_linear = spectral.mel_to_linear(self.freq, self.sample_rate)
        power = to_linear.apply(tf.exp(log_magnitude))
        # The original's exp(0.5 * log(power)), its epsilon included. Whole turns between frames
        # do not matter to the cosine: the phase needs no wrapping.
        return tf.sqrt(power + spectral.LOG_EPSILON), to_linear.apply(phase)


# --- Normaliser ---

NORMALIZERS = (
    "specgrams_prespecified_normalizer",
    "specgrams_simple_normalizer",
    "specgrams_freq_normalizer",
)
# Of the prespecified numbers. The generator divides by the scales, in float32.
MIN_SCALE, MAX_NUMBER = 1e-6, 1e6


@dataclasses.dataclass(frozen=True)
class NormalizerConfig:
    """How specgrams are brought to [-1, 1].

    Attributes:
      data_normalizer: "specgrams_prespecified_normalizer" takes the four numbers below;
        "specgrams_simple_normalizer" fits the range of each channel and
        "specgrams_freq_normalizer" that of each channel and frequency bin.
      mag_normalizer_a, mag_normalizer_b, p_normalizer_a, p_normalizer_b: scale and offset of
        log magnitude and phase: normalised = a * x + b.
      normalizer_margin: share of [-1, 1] that the fitted range takes.
      normalizer_num_examples: notes to fit on.
    """

    data_normalizer: str = "specgrams_prespecified_normalizer"
    mag_normalizer_a: float = 0.0661371661726
    mag_normalizer_b: float = 0.113718730221
    p_normalizer_a: float = 0.8
    p_normalizer_b: float = 0.0
    normalizer_margin: float = 0.8
    normalizer_num_examples: int = 1000

    def __post_init__(self):
        if self.data_normalizer not in NORMALIZERS:
            raise ValueError(
                f"data_normalizer must be one of {', '.join(NORMALIZERS)}, "
                f"not {self.data_normalizer!r}."
            )
        for name in ("mag_normalizer_a", "p_normalizer_a"):
            size = abs(getattr(self, name))
            if not MIN_SCALE <= size <= MAX_NUMBER:
                raise ValueError(
                    f"{name} must be a number of size {MIN_SCALE:g} to {MAX_NUMBER:g}, "
                    f"not {getattr(self, name)!r}."
                )
        for name in ("mag_normalizer_b", "p_normalizer_b"):
            if not abs(getattr(self, name)) <= MAX_NUMBER:
                raise ValueError(
                    f"{name} must be a number of size up to {MAX_NUMBER:g}, "
                    f"not {getattr(self, name)!r}."
                )
        if not 0 < self.normalizer_margin <= 1:
            raise ValueError(
                f"normalizer_margin must be in (0, 1], not {self.normalizer_margin!r}."
            )
        if self.normalizer_num_examples < 1:
            raise ValueError("normalizer_num_examples must be at least 1.")

    @property
    def by_frequency(self) -> bool:
        """Whether every frequency bin has numbers of its own."""
        return self.data_normalizer == "specgrams_freq_normalizer"

    @property
    def is_fitted(self) -> bool:
        return self.data_normalizer != "specgrams_prespecified_normalizer"

    def prespecified(self) -> np.ndarray:
        """The four prespecified numbers as [2, 2] float64: rows a and b, columns channels."""
        return np.array(
            [
                [self.mag_normalizer_a, self.p_normalizer_a],
                [self.mag_normalizer_b, self.p_normalizer_b],
            ]
        )

    def fit(self, specgrams: np.ndarray) -> np.ndarray:
        """Specgrams [n, time, freq, channels] or waves [n, samples, 1] -> scale and offset.

        Returns [2, channels] float64, or [2, freq, channels] for the per-frequency normaliser:
        a and b that take the observed range to [-margin, margin].
        """
        if not self.is_fitted:
            return self.prespecified()
        axes = tuple(range(specgrams.ndim - 1))
        if self.by_frequency:
            axes = axes[:-1]
        low = specgrams.min(axis=axes).astype(np.float64)
        high = specgrams.max(axis=axes).astype(np.float64)
        # A bin that never moves gets scale 1 instead of a division by zero.
        span = np.where(high > low, high - low, 2.0 * self.normalizer_margin)
        scale = self.normalizer_margin * 2.0 / span
        offset = self.normalizer_margin * (-2.0 * low / span - 1.0)
        return np.stack([scale, offset])


class Normalizer(keras.layers.Layer):
    """Specgrams <-> [-1, 1]: ``a * x + b`` clipped, and ``(x - b) / a``.

    The numbers are non-trainable weights, so that they are saved with the model.
    """

    def __init__(self, scale_offset: np.ndarray, **kwargs):
        """``scale_offset``: [2, channels], or [2, freq, channels] when it differs by bin."""
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.by_frequency = scale_offset.ndim == 3
        self.scale_offset = self.add_weight(
            shape=scale_offset.shape, initializer="zeros", trainable=False, name="scale_offset"
        )
        self.scale_offset.assign(scale_offset)
        self.built = True

    def normalize(self, specgrams: tf.Tensor) -> tf.Tensor:
        """Specgrams -> the same in [-1, 1], clipped."""
        scale, offset = tf.unstack(tf.convert_to_tensor(self.scale_offset))
        return tf.clip_by_value(scale * specgrams + offset, -1.0, 1.0)

    def denormalize(self, normalized: tf.Tensor) -> tf.Tensor:
        """Values in [-1, 1] -> specgrams."""
        scale, offset = tf.unstack(tf.convert_to_tensor(self.scale_offset))
        return (normalized - offset) / scale
