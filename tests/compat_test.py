"""Runs and exports of every released format load and sound as they did; runs go on."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from gansynth_tf import callbacks, checkpoint, config, model_card, wavfiles
from gansynth_tf.cli import generate, train
from gansynth_tf.loading import load
from gansynth_tf.training import CHECKPOINT_FOLDER

pytestmark = pytest.mark.latest

COMPAT = pathlib.Path(__file__).parent / "compat"
RUNS = sorted(COMPAT.glob("run_format_*"))
EXPORTS = sorted(COMPAT.glob("export_format_*"))


@pytest.fixture(params=RUNS, ids=lambda path: path.name)
def run(request):
    return request.param


@pytest.fixture(params=EXPORTS, ids=lambda path: path.name)
def export(request):
    return request.param


@pytest.mark.parametrize(
    ("kind", "folders", "newest"),
    [("run", RUNS, checkpoint.FORMAT_VERSION), ("export", EXPORTS, model_card.FORMAT_VERSION)],
)
def test_there_is_one_of_every_format(kind, folders, newest):
    formats = range(1, newest + 1)
    assert [path.name for path in folders] == [f"{kind}_format_{number}" for number in formats]


def format_of(folder):
    return int(folder.name.rpartition("_")[2])


def test_exports_say_their_format(export):
    card = json.loads((export / model_card.FILE).read_text())
    assert card["format_version"] == format_of(export)


def test_exports_sound_as_they_did(export):
    check_sound(load(export), np.load(export / "notes.npz"))


def test_runs_say_their_format(run):
    number = format_of(run)
    assert json.loads((run / config.SETTINGS_FILE).read_text())["format_version"] == number
    with np.load(*checkpoint.list_checkpoints(run / CHECKPOINT_FOLDER)) as arrays:
        assert json.loads(arrays["header"].tobytes())["format_version"] == number


def test_runs_sound_as_they_did(run):
    check_sound(load(run), np.load(run / "notes.npz"))


def check_sound(instrument, expected):
    """To a thousandth of the peak: other processors round otherwise."""
    np.testing.assert_array_equal(instrument.latents(seed=1, count=2), expected["latents"])
    waves = instrument.synthesize(expected["latents"], expected["pitches"])
    peak = np.abs(expected["waves"]).max()
    assert peak > 0
    np.testing.assert_allclose(waves, expected["waves"], rtol=0, atol=1e-3 * peak)


def test_the_command_plays_runs(run, tmp_path):
    expected = np.load(run / "notes.npz")
    pitch = expected["pitches"][0]
    flags = [f"--model={run}", f"--output_dir={tmp_path}", f"--pitches={pitch}", "--count=1"]
    assert generate.main([*flags, "--seed=1"]) == 0
    wave, _ = wavfiles.read_wav(tmp_path / f"note_0000_p{pitch:03d}.wav")
    scaled = expected["waves"][0] / np.abs(expected["waves"][0]).max()
    np.testing.assert_allclose(wave / np.abs(wave).max(), scaled, atol=1e-3)


def test_runs_go_on(run, tmp_path):
    """One step, to the end of the run: what was kept is taken up without a flag."""
    run_dir = shutil.copytree(run, tmp_path / "run")
    (before,) = checkpoint.list_checkpoints(run_dir / CHECKPOINT_FOLDER)
    rows = callbacks.read_log(run_dir / callbacks.LOG_FILE)
    assert [row["images"] for row in rows] == list(range(4, 48, 4))
    assert train.main([f"--run_dir={run_dir}"]) == 0
    saved = checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER)
    assert (saved.state.images, saved.state.steps, saved.state.stage_done) == (48, 12, True)
    earlier = checkpoint.load(before)
    assert saved.arrays.keys() == earlier.arrays.keys()
    name = "generator/generator_block_1_conv1/kernel"
    change = np.abs(saved.arrays[name] - earlier.arrays[name]).max()
    assert 0 < change < 0.01  # Adam's steps are as long as the learning rate, 0.0008
    assert callbacks.read_log(run_dir / callbacks.LOG_FILE)[: len(rows)] == rows
