"""Files come whole or not at all, and what a killed process left is tidied away."""

import contextlib

import pytest

from gansynth_tf import files

pytestmark = pytest.mark.latest


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with contextlib.suppress(ValueError), files.replacing(path) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("half")
        raise ValueError
    assert (names(tmp_path), path.read_text()) == (["a.txt"], "old")
    files.write_atomically(path, lambda file: file.write(b"new"))
    assert (names(tmp_path), path.read_text()) == (["a.txt"], "new")


def test_a_set_moves_when_it_is_whole_its_index_last(tmp_path):
    (tmp_path / "index").write_text("old")
    with contextlib.suppress(ValueError), files.replacing_set(tmp_path, "index") as new:
        (new / "index").write_text("new")
        raise ValueError
    assert (names(tmp_path), (tmp_path / "index").read_text()) == (["index"], "old")
    (tmp_path / "z").mkdir()
    with contextlib.suppress(IsADirectoryError), files.replacing_set(tmp_path, "index") as new:
        for name in ("a", "index", "z"):
            (new / name).write_text("new")
    assert (names(tmp_path), (tmp_path / "index").read_text()) == (["index", "z"], "old")


def test_what_a_killed_process_left_of_a_set_goes_and_that_of_a_living_one_stays(tmp_path):
    left = tmp_path / ".new_set_0123abcd"
    left.mkdir()
    (left / "half").write_text("of a process that was killed")
    (tmp_path / ".new_set_mine").mkdir()
    with files.replacing_set(tmp_path, "index") as first:
        assert not left.exists()
        (first / "index").write_text("first")
        with files.replacing_set(tmp_path, "index") as second:
            (second / "index").write_text("second")
        assert first.exists()
    assert names(tmp_path) == [".new_set_mine", "index"]
    assert (tmp_path / "index").read_text() == "first"


def test_a_folder_that_takes_no_files(tmp_path):
    assert files.unwritable_reason(tmp_path) is None
    assert names(tmp_path) == []
    assert files.unwritable_reason("/proc")


def test_a_folder_inside_another(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a", target_is_directory=True)
    assert files.is_inside(tmp_path / "a", tmp_path / "a/../a")
    assert files.is_inside(tmp_path / "link/b/c", tmp_path / "a")
    assert not files.is_inside(tmp_path / "ab", tmp_path / "a")
    assert not files.is_inside(tmp_path, tmp_path / "a")


def test_only_our_temporaries_are_removed(tmp_path):
    with files.replacing(tmp_path / "note_1.wav") as ours:
        left = ours.name
        ours.write_bytes(b"")
    (tmp_path / left).write_bytes(b"of a process that was killed")
    kept = [".note_1.wav", ".note_1.0123.wav", ".other.01234567.wav", ".note_1.01234567.txt"]
    for name in kept:
        (tmp_path / name).write_bytes(b"")
    files.remove_temporaries(tmp_path, "note_*.wav")
    assert names(tmp_path) == sorted([*kept, "note_1.wav"])
    files.remove_temporaries(tmp_path / "missing", "note_*.wav")
