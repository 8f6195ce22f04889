"""From flags to notes, and a run on notes that are read from disk."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from experiments import small_experiment, small_flags
from note_reader_test import change_samples
from note_writer_test import make_note, write

from gansynth_tf import checkpoint
from gansynth_tf.checkpoint import CheckpointError
from gansynth_tf.cli.train import main
from gansynth_tf.data import sources
from gansynth_tf.data.note_reader import DataError, ReadError
from gansynth_tf.data.note_writer import writing_notes
from gansynth_tf.data.pipeline import note_order
from gansynth_tf.data.sources import DataConfig, find_folder, load_notes
from gansynth_tf.training import CHECKPOINT_FOLDER, Trainer

pytestmark = pytest.mark.latest

RATE, LENGTH = 8000, 256
NOTES = [make_note(pitch, velocity) for pitch in (20, 60, 61, 62) for velocity in (50, 100)]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "data", NOTES)
    return tmp_path / "data"


def load(folder, **settings):
    config = DataConfig(train_data_path=str(folder), **settings)
    return load_notes(config, settings.pop("rate", RATE), LENGTH)


def test_a_folder_is_taken_as_it_is(folder):
    notes = load(folder)
    assert notes.pitches.tolist() == [60, 60, 61, 61, 62, 62], "24 to 84"
    np.testing.assert_array_equal(notes.read(np.array([5])), [NOTES[7].audio])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"min_pitch": 0}, 8),
        ({"velocities": (50,)}, 3),
        ({"instrument_families": ("brass",)}, 6),
        ({"instrument_sources": ("acoustic",)}, 6),
        ({"with_qualities": ("tempo-synced",), "max_pitch": 60}, 2),
        ({"split": "all"}, 6),
        ({"split_scheme": "paper"}, 5),
        ({"split_scheme": "paper", "split": "test"}, 1),
    ],
)
def test_choices(folder, settings, expected):
    assert len(load(folder, **settings)) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"instrument_families": ("organ",)}, "No note is left of the data set's 8"),
        ({"without_qualities": ("tempo-synced",)}, "No note is left"),
        ({"without_instruments": ("brass_acoustic_000",)}, "No note is left"),
        ({"split": "valid"}, "split=valid: the data set has only train"),
    ],
)
def test_a_choice_without_notes_is_named(folder, settings, message):
    with pytest.raises(DataError, match=message):
        load(folder, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset_name": "mnist"}, "dataset_name must be one of .*not 'mnist'"),
        ({"dataset_name": "folder"}, "needs train_data_path"),
        ({"instrument_families": ("drums",)}, "instrument_families must be among .*'drums'"),
        ({"with_qualities": ("loud",)}, "with_qualities must be among .*'loud'"),
        ({"velocities": (128,)}, "velocities must be MIDI velocities .*'128'"),
        ({"split_scheme": "paper", "split": "valid"}, "split must be train or test"),
        ({"split_scheme": "mine"}, "split_scheme must be one of"),
        ({"split": ""}, "split must name"),
        ({"split_seed": -1}, "split_seed must be in"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(**settings)


# --- Where data sets lie ---


def place(base: pathlib.Path, name: str, version: str) -> str:
    """A folder that says of itself what TFDS's would."""
    folder = base / name / version
    write(folder, NOTES[:1])
    path = folder / "dataset_info.json"
    builder, configuration = name.split("/")
    info = json.loads(path.read_text()) | {"name": builder, "configName": configuration}
    path.write_text(json.dumps(info))
    return str(folder)


def test_nsynth_is_found_below_a_folder_of_tfds(tmp_path):
    old = place(tmp_path, "nsynth/gansynth_subset", "2.3.1")
    for name in ("nsynth", "nsynth/gansynth_subset", "auto"):
        config = DataConfig(dataset_name=name, train_data_path=str(tmp_path))
        assert find_folder(config) == old
    new = place(tmp_path, "nsynth/gansynth_subset", "2.3.3")
    full = place(tmp_path, "nsynth/full", "2.3.3")
    assert find_folder(config) == new
    assert find_folder(dataclasses.replace(config, dataset_name="nsynth/full")) == full
    assert find_folder(DataConfig(dataset_name="nsynth", train_data_path=old)) == old


def test_a_folder_of_another_data_set_is_refused(tmp_path, folder):
    subset = place(tmp_path, "nsynth/gansynth_subset", "2.3.3")
    for given, name, holds in (
        (folder, "nsynth", "gansynth_notes"),
        (subset, "nsynth/full", "nsynth/gansynth_subset"),
    ):
        config = DataConfig(dataset_name=name, train_data_path=str(given))
        message = f"{given} holds {holds}, and dataset_name={name} asks for {sources.NSYNTH[name]}:"
        with pytest.raises(DataError, match=message):
            find_folder(config)
        assert find_folder(dataclasses.replace(config, dataset_name="folder")) == str(given)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": "x", "splits": [{"name": "train"}]}'])
def test_what_is_no_info_file_is_named(tmp_path, text):
    (tmp_path / "dataset_info.json").write_text(text)
    config = DataConfig(dataset_name="nsynth", train_data_path=str(tmp_path))
    with pytest.raises(DataError, match=r"dataset_info\.json is not as TFDS writes it\."):
        find_folder(config)


def test_nsynth_is_looked_for_where_tfds_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    here = place(tmp_path, "nsynth/gansynth_subset", "2.3.3")
    assert find_folder(DataConfig(dataset_name="nsynth")) == here


def test_what_is_missing_is_said_with_ways_to_get_it(tmp_path):
    place(tmp_path, "nsynth/gansynth_subset", "2.2.0")
    config = DataConfig(dataset_name="nsynth", train_data_path=str(tmp_path))
    with pytest.raises(DataError, match=r"prepare_nsynth.*gs://tfds-data/datasets/nsynth"):
        find_folder(config)
    with pytest.raises(DataError, match="holds no notes"):
        find_folder(dataclasses.replace(config, dataset_name="auto"))
    with pytest.raises(DataError, match=r"holds no dataset_info\.json"):
        find_folder(dataclasses.replace(config, dataset_name="folder"))


# --- Rate and length ---


def test_other_rates_and_lengths(tmp_path):
    rate, length = 16000, 4000
    tone = np.sin(2 * np.pi * 440 * np.arange(length) / rate).astype(np.float32)
    with writing_notes(tmp_path, rate, length, "A tone.", {}) as writer:
        writer.write(make_note(69, audio=tone))
    config = DataConfig(train_data_path=str(tmp_path))
    (longer,) = load_notes(config, rate, 5000).waves()
    np.testing.assert_array_equal(longer, [*tone, *np.zeros(1000)])
    (shorter,) = load_notes(config, rate, 3000).waves()
    np.testing.assert_array_equal(shorter, tone[:3000])
    (half,) = load_notes(config, 8000, 2000).waves()
    expected = np.sin(2 * np.pi * 440 * np.arange(2000) / 8000)
    np.testing.assert_allclose(half[100:-100], expected[100:-100], atol=1e-3)


def test_sets_that_differ_have_other_fingerprints(folder):
    configs = [{}, {"velocities": (50,)}, {"min_pitch": 61}]
    marks = {load(folder, **config).fingerprint for config in configs}
    config = DataConfig(train_data_path=str(folder))
    marks |= {
        load_notes(config, 4000, LENGTH).fingerprint,
        load_notes(config, RATE, 99).fingerprint,
    }
    assert len(marks) == 5
    assert load(folder).fingerprint in marks


def test_embedded_notes_pass_the_filter_too():
    config = DataConfig(min_pitch=60, max_pitch=61, instrument_families=("brass",))
    notes = load_notes(config, RATE, LENGTH)
    assert len(notes) == 2 * 4 * 2
    assert set(notes.table.label) == {f"brass_synthetic_00{number}" for number in range(4)}
    assert sources.NOISE_INSTRUMENTS[0] not in notes.table.label


# --- A run ---


def test_a_run_on_stored_notes_goes_on_where_they_were_moved(tmp_path, folder):
    def stop_at_once(line):
        if line.startswith("Stage"):
            begun.ask_to_stop()

    begun = Trainer(small_experiment(train_data_path=str(folder)), tmp_path / "run", stop_at_once)
    assert not begun.run().finished
    moved = folder.rename(tmp_path / "moved")
    later = small_experiment(train_data_path=str(moved), cache="disk")
    assert Trainer(later, tmp_path / "run", str).run().finished
    assert list((tmp_path / "run" / "cache").glob("*.npy"))


def test_other_notes_are_refused(tmp_path, folder):
    experiment = small_experiment(train_data_path=str(folder), checkpoint_num_images=4)
    trainer = Trainer(experiment, tmp_path / "run", lambda text: None)
    trainer.run()
    newest = sorted((tmp_path / "run" / "checkpoints").glob("*.npz"))[-1]
    newest.unlink()
    write(folder, NOTES[:5])
    with pytest.raises(CheckpointError, match=r"trained on 6 notes, and these are 3"):
        Trainer(experiment, tmp_path / "run", lambda text: None).run()


def test_other_notes_of_the_same_pitches_are_refused(tmp_path, folder):
    experiment = small_experiment(train_data_path=str(folder), checkpoint_num_images=4)
    Trainer(experiment, tmp_path / "run", lambda text: None).run()
    sorted((tmp_path / "run" / "checkpoints").glob("*.npz"))[-1].unlink()
    write(folder, NOTES)
    Trainer(experiment, tmp_path / "run", lambda text: None).run()  # the same, written again
    sorted((tmp_path / "run" / "checkpoints").glob("*.npz"))[-1].unlink()
    write(folder, [dataclasses.replace(note, audio=0.5 * note.audio) for note in NOTES])
    with pytest.raises(CheckpointError, match="trained on other notes of the same pitches"):
        Trainer(experiment, tmp_path / "run", lambda text: None).run()


def test_a_missing_data_set_begins_no_run(tmp_path, capsys):
    run_dir = tmp_path / "run"
    flags = ["--config=tiny", f"--train_data_path={tmp_path}", f"--run_dir={run_dir}"]
    assert main(flags) == 2
    told = capsys.readouterr().err
    assert f"train_data_path={tmp_path} holds no notes" in told
    assert len(told.splitlines()) == 1
    assert not run_dir.exists()


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("--split=trian", "split=trian: the data set has only train."),
        ("--instrument_families=organ", "No note is left of the data set's 8"),
    ],
)
def test_a_mistyped_choice_leaves_nothing_that_contradicts(
    tmp_path, folder, capsys, mistake, message
):
    run_dir = tmp_path / "run"
    flags = [
        *small_flags(total_num_images=4),
        f"--train_data_path={folder}",
        f"--run_dir={run_dir}",
    ]
    assert main([*flags, mistake]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert message in told
    assert not list(run_dir.rglob("*.json"))
    assert main(flags) == 0


# --- Notes that can be read no more, in the midst of a run ---


def newest(run_dir):
    return checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER)


def assert_same_weights(first, second):
    assert first.state.images == second.state.images
    assert first.arrays.keys() == second.arrays.keys()
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[name], err_msg=name)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    write(folder / "data", NOTES)
    settings = {"train_data_path": str(folder / "data"), "total_num_images": 16}
    Trainer(small_experiment(**settings), folder / "run", str).run()
    return newest(folder / "run")


@pytest.mark.parametrize("together", [1, 3])
def test_a_damaged_note_costs_nothing_that_was_trained(
    tmp_path, folder, undisturbed, capsys, together
):
    """Not even the steps that one execution took before the note came."""
    first = set(note_order(np.arange(4), 6, 3).numpy())
    row = max(set(range(1, 6)) - first) + 2  # comes in the second batch; two notes are filtered out
    whole = {path: path.read_bytes() for path in folder.iterdir()}
    shard = change_samples(folder, row)
    flags = small_flags(train_data_path=folder, total_num_images=16, steps_per_execution=together)
    flags.append(f"--run_dir={tmp_path / 'run'}")
    assert main(flags) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert f"{shard} can no longer be read (note {NOTES[row].id} has changed)" in told
    assert newest(tmp_path / "run").state.images == 4
    for path, content in whole.items():
        path.write_bytes(content)
    assert main(flags) == 0
    assert_same_weights(newest(tmp_path / "run"), undisturbed)


def test_a_file_that_goes_while_it_is_trained_on(tmp_path, folder, undisturbed):
    experiment = small_experiment(train_data_path=str(folder), total_num_images=16)
    (shard,) = folder.glob("*.tfrecord*")

    class Losing(Trainer):
        def _load_notes(self):
            notes = super()._load_notes()
            shard.rename(tmp_path / "away")
            return notes

    with pytest.raises(ReadError, match=f"{shard} can no longer be read .No such file"):
        Losing(experiment, tmp_path / "run", str).run()
    assert newest(tmp_path / "run") is None
    (tmp_path / "away").rename(shard)
    Trainer(experiment, tmp_path / "run", str).run()
    assert_same_weights(newest(tmp_path / "run"), undisturbed)
