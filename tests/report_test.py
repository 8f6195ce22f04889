"""The quickstart's page: what it plays exists, what it says is what report.json says."""

import dataclasses
import datetime
import html.parser
import json
import math
import urllib.parse

import numpy as np
import pytest

from gansynth_tf import report, wavfiles
from gansynth_tf.report import Figures, NoteGroup, NoteItem, QuickstartReport, TrainingSummary

VOID = {"meta", "img", "br", "link", "input"}
FIGURES = Figures(
    notes=200,
    pitch_share=0.515,
    sounding_share=0.985,
    timbre_spread=9.87654321,
    real_notes=250,
    real_pitch_share=0.996,
    real_timbre_spread=14.2,
)


class Page(html.parser.HTMLParser):
    """The parts of a page that the tests ask about; refuses tags that do not nest."""

    def __init__(self, text: str):
        super().__init__()
        self.stack, self.tags, self.numbers, self.texts = [], [], {}, []
        self.feed(text)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop()[0] == tag

    def handle_data(self, data):
        tag, attrs = self.stack[-1] if self.stack else ("", {})
        if tag == "data":
            self.numbers[attrs["data-key"]] = (attrs["value"], data)
        if tag not in ("style", "script"):
            self.texts.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def run_dir(tmp_path):
    """A run folder with two notes, their pictures and the curves; one name needs escaping."""
    for name in ("notes/a_p060.wav", "notes/c & 50% #1?_p061.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        wavfiles.write_wav(tmp_path / name, np.zeros(8), 8000)
    for name in ("notes/a_p060.png", "curves.png"):
        (tmp_path / name).write_bytes(b"picture")
    return tmp_path


def make_report(**changes) -> QuickstartReport:
    fields = {
        "title": "A <first> run & more",
        "stage_index": 8,
        "stage_description": "stage 8 of 9, stable, 32×512",
        "settings": {"data_type": "linear", "fmap_max": 16, "pitches": (48, 72), "a<b": "<i>"},
        "training": TrainingSummary(
            images=123_456,
            seconds=845.25,
            images_per_second=29.3456789,
            started=datetime.datetime(2026, 8, 1, 12, 0, 0),
            finished=datetime.datetime(2026, 8, 1, 12, 14, 5),
        ),
        "figures": FIGURES,
        "note_groups": [
            NoteGroup(
                "Scale",
                'One timbre, "every" pitch.',
                [
                    NoteItem("C4 (60)", "notes/a_p060.wav", "notes/a_p060.png"),
                    NoteItem("C#4 <61>", "notes/c & 50% #1?_p061.wav"),
                ],
            )
        ],
        "curves": "curves.png",
    }
    return QuickstartReport(**(fields | changes))


def write(run_dir, **changes) -> tuple[Page, dict]:
    path = report.write_report(run_dir, make_report(**changes))
    assert path == run_dir / "report.html"
    data = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
    return Page(path.read_text(encoding="utf-8")), data


# --- Figures ---


def test_page_and_json_hold_the_same_numbers(run_dir):
    page, data = write(run_dir)
    expected = {f"figures.{key}": value for key, value in data["figures"].items()}
    expected |= {f"training.{key}": value for key, value in data["training"].items()}
    for key in ("figures.tolerance_cents", "training.started", "training.finished"):
        del expected[key]  # in the sentences, not in the tables of numbers
    assert {key: json.loads(value) for key, (value, _) in page.numbers.items()} == expected
    assert data["figures"]["pitch_share"] == FIGURES.pitch_share
    assert data["figures"]["timbre_ratio"] == FIGURES.timbre_spread / FIGURES.real_timbre_spread
    assert data["training"]["images_per_second"] == 29.3456789
    assert [entry["datetime"] for entry in page.all("time")] == [
        "2026-08-01T12:00:00",
        "2026-08-01T12:14:05",
    ]


def test_numbers_are_written_for_people(run_dir):
    page, _ = write(run_dir)
    shown = {key: text for key, (_, text) in page.numbers.items()}
    assert shown["figures.pitch_share"] == "51.5 %"
    assert shown["figures.timbre_spread"] == "9.9 dB"
    assert shown["figures.timbre_ratio"] == "0.70"
    assert shown["training.images"] == "123,456"
    assert shown["training.seconds"] == "14 min 05 s"
    assert shown["training.images_per_second"] == "29.3 images/s"


def test_unknown_numbers_are_null_and_said_to_be_unknown(run_dir):
    figures = dataclasses.replace(FIGURES, timbre_spread=math.nan)
    page, data = write(run_dir, figures=figures)
    assert data["figures"]["timbre_spread"] is None
    assert data["figures"]["timbre_ratio"] is None
    assert page.numbers["figures.timbre_spread"] == ("null", "not known")


def test_numpy_numbers_are_plain_in_json(run_dir):
    figures = dataclasses.replace(FIGURES, pitch_share=np.float32(0.5), notes=np.int64(4))
    _, data = write(run_dir, figures=figures, settings={"pitches": np.arange(3)})
    assert data["figures"]["notes"] == 4
    assert data["settings"] == {"pitches": [0, 1, 2]}


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0 %"), (0.29, "29.0 %"), (0.49999, "49.9 %"), (0.5, "50.0 %"), (1.0, "100.0 %")],
)
def test_percent_never_rounds_up_to_a_threshold(share, text):
    assert report.percent(share) == text


@pytest.mark.parametrize("changes", [{"pitch_share": 1.01}, {"pitch_share": math.nan}])
def test_shares_outside_0_to_1_are_refused(changes):
    with pytest.raises(ValueError, match=r"pitch_share must be in \[0, 1\]"):
        dataclasses.replace(FIGURES, **changes)


def test_no_notes_are_refused():
    with pytest.raises(ValueError, match="real_notes must be at least 1"):
        dataclasses.replace(FIGURES, real_notes=0)


def test_ratio_against_no_real_spread_is_unknown():
    assert math.isnan(dataclasses.replace(FIGURES, real_timbre_spread=0.0).timbre_ratio)


# --- Verdict ---


@pytest.mark.parametrize(
    ("right", "reached", "sentence"),
    [(100, True, "at least half, as wanted."), (99, False, "fewer than half.")],
)
def test_verdict_says_whether_half_of_the_pitches_are_heard(run_dir, right, reached, sentence):
    page, data = write(run_dir, figures=dataclasses.replace(FIGURES, pitch_share=right / 200))
    assert data["pitch_is_learnt"] is reached
    assert data["verdict"].startswith(f"{right} of 200 generated notes ({right / 2:.1f} %)")
    assert data["verdict"].endswith(sentence)
    assert data["verdict"] in page.text
    assert ("Not reached." in page.text) is not reached
    assert any(attrs.get("class") == "verdict good" for attrs in page.all("p")) is reached


def test_verdict_doubts_the_measure_when_real_notes_fail(run_dir):
    page, data = write(run_dir, figures=dataclasses.replace(FIGURES, real_pitch_share=0.97))
    assert data["pitch_is_learnt"] is True
    assert data["codec_is_faithful"] is False
    assert "only 97.0 % are heard" in data["verdict"]
    assert "Not reached." in page.text


def test_page_names_the_stage(run_dir):
    page, data = write(run_dir)
    assert "come from stage 8 of 9, stable, 32×512." in page.text
    assert data["stage"] == {"index": 8, "description": "stage 8 of 9, stable, 32×512"}


# --- The page ---


def test_everything_that_is_played_or_shown_exists(run_dir):
    page, data = write(run_dir)
    sources = [attrs["src"] for _, attrs in page.tags if "src" in attrs]
    links = [attrs["href"] for attrs in page.all("a")]
    for url in sources + links:
        assert not urllib.parse.urlsplit(url).scheme
        assert not urllib.parse.urlsplit(url).netloc
        assert (run_dir / urllib.parse.unquote(urllib.parse.urlsplit(url).path)).is_file()
    shown = {urllib.parse.unquote(source) for source in sources}
    items = [item for group in data["note_groups"] for item in group["items"]]
    assert shown == {
        *(item["wav"] for item in items),
        *(item["png"] for item in items if item["png"]),
        "curves.png",
    }
    assert len(sources) == 4


def test_page_needs_no_network_and_runs_no_script(run_dir):
    page, _ = write(run_dir)
    text = (run_dir / "report.html").read_text(encoding="utf-8")
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert not page.all("script")
    assert [attrs["href"] for attrs in page.all("link")] == ["data:,"]
    assert len(text.encode()) < 20_000


def test_page_can_be_read_by_everyone(run_dir):
    page, _ = write(run_dir)
    assert page.all("html")[0]["lang"] == "en"
    assert any(attrs.get("name") == "viewport" for attrs in page.all("meta"))
    assert len(page.all("h1")) == 1
    headings = {attrs["id"] for attrs in page.all("h2")}
    assert len(headings) == len(page.all("h2")) == len(page.all("section"))
    assert {attrs["aria-labelledby"] for attrs in page.all("section")} == headings
    assert all(attrs["alt"] for attrs in page.all("img"))
    labels = [attrs["aria-label"] for attrs in page.all("audio")]
    assert labels == ["Play: Scale, C4 (60)", "Play: Scale, C#4 <61>"]
    assert "prefers-color-scheme: dark" in (run_dir / "report.html").read_text(encoding="utf-8")


def test_text_is_escaped(run_dir):
    page, data = write(run_dir)
    assert not page.all("first")
    assert not page.all("i")
    assert "A <first> run & more" in page.text
    assert "a<b <i>" in page.text
    assert data["title"] == "A <first> run & more"


def test_page_without_curves_has_no_such_section(run_dir):
    page, data = write(run_dir, curves=None)
    assert data["curves"] is None
    assert "Loss curves" not in page.text


# --- Files ---


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside.wav", "notes/../../a.wav"])
def test_paths_out_of_the_run_folder_are_refused(run_dir, path):
    groups = [NoteGroup("Scale", "", [NoteItem("C4", path)])]
    with pytest.raises(ValueError, match="must be a path inside the run folder"):
        write(run_dir, note_groups=groups)


def test_missing_files_are_named_and_nothing_is_written(run_dir):
    write(run_dir)
    before = (run_dir / "report.html").read_bytes()
    (run_dir / "curves.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"curves\.png is missing"):
        write(run_dir, title="Another")
    assert (run_dir / "report.html").read_bytes() == before
    assert {path.name for path in run_dir.iterdir()} == {"notes", "report.html", "report.json"}
