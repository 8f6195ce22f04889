"""Pictures of notes and of training: rainbowgrams, grids of them, loss curves.

NumPy and matplotlib only. Figures are objects of their own: no global state, no display.

Source: rainbowgrams as in Engel et al., "Neural audio synthesis of musical notes with WaveNet
autoencoders", figure 3; here on a colour circle of constant lightness, so that hue does not
change how loud a bin looks.
"""

import math
import os
from collections.abc import Mapping, Sequence

import matplotlib.image
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from gansynth_tf.files import replacing

# One unit of a natural logarithm of magnitude in decibels; of power, half of that.
DECIBELS_PER_LOG_MAGNITUDE = 20.0 / math.log(10.0)
RANGE_DECIBELS = 80.0

# Lightness and chroma of the brightest bins in Oklab; the chroma is about the largest that
# every hue can have on a screen at this lightness.
BRIGHTEST = 0.80
CHROMA = 0.125
# Partials are thin lines: lifting the middle of the range keeps them visible on black.
BRIGHTNESS_POWER = 0.7

# Layout, in pixels: least side of a rainbowgram in a grid and alone, white between two, room
# for a title.
GRID_CELL = 256
SINGLE_CELL = 512
GRID_GAP = 8
GRID_TITLE = 26
DOTS_PER_INCH = 100

PathLike = str | os.PathLike

# --- Rainbowgrams ---


def log_range(representation: str, decibels: float = RANGE_DECIBELS) -> float:
    """Decibels -> units of channel 0, which holds log power for "mel", else log magnitude."""
    units = decibels / DECIBELS_PER_LOG_MAGNITUDE
    return 2.0 * units if representation == "mel" else units


def rainbowgram(
    specgram: np.ndarray,
    *,
    representation: str = "linear",
    decibels: float = RANGE_DECIBELS,
    log_top: float | None = None,
) -> np.ndarray:
    """Specgram [time, freq, 2] -> picture [freq, time, 3] uint8, the highest frequency on top.

    Brightness is the log magnitude, from black at ``decibels`` below the top; hue is channel 1,
    an angle in units of pi of which -1 and 1 are the same colour.

    Args:
      specgram: log magnitude; phase or instantaneous frequency in units of pi.
      representation: what channel 0 holds (see ``log_range``). The wave representation has no
        specgram: hand in one computed from its wave.
      decibels: range from black to brightest.
      log_top: value of channel 0 that is brightest; by default the note's own maximum.

    Raises:
      ValueError: another shape, or a range that is not positive. Bins that are not finite are
        no error: they are drawn black, so that a failing run can still be looked at.
    """
    specgram = np.asarray(specgram, np.float64)
    if specgram.ndim != 3 or specgram.shape[-1] != 2:
        raise ValueError(f"specgram must have shape [time, freq, 2], not {list(specgram.shape)}.")
    if not decibels > 0.0:
        raise ValueError(f"decibels must be above 0, not {decibels!r}.")
    log_magnitude, angle = specgram[..., 0].T, specgram[..., 1].T  # [freq, time]
    good = np.isfinite(log_magnitude) & np.isfinite(angle)
    if log_top is None:
        log_top = float(np.max(log_magnitude, where=good, initial=-np.inf))
    height = (log_magnitude - log_top) / log_range(representation, decibels) + 1.0
    brightness = np.where(good, np.clip(height, 0.0, 1.0), 0.0)
    return color_circle(brightness, np.where(good, angle, 0.0))[::-1]


def color_circle(brightness: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Brightness in [0, 1] and angle in units of pi, both [...] -> sRGB [..., 3] uint8.

    Lightness depends on brightness alone and hue on the angle alone (Oklab, B. Ottosson 2020).
    """
    brightness = brightness**BRIGHTNESS_POWER
    lightness = BRIGHTEST * brightness
    # Dark colours have less room for chroma than bright ones: both fade together.
    chroma = CHROMA * brightness
    a, b = chroma * np.cos(np.pi * angle), chroma * np.sin(np.pi * angle)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ],
        axis=-1,
    )
    linear = np.clip(linear, 0.0, 1.0)
    gamma = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1.0 / 2.4) - 0.055)
    return np.rint(255.0 * gamma).astype(np.uint8)


def enlarge(image: np.ndarray, least_height: int = 256, least_width: int = 256) -> np.ndarray:
    """Repeats pixels of [height, width, ...] a whole number of times until both sides are large.

    Two frames of 512 bins become 256 columns: every cell stays a sharp rectangle.
    """
    rows, columns = (
        max(1, -(-least // size))
        for least, size in zip((least_height, least_width), image.shape[:2], strict=True)
    )
    return image.repeat(rows, axis=0).repeat(columns, axis=1)


def keep_loudest(specgram: np.ndarray, most_bins: int) -> np.ndarray:
    """Specgram [time, freq, 2] -> the same with at most ``most_bins`` bins, for small pictures.

    The loudest of each group of neighbouring bins stands for the group, magnitude and angle:
    a thin partial stays visible, where dropping or averaging rows would lose it.
    """
    time, freq, channels = specgram.shape
    group = -(-freq // most_bins)
    if group == 1:
        return specgram
    whole = -(-freq // group) * group
    padded = np.full((time, whole, channels), -np.inf)
    padded[:, :freq] = specgram
    groups = padded.reshape(time, whole // group, group, channels)
    magnitude = np.nan_to_num(groups[..., 0], nan=-np.inf)  # [time, groups, group]
    loudest = magnitude.argmax(axis=2)[:, :, np.newaxis, np.newaxis]
    return np.take_along_axis(groups, loudest, axis=2)[:, :, 0]


def rainbowgram_grid(
    path: PathLike,
    specgrams: np.ndarray,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    *,
    representation: str = "linear",
    decibels: float = RANGE_DECIBELS,
) -> None:
    """Writes a PNG with one titled rainbowgram per note, each with its own brightness.

    Args:
      path: of the PNG.
      specgrams: [n, time, freq, 2].
      titles: one per note; plain text.
      columns: pictures a row; by default about as many as rows, at most 8.
      representation, decibels: see ``rainbowgram``.

    Raises:
      ValueError: no notes, another shape, or another number of titles.
    """
    specgrams = np.asarray(specgrams)
    if specgrams.ndim != 4 or not len(specgrams):
        raise ValueError(
            "specgrams must have shape [n, time, freq, 2] with at least one note, "
            f"not {list(specgrams.shape)}."
        )
    if titles is not None and len(titles) != len(specgrams):
        raise ValueError(f"titles must be {len(specgrams)}, one per note, not {len(titles)}.")
    if columns is None:
        columns = min(8, math.ceil(math.sqrt(len(specgrams))))
    if columns < 1:
        raise ValueError(f"columns must be at least 1, not {columns}.")
    columns = min(columns, len(specgrams))
    images = [
        enlarge(
            rainbowgram(
                keep_loudest(specgram, GRID_CELL),
                representation=representation,
                decibels=decibels,
            ),
            GRID_CELL,
            GRID_CELL,
        )
        for specgram in specgrams
    ]
    _write_cells(path, images, titles, columns)


def rainbowgram_png(
    path: PathLike,
    specgram: np.ndarray,
    title: str | None = None,
    *,
    representation: str = "linear",
    decibels: float = RANGE_DECIBELS,
) -> None:
    """Writes a PNG of one specgram [time, freq, 2], every bin a rectangle of whole pixels.

    ``title`` is plain text above the picture; for the rest see ``rainbowgram``.
    """
    image = rainbowgram(specgram, representation=representation, decibels=decibels)
    _write_cells(
        path, [enlarge(image, SINGLE_CELL, SINGLE_CELL)], None if title is None else [title], 1
    )


def _write_cells(
    path: PathLike, images: Sequence[np.ndarray], titles: Sequence[str] | None, columns: int
) -> None:
    """Writes pictures [height, width, 3] of one size as a PNG, row by row, titles above them."""
    cell_height, cell_width = images[0].shape[:2]
    head = GRID_GAP if titles is None else GRID_TITLE
    rows = -(-len(images) // columns)
    height = rows * (head + cell_height) + GRID_GAP
    width = columns * (GRID_GAP + cell_width) + GRID_GAP
    canvas = np.full((height, width, 3), 255, np.uint8)
    # The grid is laid out in pixels, not in inches: every cell of a specgram stays sharp.
    figure = new_figure(width / DOTS_PER_INCH, height / DOTS_PER_INCH)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top = row * (head + cell_height) + head
        left = GRID_GAP + column * (GRID_GAP + cell_width)
        canvas[top : top + cell_height, left : left + cell_width] = image
        if titles is not None:
            figure.text(
                (left + cell_width / 2) / width,
                1.0 - (top - GRID_TITLE / 2) / height,
                titles[index],
                ha="center",
                va="center",
                fontsize=10,
                parse_math=False,
            )
    figure.figimage(canvas, origin="upper")
    save(figure, path)


def write_png(path: PathLike, image: np.ndarray) -> None:
    """Writes a picture [height, width, 3] or grey [height, width], uint8, as it is.

    Raises:
      ValueError: another shape or type.
    """
    image = np.asarray(image)
    shape_is_good = image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (3, 4))
    if image.dtype != np.uint8 or not shape_is_good or not image.size:
        raise ValueError(
            f"image must be uint8 [height, width, 3], not {image.dtype} {list(image.shape)}."
        )
    if image.ndim == 2:
        image = np.stack([image] * 3, axis=-1)
    with replacing(path) as temporary:
        matplotlib.image.imsave(temporary, np.ascontiguousarray(image), format="png")


# --- Curves ---

# Panels of the loss curves: title, keys of the log's rows with their labels, log axis or not.
CURVE_PANELS = (
    (
        "Critic: Wasserstein losses",
        {"wasserstein_d": "discriminator", "wasserstein_g": "generator"},
        False,
    ),
    (
        "Pitch losses (cross entropy, nats)",
        {"real_ac_loss": "real notes", "fake_ac_loss": "generated notes"},
        True,
    ),
    (
        "Penalties",
        {"gradient_penalty": "gradient", "real_score_penalty": "drift (real score²)"},
        True,
    ),
    ("Speed (images a second)", {"images_per_second": "images/s"}, True),
)
CURVE_COLORS = ("#3465d9", "#e0641b")


def loss_curves(path: PathLike, rows: Sequence[Mapping]) -> None:
    """Writes a PNG of a run's losses and speed over the images seen.

    Raw values are faint, a running mean lies over them, stage changes are vertical lines.

    Args:
      path: of the PNG.
      rows: the run's JSON-lines log; each row has "images" and any of "stage",
        "images_per_second" and the loss terms. A key that is missing, or a value that is NaN,
        infinite or None, leaves a gap. Rows without "images" are passed over.
    """
    rows = [row for row in rows if math.isfinite(_number(row.get("images")))]
    rows = sorted(rows, key=lambda row: _number(row["images"]))  # stable: logs of a resume
    images = np.array([_number(row["images"]) for row in rows])
    changes = _stage_changes(rows)
    figure = new_figure(11.0, 7.0)
    all_axes = figure.subplots(2, 2)
    # Fixed margins: matplotlib's own layouts draw everything twice.
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.075, top=0.955, wspace=0.16, hspace=0.28)
    for axes, (title, keys, is_log) in zip(all_axes.flat, CURVE_PANELS, strict=True):
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_yscale("log" if is_log else "linear")
        drawn = [
            _draw_curve(axes, images, rows, key, label, color, is_log)
            for (key, label), color in zip(keys.items(), CURVE_COLORS, strict=False)
        ]
        for position, label in changes:
            axes.axvline(position, color="#888888", linewidth=0.7, alpha=0.6)
            axes.annotate(
                label,
                (position, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(2, -9),
                textcoords="offset points",
                fontsize=7,
                color="#666666",
            )
        axes.set_xlabel("images", fontsize=9)
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=8)
        axes.ticklabel_format(axis="x", style="plain")
        if not any(drawn):
            axes.set_yscale("linear")
            axes.set_yticks([])
            axes.text(0.5, 0.5, "nothing logged", ha="center", transform=axes.transAxes)
            continue
        if len(keys) > 1:
            # A fixed corner: searching for the best one is slow on long logs.
            axes.legend(fontsize=8, loc="lower left")
        if is_log:
            _label_log_axis(axes)
    save(figure, path)


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Centred mean of [n] over ``width`` values; NaN is left out, and stays where all are NaN."""
    known = np.isfinite(values)
    window = np.ones(min(width, len(values)) or 1)
    total = np.convolve(np.where(known, values, 0.0), window, mode="same")
    count = np.convolve(known.astype(float), window, mode="same")
    return np.where(count > 0.5, total / np.maximum(count, 1.0), np.nan)


def _draw_curve(
    axes: object,
    images: np.ndarray,
    rows: list[dict],
    key: str,
    label: str,
    color: str,
    is_log: bool,
) -> bool:
    values = np.array([_number(row.get(key)) for row in rows])
    if is_log:
        values = np.where(values > 0.0, values, np.nan)
    if not np.isfinite(values).any():
        return False
    axes.plot(images, values, color=color, linewidth=0.6, alpha=0.3)
    width = max(1, len(values) // 50)
    smooth = np.exp(running_mean(np.log(values), width)) if is_log else running_mean(values, width)
    # A marker shows the one value of a run that has just begun.
    axes.plot(
        images,
        smooth,
        color=color,
        linewidth=1.6,
        label=label,
        marker="o" if np.isfinite(values).sum() == 1 else None,
        markersize=3,
    )
    return True


def _label_log_axis(axes: object) -> None:
    """Plain numbers on a log axis, more of them where it spans few decades."""
    low, high = axes.get_ylim()
    if high < 1.5 * low:
        # One value, or values a rounding apart: no range to place numbers in.
        low, high = axes.set_ylim(low / 2.0, high * 2.0)
    subs = (1.0, 2.0, 5.0) if high < 300.0 * low else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _stage_changes(rows: Sequence[Mapping]) -> list[tuple[float, str]]:
    """(images, stage number) where the log's stage differs from the row before."""
    changes, previous = [], None
    for row in rows:
        stage = row.get("stage")
        if stage is not None and stage != previous:
            if previous is not None:
                changes.append((_number(row["images"]), str(stage)))
            previous = stage
    return changes


def _number(value: float) -> float:
    """A finite number of a log row, else NaN."""
    if isinstance(value, (int, float, np.number)) and math.isfinite(value):
        return float(value)
    return math.nan


# --- Figures ---


def new_figure(width: float, height: float) -> Figure:
    """A figure of its own; sides in inches."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: PathLike) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)
