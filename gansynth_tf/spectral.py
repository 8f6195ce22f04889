"""Pure functions between waves, spectra, phases and the mel scale.

TensorFlow functions work eagerly, in tf.data, in tf.function and in a SavedModel, on any batch
size. NumPy functions compute constants in float64. Nothing here keeps state.

Source: Engel et al., "GANSynth", section 2.3, and the transforms of its released code, whose
quirks are kept because trained weights depend on them (see docs/FIDELITY.md).
"""

import functools
import math

import numpy as np
import tensorflow as tf

MEL_BREAK_FREQUENCY_HERTZ = 700.0
MEL_HIGH_FREQUENCY_Q = 1127.0
LOG_EPSILON = 1e-6
MAX_SPAN = 16  # frames; a power of two

# --- Short-time Fourier transform ---


def wave_to_stft(wave: tf.Tensor, frame_length: int, frame_step: int) -> tf.Tensor:
    """[..., samples] float -> [..., frames, frame_length // 2 + 1] complex, Hann window."""
    return tf.signal.stft(wave, frame_length, frame_step, frame_length, pad_end=False)


def stft_to_wave(stft: tf.Tensor, frame_length: int, frame_step: int) -> tf.Tensor:
    """[..., frames, frame_length // 2 + 1] complex -> [..., samples] float, by overlap and add."""
    return tf.signal.inverse_stft(
        stft,
        frame_length,
        frame_step,
        frame_length,
        window_fn=tf.signal.inverse_stft_window_fn(frame_step),
    )


# --- Magnitude and phase ---


def safe_log(x: tf.Tensor) -> tf.Tensor:
    """log(x + 1e-6): finite for x >= 0."""
    return tf.math.log(x + LOG_EPSILON)


def polar_to_rect(magnitude: tf.Tensor, phase: tf.Tensor) -> tf.Tensor:
    """Magnitude and phase in radians -> complex, same shape."""
    return tf.complex(magnitude * tf.cos(phase), magnitude * tf.sin(phase))


def rect_to_polar(rect: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Complex -> magnitude and phase in (-pi, pi], same shape.

    From its parts: TensorFlow computes the modulus and the angle of complex numbers one by one,
    eight times slower.
    """
    real, imaginary = tf.math.real(rect), tf.math.imag(rect)
    return tf.sqrt(tf.square(real) + tf.square(imaginary)), tf.atan2(imaginary, real)


def pair(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Two real [...] -> [..., 2], five times faster than ``tf.stack``."""
    return tf.bitcast(tf.complex(first, second), first.dtype)


def wrap_half_turns(x: tf.Tensor) -> tf.Tensor:
    """Angles in units of pi -> the same angles in [-1, 1].

    An even multiple of pi is taken off by rounding, which is exact in float32 for any x.
    """
    return _wrap(x, 2.0)


def unwrap(phase: tf.Tensor) -> tf.Tensor:
    """Takes jumps of more than pi out of a phase in radians; [..., time, freq], same shape.

    A step of exactly pi or -pi stays as it is, as in numpy.unwrap.
    """
    return math.pi * accumulate(instantaneous_frequency(phase))


def instantaneous_frequency(phase: tf.Tensor) -> tf.Tensor:
    """Phase in radians -> its unwrapped step per frame in units of pi; [..., time, freq].

    The first frame keeps its phase. The steps are wrapped one by one and never summed, so a
    long note loses no float32 digits.
    """
    step = phase[..., 1:, :] - phase[..., :-1, :]
    return tf.concat([phase[..., :1, :], _wrap(step, 2.0 * math.pi)], axis=-2) / math.pi


def wrap_instantaneous_frequency(frequency: tf.Tensor) -> tf.Tensor:
    """Steps in units of pi -> the same within half a turn; the first frame is kept as it is.

    Equals the instantaneous frequency of the accumulated steps, without accumulating them.
    """
    # In radians, as the original: else some steps of half a turn round to the other sign than its.
    wrapped = _wrap(math.pi * frequency[..., 1:, :], 2.0 * math.pi) / math.pi
    return tf.concat([frequency[..., :1, :], wrapped], axis=-2)


def accumulate(steps: tf.Tensor) -> tf.Tensor:
    """Running sum over the time axis of [..., time, freq], summed in float64, same dtype."""
    return tf.cast(tf.cumsum(tf.cast(steps, tf.float64), axis=-2), steps.dtype)


def accumulate_half_turns(steps: tf.Tensor) -> tf.Tensor:
    """Running sum over time of steps in units of pi, wrapped to [-1, 1]; [..., time, freq].

    Short spans are summed by a small matrix, which is three times faster than a running sum; what
    comes before a span is summed in float64 and wrapped before it is rounded: float32 digits are
    not spent on whole turns, however long the note.
    """
    lead, (time, freq) = tf.unstack(tf.shape(steps)[:-2]), steps.shape[-2:]
    span = math.gcd(time, MAX_SPAN)
    sums = tf.constant(np.tril(np.ones([span, span])), steps.dtype)
    within = tf.matmul(sums, tf.reshape(steps, [*lead, time // span, span, freq]))
    totals = tf.cast(within[..., -1, :], tf.float64)
    before = wrap_half_turns(tf.cumsum(totals, axis=-2, exclusive=True))
    total = within + tf.cast(before, steps.dtype)[..., tf.newaxis, :]
    return wrap_half_turns(tf.reshape(total, [*lead, time, freq]))


def _wrap(x: tf.Tensor, turn: float) -> tf.Tensor:
    # Half a turn either way stays as it is: half of one rounds to the even number, zero.
    return x - turn * tf.round(x / turn)


# --- Mel scale ---


def hertz_to_mel(hertz: np.ndarray | float) -> np.ndarray:
    """Hertz -> mel (HTK)."""
    return MEL_HIGH_FREQUENCY_Q * np.log1p(np.asarray(hertz) / MEL_BREAK_FREQUENCY_HERTZ)


def mel_to_hertz(mel: np.ndarray | float) -> np.ndarray:
    """Mel (HTK) -> Hertz."""
    return MEL_BREAK_FREQUENCY_HERTZ * np.expm1(np.asarray(mel) / MEL_HIGH_FREQUENCY_Q)


@functools.lru_cache(maxsize=8)
def linear_to_mel_matrix(num_bins: int, sample_rate: int) -> np.ndarray:
    """Weights [num_bins, num_bins] float64 that take linear bins to as many mel bands.

    Triangles between mel band edges, widened where they are narrower than 1.5 bins so that low
    bands are not empty. Three quirks of the original are kept: the bins are taken to span 0 to
    Nyquist inclusive; the first one (bin 1 of the STFT here) gets no weight, as if it were DC;
    and a widened band moves the shared edges in place, so that its neighbours, one after the
    other from low to high, are computed from edges already moved.
    """
    nyquist = sample_rate / 2.0
    bins = np.linspace(0.0, nyquist, num_bins)[1:, np.newaxis]
    edges = np.linspace(hertz_to_mel(0.0), hertz_to_mel(nyquist), num_bins + 2)
    narrowest = 1.5 * nyquist / num_bins
    for band in range(num_bins):
        low_hertz, center_hertz, high_hertz = mel_to_hertz(edges[band : band + 3])
        if high_hertz - low_hertz < narrowest:
            half = 0.5 * narrowest / (center_hertz + MEL_BREAK_FREQUENCY_HERTZ)
            spread = MEL_HIGH_FREQUENCY_Q * np.arcsinh(half)
            edges[band] = edges[band + 1] - spread
            edges[band + 2] = edges[band + 1] + spread

    edges = mel_to_hertz(edges)[np.newaxis, :]
    lower, center, upper = edges[:, :-2], edges[:, 1:-1], edges[:, 2:]
    rising = (bins - lower) / (center - lower)
    falling = (upper - bins) / (upper - center)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    return _frozen(np.pad(weights, [[1, 0], [0, 0]]))


@functools.lru_cache(maxsize=8)
def mel_to_linear_matrix(num_bins: int, sample_rate: int) -> np.ndarray:
    """Approximate inverse [num_bins, num_bins] float64 of ``linear_to_mel_matrix``."""
    to_mel = linear_to_mel_matrix(num_bins, sample_rate)
    overlap = (to_mel @ to_mel.T).sum(axis=0)
    scale = np.where(np.abs(overlap) > 1e-8, 1.0 / np.maximum(overlap, 1e-8), overlap)
    return _frozen(to_mel.T * scale[np.newaxis, :])


class BandedMatrix:
    """A dense float64 matrix whose non-zero entries lie along a band, cut into blocks of columns.

    Each block of columns multiplies only the rows that it needs. For the mel matrices this
    leaves a sixteenth of the dense product, and of the constants in a graph.
    """

    def __init__(self, dense: np.ndarray, block_columns: int = 64):
        self.columns = dense.shape[1]
        self.blocks = []
        for start in range(0, dense.shape[1], block_columns):
            columns = dense[:, start : start + block_columns]
            rows = np.flatnonzero(columns.any(axis=1))
            low, high = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 1)
            self.blocks.append((low, high, columns[low:high].astype(np.float32)))

    def apply(self, x: tf.Tensor) -> tf.Tensor:
        """[..., rows] float -> [..., columns], the product ``x @ dense``."""
        flat = tf.reshape(x, [-1, x.shape[-1]])  # one product of all, not one for each example
        products = [
            tf.matmul(flat[:, low:high], tf.cast(block, x.dtype))
            for low, high, block in self.blocks
        ]
        shape = tf.concat([tf.shape(x)[:-1], [self.columns]], 0)
        return tf.reshape(tf.concat(products, axis=1), shape)


@functools.lru_cache(maxsize=8)
def linear_to_mel(num_bins: int, sample_rate: int) -> BandedMatrix:
    """``linear_to_mel_matrix``, ready to multiply."""
    return BandedMatrix(linear_to_mel_matrix(num_bins, sample_rate))


@functools.lru_cache(maxsize=8)
def mel_to_linear(num_bins: int, sample_rate: int) -> BandedMatrix:
    """``mel_to_linear_matrix``, ready to multiply."""
    return BandedMatrix(mel_to_linear_matrix(num_bins, sample_rate))


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)  # it is cached and shared
    return array
