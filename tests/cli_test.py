"""The commands, as a user calls them: what they write, and what they say to bad input."""

import csv
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from experiments import small_flags
from songs import note, song

from gansynth_tf import config, generation, timbres, wavfiles
from gansynth_tf.cli import (
    data,
    export,
    generate,
    generate_flags,
    import_folder,
    quickstart,
    render_soundfont,
    train,
)
from gansynth_tf.cli.command import _GONE, run_command

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


def test_timbres_are_kept_and_played_again(run_dir, tmp_path):
    kept, few = tmp_path / "kept.npz", tmp_path / "few.npz"
    names = "--timbre_names=bell,reed,string"
    assert (
        play(run_dir, tmp_path / "a", "--scale", "--count=3", f"--save_timbres={kept}", names) == 0
    )
    rows = manifest(tmp_path / "a")
    assert [int(row["pitch"]) for row in rows] == [60, 61, 62] * 3
    chosen = (f"--timbres={kept}", "--timbre_names=reed")
    save = f"--save_timbres={few}"
    assert play(run_dir, tmp_path / "b", "--pitches=60", "--format=flac", *chosen, save) == 0
    (row,) = manifest(tmp_path / "b")
    assert (row["file"], row["seed"]) == ("note_0000_p060.flac", "")
    first, second = (np.load(tmp_path / n / "latents.npz")["latents"] for n in "ab")
    np.testing.assert_array_equal(second[0], first[3])
    assert timbres.read(few).names == ("reed",)
    assert play(run_dir, tmp_path / "c", "--interpolate", "--count=5", f"--timbres={kept}") == 0
    path = np.load(tmp_path / "c" / "latents.npz")["latents"]
    np.testing.assert_allclose(path[[0, 2, 4]], first[[0, 3, 6]], atol=1e-6)
    assert play(run_dir, tmp_path / "d", "--random", "--count=4") == 0
    assert len(manifest(tmp_path / "d")) == 4


def test_timbres_that_do_not_fit(run_dir, tmp_path, capsys):
    other, mine = tmp_path / "other.npz", tmp_path / "mine.npz"
    timbres.write(other, timbres.numbered(np.ones((2, 5))))
    mine.write_text("my own")
    for flags_, message in (
        ((f"--timbres={other}",), "latents of 5 numbers; this model's have 4"),
        ((f"--timbres={other}", "--timbre_names=a"), "there is no timbre 'a'"),
        ((f"--save_timbres={tmp_path / 'new.npz'}", "--timbre_names=a"), "must be 8, one for each"),
        ((f"--save_timbres={mine}",), "is there already: a file that --save_timbres wrote"),
    ):
        assert play(run_dir, tmp_path / "out", "--scale", *flags_) == 2
        assert message in capsys.readouterr().err
    assert mine.read_text() == "my own"
    assert not (tmp_path / "out").exists()


def test_an_instrument_for_samplers(run_dir, tmp_path, capsys):
    folder = tmp_path / "out"
    flags_ = [f"--model={run_dir}", f"--export_dir={folder}", "--sfz"]
    assert export.main([*flags_, "--seed=7", "--sfz_step=2"]) == 0
    path = folder / "sfz" / "seed_7" / "seed_7.sfz"
    assert f"{path.parent} (" in capsys.readouterr().out
    assert [p.name for p in path.parent.iterdir() if p != path] == ["seed_7_p061.wav"]
    assert "lokey=60 hikey=62 pitch_keycenter=61" in path.read_text()
    kept = tmp_path / "kept.npz"
    timbres.write(kept, timbres.Timbres(("a/b", "c"), np.eye(4)[:2]))
    assert export.main([*flags_, f"--timbres={kept}"]) == 0
    assert {p.name for p in (folder / "sfz").iterdir()} == {"seed_7", "a_b", "c"}
    assert len(list((folder / "sfz" / "a_b").glob("a_b_p*.wav"))) == 3
    assert not [p for p in folder.iterdir() if p.name != "sfz"]
    assert export.main([f"--model={run_dir}", f"--export_dir={folder}", "--sfz_step=2"]) == 2
    assert "--sfz_step goes with --sfz only" in capsys.readouterr().err


# --- MIDI files ---


def test_a_midi_file_becomes_a_sound_and_two_pictures(run_dir, tmp_path, capsys):
    tracks = [*note(60, 0, 0.1), *note(85, 1, 3)], [*note(62, 2, 2.1), *note(40, 0, 1, channel=9)]
    song(*tracks).save(tmp_path / "my.song.mid")
    flags_ = [f"--midi_file={tmp_path / 'my.song.mid'}", f"--save_timbres={tmp_path / 't.npz'}"]
    for output_dir, *more in (("a",), ("b", "--secs_per_instrument=0.5"), ("c", "--format=flac")):
        assert play(run_dir, tmp_path / output_dir, *flags_, *more) == 0
        output = capsys.readouterr().out
        assert "3 notes of 2 parts; 1 drum note left out." in output
        assert "1.8 s, of stage" in output
        names = {path.name for path in (tmp_path / output_dir).iterdir()}
        sound = "my.song_played." + ("flac" if more == ["--format=flac"] else "wav")
        assert names == {sound, "my.song_piano_roll.png", "my.song_rainbowgram.png"}
        # A timbre a part, or as many as fit.
        assert len(timbres.read(tmp_path / "t.npz")) == (6 if output_dir == "b" else 2)
    wave, rate = wavfiles.read_wav(tmp_path / "a" / "my.song_played.wav")
    assert (rate, len(wave)) == (8000, int(1.5 * 8000) + int(0.3 * 8000))
    assert np.abs(wave).max() > 0.1
    (a, b) = ((tmp_path / n / "my.song_played.wav").read_bytes() for n in "ab")
    assert a != b


def test_midi_files_that_cannot_be_played(run_dir, tmp_path, capsys):
    path = tmp_path / "a.mid"
    flags_ = (run_dir, tmp_path / "out", f"--midi_file={path}")
    for content, message in (
        (song([]), "holds no notes to play."),
        (song(note(40, 0, 1, channel=9)), "holds no notes to play but 1 drum note."),
        (song(note(60, 0, 1, velocity=0)), "holds no notes to play."),
        (b"MThd\0\0\0\6", "is no MIDI file, or a damaged one"),
        (song(note(60, 0, 3e6)), "the piece lasts 1,500,000 s"),
    ):
        path.write_bytes(content) if isinstance(content, bytes) else content.save(path)
        assert play(*flags_) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert f"--midi_file={path}" in error
        assert message in error
    song(note(20, 0, 1)).save(path)
    assert play(*flags_, "--out_of_range=refuse") == 2
    assert "(60-62). --out_of_range=fold moves them." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_quickstart_writes_its_page(tmp_path, capsys):
    arguments = small_flags(min_pitch=48, max_pitch=60)
    assert quickstart.main([*arguments, "--config=tiny", *arguments, f"--run_dir={tmp_path}"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["figures"]["notes"] == 200
    assert 0 <= report["figures"]["pitch_share"] <= 1
    assert "<audio" in (tmp_path / "report.html").read_text()
    out = capsys.readouterr().out
    assert "report.html" in out
    real_notes = report["figures"]["real_notes"]
    assert real_notes < 200
    assert f"Listening to 200 generated and {real_notes} real notes." in out


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
    out = capsys.readouterr().out
    assert out.startswith(f"{command.__doc__}\n")
    assert "gansynth_tf" not in out
    assert "--flagfile" in out
    assert "--undefok" not in out


@pytest.mark.parametrize("inside", ["", "checkpoints"])
def test_a_file_in_place_of_the_run_folder(inside, tmp_path, capsys):
    path = tmp_path / "run" / inside if inside else tmp_path / "run"
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    assert train.main([*small_flags(), f"--run_dir={tmp_path / 'run'}"]) == 2
    error = capsys.readouterr().err
    assert f"--run_dir={tmp_path / 'run'} must be a folder, and {path} is a file." in error
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_a_file_in_place_of_the_notes_folder(run_dir, tmp_path, capsys):
    path = tmp_path / "notes"
    path.write_text("")
    assert play(run_dir, path, "--pitches=60") == 2
    assert f"--output_dir={path} must be a folder" in capsys.readouterr().err
    assert path.read_text() == ""


def test_a_folder_in_place_of_a_file_of_the_notes(run_dir, tmp_path, capsys):
    (tmp_path / "latents.npz").mkdir()
    assert play(run_dir, tmp_path, "--pitches=60") == 2
    error = capsys.readouterr().err
    assert f"--output_dir={tmp_path}: {tmp_path / 'latents.npz'} is a folder" in error
    assert len(error.strip().splitlines()) == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("below", ["", "new", "new/notes"])
def test_a_folder_that_takes_no_files(run_dir, below, capsys):
    folder = pathlib.Path("/proc", below)
    assert play(run_dir, folder, "--pitches=60") == 2
    assert f"--output_dir={folder} cannot be written: the folder /proc" in capsys.readouterr().err
    if below:
        assert train.main([*small_flags(), f"--run_dir={folder}"]) == 2
        assert f"--run_dir={folder} cannot be written: the folder /proc" in capsys.readouterr().err


def test_a_set_that_memory_cannot_hold(run_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generation, "MOST_BYTES", 900 * 4 * 7)  # seven notes
    assert play(run_dir, tmp_path / "out", "--pitches=60,61", "--count=4") == 2
    error = capsys.readouterr().err
    assert "--count=4 notes of each of 2 pitches are too many" in error
    assert "--count=3 at most" in error
    assert not (tmp_path / "out").exists()
    assert play(run_dir, tmp_path / "out", "--pitches=60,61", "--count=3") == 0
    assert play(run_dir, tmp_path / "out", f"--pitches={'60,' * 7}60", "--count=1") == 2
    assert "set: fewer --pitches." in capsys.readouterr().err


def test_every_flag_that_is_gone_is_in_the_guide():
    guide = pathlib.Path(__file__).parents[1] / "docs" / "MIGRATING.md"
    words = set(guide.read_text().replace("--", "").replace("`", " ").replace(",", " ").split())
    assert not _GONE.keys() - words


# --- What stops a command ---


def run_body(body) -> int:
    return run_command("test", "test: nothing.", lambda values: None, body, [])


def raising(error):
    def body(values):
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError("Unable to allocate 9 TiB"), 1, "memory does not suffice (Unable to"),
        (MemoryError(), 1, "memory does not suffice"),
        (
            tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\n tensor"),
            1,
            "memory does not suffice (OOM when allocating)",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device", "a.wav"), 1, "test: a.wav: No space left"),
        (OSError("odd"), 1, "test: odd"),
    ],
)
def test_what_stops_a_command_gets_one_sentence(error, code, message, capsys):
    assert run_body(raising(error)) == code
    written = capsys.readouterr().err
    assert message in written
    assert len(written.strip().splitlines()) == 1


def test_a_mistake_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_body(raising(ZeroDivisionError()))


def piped(*arguments, command=train, **environment) -> subprocess.Popen:
    """The command as a process of its own."""
    # What the commands themselves choose, where the tests' own choice does not stand before it.
    inherited = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    code = f"from {command.__name__} import run; run()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=inherited | environment,
    )


def test_output_that_nobody_reads():
    """As `gansynth_train --config=tiny --dry_run | head -0`: quiet, as other commands are."""
    process = piped("--config=tiny", "--dry_run")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141


def test_a_run_that_nobody_reads_is_saved(tmp_path):
    """As `gansynth_train ... | head -1`."""
    process = piped(*small_flags(log_seconds=0.001), f"--run_dir={tmp_path}")
    process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read()
    assert process.wait() == 141
    assert "stopped and saved" in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("command", [train, generate, quickstart])
@pytest.mark.parametrize(
    ("number", "code", "says"),
    [("SIGINT", 130, "interrupted."), ("SIGTERM", 75, "terminated; nothing is lost")],
)
def test_a_signal_while_tensorflow_is_imported(command, number, code, says, tmp_path):
    """A module in TensorFlow's place raises it the moment that it is imported."""
    (tmp_path / "tensorflow.py").write_text(f"import signal; signal.raise_signal(signal.{number})")
    (tmp_path / "keras.py").write_text("import tensorflow")
    process = piped(command=command, PYTHONPATH=str(tmp_path))
    _, error = process.communicate()
    assert process.returncode == code
    name = command.__name__.rpartition(".")[2]
    (line,) = error.splitlines()
    assert line.startswith(f"gansynth_{name}: {says}")


# --- gansynth_quickstart's defaults ---


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ("quickstart", "runs/quickstart")),
        # A value that holds what looks like a flag is none.
        (["--run_dir=a--config=b"], ("quickstart", "a--config=b")),
        (["--run_dir", "x", "--config=tiny"], ("tiny", "x")),
        (["--flagfile=mine.cfg"], ("tiny", "runs/quickstart")),
    ],
)
def test_defaults_of_quickstart(arguments, expected, tmp_path, monkeypatch):
    (tmp_path / "mine.cfg").write_text("--config=tiny")
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(quickstart, "_quickstart", lambda values: seen.append(values))
    assert quickstart.main(arguments) == 0
    name, run_dir = expected
    assert seen[0].run_dir == run_dir
    plain = flags.FlagValues()
    train.define(plain)
    plain(["test", *config.expand([f"--config={name}"])])
    assert config.given_values(seen[0]) == config.given_values(plain)


# What does not go together in gansynth_generate, and what cannot be read.
REFUSED = [
    (["--midi_file=m", "--scale"], "--midi_file and --scale exclude each other"),
    (["--random", "--interpolate"], "--random and --interpolate exclude each other"),
    (["--midi_file=m", "--pitches=60"], "--pitches and --midi_file exclude each other"),
    (["--midi_file=m", "--count=3"], "--count and --midi_file exclude each other"),
    (["--random", "--pitches=60"], "--pitches and --random exclude each other"),
    (["--random", "--timbres=t"], "--timbres and --random exclude each other"),
    (["--scale", "--fixed_norm"], "--fixed_norm and --scale exclude each other"),
    (["--scale", "--timbres=t", "--count=2"], "--count and --timbres exclude each other"),
    (["--scale", "--timbres=t", "--seed=2"], "--seed and --timbres exclude each other"),
    (["--scale", "--release=1"], "--release and --scale exclude each other"),
    (["--pitches=60", "--secs_per_instrument=6"], "goes with --midi_file only"),
    (["--pitches=60", "--fixed_norm"], "goes with --interpolate or --midi_file only"),
    (["--scale", "--timbre_names=a"], "--timbre_names goes with --timbres=FILE or --save"),
    (["--scale", "--timbres=t.npz"], "--timbres=t.npz: there is no such file"),
    (["--scale", "--save_timbres=t.txt"], "--save_timbres=t.txt must end with .npz"),
    (["--scale", "--format=mp3"], "--format=mp3: value should be one of"),
    (["--midi_file=m.mid"], "--midi_file=m.mid cannot be read: No such file"),
    (["--midi_file=m", "--secs_per_instrument=-1"], "--secs_per_instrument must be 0, or a"),
    (["--midi_file=m", "--release=61"], "--release must be a number of seconds from 0 to 60"),
]


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (train, ["--run_dir=r", "--fmap_mx=3"], "did you mean --fmap_max?"),
        (train, ["--run_dir=r", "--fmap_max=three"], "fmap_max"),
        (train, ["--dry_run=maybe"], "--dry_run=maybe is refused: it must be true or false."),
        (train, ["--run_dir=r", "--seed=x"], "--seed=x is refused: it must be an integer."),
        (train, ["--run_dir=r", "--config=base"], "only for including, as --flagfile=base.cfg"),
        (train, ["--run_dir=r", "--batch_size_schedule=8,x"], "whole numbers"),
        (train, ["--config=tiny"], "--run_dir=DIR is needed"),
        (train, ["--run_dir=r", "tiny"], "'tiny' was not expected"),
        (train, ["--run_dir=r", "--data_type=wave"], "data_type=wave"),
        (train, ["--run_dir=r", "--flagfile=none.cfg"], "Flagfile none.cfg cannot be read"),
        (train, ["--run_dir=r", "--flagfile="], "--flagfile needs a value"),
        (train, ["--run_dir=r", "--undefok=fmap_mx", "--fmap_mx=3"], "--undefok is no flag of"),
        (train, ["--run_dir=r", "--fmap_decay=1e300"], "fmap_decay must be a number from 0"),
        (train, ["--run_dir=r", "--num_resolutions=5000"], "num_resolutions must be"),
        (train, ["--run_dir=r", "--latent_vector_size=999999999999"], "latent_vector_size must"),
        (train, ["--train_root_dir=r"], "did you mean --run_dir?"),
        (train, ["--run_dir=r", "--hparams={}"], "every setting is a flag"),
        (train, ["--run_dir=r", "--ps_tasks=1"], "there are no parameter servers"),
        (train, ["--run_dir=r", "--config=mel_prog_hires"], "did you mean mel_if_hires?"),
        (generate, ["--config=tiny"], "--config is no flag of gansynth_generate"),
        (generate, ["--config=none"], "--config is no flag of gansynth_generate"),
        (generate, ["--ckpt_dir=m"], "did you mean --model?"),
        (generate, ["--batch_size=m"], "did you mean --count?"),
        (train, ["--tfds_data_dir=d"], "did you mean --train_data_path"),
        (
            generate,
            ["--model=none", "--output_dir=o", "--pitches=60"],
            "none is not there: a run folder",
        ),
        (generate, ["--model=none", "--output_dir=o"], "what to play"),
        (generate, ["--output_dir=o", "--pitches=60"], "--model=DIR is needed"),
        (generate, ["--model=m", "--output_dir=o", "--pitches=C4"], "--pitches"),
        (generate, ["--model=m", "--output_dir=o", "--pitches=60", "--count=0"], "count"),
        *((generate, ["--model=m", "--output_dir=o", *given], says) for given, says in REFUSED),
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


def float_flags(define) -> list[str]:
    values = flags.FlagValues()
    define(values)
    return [n for n in values if isinstance(values[n].parser, flags.FloatParser)]


# Every flag that takes a number that need not be whole, and a command line to give it to.
FLOAT_FLAGS = [
    *((train.main, ("--dry_run",), flag) for flag in float_flags(train.define)),
    *(
        (data.main, ("import_folder", "--audio_dir=.", "--output_dir=new"), flag)
        for flag in float_flags(import_folder.define)
    ),
    *(
        (data.main, ("render_soundfont", "--soundfont=file", "--output_dir=new"), flag)
        for flag in float_flags(render_soundfont.define)
    ),
    *(
        (generate.main, ("--model=file", "--output_dir=new", "--midi_file=file"), flag)
        for flag in float_flags(generate_flags.define)
    ),
]


@pytest.mark.parametrize(
    ("main", "arguments", "flag"), FLOAT_FLAGS, ids=[flag for *_, flag in FLOAT_FLAGS]
)
def test_what_is_no_number_is_refused_by_name(main, arguments, flag, tmp_path, monkeypatch, capsys):
    """absl takes all of them, and lets nan pass any bound."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for text in ("nan", "inf", "-inf"):
        assert main([*arguments, f"--{flag}={text}"]) == 2, text
        (error,) = capsys.readouterr().err.splitlines()
        assert flag in error
        assert text in error
    assert not (tmp_path / "new").exists()


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
    folder = tmp_path / "file" / "run"
    assert train.main([*small_flags(), f"--run_dir={folder}"]) == 2
    error = capsys.readouterr().err
    assert f"--run_dir={folder} must be a folder, and {tmp_path / 'file'} is a file." in error
    assert len(error.strip().splitlines()) == 1
