"""A data set to look at and to listen to before training: counts, a picture, a page that plays."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from gansynth_tf import pictures, wavfiles
from gansynth_tf.data.note_reader import NoteFolder
from gansynth_tf.data.note_table import NoteTable
from gansynth_tf.data.notes import Notes
from gansynth_tf.data.schema import FAMILIES, SOURCES
from gansynth_tf.files import replacing_set
from gansynth_tf.pages import document, group_html, lines, picture, section, text
from gansynth_tf.specgram import SpecgramCodec
from gansynth_tf.wording import counted

PAGE, OVERVIEW = "index.html", "overview.png"
NUM_EXAMPLES = 12
# Levels are measured on at most as many notes, drawn without repetition.
NUM_MEASURED = 2000
BINS = 512
FRAME_SECONDS = 0.016
# Below it, of full scale, a frame counts as silent.
SILENCE_DECIBELS = -60.0
SPLITS = ("train", "valid", "test")  # NSynth's, in the order to show them; others follow
_BAR_COLOR = "#3465d9"


@dataclasses.dataclass(frozen=True, eq=False)
class Levels:
    """Of each of m measured notes: peak in decibels of full scale, share of its time in silence."""

    peak: np.ndarray
    silence: np.ndarray


def counts(table: NoteTable) -> dict[str, dict[str, int]]:
    """What is counted -> value -> number of notes, in the order to show them."""

    def named(column: np.ndarray, names: Sequence[str]) -> np.ndarray:
        return np.array([*names, "unknown"])[column]  # -1 is the last

    columns = {
        "split": table.split,
        "family": named(table.family, FAMILIES),
        "source": named(table.source, SOURCES),
        "pitch": table.pitch,
        "velocity": table.velocity,
    }
    result = {}
    for name, column in columns.items():
        values, numbers = np.unique(column, return_counts=True)
        result[name] = {str(value): int(n) for value, n in zip(values, numbers, strict=True)}
    known = [split for split in SPLITS if split in result["split"]]
    result["split"] = {split: result["split"][split] for split in known} | result["split"]
    return result


def summary(folder: NoteFolder) -> str:
    """Counts as text; the first line is the number of notes."""
    table = folder.table
    told = [counted(len(table), "note").replace(",", "")]  # the first line is for programs too
    told.append(
        f"{folder.audio_length / folder.sample_rate:g} s at {folder.sample_rate} Hz, "
        f"{counted(len(np.unique(table.label)), 'instrument')}, pitches {table.pitch.min()} to "
        f"{table.pitch.max()}"
    )
    for name, numbers in counts(table).items():
        entries = ", ".join(f"{value}: {number:,}" for value, number in numbers.items())
        told.append(f"{name}: {entries}")
    return "\n".join(told)


def measure_levels(notes: Notes, sample_rate: int) -> Levels:
    """Peaks and silence of at most NUM_MEASURED notes."""
    rng = np.random.Generator(np.random.Philox(key=0))
    chosen = rng.permutation(len(notes))[:NUM_MEASURED]
    peaks, silences = [], []
    frame = max(1, round(FRAME_SECONDS * sample_rate))
    with np.errstate(divide="ignore"):  # silence has no decibels
        for row in chosen:
            (wave,) = np.abs(notes.read(np.array([row])))
            peaks.append(20.0 * np.log10(wave.max()))
            whole = wave[: len(wave) // frame * frame] if len(wave) >= frame else wave
            loudest = whole.reshape(-1, min(frame, len(wave))).max(axis=1)
            silences.append(np.mean(20.0 * np.log10(loudest) < SILENCE_DECIBELS))
    return Levels(np.array(peaks), np.array(silences))


def example_rows(table: NoteTable) -> np.ndarray:
    """Rows of NUM_EXAMPLES notes, evenly through families and pitches; all where there are fewer."""
    order = np.lexsort([table.id, table.pitch, table.label, table.family])
    count = min(NUM_EXAMPLES, len(order))
    places = (np.arange(count) + 0.5) * len(order) / count
    return order[places.astype(int)]


def write_pages(folder: NoteFolder, output_dir: str | pathlib.Path) -> pathlib.Path:
    """Writes overview.png, wavs and pictures of examples, and the page; returns the page's path."""
    notes = folder.notes()
    chosen = notes.take(example_rows(notes.table))
    waves, specgrams = chosen.waves(), _specgrams(folder, chosen)
    levels = measure_levels(notes, folder.sample_rate)
    output_dir = pathlib.Path(output_dir)
    with replacing_set(output_dir, PAGE) as temporary:
        images = [pictures.rainbowgram(specgram) for specgram in specgrams]
        _draw_overview(temporary / OVERVIEW, notes.table, levels, chosen.table, images)
        names = [f"note_{number:02d}" for number in range(len(chosen))]
        wavfiles.write_wavs(temporary, names, waves, folder.sample_rate)
        for name, specgram in zip(names, specgrams, strict=True):
            pictures.rainbowgram_png(temporary / f"{name}.png", specgram)
        page = _page(folder, names, chosen.table, levels)
        (temporary / PAGE).write_text(page, encoding="utf-8")
    return output_dir / PAGE


def _specgrams(folder: NoteFolder, notes: Notes) -> np.ndarray:
    """[n, time, BINS, 2], for pictures: as many frames as the notes need."""
    frames = max(1, -(-folder.audio_length // (BINS // 2)) - 3)
    codec = SpecgramCodec("linear", frames, BINS, folder.audio_length, folder.sample_rate)
    return codec.waves_to_specgrams(notes.waves()).numpy()


# --- The picture ---


def _draw_overview(
    path: pathlib.Path,
    table: NoteTable,
    levels: Levels,
    examples: NoteTable,
    images: Sequence[np.ndarray],
) -> None:
    figure = pictures.new_figure(12.0, 12.0)
    parts = figure.subfigures(2, 1, height_ratios=[1.0, 3.2])
    _draw_histograms(parts[0], table, levels)
    grid = parts[1].subplots(3, 4, squeeze=True)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, label, pitch in zip(
        grid.flat, images, examples.label, examples.pitch, strict=False
    ):
        axes.imshow(image, aspect="auto", interpolation="nearest")
        axes.set_title(f"{label[:28]}, pitch {pitch}", fontsize=9, parse_math=False)
    parts[1].subplots_adjust(left=0.02, right=0.98, bottom=0.01, top=0.95, wspace=0.06, hspace=0.14)
    pictures.save(figure, path)


def _draw_histograms(figure: Figure, table: NoteTable, levels: Levels) -> None:
    by_pitch, by_level, by_silence = figure.subplots(1, 3)
    pitches = np.arange(table.pitch.min(), table.pitch.max() + 1)
    numbers = [np.sum(table.pitch == pitch) for pitch in pitches]
    by_pitch.bar(pitches, numbers, width=1.0, color=_BAR_COLOR)
    by_pitch.set_title(f"Pitches of {counted(len(table), 'note')} (MIDI)", fontsize=10, loc="left")
    heard = levels.peak[np.isfinite(levels.peak)]
    if len(heard):
        bins = np.linspace(heard.min() - 1.0, heard.max() + 1.0, 31)
        by_level.hist(heard, bins=bins, color=_BAR_COLOR)
    silent = len(levels.peak) - len(heard)
    by_level.set_title(
        f"Peak, dB of full scale ({counted(len(levels.peak), 'note')}"
        f"{f', {silent} silent' if silent else ''})",
        fontsize=10,
        loc="left",
    )
    by_silence.hist(levels.silence, bins=np.linspace(0.0, 1.0, 31), color=_BAR_COLOR)
    by_silence.set_title(
        f"Share of a note below {SILENCE_DECIBELS:g} dB of full scale", fontsize=10, loc="left"
    )
    for axes in (by_pitch, by_level, by_silence):
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
    figure.subplots_adjust(left=0.05, right=0.98, bottom=0.1, top=0.9, wspace=0.18)


# --- The page ---


def _page(folder: NoteFolder, names: Sequence[str], examples: NoteTable, levels: Levels) -> str:
    first, *rest = summary(folder).splitlines()
    header = [f"<p>{text(first)}: {text(rest[0])}.</p>", f'<p class="soft">{text(folder.path)}</p>']
    rows = []
    for name, numbers in counts(folder.table).items():
        entries = ", ".join(f"{value}: {number:,}" for value, number in numbers.items())
        rows.append(f'<tr><th scope="row">{text(name)}</th><td>{text(entries)}</td></tr>')
    rows.append(
        f'<tr><th scope="row">median peak</th><td>{np.median(levels.peak):.1f} dB of full scale, '
        f"of {counted(len(levels.peak), 'note')}</td></tr>"
    )
    items = [
        {
            "label": f"{label}, pitch {pitch}, velocity {velocity}",
            "wav": f"{name}.wav",
            "png": f"{name}.png",
        }
        for name, label, pitch, velocity in zip(
            names, examples.label, examples.pitch, examples.velocity, strict=True
        )
    ]
    group = {
        "title": "Notes",
        "explanation": "Evenly through families and pitches, all at one gain.",
        "items": items,
    }
    alt = "Histograms of pitches, peaks and silence, and rainbowgrams of twelve notes"
    body = [
        section("overview", "Overview", picture(OVERVIEW, alt, ' class="curves"')),
        section("counts", "Counts", f"<table>\n{lines(rows)}\n</table>"),
        group_html("notes", group),
    ]
    return document(f"Data set {folder.name}", header, body, "Written by gansynth_data inspect.")
