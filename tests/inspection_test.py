"""Counts, picture and page of a data set."""

import re

import matplotlib.image
import numpy as np
import pytest
from note_writer_test import make_note, write

from gansynth_tf import inspection, wavfiles
from gansynth_tf.cli import data
from gansynth_tf.data.note_reader import open_folder
from gansynth_tf.data.note_writer import writing_notes

pytestmark = pytest.mark.latest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    notes = [make_note(pitch, velocity) for pitch in range(40, 50) for velocity in (25, 100)]
    write(folder, [*notes, make_note(30, label="mine", family=None, audio=np.zeros(256))])
    return folder


def test_counts(folder):
    told = inspection.summary(open_folder(folder)).splitlines()
    assert told[0] == "21 notes"
    assert told[1] == "0.032 s at 8000 Hz, 2 instruments, pitches 30 to 49"
    assert told[2:5] == ["split: train: 21", "family: brass: 20, unknown: 1", told[4]]
    assert told[5].startswith("pitch: 30: 1, 40: 2, 41: 2")
    assert told[6] == "velocity: 25: 10, 100: 11"


def test_one_is_one_and_splits_are_in_nsynths_order(tmp_path):
    write(tmp_path / "one", [make_note()])
    told = inspection.summary(open_folder(tmp_path / "one")).splitlines()
    assert told[0] == "1 note"
    assert "1 instrument, pitches" in told[1]
    with writing_notes(tmp_path / "four", 8000, 256, "Test notes.", {}) as writer:
        for pitch, split in enumerate(("aside", "test", "valid", "train"), 60):
            writer.write(make_note(pitch), split)
    splits = inspection.counts(open_folder(tmp_path / "four").table)["split"]
    assert list(splits) == ["train", "valid", "test", "aside"]


def test_levels():
    class Waves:
        def __len__(self):
            return 3

        def read(self, rows):
            half = np.r_[np.full(1280, 0.5), np.zeros(1280)].astype(np.float32)
            return np.stack([half, np.ones(2560), np.zeros(2560)])[rows]

    levels = inspection.measure_levels(Waves(), 16000)
    assert sorted(levels.peak.round(2)) == [-np.inf, -6.02, 0.0]
    assert sorted(levels.silence.round(2)) == [0.0, 0.5, 1.0]


def test_the_page_plays_and_shows(folder, tmp_path):
    page = inspection.write_pages(open_folder(folder), tmp_path / "pages")
    html = page.read_text()
    assert "21 notes" in html
    names = re.findall(r'src="([^"]+)"', html)
    assert len([name for name in names if name.endswith(".wav")]) == inspection.NUM_EXAMPLES
    assert all((page.parent / name).is_file() for name in names)
    waves = [wavfiles.read_wav(path)[0] for path in sorted(page.parent.glob("*.wav"))]
    assert max(np.abs(wave).max() for wave in waves) == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    picture = matplotlib.image.imread(page.parent / inspection.OVERVIEW)
    assert picture.shape[:2] == (1200, 1200)
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 100
    assert sorted(path.name for path in page.parent.iterdir()) == sorted(
        ["index.html", "overview.png"]
        + [f"note_{i:02d}.{s}" for i in range(12) for s in ("png", "wav")]
    )


def test_examples_are_spread_and_different(folder):
    table = open_folder(folder).table
    rows = inspection.example_rows(table)
    assert len(set(rows)) == 12
    assert len(set(table.pitch[rows])) >= 10
    assert len(inspection.example_rows(table.take(np.arange(3)))) == 3


def test_the_command(folder, tmp_path, capsys):
    output = tmp_path / "pages"
    assert data.main(["inspect", f"--data_dir={folder}", f"--output_dir={output}"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "21 notes"
    assert told[-1] == f"Open {output}/index.html in a browser."


@pytest.mark.parametrize("inside", [".", "pages", "new/pages"])
def test_pages_do_not_go_into_the_data_set(folder, capsys, inside):
    before = sorted(folder.rglob("*"))
    assert data.main(["inspect", f"--data_dir={folder}", f"--output_dir={folder / inside}"]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert f"--output_dir={folder / inside} lies in the data set's own folder" in told
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the first argument must be one of prepare_nsynth, .*was left out"),
        (["look"], "must be one of .*not 'look'"),
        (["inspect"], "--data_dir=DATA is needed"),
        (["inspect", "--data_dir=/nowhere"], "--data_dir=/nowhere holds no notes"),
        (["inspect", "--data=x"], r"--data is no flag of gansynth_data inspect; did you mean"),
        (["inspect", "--data_dir=/", "--output_dir=/dev/null"], "--output_dir=/dev/null must be a"),
    ],
)
def test_refusals(arguments, message, capsys):
    assert data.main(arguments) == 2
    told = capsys.readouterr().err
    assert re.search(message, told), told
    assert len(told.splitlines()) == 1
