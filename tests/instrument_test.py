"""A trained model to play: what it plays, and what it says of a checkpoint that is none."""

import dataclasses

import numpy as np
import pytest
from experiments import small_experiment
from songs import note, song

from gansynth_tf import checkpoint
from gansynth_tf.checkpoint import CheckpointError
from gansynth_tf.instrument import RunInstrument, load_run
from gansynth_tf.mixing import EnvelopeConfig
from gansynth_tf.performance import PerformanceConfig, notes_of
from gansynth_tf.training import CHECKPOINT_FOLDER, Trainer

pytestmark = pytest.mark.latest


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    Trainer(small_experiment(total_num_images=24), folder, lambda _: None).run()
    return folder


@pytest.fixture(scope="module")
def saved(run_dir):
    return checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER)


def test_notes_do_not_depend_on_what_else_is_played(run_dir):
    instrument = load_run(run_dir)
    latents = instrument.latents(5, 18)  # more than one batch
    pitches = np.resize([60, 61, 62], 18)
    waves = instrument.synthesize(latents, pitches)
    assert waves.shape == (18, 900)
    alone = instrument.synthesize(latents[17:], pitches[17:])
    np.testing.assert_allclose(alone, waves[17:], atol=1e-5 * np.abs(waves).max())
    assert np.abs(waves[0] - waves[3]).max() > 0


def test_bad_arguments_are_refused(run_dir):
    instrument = load_run(run_dir)
    with pytest.raises(ValueError, match=r"latents must have shape \[1, 4\]"):
        instrument.specgrams(np.zeros((1, 5)), [60])
    with pytest.raises(ValueError, match="pitches 99"):
        instrument.specgrams(np.zeros((1, 4)), [99])


def test_a_piece_is_played(run_dir, tmp_path):
    """Of a file, and of the notes in it; with one timbre its notes are the model's own."""
    instrument = load_run(run_dir)
    song([*note(60, 0, 0.1), *note(73, 1, 1.1, velocity=64)]).save(tmp_path / "a.mid")
    timbre = instrument.latents(1, 1)
    config = PerformanceConfig(EnvelopeConfig(attack=0.0, release=0.05))
    wave = instrument.play(tmp_path / "a.mid", timbre, config=config)
    assert len(wave) == 4000 + 400 + 400
    assert np.abs(wave).max() <= 1.0
    again = instrument.play(notes_of(tmp_path / "a.mid"), timbre, config=config)
    np.testing.assert_array_equal(again, wave)
    (note_61,) = instrument.synthesize(timbre, [61])  # 73, an octave down
    heard = wave[4000:4400]
    np.testing.assert_allclose(
        heard / np.abs(heard).max(), note_61[:400] / np.abs(note_61[:400]).max(), atol=1e-4
    )
    drawn = [instrument.play(tmp_path / "a.mid", seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 0


def without(table: dict, name: str) -> dict:
    return {key: value for key, value in table.items() if key != name}


def with_value(saved, name, value):
    values = saved.settings["values"] | {name: value}
    return {"settings": saved.settings | {"values": values}}


BLOCK = "ema_generator/generator_block_1_conv1/kernel"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda s: with_value(s, "colour", 1), "colour"),
        (lambda s: with_value(s, "fmap_max", "many"), "fmap_max"),
        (lambda s: with_value(s, "fmap_max", 2), "was expected"),
        (lambda s: {"settings": without(s.settings, "pitches")}, "'pitches' is missing"),
        (lambda s: {"settings": without(s.settings, "values")}, "'values' is missing"),
        (lambda s: {"settings": s.settings | {"pitches": 60}}, ""),
        (lambda s: {"settings": s.settings | {"values": [1]}}, ""),
        (lambda s: {"settings": s.settings | {"pitches": [60, 61]}}, ""),
        (lambda s: {"state": dataclasses.replace(s.state, stage=99)}, "99"),
        (lambda s: {"arrays": without(s.arrays, BLOCK)}, f"{BLOCK} is missing"),
        (lambda s: {"arrays": s.arrays | {BLOCK: np.zeros((3, 1))}}, BLOCK),
        (lambda s: {"arrays": s.arrays | {BLOCK: np.array("text")}}, BLOCK),
        (lambda s: {"arrays": s.arrays | {"normalizer": np.zeros(2)}}, "normalizer"),
        (lambda s: {"arrays": without(s.arrays, "normalizer")}, "normalizer is missing"),
    ],
)
def test_a_checkpoint_of_something_else_is_named(saved, wrong, message):
    with pytest.raises(CheckpointError, match=f"{saved.path.name} cannot be used: ") as caught:
        RunInstrument(dataclasses.replace(saved, **wrong(saved)))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_without_a_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_run(tmp_path)
