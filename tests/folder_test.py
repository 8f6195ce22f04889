"""A folder of recordings to a data set: written whole or not at all, always the same."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from gansynth_tf.data.folder import NoNotesError, TableMismatchError, import_folder
from gansynth_tf.data.pitch_names import TableRow
from gansynth_tf.data.recordings import FolderConfig

pytestmark = pytest.mark.latest
RATE = 8_000
CONFIG = FolderConfig(sample_rate=RATE, audio_length=RATE // 4)


def write(folder, name, pitch=60, seconds=0.3):
    """A recorded sine."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frequency = 440.0 * 2 ** ((pitch - 69) / 12)
    wave = 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
    soundfile.write(path, wave, RATE)


def listen(wave):
    """The strongest of the wave's frequencies, as a MIDI number."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 2**16))
    return 69 + 12 * np.log2(np.argmax(spectrum) * RATE / 2**16 / 440)


def manifest(folder):
    with open(folder / "manifest.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def audio(tmp_path):
    """Two instruments, a note without a name, a broken file, and what is no recording."""
    folder = tmp_path / "audio"
    write(folder, "cello/C3.wav", 48)
    write(folder, "cello/take.FLAC", 50)
    write(folder, "flute/sub/a_072_064.aiff", 72)
    (folder / "flute/broken.ogg").write_bytes(b"OggS")
    (folder / "flute/cover.jpg").write_bytes(b"")
    return folder


def test_every_file_has_its_fate(audio, tmp_path):
    warned, progress = [], []
    report = import_folder(
        audio, tmp_path / "out", CONFIG, listen, (), warned.append, lambda *n: progress.append(n)
    )
    rows = [(row["file"], row["id"], row["fate"]) for row in manifest(tmp_path / "out")]
    assert rows == [
        ("cello/C3.wav", "cello-048-100", "kept"),
        ("cello/take.FLAC", "cello-050-100", "kept"),
        ("flute/broken.ogg", "", "dropped"),
        ("flute/cover.jpg", "", "ignored"),
        ("flute/sub/a_072_064.aiff", "flute_sub-072-064", "kept"),
    ]
    assert warned == ["flute/broken.ogg: it is cut short: the stream does not end."]
    assert progress == [(0, 4, 0), (1, 4, 1), (2, 4, 2), (3, 4, 2)]
    assert report.summary("out").splitlines() == [
        "3 notes, pitches 48 to 72, in out; manifest.csv there tells the fate of every file.",
        "Dropped: unreadable 1.",
        "Ignored: no sound file 1.",
    ]


def test_tfds_reads_the_notes(audio, tmp_path):
    import_folder(audio, tmp_path / "out", CONFIG, listen)
    builder = tfds.builder_from_directory(tmp_path / "out")
    notes = list(builder.as_dataset(split="train").as_numpy_iterator())
    assert sorted((note["id"], note["pitch"], note["velocity"]) for note in notes) == [
        (b"cello-048-100", 48, 100),
        (b"cello-050-100", 50, 100),
        (b"flute_sub-072-064", 72, 64),
    ]
    assert builder.info.features["audio"].sample_rate == RATE
    for note in notes:
        assert note["audio"].shape == (RATE // 4,)
        assert listen(note["audio"]) == pytest.approx(note["pitch"], abs=0.3)
    settings = json.loads((tmp_path / "out/PROVENANCE.json").read_text())["settings"]
    assert settings["sample_rate"] == RATE


def test_the_same_files_give_the_same_bytes(audio, tmp_path):
    shutil.copytree(audio, tmp_path / "elsewhere")
    for source, name in ((audio, "a"), (tmp_path / "elsewhere", "b")):
        import_folder(source, tmp_path / name, CONFIG, listen)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_a_second_import_replaces_the_first(audio, tmp_path):
    import_folder(audio, tmp_path / "out", CONFIG, listen)
    (tmp_path / "out/.new_set_0123abcd").mkdir()  # of a process that was killed
    (audio / "cello/C3.wav").unlink()
    import_folder(audio, tmp_path / "out", CONFIG, listen)
    assert len([row for row in manifest(tmp_path / "out") if row["fate"] == "kept"]) == 2
    assert not [name for name in os.listdir(tmp_path / "out") if name.startswith(".")]


def test_the_output_folder_is_not_read(audio, tmp_path):
    import_folder(audio, audio / "notes", CONFIG, listen)
    first = content(audio / "notes")
    write(audio / "notes", "C4.wav")
    warned = []
    import_folder(audio, audio / "notes", CONFIG, listen, warn=warned.append)
    (audio / "notes/C4.wav").unlink()
    assert content(audio / "notes") == first
    assert f"{audio / 'notes'} lies in the folder of the recordings: nothing in it is read." in (
        warned
    )


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_when_interrupted_all_is_as_before(audio, tmp_path, earlier, error):
    out = tmp_path / "some/out"
    if earlier:
        import_folder(audio, out, CONFIG, listen)
    before = content(out) if earlier else None

    def interrupt(done, total, notes):
        if done == 2:
            raise error

    with pytest.raises(error):
        import_folder(audio, out, CONFIG, listen, progress=interrupt)
    if earlier:
        assert content(out) == before
    else:
        assert not (tmp_path / "some").exists()


def test_nothing_usable_writes_nothing(tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    (audio / "readme.txt").touch()
    with pytest.raises(NoNotesError, match=r"no \.wav, .* file is in it"):
        import_folder(audio, tmp_path / "out", CONFIG, listen)
    write(audio, "high.wav", 100)
    (audio / "broken.mp3").write_bytes(b"\xff\xfb\x90")
    reason = r"of 2 recordings none can be used \(unreadable 1, out of range 1\)"
    with pytest.raises(NoNotesError, match=reason):
        import_folder(audio, tmp_path / "out", CONFIG, listen)
    assert not (tmp_path / "out").exists()


def test_channels_are_averaged_so_that_antiphase_is_silence(tmp_path):
    write(tmp_path / "audio", "left/C4.wav")
    wave, _ = soundfile.read(tmp_path / "audio/left/C4.wav")
    soundfile.write(tmp_path / "audio/D4.wav", np.stack([wave, -wave], axis=1), RATE)
    soundfile.write(tmp_path / "audio/E4.wav", np.stack([wave, wave], axis=1), RATE)
    import_folder(tmp_path / "audio", tmp_path / "out", CONFIG, listen)
    rows = {row["file"]: row for row in manifest(tmp_path / "out")}
    assert rows["D4.wav"]["fate"] == "dropped"
    assert rows["D4.wav"]["reason"].startswith("silent: ")
    assert rows["E4.wav"]["peak_dbfs"] == rows["left/C4.wav"]["peak_dbfs"]


def test_a_table(audio, tmp_path):
    rows = [TableRow("take.FLAC", 51, 10, "double bass", "string"), TableRow("missing.wav", 60)]
    warned = []
    import_folder(audio, tmp_path / "out", CONFIG, listen, rows, warned.append)
    assert "double bass-051-010" in {row["id"] for row in manifest(tmp_path / "out")}
    assert "the table names 1 that are not in the folder: missing.wav." in warned
    write(audio, "flute/take.FLAC", 60)
    with pytest.raises(TableMismatchError, match=r"take.FLAC is the name of 2 files"):
        import_folder(audio, tmp_path / "out", CONFIG, listen, rows)


def test_names_that_no_text_can_hold(tmp_path):
    folder = tmp_path / "audio"
    write(folder, "x.wav")
    name = b"\xff\n.wav"
    os.rename(folder / "x.wav", os.path.join(os.fsencode(folder), name))
    os.makedirs(os.path.join(os.fsencode(folder), b"\xfe"))
    shutil.copy(
        os.path.join(os.fsencode(folder), name), os.path.join(os.fsencode(folder), b"\xfe/C4.wav")
    )
    import_folder(folder, tmp_path / "out", CONFIG, listen)
    assert {row["id"] for row in manifest(tmp_path / "out")} == {"_xff_n-060-100", "_xfe-060-100"}


def test_missing_pitches_are_marked(audio, tmp_path):
    progress = []
    config = FolderConfig(sample_rate=RATE, audio_length=RATE // 4, fill_pitches=1)
    report = import_folder(
        audio, tmp_path / "out", config, listen, progress=lambda *n: progress.append(n)
    )
    filled = {row["id"] for row in manifest(tmp_path / "out") if row["pitch_from"] == "filled"}
    assert filled == {
        "cello-047-100",
        "cello-049-100",
        "cello-051-100",
        "flute_sub-071-064",
        "flute_sub-073-064",
    }
    assert progress[-1] == (2, 3, 6)
    assert "Of these: filled 5." in report.summary("out")
