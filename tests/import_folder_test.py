"""gansynth_data import_folder, as a user calls it: what it writes, and what it says."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gansynth_tf.cli import data

RATE = 8_000
SUFFIXES = ("wav", "flac", "ogg", "mp3", "aiff")


def tone(pitch, seconds=0.3, rate=RATE):
    """A few partials, [samples]."""
    phase = 2 * np.pi * 440.0 * 2 ** ((pitch - 69) / 12) * np.arange(round(seconds * rate)) / rate
    return 0.2 * np.sin(phase) + 0.1 * np.sin(2 * phase) + 0.05 * np.sin(3 * phase)


def run(audio, output, *flags):
    return data.main(
        [
            "import_folder",
            f"--audio_dir={audio}",
            f"--output_dir={output}",
            f"--sample_rate={RATE}",
            "--length=0.25",
            *flags,
        ]
    )


def manifest(folder):
    with open(folder / "manifest.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def hundred(tmp_path_factory):
    """100 files of five formats, 2 of them broken: by name, 40 without one, a tenth of it wrong."""
    folder = tmp_path_factory.mktemp("hundred")
    for index in range(100):
        pitch, suffix = 48 + index % 30, SUFFIXES[index % 5]
        name = f"take {index % 20}" if index >= 60 else f"{index}_{pitch:03d}_{index:03d}"
        (folder / f"instrument{index // 20}").mkdir(exist_ok=True)
        path = folder / f"instrument{index // 20}" / f"{name}.{suffix}"
        soundfile.write(path, tone(pitch, rate=16_000), 16_000)
    flac = folder / "instrument0/6_054_006.flac"
    flac.write_bytes(flac.read_bytes()[:-500])
    (folder / "instrument4/take 5.wav").write_bytes(b"")
    return folder


def test_two_broken_files_among_a_hundred(hundred, tmp_path, capfd):
    assert run(hundred, tmp_path / "out") == 0
    said = capfd.readouterr()
    assert said.out.splitlines()[-2:] == [
        f"98 notes, pitches 48 to 77, in {tmp_path / 'out'}; manifest.csv there tells the fate "
        "of every file.",
        "Dropped: unreadable 2.",
    ]
    first, second = said.err.splitlines()
    assert first.startswith("gansynth_data import_folder: instrument0/6_054_006.flac: it cannot")
    assert second == "gansynth_data import_folder: instrument4/take 5.wav: it is empty."
    rows = manifest(tmp_path / "out")
    assert len(rows) == 100
    kept = [row for row in rows if row["fate"] == "kept"]
    assert len(kept) == 98
    assert sum(row["pitch_from"] == "measured" for row in kept) == 39
    # The ear agrees with every name, so it is right where there is none.
    assert all(abs(float(row["measured_pitch"]) - int(row["pitch"])) < 0.5 for row in kept)
    assert not [row for row in kept if row["reason"]]


def test_a_table_with_its_flags(tmp_path, capsys):
    audio = tmp_path / "audio"
    audio.mkdir()
    for name, pitch in (("a", 60), ("b", 62)):
        soundfile.write(audio / f"{name}.wav", tone(pitch), RATE)
    table = tmp_path / "pitches.csv"
    table.write_text("\ufefffile;pitch;velocity;instrument\na.wav;C4;90;flute\nb.wav;65;;flute\n")
    flags = [f"--pitch_csv={table}", "--family=flute", "--source=acoustic", "--level=rms"]
    assert run(audio, tmp_path / "out", *flags) == 0
    assert "Of these: not heard at its pitch 1." in capsys.readouterr().out
    assert [row["id"] for row in manifest(tmp_path / "out")] == ["flute-060-090", "flute-065-100"]
    assert run(audio, tmp_path / "out", *flags, "--check_pitch") == 0
    assert [row["fate"] for row in manifest(tmp_path / "out")] == ["kept", "dropped"]
    assert run(audio, tmp_path / "out", *flags, "--pitch=measured", "--fill_pitches=1") == 0
    pitches = sorted(int(row["pitch"]) for row in manifest(tmp_path / "out"))
    assert pitches == [59, 60, 61, 62, 63]


def test_a_melody_is_split(tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    pause = np.zeros(RATE // 3)
    wave = np.concatenate([part for p in (60, 64, 67) for part in (pause, tone(p))])
    soundfile.write(audio / "melody C4.wav", wave, RATE)
    assert run(audio, tmp_path / "out", "--split=onset") == 0
    rows = manifest(tmp_path / "out")
    assert [row["id"] for row in rows] == [f"melody-{pitch:03d}-100" for pitch in (60, 64, 67)]
    assert [float(row["start_seconds"]) for row in rows] == pytest.approx(
        [0.33, 0.97, 1.6], abs=0.03
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--audio_dir="], "--audio_dir=DIR is needed"),
        (["--output_dir="], "--output_dir=DIR is needed"),
        (["--audio_dir={tmp}/missing"], "--audio_dir={tmp}/missing must be a folder that exists"),
        (["--output_dir={tmp}/audio"], "must be another folder than --audio_dir"),
        (["--output_dir={tmp}/played"], "holds manifest.csv, which is of no data set"),
        (["--output_dir={tmp}/audio/C4.wav"], "must be a folder, and {tmp}/audio/C4.wav is a file"),
        (["--sample_rate=0"], "--sample_rate must be from 8000 to 192000, not 0"),
        (["--length=0"], "--length must be from 0.05 to 60 seconds, not 0"),
        (["--length=nan"], "--length must be a number of seconds, not nan"),
        (["--length=1e300"], "--length must be from 0.05 to 60 seconds"),
        (["--max_pitch=127"], "--max_pitch=127 is a tone of 12544 Hz"),
        (["--pitch=ear"], "--pitch must be one of auto, names, csv, measured, not 'ear'"),
        (["--pitch=csv"], "--pitch=csv needs a table: --pitch_csv=FILE"),
        (["--pitch_csv={tmp}/none.csv"], "--pitch_csv={tmp}/none.csv cannot be read: No such file"),
        (["--pitch_csv={tmp}/bad.csv"], "bad.csv, line 2: pitch must be a MIDI number from 0"),
        (["--family=violin"], "--family must be one of bass"),
        (
            ["--min_pitch=70"],
            "--audio_dir={tmp}/audio gives no note: of 1 recording none can be used",
        ),
        (["--decoder=ffmpeg"], "--decoder must be one of auto, soundfile, tensorflow_io"),
    ],
)
def test_bad_input_gets_one_sentence(tmp_path, capsys, flags, message):
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio/C4.wav", tone(60), RATE)
    (tmp_path / "bad.csv").write_text("file,pitch\nC4.wav,128\n")
    (tmp_path / "played").mkdir()
    (tmp_path / "played/manifest.csv").write_text("file,pitch,seed,row\n")
    flags = [flag.format(tmp=tmp_path) for flag in flags]
    assert run(tmp_path / "audio", tmp_path / "out", *flags) == 2
    error = capsys.readouterr().err
    assert message.format(tmp=tmp_path) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_interrupted_it_leaves_nothing(hundred, tmp_path):
    command = "from gansynth_tf.cli.data import run; run()"
    arguments = [f"--audio_dir={hundred}", f"--output_dir={tmp_path / 'out'}"]
    process = subprocess.Popen(
        [sys.executable, "-c", command, "import_folder", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    while not (tmp_path / "out").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130, error
    assert error == "gansynth_data import_folder: interrupted.\n"
    assert not (tmp_path / "out").exists()


# --- Whatever a folder holds ---

HEADERS = (b"RIFF\xff\xff\xff\x7fWAVEfmt ", b"fLaC\0\0\0\x22", b"OggS\0\2", b"FORM", b"ID3\3", b"")
FILES = st.tuples(
    st.sampled_from(SUFFIXES),
    st.just(1.0) | st.floats(0, 1),  # how much of it there is
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6)), max_size=3),
    st.none() | st.tuples(st.sampled_from(HEADERS), st.binary(max_size=200)),
)
CELLS = st.sampled_from(
    ["60", "61", "C#4", "70", "text", "128", "-1", "NaN", "", "60;61", '"', "6 0"]
)
TABLES = st.lists(st.tuples(st.integers(0, 3), CELLS), max_size=3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Bytes of a whole file by suffix."""
    folder = tmp_path_factory.mktemp("whole")
    for suffix in SUFFIXES:
        soundfile.write(folder / f"x.{suffix}", tone(60), RATE)
    return {suffix: (folder / f"x.{suffix}").read_bytes() for suffix in SUFFIXES}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(files=st.lists(FILES, min_size=1, max_size=3), table=TABLES, is_split=st.booleans())
def test_fuzzed_folders(whole, tmp_path_factory, capsys, files, table, is_split):
    """One sentence or notes: no traceback, nothing half-written, no note of another pitch."""
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "in").mkdir()
    for number, (suffix, kept, damage, noise) in enumerate(files):
        content = bytearray(b"".join(noise) if noise else whole[suffix])
        for place, value in damage:
            start = int(place * len(content))
            content[start : start + len(value)] = value
        (folder / f"in/{number}.{suffix}").write_bytes(content[: round(kept * len(content))])
    lines = [f"{number}.{files[number % len(files)][0]},{cell}" for number, cell in table]
    (folder / "t.csv").write_text("\n".join(["file,pitch", *lines]))
    flags = ["--split=onset", "--fill_pitches=1"] if is_split else ["--check_pitch"]
    code = run(folder / "in", folder / "out", f"--pitch_csv={folder / 't.csv'}", *flags)
    error = capsys.readouterr().err
    assert "Traceback" not in error
    if code == 2:
        assert not (folder / "out").exists()
        return
    assert code == 0
    for row in manifest(folder / "out"):
        assert row["fate"] in ("kept", "dropped")
        assert row["reason"] or row["fate"] == "kept"
        if row["fate"] == "kept" and row["pitch_from"] != "filled":
            assert abs(float(row["measured_pitch"]) - int(row["pitch"])) <= 1.0
