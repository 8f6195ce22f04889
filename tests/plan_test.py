"""What `--dry_run` tells of notes, memory and disk."""

import pytest
from experiments import small_experiment
from note_writer_test import make_note, write

from gansynth_tf import plan

pytestmark = pytest.mark.latest

NOTE_BYTES = 4 * 2 * 32 * 64  # of a specgram at full size


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "data", [make_note(pitch) for pitch in range(40, 60)])
    return tmp_path / "data"


def told(**changes):
    """The lines after the table of stages."""
    return plan.describe(small_experiment(**changes)).rpartition("\n\n")[2].splitlines()


def test_stored_notes_are_counted_as_the_data_set_says(folder):
    (notes, memory) = told(train_data_path=str(folder))
    assert notes == "Notes: 20 of split train, before filters; read from disk."
    assert "notes" not in memory
    assert told(train_data_path=str(folder), split="all")[0].startswith("Notes: 20 of all splits,")
    paper = told(train_data_path=str(folder), split="test", split_scheme="paper")[0]
    assert paper.startswith("Notes: 20 of all splits, before the paper's split and filters")


def test_the_cache_is_told_where_it_lies(folder):
    many = {"train_data_path": str(folder), "num_resolutions": 4}
    note_bytes = NOTE_BYTES * 16  # two doublings of both axes
    (_, disk, memory) = told(cache="disk", audio_length=8000, **many)
    size = f"{20 * note_bytes / 1e6:,.0f} MB"
    assert disk == f"Expected disk: {size} for notes encoded at full size, before filters."
    assert "encoded" not in memory
    (_, memory) = told(cache="memory", audio_length=8000, **many)
    assert f"{size} for them encoded at full size, before filters" in memory


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"split": "trian"}, "split=trian: the data set has only train."), ({}, "holds no notes")],
)
def test_notes_that_are_not_there_are_said_to_be_unknown(tmp_path, folder, changes, reason):
    path = folder if changes else tmp_path
    (notes, memory) = told(train_data_path=str(path), **changes)
    assert notes.startswith("Notes: not known. ")
    assert reason in notes
    assert memory.startswith("Expected memory: ")


def test_embedded_notes_are_held_in_memory():
    (memory,) = told()
    assert "MB for 33 embedded notes" in memory  # three pitches of eleven families
    (memory,) = told(cache="memory", audio_length=900)
    assert "for them encoded at full size" in memory
    assert "before filters" not in memory
    (memory,) = told(cache="memory", instrument_families=("brass",))
    assert "for them encoded at full size, before filters" in memory
