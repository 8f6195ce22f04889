"""What a folder says of itself, and whether a data set may be written there."""

import json

import pytest
from note_writer_test import make_note, write

from gansynth_tf.data.set_info import MAP_FILE, read_info, why_kept

pytestmark = pytest.mark.latest


@pytest.fixture
def ours(tmp_path):
    write(tmp_path, [make_note()])
    return tmp_path


def rename(folder, **fields):
    path = folder / "dataset_info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_name_and_counts(ours):
    assert read_info(ours).name == "gansynth_notes"
    assert read_info(ours).counts == {"train": 1}
    rename(ours, name="nsynth", configName="full")
    assert read_info(ours).name == "nsynth/full"


def test_a_new_folder_an_empty_one_and_an_earlier_set_of_ours_are_free(ours):
    assert why_kept(ours) is None
    assert why_kept(ours / "new") is None
    (ours / "empty").mkdir()
    (ours / "empty/song.wav").touch()  # in nothing's way
    assert why_kept(ours / "empty") is None


@pytest.mark.parametrize(
    "name", ["manifest.csv", MAP_FILE, "gansynth_notes-train.tfrecord-00000-of-00001"]
)
def test_somebodys_own_files_are_kept(tmp_path, name):
    (tmp_path / name).touch()
    assert why_kept(tmp_path).startswith(f"{name}, which is of no data set: ")


def test_another_data_set_is_kept(ours):
    rename(ours, name="nsynth", configName="full")
    assert why_kept(ours).startswith("the data set nsynth/full, which is not of this command")
    (ours / "dataset_info.json").write_text("{")
    assert why_kept(ours).startswith("dataset_info.json, which is not as TFDS writes it")


def test_a_map_that_is_not_as_it_was_written_is_kept(ours):
    path = ours / MAP_FILE
    path.write_text("corrected")
    assert why_kept(ours).startswith(f"{MAP_FILE}, which was changed since it was written: ")
    assert why_kept(ours, given_map=path) is None
    (ours / "PROVENANCE.json").write_text("no JSON")
    assert why_kept(ours) is not None
