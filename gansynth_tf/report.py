"""The quickstart's page: ``report.html`` that plays and shows a run's notes, and ``report.json``.

Presentation only: every figure is measured elsewhere. Both files hold the same numbers; in the
page each stands unrounded in the ``value`` of a ``<data>`` element. The page asks nothing of the
network: sounds and pictures lie beside it in the run folder.
"""

import dataclasses
import datetime
import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gansynth_tf.files import replacing
from gansynth_tf.pages import document, group_html, lines, picture, section, text

HTML_NAME = "report.html"
JSON_NAME = "report.json"

# What the verdict asks for.
WANTED_PITCH_SHARE = 0.5
WANTED_REAL_PITCH_SHARE = 0.98

# --- What a report holds ---


@dataclasses.dataclass(frozen=True)
class NoteItem:
    """Something to hear, and to see where it has a picture.

    Attributes:
      label: short plain text, such as "C4 (60)".
      wav, png: paths relative to the run folder, with "/"; ``png`` may be None.
    """

    label: str
    wav: str
    png: str | None = None


@dataclasses.dataclass(frozen=True)
class NoteGroup:
    """A section of the page: a heading, a sentence, and what is to be heard."""

    title: str
    explanation: str
    items: Sequence[NoteItem]


@dataclasses.dataclass(frozen=True)
class TrainingSummary:
    """What the training was.

    Attributes:
      images: notes seen by the critic over all stages, repetitions included.
      seconds: time spent in training.
      images_per_second: speed in the last stage; NaN if it is not known.
      started, finished: when.
    """

    images: int
    seconds: float
    images_per_second: float
    started: datetime.datetime
    finished: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Figures:
    """What was measured on the notes.

    Attributes:
      notes: generated notes measured.
      pitch_share: share of them heard within the tolerance of the asked pitch, by a pitch
        tracker that knows no network; silent notes are wrong.
      sounding_share: share of them that sound at all.
      timbre_spread: mean distance between log-mel spectra of generated notes of one pitch, in
        decibels; NaN if it is not known.
      real_notes: notes of the data set measured.
      real_pitch_share: ``pitch_share`` of the real notes after the same encoding and decoding.
      real_timbre_spread: ``timbre_spread`` of the real notes.
      tolerance_cents: largest distance from the asked pitch that counts as right.
    """

    notes: int
    pitch_share: float
    sounding_share: float
    timbre_spread: float
    real_notes: int
    real_pitch_share: float
    real_timbre_spread: float
    tolerance_cents: float = 50.0

    def __post_init__(self):
        for name in ("notes", "real_notes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)!r}.")
        for name in ("pitch_share", "sounding_share", "real_pitch_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be in [0, 1], not {getattr(self, name)!r}.")

    @property
    def timbre_ratio(self) -> float:
        """Generated spread over real spread; NaN where either is unknown or the real one is 0."""
        if not self.real_timbre_spread > 0.0:
            return math.nan
        return self.timbre_spread / self.real_timbre_spread

    @property
    def pitch_is_learnt(self) -> bool:
        """Whether the wanted share of generated notes is heard at its pitch."""
        return bool(self.pitch_share >= WANTED_PITCH_SHARE)

    @property
    def codec_is_faithful(self) -> bool:
        """Whether real notes keep their pitch, so that the measure can be believed."""
        return bool(self.real_pitch_share >= WANTED_REAL_PITCH_SHARE)


@dataclasses.dataclass(frozen=True)
class QuickstartReport:
    """Everything on the page.

    Attributes:
      title: heading of the page.
      stage_index: stage, from 0, whose generator made the notes.
      stage_description: the same in words, such as "stage 8 of 9, stable, 32×512".
      settings: name -> value of what the run was set to.
      training: what the training was.
      figures: what was measured.
      note_groups: sections with notes.
      curves: the loss curves' PNG, relative to the run folder, or None.
    """

    title: str
    stage_index: int
    stage_description: str
    settings: Mapping[str, Any]
    training: TrainingSummary
    figures: Figures
    note_groups: Sequence[NoteGroup]
    curves: str | None = None

    @property
    def verdict(self) -> str:
        """Whether the wanted shares of pitches were heard, in plain sentences."""
        figures = self.figures
        right = round(float(figures.pitch_share) * figures.notes)
        pitch = (
            f"{right} of {figures.notes} generated notes ({percent(figures.pitch_share)}) are "
            f"heard within {figures.tolerance_cents:g} cents of the pitch that was asked: "
            + ("at least half, as wanted." if figures.pitch_is_learnt else "fewer than half.")
        )
        if figures.codec_is_faithful:
            return pitch
        return pitch + (
            " The measure itself is in doubt: of the real notes, encoded and decoded the same "
            f"way, only {percent(figures.real_pitch_share)} are heard at their pitch; "
            f"{percent(WANTED_REAL_PITCH_SHARE)} are wanted."
        )

    @property
    def files(self) -> list[str]:
        """Relative paths of all that the page plays and shows."""
        items = [item for group in self.note_groups for item in group.items]
        paths = [path for item in items for path in (item.wav, item.png)] + [self.curves]
        return [path for path in paths if path is not None]


def write_report(run_dir: str | os.PathLike, report: QuickstartReport) -> pathlib.Path:
    """Writes ``report.json`` and ``report.html`` into ``run_dir``; returns the page's path.

    Each is replaced as a whole, the page last.

    Raises:
      ValueError: a path that is absolute or leads out of the run folder.
      FileNotFoundError: something to play or show is missing from the run folder.
        Nothing is written in either case.
    """
    run_dir = pathlib.Path(run_dir)
    for path in report.files:
        _check_inside(run_dir, path)
    data = report_data(report)
    for name, content in ((JSON_NAME, _to_json(data)), (HTML_NAME, report_html(data))):
        with replacing(run_dir / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return run_dir / HTML_NAME


def report_data(report: QuickstartReport) -> dict:
    """The report as plain JSON values; what is not a finite number becomes None."""
    figures, training = report.figures, report.training
    data = {
        "title": report.title,
        "verdict": report.verdict,
        "pitch_is_learnt": figures.pitch_is_learnt,
        "codec_is_faithful": figures.codec_is_faithful,
        "stage": {"index": report.stage_index, "description": report.stage_description},
        "figures": dataclasses.asdict(figures) | {"timbre_ratio": figures.timbre_ratio},
        "training": {
            "images": training.images,
            "seconds": training.seconds,
            "images_per_second": training.images_per_second,
            "started": training.started.isoformat(timespec="seconds"),
            "finished": training.finished.isoformat(timespec="seconds"),
        },
        "settings": report.settings,
        "curves": report.curves,
        "note_groups": [
            {
                "title": group.title,
                "explanation": group.explanation,
                "items": [dataclasses.asdict(item) for item in group.items],
            }
            for group in report.note_groups
        ],
    }
    return _to_plain(data)


# --- Numbers to text ---


def percent(share: float) -> str:
    """A share -> percent with one digit, cut and not rounded: 49.99 % is no "50.0 %"."""
    return f"{math.floor(1000.0 * share + 1e-6) / 10.0:.1f} %"


def duration(seconds: float) -> str:
    """Seconds -> "45 s" or "14 min 05 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _decibels(value: float) -> str:
    return f"{value:.1f} dB"


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _count(value: int) -> str:
    return f"{value:,}"


def _speed(value: float) -> str:
    return f"{value:.3g} images/s"


# --- The page ---

# Heading, key of the generated notes' figure and of the real ones' (or None), how both are
# written, and what they mean. Shown in this order.
FIGURE_ROWS = (
    (
        "Heard at the asked pitch",
        "pitch_share",
        "real_pitch_share",
        percent,
        "By a pitch tracker that knows no network (YIN). Silent notes count as wrong. Real notes "
        "went through the same encoding and decoding: what a perfect generator would reach.",
    ),
    ("Sound at all", "sounding_share", None, percent, "Not silent."),
    (
        "Spread of timbres",
        "timbre_spread",
        "real_timbre_spread",
        _decibels,
        "Mean distance between the log-mel spectra of notes of one pitch.",
    ),
    (
        "Generated spread : real spread",
        "timbre_ratio",
        None,
        _ratio,
        "Near 0: one timbre only. Near 1: as varied as the data set.",
    ),
    ("Notes measured", "notes", "real_notes", _count, ""),
)

TRAINING_ROWS = (
    ("images", "Notes seen", _count),
    ("seconds", "Time in training", duration),
    ("images_per_second", "Speed in the last stage", _speed),
)


def report_html(data: Mapping) -> str:
    """``report_data``'s result -> the page, one document without scripts."""
    good = data["pitch_is_learnt"] and data["codec_is_faithful"]
    verdict = (
        f'<p class="verdict{" good" if good else ""}"><strong>'
        f"{'Reached' if good else 'Not reached'}.</strong> {text(data['verdict'])}</p>"
    )
    origin = f'<p class="soft">The notes on this page come from {text(data["stage"]["description"])}.</p>'
    body = [
        _figures_html(data["figures"]),
        *[
            group_html(f"notes-{number}", group)
            for number, group in enumerate(data["note_groups"], start=1)
        ],
        _curves_html(data["curves"]),
        _training_html(data["training"]),
        _settings_html(data["settings"]),
    ]
    footer = f'The same figures: <a href="{JSON_NAME}">{JSON_NAME}</a>.'
    return document(data["title"], [origin, verdict], body, footer)


def _figures_html(figures: Mapping) -> str:
    rows = []
    for heading, generated, real, write, meaning in FIGURE_ROWS:
        small = f"<small>{text(meaning)}</small>" if meaning else ""
        cells = [
            f"<td>{_data_html('figures', key, figures[key], write) if key else ''}</td>"
            for key in (generated, real)
        ]
        rows.append(f'<tr><th scope="row">{text(heading)}{small}</th>{"".join(cells)}</tr>')
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Measure", "Generated notes", "Real notes")
    )
    return section(
        "figures",
        "Figures",
        f'<table class="figures">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{lines(rows)}\n</tbody>\n</table>",
    )


def _curves_html(curves: str | None) -> str:
    if curves is None:
        return ""
    alt = "Curves of the critic's losses, the pitch losses, the penalties and the speed"
    return section(
        "curves",
        "Loss curves",
        "<p>Over the notes seen; vertical lines are changes of stage.</p>\n"
        + picture(curves, alt, ' class="curves"'),
    )


def _training_html(training: Mapping) -> str:
    rows = [
        f'<tr><th scope="row">{heading}</th>'
        f"<td>{_data_html('training', key, training[key], write)}</td></tr>"
        for key, heading, write in TRAINING_ROWS
    ] + [
        f'<tr><th scope="row">{heading}</th>'
        f'<td><time datetime="{text(training[key])}">'
        f"{text(training[key].replace('T', ' '))}</time></td></tr>"
        for key, heading in (("started", "Started"), ("finished", "Finished"))
    ]
    return section("training", "Training", f"<table>\n{lines(rows)}\n</table>")


def _settings_html(settings: Mapping) -> str:
    rows = [
        f'<tr><th scope="row"><code>{text(name)}</code></th><td>{text(_setting(value))}</td></tr>'
        for name, value in settings.items()
    ]
    return section("settings", "Settings", f"<table>\n{lines(rows)}\n</table>")


def _data_html(group: str, key: str, value: float | None, write: Callable[[Any], str]) -> str:
    """A number as people read it, with the unrounded one as the element's value."""
    shown = "not known" if value is None else write(value)
    return f'<data data-key="{group}.{key}" value="{json.dumps(value)}">{text(shown)}</data>'


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- Files ---


def _check_inside(run_dir: pathlib.Path, path: str) -> None:
    pure = pathlib.PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path:
        raise ValueError(f"{path!r} must be a path inside the run folder, relative to it.")
    if not (run_dir / pure).is_file():
        raise FileNotFoundError(f"{path} is missing from the run folder {run_dir}.")


def _to_json(data: Mapping) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _to_plain(value: Any) -> Any:
    """Nested values -> those that JSON has; NaN and infinity -> None, the rest as text."""
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _to_plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)
