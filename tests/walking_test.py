"""The files of a folder, whatever it holds."""

import os

import pytest

from gansynth_tf.data.walking import walk_files

pytestmark = pytest.mark.latest


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_subfolders_in_order_without_hidden_files(tmp_path):
    make(tmp_path, "b.wav", "a/z.wav", "a/b/c.wav", ".hidden", ".git/x.wav", "a/.DS_Store", "A.wav")
    assert walk_files(tmp_path) == ["A.wav", "a/b/c.wav", "a/z.wav", "b.wav"]


def test_links_are_followed_once(tmp_path):
    make(tmp_path, "in/a/x.wav", "out/y.wav")
    (tmp_path / "in/a/up").symlink_to("..")
    (tmp_path / "in/b").symlink_to("a")
    (tmp_path / "in/far").symlink_to("../out")
    (tmp_path / "in/none").symlink_to("nowhere")
    assert walk_files(tmp_path / "in") == ["a/x.wav", "far/y.wav", "none"]


def test_a_folder_that_is_left_out(tmp_path):
    make(tmp_path, "x.wav", "notes/y.wav")
    assert walk_files(tmp_path, tmp_path / "notes") == ["x.wav"]
    assert walk_files(tmp_path, tmp_path / "missing") == ["notes/y.wav", "x.wav"]


def test_an_unreadable_folder_is_told(tmp_path, monkeypatch):
    make(tmp_path, "x.wav", "locked/y.wav")
    scandir = os.scandir

    def refuse(path):  # root may read everything
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    told = []
    assert walk_files(tmp_path, unreadable=lambda *what: told.append(what)) == ["x.wav"]
    assert told == [("locked", "Permission denied")]


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        walk_files(tmp_path / "missing")
