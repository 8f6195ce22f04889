"""Pictures of a whole piece: its notes as a piano roll, its sound as a rainbowgram."""

import math

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator

from gansynth_tf import pictures
from gansynth_tf.files import PathLike
from gansynth_tf.notelist import MAX_VELOCITY, OCTAVE, NoteList

WIDTH, HEIGHT = 12.0, 5.0  # inches
MARGINS = {"left": 0.055, "right": 0.985, "bottom": 0.1, "top": 0.89}  # the same: times lie alike
COLUMNS, BINS = 1116, 395  # pixels inside of the margins
# As SpecgramCodec's at 16 kHz: frames of 0.128 s, a quarter apart.
FRAME_SECONDS, OVERLAP = 0.128, 4
# The level that is brightest is at least this share of full scale: silence stays black.
LEAST_TOP = 1e-2
LEAST_SECONDS = 1e-3  # of a picture: matplotlib has none without width
PART_COLORS = (
    "#3465d9",
    "#e0641b",
    "#2a9d5c",
    "#b0389c",
    "#c9a00e",
    "#17a2b8",
    "#8b5a2b",
    "#d62839",
)
MOST_NAMED = 8  # parts in the legend
MIDDLE_C = 60


def piano_roll(path: PathLike, notes: NoteList, seconds: float | None = None) -> None:
    """Writes a PNG: a bar a note, its colour its part's, the paler the softer it is.

    Args:
      seconds: width of the picture; as long as the notes are if not given.
    """
    figure, axes = _time_axes(max(seconds or notes.seconds, LEAST_SECONDS))
    corners = np.empty((len(notes), 4, 2))
    corners[:, (0, 3), 0] = notes.starts[:, np.newaxis]
    corners[:, (1, 2), 0] = notes.ends[:, np.newaxis]
    corners[:, (0, 1), 1] = notes.pitches[:, np.newaxis] - 0.45
    corners[:, (2, 3), 1] = notes.pitches[:, np.newaxis] + 0.45
    colors = [PART_COLORS[part % len(PART_COLORS)] for part in notes.parts.tolist()]
    strengths = 0.25 + 0.75 * notes.velocities / MAX_VELOCITY
    if len(notes):
        # An edge keeps the shortest notes visible.
        bars = PolyCollection(corners, facecolors=colors, edgecolors=colors, linewidths=0.5)
        bars.set_alpha(strengths)
        axes.add_collection(bars)
    low, high = notes.pitches.min(initial=MIDDLE_C), notes.pitches.max(initial=MIDDLE_C)
    axes.set_ylim(low - 2, high + 2)
    axes.yaxis.set_major_locator(MultipleLocator(OCTAVE))
    axes.yaxis.set_minor_locator(MultipleLocator(1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda pitch, _: f"C{int(pitch) // OCTAVE - 1}"))
    axes.grid(alpha=0.3)
    axes.grid(which="minor", axis="y", alpha=0.08)
    _name_parts(axes, notes.part_names)
    pictures.save(figure, path)


def rainbowgram(path: PathLike, wave: np.ndarray, sample_rate: int) -> None:
    """Writes a PNG of a wave [samples] of any length, as ``pictures.rainbowgram`` draws a note.

    A long piece has more frames than the picture columns: it shows some of them, evenly spaced.
    """
    seconds = max(len(wave) / sample_rate, LEAST_SECONDS)
    specgram = frames_over_time(wave, sample_rate, COLUMNS)
    top = max(float(specgram[..., 0].max()), math.log(LEAST_TOP))
    image = pictures.rainbowgram(pictures.keep_loudest(specgram, BINS), log_top=top)
    figure, axes = _time_axes(seconds)
    half = sample_rate / 2000.0
    axes.imshow(image, extent=(0, seconds, 0, half), aspect="auto", interpolation="nearest")
    axes.set_ylabel("kHz", fontsize=9)
    pictures.save(figure, path)


def frames_over_time(wave: np.ndarray, sample_rate: int, most: int) -> np.ndarray:
    """At most ``most`` frames of a wave [samples], evenly spaced -> [time, freq, 2].

    Channel 0 is the log magnitude beside that of a full-scale sine, channel 1 the instantaneous
    frequency in units of pi.
    """
    length = 2 ** round(math.log2(FRAME_SECONDS * sample_rate))
    hop = length // OVERLAP
    padded = np.pad(wave, (length // 2, length + hop))
    count = 1 + len(wave) // hop
    chosen = np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    spectra = []
    for shift in (0, hop):
        frames = np.stack([padded[hop * i + shift :][:length] for i in chosen])
        spectra.append(np.fft.rfft(frames * window)[:, 1:].astype(np.complex64))
    magnitude = np.abs(spectra[0]) / (window.sum() / 2)
    steps = np.angle(spectra[1] * np.conj(spectra[0])) / np.pi
    return np.stack([np.log(magnitude + 1e-6), steps], axis=-1)


def _time_axes(seconds: float) -> tuple[Figure, object]:
    figure = pictures.new_figure(WIDTH, HEIGHT)
    figure.subplots_adjust(**MARGINS)
    axes = figure.subplots()
    axes.set_xlim(0, seconds)
    axes.set_xlabel("seconds", fontsize=9)
    axes.tick_params(labelsize=8)
    return figure, axes


def _name_parts(axes: object, names: tuple[str, ...]) -> None:
    """The legend; MIDI files hold any characters, which here are neither formulas nor hints."""
    shown = [_printable(name) for name in names[:MOST_NAMED]]
    if len(names) > MOST_NAMED:
        shown[-1] = f"... and {len(names) - MOST_NAMED + 1} more"
    handles = [Patch(color=color) for color, _ in zip(PART_COLORS, shown, strict=False)]
    legend = axes.legend(
        handles, shown, fontsize=8, ncols=4, loc="lower left", bbox_to_anchor=(0, 1)
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _printable(name: str, most: int = 40) -> str:
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= most else f"{text[: most - 3]}..."
