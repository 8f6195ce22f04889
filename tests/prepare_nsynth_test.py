"""NSynth prepared from its archives: what TFDS reads, what its own builder makes, and every end."""

import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from nsynth_official import (
    LABELS,
    NUMBERS,
    example,
    make_note,
    make_notes,
    records,
    write_archives,
    write_tar,
)

from gansynth_tf.cli.data import main
from gansynth_tf.data import prepare_nsynth
from gansynth_tf.data.archive_files import ArchiveError
from gansynth_tf.data.prepare_nsynth import prepare, prepared_folder
from gansynth_tf.data.schema import FAMILIES, SOURCES

pytestmark = pytest.mark.latest

REPOSITORY = pathlib.Path(__file__).parents[1]
SPLITS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def notes():
    return make_notes()


@pytest.fixture(scope="module")
def archives(tmp_path_factory, notes):
    """Form to a folder of official archives."""
    folders = {form: tmp_path_factory.mktemp(form) for form in ("tfrecord", "jsonwav")}
    for form, folder in folders.items():
        write_archives(folder, notes, form)
    return folders


def load(data_dir, subset="gansynth_subset"):
    """Split to its examples, in order, as NumPy has them."""
    splits = tfds.load(f"nsynth/{subset}", data_dir=data_dir, download=False, shuffle_files=False)
    return {name: list(split.as_numpy_iterator()) for name, split in splits.items()}


def assert_same_examples(found, expected):
    assert found.keys() == expected.keys()
    for split in expected:
        assert len(found[split]) == len(expected[split])
        for one, other in zip(found[split], expected[split], strict=True):
            np.testing.assert_equal(one, other)  # through all keys


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- What is prepared ---


@pytest.mark.parametrize("form", ["tfrecord", "jsonwav"])
def test_every_feature_of_the_subset(tmp_path, archives, notes, form):
    counts = prepare(archives[form], tmp_path)
    assert counts == {"train": 6, "valid": 3, "test": 3}
    found = load(tmp_path)
    by_id = {note.id: note for archive in notes.values() for note in archive}
    places = {"train": [0, 3], "valid": [1], "test": [2]}
    for split, examples in found.items():
        expected = {notes[archive][place].id for archive in SPLITS for place in places[split]}
        assert {one["id"].decode() for one in examples} == expected
        for one in examples:
            note = by_id[one["id"].decode()]
            np.testing.assert_array_equal(one["audio"], note.audio)
            assert (one["pitch"], one["velocity"]) == (note.pitch, note.velocity)
            assert one["instrument"] == {
                "label": LABELS.index(note.instrument_label),
                "family": FAMILIES.index(note.instrument_family),
                "source": SOURCES.index(note.instrument_source),
            }
            assert one["qualities"] == note.qualities


def test_the_full_set_keeps_the_archives_splits(tmp_path, archives, notes):
    assert prepare(archives["tfrecord"], tmp_path, "full") == dict.fromkeys(SPLITS, 5)
    for split, examples in load(tmp_path, "full").items():
        found = {one["id"].decode() for one in examples}
        assert found == {note.id for note in notes[split]}


def test_many_shards_hold_the_same_in_the_same_order(tmp_path, archives, monkeypatch):
    prepare(archives["tfrecord"], tmp_path / "one")
    monkeypatch.setattr(prepare_nsynth, "SHARD_BYTES", 600_000)  # two notes
    prepare(archives["tfrecord"], tmp_path / "many")
    shards = sorted(prepared_folder(tmp_path / "many", "gansynth_subset").glob("*train*"))
    assert len(shards) > 2
    assert shards[0].name == f"nsynth-train.tfrecord-00000-of-{len(shards):05d}"
    assert all(path.stat().st_size < 600_000 for path in shards)
    assert_same_examples(load(tmp_path / "many"), load(tmp_path / "one"))


@pytest.mark.parametrize("form", ["tfrecord", "jsonwav"])
def test_without_labels_instruments_are_numbered_as_in_the_archives(
    tmp_path, archives, notes, form, capsys
):
    folder = tmp_path / "archives"
    folder.mkdir()
    for path in archives[form].iterdir():
        if "labels" not in path.name:
            (folder / path.name).symlink_to(path)
    assert run(folder, tmp_path) == 0
    assert "numbered as in the archives" in capsys.readouterr().out
    builder = tfds.builder("nsynth/gansynth_subset", data_dir=tmp_path)
    names = builder.info.features["instrument"]["label"].names
    used = {note.instrument_label for archive in notes.values() for note in archive}
    assert {name: names.index(name) for name in used} == {name: NUMBERS[name] for name in used}
    assert sum(name.startswith("unknown_") for name in names) == 1006 - len(used)
    labels = {one["instrument"]["label"] for split in load(tmp_path).values() for one in split}
    assert labels <= {NUMBERS[name] for name in used}


@pytest.mark.slow
def test_a_stock_environment_reads_it(tmp_path, archives):
    prepare(archives["jsonwav"], tmp_path)
    code = """
import json, sys
import tensorflow_datasets as tfds
data, info = tfds.load("nsynth/gansynth_subset", data_dir=sys.argv[1], with_info=True)
assert not [name for name in sys.modules if name.startswith("gansynth")]
print(json.dumps({
    "name": info.full_name,
    "rate": info.features["audio"].sample_rate,
    "ids": {s: sorted(e["id"].decode() for e in data[s].as_numpy_iterator()) for s in data},
}))
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(result.stdout)
    assert (found["name"], found["rate"]) == ("nsynth/gansynth_subset/2.3.3", 16000)
    ours = {split: [one["id"].decode() for one in ex] for split, ex in load(tmp_path).items()}
    assert found["ids"] == {split: sorted(ids) for split, ids in ours.items()}


# docs/NSYNTH.md gives the same call; the test adds the checksums of its own archives.
GENUINE = """
import hashlib, pathlib, sys
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.datasets.nsynth import nsynth_dataset_builder as official

archives, data_dir, *subsets = sys.argv[1:]
sys.argv = sys.argv[:1]  # Beam reads it too
official.Builder.url_infos = {
    official._BASE_DOWNLOAD_PATH + path.name.removeprefix("nsynth-"): UrlInfo(
        path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest(), path.name
    )
    for path in pathlib.Path(archives).iterdir()
}
for subset in subsets:
    builder = tfds.builder(f"nsynth/{subset}", data_dir=data_dir)
    assert type(builder) is official.Builder
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=archives, beam_runner="DirectRunner"
        )
    )
"""


@pytest.mark.slow
def test_the_genuine_builder_makes_the_same(tmp_path, archives):
    if importlib.util.find_spec("apache_beam") is None:
        pytest.skip("TFDS's own builder needs Apache Beam: pip install 'gansynth-tf[beam]'")
    subsets = ("gansynth_subset", "full")
    subprocess.run(
        [sys.executable, "-c", GENUINE, archives["tfrecord"], tmp_path / "genuine", *subsets],
        cwd=tmp_path,
        check=True,
    )
    for subset in subsets:
        genuine = prepared_folder(tmp_path / "genuine", subset)
        expected = load(tmp_path / "genuine", subset)
        assert sum(map(len, expected.values())) == {"full": 15, "gansynth_subset": 12}[subset]
        for form in ("tfrecord", "jsonwav"):
            data_dir = tmp_path / form
            prepare(archives[form], data_dir, subset)
            # The same examples in the same order.
            assert_same_examples(load(data_dir, subset), expected)
            ours = contents(prepared_folder(data_dir, subset))
            theirs = contents(genuine)
            assert ours.keys() - theirs.keys() == {"PROVENANCE.json"}
            assert not theirs.keys() - ours.keys()
            for name in theirs:
                if name.endswith((".txt", "features.json", "metadata.json")):
                    assert ours[name] == theirs[name], name
            infos = [json.loads(files["dataset_info.json"]) for files in (ours, theirs)]
            del infos[1]["downloadSize"]
            assert infos[0] == infos[1]


# --- What ends the work, and what comes after ---


class StopError(Exception):
    pass


def stopping(at, heard):
    """A progress callback that raises at its `at`-th call."""

    def progress(text, done, total):
        assert 0 <= done <= total
        heard.append(text)
        if len(heard) == at:
            raise StopError

    return progress


@pytest.mark.parametrize("form", ["tfrecord", "jsonwav"])
@pytest.mark.parametrize("pause", [0.0, 1e9])
def test_stopped_anywhere_it_goes_on(tmp_path, archives, monkeypatch, form, pause):
    monkeypatch.setattr(prepare_nsynth, "SHARD_BYTES", 600_000)
    folder = prepared_folder(tmp_path / "whole", "gansynth_subset")
    calls = []
    prepare(archives[form], tmp_path / "whole", progress=stopping(0, calls))
    expected = contents(folder)
    monkeypatch.setattr(prepare_nsynth, "CHECKPOINT_SECONDS", pause)
    output = tmp_path / "stopped"
    # Every third call is the last; each time the next process comes a little further.
    rounds = 0
    for at in range(3, 60, 3):
        rounds += 1
        try:
            prepare(archives[form], output, progress=stopping(at, []))
            break
        except StopError:
            assert not prepared_folder(output, "gansynth_subset").exists()
    assert rounds > 3
    assert contents(prepared_folder(output, "gansynth_subset")) == expected
    assert [path.name for path in (output / "nsynth" / "gansynth_subset").iterdir()] == ["2.3.3"]


def test_what_was_read_is_not_read_again(tmp_path, archives, monkeypatch):
    monkeypatch.setattr(prepare_nsynth, "CHECKPOINT_SECONDS", 0.0)
    heard = []
    with pytest.raises(StopError):
        prepare(archives["tfrecord"], tmp_path, progress=stopping(8, heard))
    assert heard[-1].startswith("nsynth-valid.tfrecord.tar: 2 notes read, 6 kept")
    heard = []
    prepare(archives["tfrecord"], tmp_path, progress=stopping(0, heard))
    # Skipped records are gone by first; none of the train archive's.
    assert heard[0].startswith("nsynth-valid.tfrecord.tar: 2 notes read, 6 kept")


def test_other_archives_start_anew(tmp_path, archives, monkeypatch):
    monkeypatch.setattr(prepare_nsynth, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(StopError):
        prepare(archives["jsonwav"], tmp_path, progress=stopping(8, []))
    heard = []
    prepare(archives["tfrecord"], tmp_path, progress=stopping(0, heard))
    assert heard[0].startswith("nsynth-train.tfrecord.tar: 0 notes read, 0 kept")
    prepare(archives["tfrecord"], tmp_path / "fresh")
    assert_same_examples(load(tmp_path), load(tmp_path / "fresh"))


@pytest.mark.slow
def test_killed_it_goes_on(tmp_path, archives, monkeypatch):
    monkeypatch.setattr(prepare_nsynth, "SHARD_BYTES", 600_000)
    code = """
import os, signal, sys
from gansynth_tf.data import prepare_nsynth
prepare_nsynth.SHARD_BYTES, prepare_nsynth.CHECKPOINT_SECONDS = 600_000, 0.0
calls = 0
def progress(text, done, total):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        print(text, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
prepare_nsynth.prepare(sys.argv[1], sys.argv[2], progress=progress)
"""
    folder = prepared_folder(tmp_path / "killed", "gansynth_subset")
    for at, end in ((8, "nsynth-valid.tfrecord.tar: 2 notes"), (13, "sorting train, shard 3")):
        arguments = [archives["tfrecord"], tmp_path / "killed", str(at)]
        killed = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE
        )
        assert killed.returncode == -signal.SIGKILL
        assert killed.stdout.decode().startswith(end)
        assert not folder.exists()
    shards = folder.with_name(".preparing-2.3.3") / "whole"
    done = {path: path.stat().st_mtime_ns for path in shards.iterdir()}
    assert len(done) == 2
    prepare(archives["tfrecord"], tmp_path / "killed")
    for path, time in done.items():
        assert (folder / path.name).stat().st_mtime_ns == time, "a shard was written again"
    prepare(archives["tfrecord"], tmp_path / "whole")
    assert_same_examples(load(tmp_path / "killed"), load(tmp_path / "whole"))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_archives(tmp_path):
    write_archives(tmp_path / "few", make_notes(5), "tfrecord")
    many = [example(make_note(0), note_str=f"note_{n}") for n in range(400)]
    write_archives(tmp_path / "many", make_notes(5), "tfrecord")
    (tmp_path / "many" / "nsynth-train.tfrecord.tar").unlink()
    (tmp_path / "many" / "nsynth-train.tfrecord").write_bytes(records(many))
    code = """
import resource, sys
from gansynth_tf.data import prepare_nsynth
prepare_nsynth.SHARD_BYTES = 16 * 2**20
most = 0
def progress(text, done, total):
    global most
    pages = int(open("/proc/self/statm").read().split()[1])
    most = max(most, pages * resource.getpagesize())
for archives, output in (sys.argv[1:3], sys.argv[3:5]):
    prepare_nsynth.prepare(archives, output, "full", progress=progress)
    print(most // 10**6)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000)
"""
    folders = [tmp_path / name for name in ("few", "few_out", "many", "many_out")]
    output = subprocess.run(
        [sys.executable, "-c", code, *folders], cwd=REPOSITORY, stdout=subprocess.PIPE, check=True
    ).stdout
    few, many, peak = map(int, output.split())
    assert peak < 2000
    # 103 MB went through; shards of 16 MB were sorted in memory.
    assert many - few < 50


# --- The command ---


def run(archives, output, *flags):
    return main(["prepare_nsynth", f"--archives={archives}", f"--output_dir={output}", *flags])


def test_the_command_and_its_second_run(tmp_path, archives, capsys):
    assert run(archives["tfrecord"], tmp_path) == 0
    folder = tmp_path / "nsynth" / "gansynth_subset" / "2.3.3"
    said = "12 notes (train 6, valid 3, test 3)"
    assert capsys.readouterr().out == f"{said}: in {folder}.\n"
    before = contents(folder)
    assert run(tmp_path / "gone", tmp_path) == 0
    assert capsys.readouterr().out == f"{said}: {folder} was there already.\n"
    assert contents(folder) == before
    assert run(archives["tfrecord"], tmp_path, "--subset=full") == 0
    assert "15 notes (train 5, valid 5, test 5)" in capsys.readouterr().out


def test_missing_notes(tmp_path, archives, capsys):
    folder = tmp_path / "archives"
    folder.mkdir()
    for path in archives["tfrecord"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with open(folder / "nsynth-gansynth_splits.csv", "a") as file:
        file.write("brass_acoustic_999-060-100,train\nbrass_acoustic_998-060-100,test\n")
    assert run(folder, tmp_path) == 2
    said = capsys.readouterr().err
    assert "nsynth-gansynth_splits.csv names 2 notes that are in no archive" in said
    assert "brass_acoustic_998-060-100, brass_acoustic_999-060-100" in said
    assert not prepared_folder(tmp_path, "gansynth_subset").exists()
    # What was read is kept.
    for split in SPLITS:
        path = folder / f"nsynth-{split}.tfrecord.tar"
        path.write_bytes(bytes(path.stat().st_size))
    assert run(folder, tmp_path, "--allow_missing") == 0
    said = capsys.readouterr().out
    assert "12 notes" in said
    assert "Left out, as no archive has them: 2 notes." in said
    provenance = prepared_folder(tmp_path, "gansynth_subset") / "PROVENANCE.json"
    assert len(json.loads(provenance.read_text())["missing"]) == 2


@pytest.mark.parametrize(
    ("notes_of_train", "message"),
    [
        ([make_note(0), make_note(0)], "nsynth-train.tfrecord.tar: .* comes twice"),
        ([], "has no note of the split train"),
    ],
)
def test_notes_that_come_twice_or_not_at_all(tmp_path, notes, notes_of_train, message):
    write_archives(tmp_path / "archives", {**notes, "train": notes_of_train}, "tfrecord")
    with pytest.raises(ArchiveError, match=message):
        prepare(tmp_path / "archives", tmp_path, "full")
    assert not prepared_folder(tmp_path, "full").exists()


def test_instruments_that_contradict(tmp_path, notes):
    folder = tmp_path / "archives"
    write_archives(folder, notes, "tfrecord")
    note = notes["test"][1]
    numbers = [NUMBERS[notes["train"][0].instrument_label], None]
    for number, message in zip(
        numbers, ["gives .* the number", "no instrument number"], strict=True
    ):
        content = records([example(note, instrument=number)])
        write_tar(folder / "nsynth-test.tfrecord.tar", {"nsynth-test.tfrecord": content})
        prepare(folder, tmp_path / str(number), "full")  # the list of labels decides
        labels = folder / "nsynth-instrument_labels.txt"
        labels.rename(folder / "kept")
        with pytest.raises(ArchiveError, match=message):
            prepare(folder, tmp_path, "full")
        (folder / "kept").rename(labels)
    content = records([example(note, instrument_str="brass_acoustic_777")])
    write_tar(folder / "nsynth-test.tfrecord.tar", {"nsynth-test.tfrecord": content})
    with pytest.raises(ArchiveError, match=r"labels\.txt has no brass_acoustic_777, the instr"):
        prepare(folder, tmp_path, "full")


def test_bad_calls(tmp_path, archives, capsys):
    good = archives["tfrecord"]
    (tmp_path / "file").write_text("")
    (tmp_path / "taken/nsynth/full/2.3.3").mkdir(parents=True)
    (tmp_path / "taken/nsynth/full/2.3.3/mine.txt").write_text("kept")
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd/nsynth/gansynth_subset/2.3.3").mkdir(parents=True)
    (tmp_path / "odd/nsynth/gansynth_subset/2.3.3/dataset_info.json").write_text("{}")
    for flags, code, message in (
        ([], 2, "--archives=DIR is needed"),
        ([f"--archives={good}"], 2, "--output_dir=DIR is needed"),
        ([f"--archives={tmp_path}/none", f"--output_dir={tmp_path}"], 2, "must be the folder of"),
        ([f"--archives={tmp_path}/empty", f"--output_dir={tmp_path}"], 2, "nsynth-train.tfrecord"),
        ([f"--archives={good}", f"--output_dir={tmp_path}/file"], 2, "is a file"),
        ([f"--archives={good}", f"--output_dir={tmp_path}", "--subset=all"], 2, "--subset=all"),
        (
            [f"--archives={good}", f"--output_dir={tmp_path}/taken", "--subset=full"],
            1,
            "is in the way",
        ),
        ([f"--archives={good}", f"--output_dir={tmp_path}/odd"], 1, "is not as TFDS writes it"),
    ):
        assert main(["prepare_nsynth", *flags]) == code
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert (tmp_path / "taken/nsynth/full/2.3.3/mine.txt").read_text() == "kept"


def test_a_part_that_something_else_changed(tmp_path, archives, monkeypatch):
    monkeypatch.setattr(prepare_nsynth, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(StopError):
        prepare(archives["tfrecord"], tmp_path, progress=stopping(8, []))
    work = tmp_path / "nsynth" / "gansynth_subset" / ".preparing-2.3.3"
    next(work.glob("train-*.part")).unlink()
    with pytest.raises(OSError, match=r"changed by something else|No such file.*\.part"):
        prepare(archives["tfrecord"], tmp_path)
    # A journal that says nothing is none.
    (work / "journal.json").write_text("")
    assert sum(prepare(archives["tfrecord"], tmp_path).values()) == 12


def test_two_at_once(tmp_path, archives):
    seen = []

    def progress(text, done, total):
        if not seen:
            with pytest.raises(BlockingIOError, match="another process is at work"):
                prepare(archives["tfrecord"], tmp_path)
            seen.append(text)

    prepare(archives["tfrecord"], tmp_path, progress=progress)
    assert seen


def test_damage_in_the_middle_is_said_and_mended(tmp_path, archives, capsys):
    folder = tmp_path / "archives"
    folder.mkdir()
    for path in archives["tfrecord"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    broken = folder / "nsynth-valid.tfrecord.tar"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:600_000] + b"?" + whole[600_001:])
    assert run(folder, tmp_path) == 2
    assert capsys.readouterr().err == (
        f"gansynth_data prepare_nsynth: {broken}: record 2 of nsynth-valid.tfrecord fails its "
        "checksum: get the archive anew.\n"
    )
    broken.write_bytes(whole)
    assert run(folder, tmp_path) == 0
    prepare(archives["tfrecord"], tmp_path / "fresh")
    assert_same_examples(load(tmp_path), load(tmp_path / "fresh"))
