"""The sound models behind `synth.py`: additive, stiff string, plucked string, FM and formant voices.

Two engines make all sounds, both cheap enough for hundreds of long notes per second:

- Sustained sounds read band-limited single-period tables with one phase, and fade between a dark
  and a bright table: vibrato costs nothing, and all partials stay exactly harmonic.
- Struck and plucked sounds are sums of damped partials. e^{(a+jw)n} at n = 128 b + i is a product
  of a factor of b and one of i, so the sum over partials is a small matrix product.

Every voice keeps a strong fundamental, so that a pitch tracker and a listener agree on the octave.
Amplitude and pitch curves are piecewise linear on a coarse grid of `HOP` samples.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

MIN_LENGTH = 64  # samples: two points of the coarse grid
HOP = 32  # samples between points of control curves
HELD = 0.75  # share of a note before the key is let go, as in NSynth
MAX_HARMONICS = 400  # in a table: to Nyquist at 16 kHz from 20 Hz on, to 13 kHz for a C1
MAX_PARTIALS = 64  # in a sum of damped partials
STRING_RATE = 48000  # Hz at which the plucked string's loop runs, whatever the sample rate
_FINE = 128  # samples per row of the matrix product
_NOISE = 2**14  # samples of noise before it repeats: 1 s at 16 kHz
_RAMPS = np.stack([1 - np.arange(HOP) / HOP, np.arange(HOP) / HOP]).astype(np.float32)


# ---------------------------------------------------------------------------------------------
# A note's terms
# ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Tone:
    """What is asked of a voice.

    Attributes:
      frequency: of the fundamental, Hz.
      velocity: MIDI, 1 to 127.
      sample_rate: Hz.
      length: samples.
    """

    frequency: float
    velocity: int
    sample_rate: int
    length: int

    @property
    def force(self) -> float:
        """Velocity from 0 to 1."""
        return self.velocity / 127

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.length / self.sample_rate

    @property
    def note_off(self) -> float:
        """Seconds until the key is let go."""
        return HELD * self.duration

    @property
    def times(self) -> np.ndarray:
        """Seconds at the points of control curves, float64 [ceil(length / HOP) + 1]."""
        return np.arange(-(-self.length // HOP) + 1) * (HOP / self.sample_rate)


@dataclasses.dataclass(frozen=True)
class Sound:
    """What a voice gives: audio float32 [length], and what only the model knows of it."""

    audio: np.ndarray
    distortion: bool = False
    percussive: bool = False
    nonlinear_env: bool = False


def pitch_to_frequency(pitch: float) -> float:
    """MIDI pitch to Hz, equal temperament, A4 = 440 Hz."""
    return 440.0 * 2.0 ** ((pitch - 69) / 12)


def highest_partial(sample_rate: int) -> float:
    """Hz above which partials are left out."""
    return 0.95 * sample_rate / 2


# ---------------------------------------------------------------------------------------------
# Curves
# ---------------------------------------------------------------------------------------------


def upsample(curve: np.ndarray, length: int) -> np.ndarray:
    """Linear interpolation of control points [ceil(length / HOP) + 1] to float32 [length]."""
    ends = np.stack([curve[:-1], curve[1:]], axis=1).astype(np.float32)  # [points - 1, 2]
    return _small_products(ends, _RAMPS).reshape(-1)[:length]


def rise(times: np.ndarray, seconds: float) -> np.ndarray:
    """0 to 1 along a raised cosine that takes `seconds`."""
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(times / max(seconds, 1e-4), 1.0))


def fall(times: np.ndarray, start: float, seconds: float) -> np.ndarray:
    """1 until `start`, then exponential with time constant `seconds`."""
    return np.exp(-np.maximum(times - start, 0.0) / seconds)


def envelope(tone: Tone, attack: float, decay: float, sustain: float, release: float) -> np.ndarray:
    """Attack, decay to `sustain` and release after the held part; seconds, at control points."""
    attack = min(attack, 0.2 * tone.note_off)
    body = sustain + (1 - sustain) * fall(tone.times, attack, decay)
    return rise(tone.times, attack) * body * fall(tone.times, tone.note_off, release)


def vibrato(
    tone: Tone, rate: float, cents: float, delay: float, start: float
) -> tuple[np.ndarray, np.ndarray]:
    """Phase deviation in cycles of the fundamental, and its wave in -1..1, at control points.

    The frequency swings by `cents`, at `rate` Hz, fully so only after `delay` seconds.
    """
    wave = np.sin(2 * np.pi * (rate * tone.times + start))
    growth = rise(tone.times, min(delay, 0.5 * tone.note_off))
    deviation = tone.frequency * (2 ** (cents / 1200) - 1)  # Hz
    return deviation / (2 * np.pi * rate) * growth * wave, growth * wave


def slide(tone: Tone, cents: float, seconds: float) -> np.ndarray:
    """Phase deviation in cycles of a note that starts `cents` off and settles in `seconds`."""
    deviation = tone.frequency * (2 ** (cents / 1200) - 1)  # Hz
    return deviation * seconds * (1 - np.exp(-tone.times / seconds))


# ---------------------------------------------------------------------------------------------
# Spectra
# ---------------------------------------------------------------------------------------------


def harmonics(tone: Tone, limit: int = MAX_HARMONICS) -> np.ndarray:
    """Numbers 1..K of the harmonics that fit below `highest_partial`, with room for vibrato."""
    count = int(highest_partial(tone.sample_rate) / (1.02 * tone.frequency))
    return np.arange(1, min(max(count, 1), limit) + 1, dtype=np.float64)


def low_pass(frequencies: np.ndarray, cutoff: float, order: float) -> np.ndarray:
    """Amplitude of a smooth low-pass: half the power at `cutoff` Hz, 6 dB per octave and order."""
    return (1 + (frequencies / cutoff) ** 2) ** (-order / 2)


def resonances(
    frequencies: np.ndarray, centres: np.ndarray, widths: np.ndarray, gains: np.ndarray
) -> np.ndarray:
    """Sum of bell curves of `gains` at `centres` Hz, `widths` Hz wide."""
    offsets = (frequencies[:, None] - centres) / widths  # [frequencies, resonances]
    return (gains / (1 + offsets**2)).sum(axis=1)


def lead_fundamental(amplitudes: np.ndarray, share: float) -> np.ndarray:
    """Raises the first partial until it holds `share` of the power; normalises the power to 1."""
    rest = np.sum(amplitudes[1:] ** 2)
    least = math.sqrt(share / (1 - share) * rest)
    led = np.concatenate([[max(amplitudes[0], least)], amplitudes[1:]])
    return led / math.sqrt(np.sum(led**2))


# ---------------------------------------------------------------------------------------------
# Engines
# ---------------------------------------------------------------------------------------------


def single_periods(amplitudes: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """One period of each harmonic spectrum, [tables, K] with phases [K] to float32 [tables, N].

    N is at least 16 samples per period of the highest harmonic: what linear interpolation adds
    then stays 50 dB below that harmonic, 80 dB below the low ones.
    """
    tables, count = amplitudes.shape
    size = 2 ** math.ceil(math.log2(max(1024, 16 * count)))
    spectrum = np.zeros((tables, size // 2 + 1), np.complex128)
    spectrum[:, 1 : count + 1] = amplitudes * np.exp(1j * phases) * (size / 2)
    return np.fft.irfft(spectrum, axis=1).astype(np.float32)


def read_periods(
    tone: Tone, tables: np.ndarray, deviation: np.ndarray, brightness: np.ndarray
) -> np.ndarray:
    """Plays tables [2, N] at the tone's frequency, from the first (0) to the second (1).

    Args:
      tone: the note.
      tables: dark and bright period.
      deviation: of the phase, in cycles, at control points.
      brightness: 0 to 1, at control points.

    Returns:
      float32 [length].
    """
    size = tables.shape[1]
    # Between control points the phase is a straight line, so only its points need float64.
    points = (tone.times * tone.frequency + deviation) * size
    steps = np.diff(points)
    # One period up, because casting to an integer rounds negative positions the wrong way.
    starts = np.mod(points[:-1], size) + size
    position = np.outer(steps.astype(np.float32), _RAMPS[1])
    position += starts.astype(np.float32)[:, None]
    position = position.reshape(-1)[: tone.length]
    index = position.astype(np.int64)
    fraction = position - index.astype(np.float32)
    index &= size - 1

    def read(table: np.ndarray) -> np.ndarray:
        audio = (np.roll(table, -1) - table).take(index, mode="wrap")
        audio *= fraction
        audio += table.take(index, mode="wrap")
        return audio

    audio = read(tables[1] - tables[0])
    audio *= upsample(brightness, tone.length)
    audio += read(tables[0])
    return audio


def damped_partials(
    tone: Tone,
    frequencies: np.ndarray,
    amplitudes: np.ndarray,
    decays: np.ndarray,
    phases: np.ndarray,
) -> np.ndarray:
    """Sum of sines [P] (Hz, amplitude, time constant in s, phase) to float32 [length].

    Partials above `highest_partial` and those 80 dB below the strongest are left out.
    """
    kept = (frequencies <= highest_partial(tone.sample_rate)) & (
        np.abs(amplitudes) > 1e-4 * np.max(np.abs(amplitudes))
    )
    kept[0] = True
    kept = np.flatnonzero(kept)[:MAX_PARTIALS]
    rates = (-1 / decays[kept] + 2j * np.pi * frequencies[kept]) / tone.sample_rate
    rows = -(-tone.length // _FINE)
    start = amplitudes[kept] * np.exp(1j * phases[kept])
    coarse = _powers(start, np.exp(rates * _FINE), rows)  # [rows, P]
    fine = _powers(np.ones(len(kept)), np.exp(rates), _FINE)  # [FINE, P]
    # Im(a b) = Re a Im b + Im a Re b: one real product over 2P columns.
    left = np.concatenate([coarse.real, coarse.imag], axis=1).astype(np.float32)
    right = np.concatenate([fine.imag, fine.real], axis=1).astype(np.float32).T
    return _small_products(left, np.ascontiguousarray(right)).reshape(-1)[: tone.length]


def _powers(start: np.ndarray, factor: np.ndarray, count: int) -> np.ndarray:
    """start * factor^n for n = 0..count-1, complex128 [count, P]."""
    table = np.empty((count, len(factor)), np.complex128)
    table[0] = start
    table[1:] = factor
    return np.cumprod(table, axis=0, out=table)


def _small_products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left @ right in pieces too small for BLAS to share among threads.

    How BLAS splits a product depends on the number of threads, and so might the last bit; a note
    must not.
    """
    rows, inner = left.shape
    piece = max(1, 2**18 // (inner * right.shape[1]))
    whole = rows // piece * piece
    out = np.empty((rows, right.shape[1]), np.float32)
    np.matmul(
        left[:whole].reshape(-1, piece, inner),
        right,
        out=out[:whole].reshape(-1, piece, right.shape[1]),
    )
    if whole < rows:
        np.matmul(left[whole:], right, out=out[whole:])
    return out


def modulated(tone: Tone, ratio: int, index: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """FM with a plain carrier beside it, sin(p + index sin(ratio p)) + sin(p), float32 [length].

    `index` (radians, control points) is held low enough for the sidebands to fit below
    `highest_partial`: beyond index + 2 sidebands each is at least 30 dB down and falls steeply.
    Carrier and modulator start together: any other start gives ratio 1 a sideband at 0 Hz. The
    plain carrier keeps the fundamental where the index takes it out of the modulated one.
    """
    room = (highest_partial(tone.sample_rate) / tone.frequency - 1) / ratio - 2
    index = np.minimum(index, max(room, 0.0))
    points = tone.times * tone.frequency + deviation
    turns = np.outer(np.diff(points).astype(np.float32), _RAMPS[1])
    turns += np.mod(points[:-1], 1).astype(np.float32)[:, None]
    phase = turns.reshape(-1)[: tone.length]
    phase *= np.float32(2 * np.pi)
    audio = np.sin(np.float32(ratio) * phase)
    audio *= upsample(index, tone.length)
    audio += phase
    np.sin(audio, out=audio)
    audio += np.sin(phase, out=phase)
    return audio


def noise(tone: Tone, draws: np.random.Generator, low: float, high: float) -> np.ndarray:
    """Noise of unit power, 6 dB per octave down outside `low` to `high` Hz, float32 [length].

    Made in the frequency domain; beyond `_NOISE` samples it repeats, without a seam.
    """
    size = min(_NOISE, 2 ** math.ceil(math.log2(tone.length)))
    frequencies = np.arange(size // 2 + 1) * (tone.sample_rate / size)
    gains = (frequencies / low) * low_pass(frequencies, low, 1) * low_pass(frequencies, high, 1)
    gains[frequencies > highest_partial(tone.sample_rate)] = 0.0
    gains *= size / math.sqrt(np.sum(gains**2) / 3)  # each line's power is gain^2 / 6, twice
    lines = draws.random((len(gains), 2)) - 0.5
    loop = np.fft.irfft(gains * lines.view(np.complex128)[:, 0], size).astype(np.float32)
    return np.resize(loop, tone.length)


def strike(
    tone: Tone, draws: np.random.Generator, seconds: float, low: float, high: float
) -> np.ndarray:
    """A burst of noise at the onset, time constant `seconds`, float32 [at most length]."""
    length = min(tone.length, max(MIN_LENGTH, int(6 * seconds * tone.sample_rate)))
    burst = noise(dataclasses.replace(tone, length=length), draws, low, high)
    times = np.arange(length, dtype=np.float32) / np.float32(tone.sample_rate)
    return burst * np.exp(-times / np.float32(seconds)) * rise(times, 1e-3).astype(np.float32)


def finish(tone: Tone, audio: np.ndarray) -> np.ndarray:
    """Fades both ends, removes DC, sets the peak by velocity; in place, float32 [length]."""
    fade_in = min(max(2, int(0.001 * tone.sample_rate)), tone.length // 8)
    fade_out = min(max(int(0.02 * tone.length), int(0.005 * tone.sample_rate)), tone.length // 4)
    audio[:fade_in] *= np.arange(fade_in, dtype=np.float32) / np.float32(fade_in)
    fall_off = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade_out + 1) / fade_out)
    audio[-fade_out:] *= fall_off.astype(np.float32)
    # DC comes from the onset, where partials start in the middle of a swing. A slow bump there
    # takes it off, hidden under the note; a constant would stay behind in the silent tail.
    two_periods = math.ceil(2 * tone.sample_rate / tone.frequency)
    width = min(tone.length, max(tone.length // 8, two_periods))
    bump = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)
    bump[0] = 0.0
    bump[-1] = 0.0
    audio[:width] -= (audio.sum(dtype=np.float64) / bump.sum() * bump).astype(np.float32)
    peak = 0.2 + 0.7 * tone.force
    audio *= np.float32(peak / max(audio.max(), -audio.min()))
    return audio


# ---------------------------------------------------------------------------------------------
# Measures for the qualities
# ---------------------------------------------------------------------------------------------


def brightness(audio: np.ndarray, tone: Tone) -> float:
    """Centroid of the power spectrum early in the note, in multiples of the fundamental."""
    start = tone.length // 16
    piece = audio[start : start + 4096]
    power = np.abs(np.fft.rfft(piece * np.hanning(len(piece)))) ** 2
    frequencies = np.fft.rfftfreq(len(piece), 1 / tone.sample_rate)
    return float((power * frequencies).sum() / (power.sum() + 1e-20) / tone.frequency)


def levels(audio: np.ndarray, tone: Tone) -> tuple[float, float, float]:
    """RMS of the loudest sixteenth, just before note-off, and just before the last fade."""
    size = tone.length // 16
    parts = audio[: 16 * size].reshape(16, size)
    rms = np.sqrt(np.einsum("ij,ij->i", parts, parts) / size)
    return float(rms.max()), float(rms[11]), float(rms[14])


# ---------------------------------------------------------------------------------------------
# Voices
# ---------------------------------------------------------------------------------------------

Draws = np.random.Generator
Voice = Callable[[Tone, int, Draws, Draws], Sound]


def render(
    family: str, instrument: int, tone: Tone, instrument_draws: Draws, note_draws: Draws
) -> Sound:
    """Plays one note.

    Args:
      family: one of NSynth's eleven.
      instrument: number in the family; voices with several models choose by it.
      tone: the note.
      instrument_draws: what all notes of the instrument share is drawn from here.
      note_draws: what differs from note to note is drawn from here.

    Returns:
      The sound, faded, free of DC, at the velocity's level.
    """
    sound = _VOICES[family](tone, instrument, instrument_draws, note_draws)
    return dataclasses.replace(sound, audio=finish(tone, sound.audio))


def _phases(draws: Draws, count: int) -> np.ndarray:
    # Drawn at full size, so that an instrument's phases do not hang on the sample rate.
    return draws.uniform(0, 2 * np.pi, MAX_HARMONICS)[:count]


def _sustained(
    tone: Tone,
    dark: np.ndarray,
    bright: np.ndarray,
    phases: np.ndarray,
    amplitude: np.ndarray,
    brightness_curve: np.ndarray,
    deviation: np.ndarray,
    share: float = 0.35,
) -> np.ndarray:
    """Two harmonic spectra [K], curves at control points, to float32 [length]."""
    spectra = np.stack([lead_fundamental(dark, share), lead_fundamental(bright, share)])
    tables = single_periods(spectra, phases)
    audio = read_periods(tone, tables, deviation, np.clip(brightness_curve, 0, 1))
    return audio * upsample(amplitude, tone.length)


def _plucked(
    tone: Tone,
    draws: Draws,
    note: Draws,
    sustain: float,
    damping: float,
    cutoff: float,
    position: float,
    release: float,
    share: float = 0.3,
) -> np.ndarray:
    """Karplus-Strong as the sum of its modes.

    The loop y[n] = x[n] + g ((1-s) y[n-L] + s/2 (y[n-L-1] + y[n-L+1])) rings at the harmonics of
    1/L, and each mode loses the loop's gain at its frequency once a period: the free response is
    this sum of damped sines, any L, fractional or not.
    """
    k = harmonics(tone, MAX_PARTIALS)
    frequencies = k * tone.frequency
    decays = string_decays(frequencies, tone.frequency, sustain, damping)
    pluck = np.abs(np.sin(np.pi * k * position)) + 0.02
    jitter = np.exp(0.25 * draws.standard_normal(MAX_PARTIALS)[: len(k)])
    amplitudes = pluck * jitter / k * low_pass(frequencies, cutoff, 1.5)
    amplitudes = lead_fundamental(amplitudes, share)
    phases = note.uniform(0, 2 * np.pi, MAX_PARTIALS)[: len(k)]
    audio = damped_partials(tone, frequencies, amplitudes, decays, phases)
    damper = fall(tone.times, tone.note_off, release)
    return audio * upsample(damper, tone.length)


def string_decays(
    frequencies: np.ndarray, fundamental: float, sustain: float, damping: float
) -> np.ndarray:
    """Time constants (s) of a Karplus-Strong loop's modes.

    Args:
      frequencies: of the modes, Hz.
      fundamental: loops per second.
      sustain: time constant at 0 Hz, s.
      damping: s of the loop's low-pass 1 - s + s cos(w), 0 to 0.5.
    """
    loop_gain = 1 - damping + damping * np.cos(2 * np.pi * frequencies / STRING_RATE)
    return 1 / (1 / sustain - fundamental * np.log(np.maximum(loop_gain, 1e-6)))


def _add(audio: np.ndarray, extra: np.ndarray, level: float) -> np.ndarray:
    audio[: len(extra)] += np.float32(level) * extra
    return audio


def _bass(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Plucked electric bass, or FM bass."""
    plucked = instrument % 2 == 0
    sustain, release = draws.uniform(0.8, 2.5), draws.uniform(0.04, 0.12)
    tilt, position = draws.uniform(500, 1600), draws.uniform(0.12, 0.3)
    damping = draws.uniform(0.1, 0.4)
    index, decay = draws.uniform(0.9, 1.6), draws.uniform(0.15, 0.6)
    ratio = int(draws.integers(1, 3))
    if plucked:
        cutoff = tilt * (0.5 + tone.force)
        audio = _plucked(tone, draws, note, sustain, damping, cutoff, position, release)
        click = strike(tone, note, 0.004, 600, 2500)
        return Sound(_add(audio, click, 0.2 * tone.force), percussive=True)
    curve = index * (0.4 + 0.6 * tone.force) * (0.25 + 0.75 * fall(tone.times, 0, decay))
    audio = modulated(tone, ratio, curve, slide(tone, 20, 0.02))
    amplitude = envelope(tone, 0.006, sustain, 0.3, release)
    return Sound(audio * upsample(amplitude, tone.length), nonlinear_env=True)


def _brass(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Lip-driven horn: the louder, the brighter, with a swell in the attack."""
    k = harmonics(tone)
    frequencies = k * tone.frequency
    attack, release = draws.uniform(0.03, 0.09), draws.uniform(0.04, 0.1)
    centre, tilt = draws.uniform(700, 1500), draws.uniform(0.9, 1.5)
    rate, cents = draws.uniform(4.5, 6), draws.uniform(3, 12)
    phases = _phases(draws, len(k))
    bell = 1 + resonances(frequencies, np.array([centre]), np.array([500.0]), np.array([2.0]))
    bright = bell * low_pass(frequencies, centre * 1.6, 2.5) / k ** (0.3 * tilt)
    dark = bell * low_pass(frequencies, centre * 0.5, 3) / k**tilt
    swing, wave = vibrato(tone, rate, cents, 0.6, note.uniform())
    amplitude = envelope(tone, attack, 0.25, 0.75, release)
    curve = (0.2 + 0.8 * tone.force) * amplitude * (1 + 0.1 * wave)
    deviation = swing + slide(tone, -note.uniform(10, 40), 0.03)
    audio = _sustained(tone, dark, bright, phases, amplitude, curve, deviation)
    return Sound(audio, nonlinear_env=True)


def _flute(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Air jet: few harmonics, breath around the tone, vibrato in level."""
    k = harmonics(tone)
    attack, release = draws.uniform(0.05, 0.12), draws.uniform(0.05, 0.12)
    second, tilt = draws.uniform(0.15, 0.6), draws.uniform(2.0, 3.2)
    rate, cents, depth = draws.uniform(4.5, 6), draws.uniform(4, 14), draws.uniform(0.05, 0.15)
    breath = draws.uniform(0.01, 0.035)
    phases = _phases(draws, len(k))
    bright = np.where(k == 1, 1.0, second * (2 / k) ** tilt)
    dark = np.where(k == 1, 1.0, 0.4 * second * (2 / k) ** (tilt + 1))
    swing, wave = vibrato(tone, rate, cents, 0.4, note.uniform())
    amplitude = envelope(tone, attack, 0.3, 0.85, release) * (1 + depth * wave)
    curve = (0.2 + 0.7 * tone.force) * amplitude
    audio = _sustained(tone, dark, bright, phases, amplitude, curve, swing, share=0.5)
    air = noise(tone, note, 0.8 * tone.frequency, 4000) * upsample(
        breath * (0.5 + 0.5 * amplitude) * amplitude, tone.length
    )
    return Sound(audio + air)


def _guitar(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Plucked string: nylon, steel, or driven electric."""
    kind = instrument % 3
    sustain, release = draws.uniform(1.2, 3.5), draws.uniform(0.05, 0.15)
    damping, position = draws.uniform(0.05, 0.3), draws.uniform(0.12, 0.4)
    cutoff, drive = draws.uniform(1500, 4000), draws.uniform(1.5, 4)
    cutoff *= (0.4, 1.0, 0.6)[kind] * (0.4 + 0.9 * tone.force)
    if kind == 2:
        return _driven_guitar(tone, draws, note, sustain, cutoff, position, drive, release)
    audio = _plucked(tone, draws, note, sustain, damping, cutoff, position, release)
    pick = strike(tone, note, 0.003, 800, 5000)
    return Sound(_add(audio, pick, 0.2 * tone.force), percussive=True)


def _driven_guitar(
    tone: Tone,
    draws: Draws,
    note: Draws,
    sustain: float,
    cutoff: float,
    position: float,
    drive: float,
    release: float,
) -> Sound:
    k = harmonics(tone)
    frequencies = k * tone.frequency
    phases = _phases(draws, len(k))
    pluck = (np.abs(np.sin(np.pi * k * position)) + 0.02) / k
    clean = lead_fundamental(pluck * low_pass(frequencies, cutoff, 2), 0.4)
    bright, bright_phases = clip_period(clean, phases, drive * (0.5 + tone.force))
    bright = bright * low_pass(frequencies, 2.5 * cutoff, 2)
    amplitude = envelope(tone, 0.004, sustain, 0.1, release)
    curve = fall(tone.times, 0, 0.7 * sustain)
    swing, _ = vibrato(tone, 5.0, 4, 0.8, note.uniform())
    audio = _sustained(tone, clean, bright, bright_phases, amplitude, curve, swing)
    pick = strike(tone, note, 0.003, 800, 5000)
    return Sound(_add(audio, pick, 0.15 * tone.force), distortion=True, percussive=True)


def clip_period(
    amplitudes: np.ndarray, phases: np.ndarray, drive: float
) -> tuple[np.ndarray, np.ndarray]:
    """Soft clipping of one period, [K] and [K] to [K] and [K]: no partial can alias."""
    period = single_periods(amplitudes[None], phases)[0].astype(np.float64)
    spectrum = np.fft.rfft(np.tanh(drive * period))[1 : len(amplitudes) + 1]
    return np.abs(spectrum), np.angle(spectrum)


def _keyboard(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Piano (stiff string), or electric piano (FM)."""
    stiffness = draws.uniform(0.5, 1.5)
    sustain, release = draws.uniform(1.5, 4), draws.uniform(0.04, 0.1)
    cutoff, hammer = draws.uniform(700, 2000), draws.uniform(0.1, 0.14)
    index, rate = draws.uniform(0.5, 1.3), draws.uniform(4, 6)
    depth, tine = draws.uniform(0, 0.25), draws.uniform(0.05, 0.2)
    if instrument % 2:
        return _electric_piano(tone, note, sustain, release, index, rate, depth, tine)
    k = harmonics(tone, MAX_PARTIALS)
    # Stiffness grows towards the treble as in a real scale; divided out of the fundamental.
    b = stiffness * 1e-4 * 2 ** ((tone.frequency - 262) / 700)
    b = min(b, 1.2e-3)
    frequencies = k * tone.frequency * np.sqrt((1 + b * k**2) / (1 + b))
    decays = sustain * (262 / tone.frequency) ** 0.5 / (1 + (frequencies / 1800) ** 1.5)
    jitter = np.exp(0.2 * draws.standard_normal(MAX_PARTIALS)[: len(k)])
    comb = np.abs(np.sin(np.pi * k * hammer)) / np.sin(np.pi * hammer)
    amplitudes = comb * jitter / k * low_pass(frequencies, cutoff * (0.4 + tone.force), 2)
    amplitudes = lead_fundamental(amplitudes, 0.3)
    phases = note.uniform(0, 2 * np.pi, MAX_PARTIALS)[: len(k)]
    # Three strings exchange energy: a loud part that dies soon and a quiet part that stays.
    audio = damped_partials(tone, frequencies, amplitudes, 0.35 * decays, phases)
    low = slice(0, 12)
    audio += damped_partials(
        tone, frequencies[low] * 1.0002, 0.4 * amplitudes[low], decays[low], phases[low]
    )
    damper = fall(tone.times, tone.note_off, release) * rise(tone.times, 0.002)
    audio *= upsample(damper, tone.length)
    knock = strike(tone, note, 0.008, 200, 1800)
    return Sound(_add(audio, knock, 0.2 * tone.force), percussive=True)


def _electric_piano(
    tone: Tone,
    note: Draws,
    sustain: float,
    release: float,
    index: float,
    rate: float,
    depth: float,
    tine: float,
) -> Sound:
    still = np.zeros_like(tone.times)
    curve = index * (0.3 + 0.9 * tone.force) * (0.2 + 0.8 * fall(tone.times, 0, 0.4 * sustain))
    audio = modulated(tone, 1, curve, still)
    bell = damped_partials(
        tone,
        np.array([7.0 * tone.frequency]),
        np.array([tine * tone.force]),
        np.array([0.12]),
        np.zeros(1),
    )
    if 7 * tone.frequency < highest_partial(tone.sample_rate):
        audio += bell
    tremolo = 1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * rate * tone.times))
    amplitude = fall(tone.times, 0, sustain * (262 / tone.frequency) ** 0.3)
    amplitude *= tremolo * rise(tone.times, 0.003) * fall(tone.times, tone.note_off, release)
    audio *= upsample(amplitude, tone.length)
    return Sound(audio, nonlinear_env=depth > 0.05)


# Ratios of the first modes: free bars tuned like marimba, xylophone, vibraphone, and a plain bar.
_BARS = ((1.0, 4.0, 9.2), (1.0, 3.0, 6.0), (1.0, 4.0, 10.0), (1.0, 2.756, 5.404))


def _mallet(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Struck bar: a long fundamental and short upper modes."""
    ratios = np.array(_BARS[instrument % 4])
    ring = draws.uniform(0.5, 1.0) * (0.5, 0.35, 2.0, 1.5)[instrument % 4]
    hardness, detune = draws.uniform(0.2, 0.5), draws.uniform(-0.03, 0.03, 3)
    rate, depth = draws.uniform(4, 7), draws.uniform(0.1, 0.4)
    ratios = ratios * (1 + detune * (ratios > 1))
    amplitudes = np.array([1.0, 1.0, 0.6]) * hardness * (0.3 + 0.7 * tone.force)
    amplitudes[0] = 1.0
    decays = ring * (262 / tone.frequency) ** 0.4 / ratios**1.3
    phases = note.uniform(0, 2 * np.pi, 3)
    audio = damped_partials(tone, ratios * tone.frequency, amplitudes, decays, phases)
    motor = instrument % 4 == 2
    amplitude = rise(tone.times, 0.002)
    if motor:
        amplitude *= 1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * rate * tone.times))
    audio *= upsample(amplitude, tone.length)
    knock = strike(tone, note, 0.005, 300, 3000)
    return Sound(_add(audio, knock, 0.3 * tone.force), percussive=True, nonlinear_env=motor)


def _organ(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Drawbars, the eight-foot one in front, with a slowly turning speaker."""
    k = harmonics(tone)
    bars = np.zeros(len(k))
    pulled = draws.uniform(0, 1, 8) * np.array([1, 0.8, 0.6, 0.6, 0.35, 0.35, 0, 0.35])
    rate, cents, depth = draws.uniform(0.8, 6.5), draws.uniform(0, 5), draws.uniform(0, 0.12)
    phases = _phases(draws, len(k))
    bars[: min(8, len(k))] = pulled[: len(k)]
    bars[0] = 1.0
    bars *= low_pass(k * tone.frequency, 3000, 2)  # the loudspeaker's cone
    bright = bars * (1 + 0.3 * (k > 3))
    swing, wave = vibrato(tone, rate, cents, 0.05, note.uniform())
    amplitude = envelope(tone, 0.008, 1, 1, 0.015) * (1 + depth * wave)
    curve = 0.3 + 0.5 * tone.force + 0.2 * wave
    audio = _sustained(tone, bars, bright, phases, amplitude, curve, swing, share=0.45)
    click = strike(tone, note, 0.003, 800, 4000)
    return Sound(_add(audio, click, 0.05))


def _reed(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Clarinet (odd harmonics) or a conical reed with a formant."""
    k = harmonics(tone)
    frequencies = k * tone.frequency
    attack, release = draws.uniform(0.02, 0.06), draws.uniform(0.04, 0.08)
    even = (0.12, 0.9)[instrument % 2] * draws.uniform(0.6, 1)
    centre, tilt = draws.uniform(900, 1600), draws.uniform(0.7, 1.1)
    rate, cents, breath = draws.uniform(4, 5.5), draws.uniform(2, 10), draws.uniform(0.003, 0.012)
    phases = _phases(draws, len(k))
    pattern = np.where(k % 2 == 0, even * np.minimum(1, k / 8 + 0.4), 1.0)
    formant = 1 + resonances(frequencies, np.array([centre]), np.array([400.0]), np.array([2.5]))
    bright = pattern * formant / k**tilt * low_pass(frequencies, 2200, 2)
    dark = pattern / k ** (tilt + 0.6) * low_pass(frequencies, 1000, 2)
    swing, wave = vibrato(tone, rate, cents, 0.7, note.uniform())
    amplitude = envelope(tone, attack, 0.2, 0.85, release) * (1 + 0.04 * wave)
    curve = (0.15 + 0.85 * tone.force) * amplitude
    audio = _sustained(tone, dark, bright, phases, amplitude, curve, swing)
    air = noise(tone, note, 1000, 5000)
    return Sound(audio + air * upsample(breath * amplitude, tone.length))


def _string(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Bowed string: a sawtooth through the body's resonances, with vibrato and bow noise."""
    k = harmonics(tone)
    frequencies = k * tone.frequency
    attack, release = draws.uniform(0.06, 0.2), draws.uniform(0.06, 0.15)
    centres = np.array([280.0, 460.0, 900.0, 2400.0]) * draws.uniform(0.85, 1.2, 4)
    gains = draws.uniform(0.5, 2.0, 4)
    cutoff = draws.uniform(1600, 3200)
    rate, cents, rosin = draws.uniform(4.8, 6.2), draws.uniform(8, 18), draws.uniform(0.004, 0.015)
    phases = _phases(draws, len(k))
    body = 0.4 + resonances(frequencies, centres, centres * 0.25, gains)
    bright = body / k * low_pass(frequencies, cutoff, 2)
    dark = body / k**1.3 * low_pass(frequencies, 0.4 * cutoff, 2)
    swing, wave = vibrato(tone, rate, cents, 0.5, note.uniform())
    amplitude = envelope(tone, attack, 0.4, 0.9, release) * (1 + 0.06 * wave)
    curve = (0.2 + 0.7 * tone.force) * amplitude
    audio = _sustained(tone, dark, bright, phases, amplitude, curve, swing)
    scratch = noise(tone, note, 1500, 6000)
    return Sound(audio + scratch * upsample(rosin * amplitude, tone.length))


def _synth_lead(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Sawtooth, square or driven saw through a swept low-pass."""
    k = harmonics(tone)
    frequencies = k * tone.frequency
    kind = instrument % 3
    cutoff, sweep = draws.uniform(800, 2500), draws.uniform(0.1, 0.8)
    drive, sustain = draws.uniform(1.5, 3), draws.uniform(0.5, 1)
    attack, release = draws.uniform(0.003, 0.03), draws.uniform(0.05, 0.25)
    rate, cents = draws.uniform(5, 7), draws.uniform(0, 12)
    phases = _phases(draws, len(k))
    wave_shape = np.where(k % 2 == 0, 0.02, 1.0) / k if kind == 1 else 1 / k
    open_cutoff = cutoff * (1 + 2 * tone.force)
    if kind == 2:
        driven, phases = clip_period(lead_fundamental(wave_shape, 0.5), phases, drive)
        wave_shape = driven
    bright = wave_shape * low_pass(frequencies, open_cutoff, 2)
    dark = wave_shape * low_pass(frequencies, 0.4 * cutoff, 3)
    swing, _ = vibrato(tone, rate, cents, 0.5, note.uniform())
    amplitude = envelope(tone, attack, 0.3, sustain, release)
    curve = rise(tone.times, 0.02) * (0.2 + 0.8 * fall(tone.times, 0.02, sweep))
    audio = _sustained(tone, dark, bright, phases, amplitude, curve, swing)
    return Sound(audio, distortion=kind == 2, nonlinear_env=True)


# First three formants of sung vowels (a, e, i, o, u), Hz.
_VOWELS = np.array(
    [
        (700, 1150, 2700),
        (480, 1750, 2550),
        (320, 2150, 2900),
        (450, 850, 2600),
        (350, 750, 2500),
    ],
    np.float64,
)


def _vocal(tone: Tone, instrument: int, draws: Draws, note: Draws) -> Sound:
    """Glottal pulses through the formants of one vowel that moves towards another."""
    k = harmonics(tone)
    frequencies = k * tone.frequency
    size = draws.uniform(0.92, 1.15)
    first = _VOWELS[instrument % len(_VOWELS)] * size
    second = _VOWELS[int(draws.integers(len(_VOWELS)))] * size
    attack, release = draws.uniform(0.05, 0.12), draws.uniform(0.06, 0.12)
    rate, cents = draws.uniform(4.8, 6), draws.uniform(10, 25)
    breath, tilt = draws.uniform(0.004, 0.015), draws.uniform(0.9, 1.3)
    phases = _phases(draws, len(k))
    widths, gains = np.array([90.0, 120.0, 180.0]), np.array([6.0, 4.0, 2.0])
    glottis = k ** -(tilt + 0.3 * (1 - tone.force)) * low_pass(frequencies, 3000, 2)
    dark = glottis * (0.25 + resonances(frequencies, second, widths, gains))
    bright = glottis * (0.25 + resonances(frequencies, first, widths, gains))
    swing, wave = vibrato(tone, rate, cents, 0.5, note.uniform())
    amplitude = envelope(tone, attack, 0.3, 0.9, release) * (1 + 0.08 * wave)
    curve = 1 - 0.6 * rise(tone.times, tone.note_off) + 0.05 * wave
    deviation = swing + slide(tone, -note.uniform(10, 40), 0.05)
    audio = _sustained(tone, dark, bright, phases, amplitude, curve, deviation)
    air = noise(tone, note, 800, 5000)
    return Sound(audio + air * upsample(breath * amplitude, tone.length))


_VOICES: dict[str, Voice] = {
    "bass": _bass,
    "brass": _brass,
    "flute": _flute,
    "guitar": _guitar,
    "keyboard": _keyboard,
    "mallet": _mallet,
    "organ": _organ,
    "reed": _reed,
    "string": _string,
    "synth_lead": _synth_lead,
    "vocal": _vocal,
}
