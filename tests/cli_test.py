"""The commands, as a user calls them: what they write, and what they say to bad input."""

import csv
import json

import numpy as np
import pytest
from experiments import small_flags

from gansynth_tf import wavfiles
from gansynth_tf.cli import generate, quickstart, train

pytestmark = pytest.mark.latest


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert train.main([*small_flags(), f"--run_dir={folder}"]) == 0
    return folder


def play(run_dir, output_dir, *flags):
    return generate.main([f"--model={run_dir}", f"--output_dir={output_dir}", *flags])


def manifest(folder):
    with open(folder / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_notes_of_pitches(run_dir, tmp_path):
    assert play(run_dir, tmp_path, "--pitches=60,62", "--count=2", "--seed=5") == 0
    rows = manifest(tmp_path)
    assert [int(row["pitch"]) for row in rows] == [60, 60, 62, 62]
    assert {row["seed"] for row in rows} == {"5"}
    latents = np.load(tmp_path / "latents.npz")["latents"]
    assert latents.shape == (4, 4)
    peaks = []
    for row in rows:
        assert row["file"].endswith(f"_p{int(row['pitch']):03d}.wav")
        wave, rate = wavfiles.read_wav(tmp_path / row["file"])
        assert (rate, len(wave)) == (8000, 900)
        peaks.append(np.abs(wave).max())
    assert 20 * np.log10(max(peaks)) == pytest.approx(-1.0, abs=0.01)
    assert (tmp_path / "rainbowgrams.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_notes(run_dir, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert play(run_dir, tmp_path / name, "--pitches=61", "--count=1", f"--seed={seed}") == 0
    a, b, c = ((tmp_path / n / "note_0000_p061.wav").read_bytes() for n in "abc")
    assert a == b
    assert a != c


def test_interpolation_replaces_the_notes_before(run_dir, tmp_path):
    assert play(run_dir, tmp_path, "--pitches=60", "--count=8") == 0
    assert play(run_dir, tmp_path, "--interpolate", "--count=3") == 0
    rows = manifest(tmp_path)
    assert [row["pitch"] for row in rows] == ["61"] * 3
    assert {p.name for p in tmp_path.glob("*.wav")} == {row["file"] for row in rows}
    latents = np.load(tmp_path / "latents.npz")["latents"]
    assert np.abs(latents[0] - latents[1]).max() > 0.01


def test_quickstart_writes_its_page(tmp_path, capsys):
    arguments = small_flags(min_pitch=48, max_pitch=60)
    assert quickstart.main([*arguments, "--config=tiny", *arguments, f"--run_dir={tmp_path}"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["figures"]["notes"] == 200
    assert 0 <= report["figures"]["pitch_share"] <= 1
    assert "<audio" in (tmp_path / "report.html").read_text()
    assert "report.html" in capsys.readouterr().out


def test_a_finished_run_says_so(run_dir, capsys):
    assert train.main([*small_flags(), f"--run_dir={run_dir}"]) == 0
    assert "is finished" in capsys.readouterr().out


def test_dry_run_writes_nothing(tmp_path, capsys):
    folder = tmp_path / "run"
    assert train.main(["--config=mel_if_hires", "--dry_run", f"--run_dir={folder}"]) == 0
    out = capsys.readouterr().out
    assert "--fmap_max=256" in out
    assert "128 x 1024" in out
    assert len([line for line in out.splitlines() if " x " in line]) == 13 + 1
    assert not folder.exists()


@pytest.mark.parametrize("command", [train, generate, quickstart])
def test_help(command, capsys):
    assert command.main(["--helpshort"]) == 0
    assert "--" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (train, ["--run_dir=r", "--fmap_mx=3"], "did you mean --fmap_max?"),
        (train, ["--run_dir=r", "--fmap_max=three"], "fmap_max"),
        (train, ["--run_dir=r", "--batch_size_schedule=8,x"], "whole numbers"),
        (train, ["--config=tiny"], "--run_dir=DIR is needed"),
        (train, ["--run_dir=r", "tiny"], "'tiny' was not expected"),
        (train, ["--run_dir=r", "--data_type=wave"], "data_type=wave"),
        (train, ["--run_dir=r", "--flagfile=none.cfg"], "none.cfg"),
        (generate, ["--model=none", "--output_dir=o", "--pitches=60"], "holds no checkpoint"),
        (generate, ["--model=none", "--output_dir=o"], "what to play"),
        (generate, ["--output_dir=o", "--pitches=60"], "--model=DIR is needed"),
        (generate, ["--model=m", "--output_dir=o", "--pitches=C4"], "--pitches"),
        (generate, ["--model=m", "--output_dir=o", "--pitches=60", "--count=0"], "count"),
    ],
)
def test_bad_input_gets_one_sentence(command, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_unknown_pitch_is_refused(run_dir, tmp_path, capsys):
    assert play(run_dir, tmp_path / "out", "--pitches=60,99") == 2
    assert "--pitches: pitches 99: the model knows only MIDI pitches 60-62" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_a_contradicting_flag_is_refused(run_dir, capsys):
    assert train.main([*small_flags(fmap_max=8), f"--run_dir={run_dir}"]) == 2
    assert "--fmap_max=8 contradicts" in capsys.readouterr().err


def test_a_run_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert train.main([*small_flags(), f"--run_dir={tmp_path / 'file' / 'run'}"]) == 1
    error = capsys.readouterr().err
    assert str(tmp_path / "file") in error
    assert len(error.strip().splitlines()) == 1
