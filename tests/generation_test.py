"""A folder of notes: the earlier set goes only when the new one is whole."""

import dataclasses

import numpy as np
import pytest
import soundfile
from experiments import small_experiment

from gansynth_tf import checkpoint, files, generation, pictures, wavfiles
from gansynth_tf.checkpoint import CheckpointError
from gansynth_tf.instrument import RunInstrument
from gansynth_tf.training import CHECKPOINT_FOLDER, Trainer

pytestmark = pytest.mark.latest


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    Trainer(small_experiment(total_num_images=8), folder, lambda _: None).run()
    return checkpoint.load_latest(folder / CHECKPOINT_FOLDER)


@pytest.fixture(scope="module")
def instrument(saved):
    return RunInstrument(saved)


def write(instrument, folder, pitches, seed=1):
    chosen = generation.notes_of_pitches(instrument, pitches, 1, seed)
    return generation.write_notes(instrument, folder, *chosen, seed)


def contents(folder) -> dict:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


OTHERS = {generation.MANIFEST, generation.LATENTS, generation.PICTURE}


def test_an_earlier_set_is_replaced_and_nothing_else(instrument, tmp_path):
    write(instrument, tmp_path, [60, 61, 62])
    (tmp_path / "note_0009_p060.wav").write_bytes(b"in no manifest")
    (tmp_path / ".new_set_0123abcd").mkdir()
    (tmp_path / ".new_set_0123abcd" / "a.wav").write_bytes(b"left by a killed process")
    names = write(instrument, tmp_path, [60, 62])
    assert names == ["note_0000_p060.wav", "note_0001_p062.wav"]
    assert contents(tmp_path).keys() == OTHERS | {*names, "note_0009_p060.wav"}


def test_a_model_without_finite_notes_destroys_nothing(instrument, saved, tmp_path):
    write(instrument, tmp_path, [60, 61])
    before = contents(tmp_path)
    name = "ema_generator/generator_block_1_conv1/kernel"
    spoilt = saved.arrays | {name: np.nan * saved.arrays[name]}
    broken = RunInstrument(dataclasses.replace(saved, arrays=spoilt))
    with pytest.raises(CheckpointError, match=f"{saved.path.name} cannot be played"):
        write(broken, tmp_path, [62])
    assert contents(tmp_path) == before
    with pytest.raises(CheckpointError):
        write(broken, tmp_path / "new", [62])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (wavfiles, "write_wav"),
        (pictures, "rainbowgram_grid"),
        (generation, "write_atomically"),
    ],
)
def test_a_write_that_fails_leaves_the_earlier_set_whole(
    module, name, instrument, tmp_path, monkeypatch
):
    write(instrument, tmp_path, [60, 61, 62])
    before = contents(tmp_path)

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(module, name, fail)
    with pytest.raises(OSError, match="disk full"):
        write(instrument, tmp_path, [60], seed=2)
    assert contents(tmp_path) == before


def test_an_interruption_among_the_renames_leaves_no_manifest(instrument, tmp_path, monkeypatch):
    write(instrument, tmp_path, [60, 61])
    replace, moved = files.os.replace, []

    def interrupted(source, target):
        if target.parent == tmp_path:
            moved.append(target.name)
            if len(moved) == 2:
                raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(instrument, tmp_path, [60, 61], seed=2)
    monkeypatch.undo()
    assert generation.MANIFEST not in contents(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.parametrize("name", [*sorted(OTHERS), "note_0000_p060.wav"])
def test_a_folder_in_place_of_a_file_changes_nothing(name, instrument, tmp_path):
    write(instrument, tmp_path, [60, 61])
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine.txt").write_text("")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(IsADirectoryError, match=name):
        write(instrument, tmp_path, [60, 61], seed=2)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_set_of_more_notes_than_are_drawn(instrument, tmp_path, monkeypatch):
    write(instrument, tmp_path / "whole", [60, 61, 62])
    monkeypatch.setattr(generation, "_PICTURE_NOTES", 2)
    write(instrument, tmp_path / "parts", [60, 61, 62])
    whole, parts = contents(tmp_path / "whole"), contents(tmp_path / "parts")
    assert whole.pop(generation.PICTURE) != parts.pop(generation.PICTURE)
    assert whole == parts


@pytest.mark.parametrize(
    "manifest",
    [
        b"\xff\xfe\x00\x00",
        b"file,pitch\nnote_0000_p060\x00.wav,60\n",
        b"file\n../note_0000_p060.wav\nnote_/../x.wav\n",
        b"file\n" + b"x" * 200_000 + b"\n",
        b"",
        b"pitch\n60\n",
        b"file,pitch\n\n,,,,\n",
    ],
)
def test_a_manifest_that_is_not_ours_names_nothing(tmp_path, manifest):
    (tmp_path / generation.MANIFEST).write_bytes(manifest)
    assert generation.earlier_sounds(tmp_path) == set()


def test_a_strange_manifest_is_written_over(instrument, tmp_path):
    (tmp_path / generation.MANIFEST).write_bytes(b"file\n\xff\x00\n")
    assert contents(tmp_path).keys() < OTHERS
    names = write(instrument, tmp_path, [61])
    assert contents(tmp_path).keys() == OTHERS | set(names)
    assert generation.earlier_sounds(tmp_path) == set(names)


def test_an_earlier_set_of_wavs_goes_when_flacs_come(instrument, tmp_path):
    write(instrument, tmp_path, [60, 61])
    latents, pitches = generation.scale(instrument.latents(1, 1), [62])
    names = generation.write_notes(instrument, tmp_path, latents, pitches, None, "flac")
    assert names == ["note_0000_p062.flac"]
    assert contents(tmp_path).keys() == OTHERS | set(names)
    assert soundfile.info(tmp_path / names[0]).format == "FLAC"
    assert (tmp_path / generation.MANIFEST).read_text().splitlines()[1].endswith(",62,,0")


def test_interpolation_goes_from_one_timbre_over_all_to_the_last(instrument):
    ends = instrument.latents(4, 3)
    latents, pitches = generation.interpolation(ends, [60, 62], 5)
    assert pitches.tolist() == [60] * 5 + [62] * 5
    np.testing.assert_array_equal(latents[:5], latents[5:])
    np.testing.assert_allclose(latents[[0, 2, 4]], ends, atol=1e-6)
    fixed, _ = generation.interpolation(ends, [60], 5, is_norm_fixed=True)
    np.testing.assert_allclose(np.linalg.norm(fixed, axis=1), 2.0, rtol=1e-6)
    assert np.ptp(np.linalg.norm(latents, axis=1)) > 0.01


def test_a_scale_has_each_timbre_at_all_pitches(instrument):
    timbres = instrument.latents(4, 2)
    latents, pitches = generation.scale(timbres, [60, 61, 62])
    assert pitches.tolist() == [60, 61, 62, 60, 61, 62]
    np.testing.assert_array_equal(latents[[0, 1, 2, 3]], timbres[[0, 0, 0, 1]])


def test_random_notes_have_pitches_as_in_training(instrument):
    counts = np.array(instrument.vocabulary.counts)
    latents, pitches = generation.random_notes(instrument, 3000, seed=5)
    shares = np.array([np.mean(pitches == pitch) for pitch in instrument.pitches])
    np.testing.assert_allclose(shares, counts / counts.sum(), atol=0.04)
    np.testing.assert_array_equal(latents, instrument.latents(5, 3000))
    np.testing.assert_array_equal(pitches, generation.random_notes(instrument, 3000, 5)[1])
    assert (pitches != generation.random_notes(instrument, 3000, 6)[1]).any()
