"""`gansynth_data render_soundfont`, as a user calls it."""

import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tiny_soundfont import Preset, debian_soundfont, need_fluidsynth, write_soundfont

import gansynth_tf
from gansynth_tf.cli import data
from gansynth_tf.data import soundfont_map
from gansynth_tf.evaluation.soundfont_range import measure_ranges

pytestmark = pytest.mark.latest

SHORT = ("--length=0.5", "--hold_time=0.4", "--sample_rate=8000", "--velocities=100")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Program 0 has keys 60 to 65, 1 sounds an octave high up to 61, 4 is electronic in GM."""
    need_fluidsynth()
    presets = [Preset(0, 60, 65, name="Sine"), Preset(1, 50, 61, 12), Preset(4), Preset(47)]
    folder = tmp_path_factory.mktemp("soundfont")
    return write_soundfont(folder / "tiny.sf2", *presets, rights="Mine", comment="Free")


def render(path, folder, *flags):
    return data.main(["render_soundfont", f"--soundfont={path}", f"--output_dir={folder}", *flags])


def read(folder):
    builder = tfds.builder_from_directory(folder)
    return list(builder.as_dataset(split="train", shuffle_files=False).as_numpy_iterator())


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_known_soundfont(tmp_path, capsys):
    path = debian_soundfont("TimGM6mb.sf2", "timgm6mb-soundfont")
    flags = ("--families=brass,reed", "--min_pitch=60", "--max_pitch=61", *SHORT)
    for processes in (1, 2):
        assert render(path, tmp_path / str(processes), *flags, f"--processes={processes}") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "TimGM6mb1.sf2: 17 instruments, 34 notes of 0.5 s at 8000 Hz."
    assert out[1] == f"34 notes in {tmp_path / '1'}."
    assert content(tmp_path / "1") == content(tmp_path / "2")
    notes = read(tmp_path / "1")
    assert len(notes) == 34
    assert notes[0]["id"] == b"reed_acoustic_022-060-100"
    assert {note["audio"].shape for note in notes} == {(4_000,)}
    assert {int(note["pitch"]) for note in notes} == {60, 61}
    peaks = [np.abs(note["audio"]).max() for note in notes]
    assert np.max(np.reshape(peaks, (17, 2)), axis=1) == pytest.approx(10 ** (-1 / 20))
    provenance = json.loads((tmp_path / "1" / "PROVENANCE.json").read_text())
    assert provenance["soundfont"]["name"] == "TimGM6mb1.sf2"
    assert len(provenance["soundfont"]["sha256"]) == 64
    assert provenance["versions"]["gansynth_tf"] == gansynth_tf.__version__
    assert provenance["options"]["families"] == ["brass", "reed"]
    assert (provenance["map"], provenance["dropped"]) == ("shipped", {})


def test_another_soundfont_is_measured_and_its_map_is_reused(tiny, tmp_path, capsys):
    flags = (*SHORT, "--min_pitch=59", "--max_pitch=62")
    assert render(tiny, tmp_path / "a", *flags) == 0
    out = capsys.readouterr().out
    assert "listening to 2 programs" in out
    assert "1 instrument, 3 notes" in out
    programs = soundfont_map.read_map(tmp_path / "a" / "soundfont_map.csv")
    assert [(p.number, p.name, p.keys) for p in programs] == [
        (0, "Sine", (60, 61, 62)),
        (1, "Sine", ()),
    ]
    assert programs[0].median_abs_cents == pytest.approx(4, abs=2)
    assert (programs[0].family, programs[0].source) == ("keyboard", "acoustic")
    provenance = json.loads((tmp_path / "a" / "PROVENANCE.json").read_text())
    assert provenance["map"] == "measured"
    assert provenance["soundfont"]["copyright"] == "Mine"
    assert provenance["soundfont"]["comment"] == "Free"

    again = f"--map={tmp_path / 'a' / 'soundfont_map.csv'}"
    assert render(tiny, tmp_path / "b", *flags, again) == 0
    assert "listening" not in capsys.readouterr().out
    a, b = content(tmp_path / "a"), content(tmp_path / "b")
    assert {name for name in a if a[name] != b[name]} == {"PROVENANCE.json"}  # "given"


def test_keys_are_tried_by_ear(tiny):
    program = soundfont_map.Program(1, "Octave", "flute", "acoustic", (49, 50, 60, 62))
    shifted = soundfont_map.Program(4, "Sine", "flute", "acoustic", (24, 69, 80))
    octave, sine = measure_ranges(tiny, [program, shifted], processes=2)
    assert octave.keys == ()
    assert sine.keys == (24, 69, 80)
    assert sine.median_abs_cents == pytest.approx(4, abs=2)


def test_silent_notes_are_named_and_not_stored(tiny, tmp_path, capsys):
    folder = tmp_path / "notes"
    row = "0,Sine,flute,acoustic,64-67,4,0,"
    (tmp_path / "map.csv").write_text(f"{','.join(soundfont_map.COLUMNS)}\n{row}\n")
    flags = (*SHORT, f"--map={tmp_path / 'map.csv'}")
    assert render(tiny, folder, *flags) == 0
    out = capsys.readouterr().out
    assert "Dropped flute_acoustic_000-066-100: silent.\n" in out
    assert out.endswith(f"2 notes in {folder}.\n")
    assert [int(note["pitch"]) for note in read(folder)] == [64, 65]
    assert json.loads((folder / "PROVENANCE.json").read_text())["dropped"] == {
        f"flute_acoustic_000-{pitch:03d}-100": "silent" for pitch in (66, 67)
    }
    before = content(folder)
    assert render(tiny, folder, *flags, "--min_pitch=66") == 2
    assert f"--soundfont={tiny}: of 2 notes none sounds." in capsys.readouterr().err
    assert content(folder) == before
    (tmp_path / "blocked" / "soundfont_map.csv").mkdir(parents=True)
    assert render(tiny, tmp_path / "blocked", *flags) == 1
    assert "soundfont_map.csv: is a folder, in the way of a file." in capsys.readouterr().err


def test_a_later_set_replaces_the_earlier_one(tiny, tmp_path):
    (tmp_path / ".new_set_01234567").mkdir()  # of a command that was killed
    for keys in ("60-62", "60-60"):
        row = f"0,Sine,flute,acoustic,{keys},,0,"
        (tmp_path / "map.csv").write_text(f"{','.join(soundfont_map.COLUMNS)}\n{row}\n")
        assert render(tiny, tmp_path, *SHORT, f"--map={tmp_path / 'map.csv'}") == 0
    assert len(read(tmp_path)) == 1
    assert len(list(tmp_path.glob("*.tfrecord*"))) == 1
    assert not (tmp_path / ".new_set_01234567").exists()


def test_a_map_that_was_corrected_is_never_lost(tiny, tmp_path, capsys):
    folder = tmp_path / "notes"
    path = folder / "soundfont_map.csv"
    flags = (*SHORT, "--min_pitch=59", "--max_pitch=60")
    assert render(tiny, folder, *flags) == 0
    assert render(tiny, folder, *flags, "--max_pitch=61") == 0, "nobody has changed it"
    assert read(folder)[0]["id"].startswith(b"keyboard_acoustic")
    other = shutil.copy(path, tmp_path / "other.csv")
    path.write_bytes(path.read_bytes().replace(b"keyboard", b"flute").replace(b"\n", b"\r\n"))
    before = content(folder)
    capsys.readouterr()
    for others in ((), (f"--map={other}",)):
        assert render(tiny, folder, *flags, *others) == 2
        (told,) = capsys.readouterr().err.splitlines()
        assert f"give it to render_soundfont as --map={path}, or move it away" in told
        assert content(folder) == before
    assert render(tiny, folder, *flags, f"--map={path}") == 0
    assert read(folder)[0]["id"].startswith(b"flute_acoustic")
    assert path.read_bytes() == before[path.name], "as it was given, to the byte"
    assert render(tiny, folder, *flags) == 0, "it is now as it was written"


@pytest.mark.parametrize("name", ["soundfont_map.csv", "features.json", "PROVENANCE.json"])
def test_a_folder_with_somebodys_own_files_is_refused(tiny, tmp_path, capsys, name):
    (tmp_path / name).write_text("mine")
    assert render(tiny, tmp_path, *SHORT) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert f"--output_dir={tmp_path} holds {name}, which is of no data set: choose another" in told
    assert content(tmp_path) == {name: b"mine"}


def test_a_short_note_is_held_to_its_end(tiny, tmp_path):
    flags = ("--length=0.5", "--sample_rate=8000", "--velocities=100", "--max_pitch=60")
    assert render(tiny, tmp_path, *flags, "--min_pitch=60") == 0
    options = json.loads((tmp_path / "PROVENANCE.json").read_text())["options"]
    assert (options["length"], options["hold_time"]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--soundfont="], "--soundfont=FILE.sf2 is needed."),
        (["--output_dir="], "--output_dir=DIR is needed."),
        (["--soundfont=none.sf2"], "--soundfont=none.sf2 must be a file, and there is none."),
        (["--soundfont=."], "--soundfont=. must be a file, and there is none."),
        (["--map=none.csv"], "--map=none.csv must be a file, and there is none."),
        (["--soundfont=text.sf2"], "--soundfont=text.sf2 is no SoundFont 2 file"),
        (["--soundfont=cut.sf2"], "--soundfont=cut.sf2 is truncated: 9,000 bytes of"),
        (["--soundfont=hollow.sf2"], "libfluidsynth cannot load hollow.sf2."),
        (["--map=text.sf2"], "--map=text.sf2: its first line must name the columns program,"),
        (["--output_dir=text.sf2"], "--output_dir=text.sf2 must be a folder, and text.sf2 is a file"),
        (["--output_dir=text.sf2/notes"], "must be a folder, and text.sf2 is a file"),
        (["--families=piano"], "--families must be out of: bass, brass,"),
        (["--sources=real"], "--sources must be out of: acoustic,"),
        (["--programs=1,x"], "--programs must be integers such as 25,127, not '1,x'."),
        (["--programs=47"], "--programs has 47, which the map of this SoundFont lacks."),
        (["--programs=0", "--sources=acoustic"], "--programs goes without --families and --sources"),
        (["--velocities=0"], "--velocities must be out of: from 1 to 127; not 0."),
        (["--velocities="], "--velocities must be one or more without repeats, not ''."),
        (["--min_pitch=70", "--max_pitch=60"], "--max_pitch must be from 70 to 127, not 60."),
        (["--sample_rate=1000000"], "--sample_rate must be from 8000 to 48000, not 1e+06."),
        (["--length=inf"], "--length must be from 0.1 to 30, not inf."),
        (["--hold_time=5"], "--hold_time must be above 0 and at most length=4, not 5."),
        (["--hold_time=long"], "--hold_time=long is refused: it must be a number."),
        (["--processes=-1"], "--processes=-1 is refused: it must be a non-negative integer"),
        (["--families=vocal"], "--sources=acoustic and families=vocal leave no program"),
        (["--min_pitch=90", "--max_pitch=90", "--programs=0"], "--programs has 0, which has no usable"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_sentence(tiny, tmp_path, monkeypatch, capfd, flags, message):
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny, "tiny.sf2")
    (tmp_path / "text.sf2").write_text("no SoundFont")
    whole = tiny.read_bytes()
    (tmp_path / "cut.sf2").write_bytes(whole[:9_000])
    (tmp_path / "hollow.sf2").write_bytes(whole.replace(b"igen", b"none"))
    before = sorted(tmp_path.iterdir())
    assert render("tiny.sf2", "notes", *flags) == 2
    error = capfd.readouterr().err
    assert error.startswith("gansynth_data render_soundfont: ")
    assert message in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_the_library_is_missing(tiny, tmp_path, monkeypatch, capsys):
    from gansynth_tf.data import fluidsynth

    def refuse():
        raise fluidsynth.FluidSynthError("libfluidsynth is not on this machine.")

    monkeypatch.setattr(fluidsynth, "_library", refuse)
    assert render(tiny, tmp_path / "notes") == 2
    assert "libfluidsynth is not on this machine." in capsys.readouterr().err


def test_help(capsys):
    assert data.main(["render_soundfont", "--helpshort"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("gansynth_data render_soundfont: a SoundFont's instruments")
    assert "--hold_time" in out
