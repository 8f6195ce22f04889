"""The table of what became of every file."""

import csv
import math

import pytest

from gansynth_tf.data.manifest import IGNORED, KEPT, Entry, shown, write_manifest

pytestmark = pytest.mark.latest


def test_what_is_unknown_is_empty(tmp_path):
    entries = [
        Entry("a, b.wav", 0.25, "a-060-100", 60, 100, "name", 60.014, -12.34, KEPT, "x: y"),
        Entry("b.wav", 1.0, measured_pitch=math.nan, peak_dbfs=-math.inf, reason="silent: z"),
        Entry("c.txt", fate=IGNORED),
    ]
    write_manifest(tmp_path / "m.csv", entries)
    with open(tmp_path / "m.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:4] == ["file", "start_seconds", "id", "pitch"]
    assert rows == [
        ["a, b.wav", "0.2500", "a-060-100", "60", "100", "name", "60.01", "-12.3", "kept", "x: y"],
        ["b.wav", "1.0000", "", "", "", "", "", "", "dropped", "silent: z"],
        ["c.txt", "", "", "", "", "", "", "", "ignored", ""],
    ]
    assert [entry.kind for entry in entries] == ["x", "silent", ""]


def test_any_name_is_shown_on_one_line():
    assert shown("é/b.wav") == "é/b.wav"
    assert shown("a\nb\x1b.wav") == r"a\nb\x1b.wav"
    assert shown(b"\xff.wav".decode("utf-8", "surrogateescape")) == r"\xff.wav"
