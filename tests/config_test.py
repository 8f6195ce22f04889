"""Flags, flagfiles and run folders; every shipped flagfile trains and inverts when shrunk."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from experiments import SMALL

from gansynth_tf import checkpoint, config, experiment, networks
from gansynth_tf.checkpoint import RunState
from gansynth_tf.config import UserError
from gansynth_tf.execution import StepFunction
from gansynth_tf.model import GANSynth, PitchVocabulary
from gansynth_tf.training import CHECKPOINT_FOLDER

pytestmark = pytest.mark.latest
PAPER = (
    "mel_if_hires",
    "mel_if",
    "if_hires",
    "if",
    "phase_hires",
    "phase",
    "unwrapped_phase_hires",
)


def values_of(*arguments) -> dict:
    """What a command line sets, flagfiles expanded."""
    values = flags.FlagValues()
    config.define_experiment_flags(values)
    assert values(["test", *config.expand(list(arguments))]) == ["test"]
    return config.given_values(values)


def test_the_shipped_flagfiles():
    assert set(config.config_names()) == {*PAPER, "quickstart", "studio", "tiny"}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_configurations(name):
    built = config.make_experiment(values_of(f"--config={name}"))
    hires = name.endswith("hires")
    assert built.resolutions.final_resolution == ((128, 1024) if hires else (256, 512))
    assert (
        built.codec.representation
        == {
            "mel_if": "mel",
            "if": "linear",
            "phase": "phase",
            "unwrapped_phase": "unwrapped_phase",
        }[name.removesuffix("_hires")]
    )
    assert built.schedule.train_progressive
    assert built.schedule.total_num_images == 11_000_000
    assert built.optimizer.generator_learning_rate == 8e-4
    assert built.losses.generator_ac_loss_weight == 10.0
    assert (built.codec.sample_rate, built.codec.audio_length) == (16_000, 64_000)


def test_studio_holds_notes_of_import_folder_without_clipping():
    """Loud notes of 4 s at 44.1 kHz fit the specgram, and in [-1, 1] once normalised."""
    built = config.make_experiment(values_of("--config=studio"))
    rate, length = built.codec.sample_rate, built.codec.audio_length
    assert length / rate == 4.0
    assert (built.codec.time, built.codec.freq) == built.resolutions.final_resolution
    assert built.codec.padding < 0.15 * length
    tones = 440.0 * 2.0 ** ((np.array([24, 60, 84]) - 69) / 12)
    seconds = np.arange(length) / rate
    waves = 10 ** (-1 / 20) * np.sin(2 * np.pi * tones[:, np.newaxis] * seconds)
    magnitudes = built.codec.waves_to_specgrams(waves.astype(np.float32))[..., 0].numpy()
    (scale, _), (offset, _) = built.normalizer.prespecified()
    assert scale * magnitudes.min() + offset > -1.0
    assert 0.8 < scale * magnitudes.max() + offset < 1.0


@pytest.mark.parametrize("name", [*PAPER, "quickstart", "studio", "tiny"])
def test_every_flagfile_shrunk_trains_and_inverts(name):
    """Fewer blocks, filters and pitches, and nothing else: one step of a stage that fades."""
    values = values_of(f"--config={name}")
    built = config.make_experiment(values)
    height, width = built.resolutions.start_resolution
    bins = 32 if built.resolutions.scale_mode == "H" else max(width, 16)
    resolutions = {"num_resolutions": 2, "start_width": bins, "start_height": max(height // 4, 4)}
    blocks = dataclasses.replace(built.resolutions, **resolutions)
    time, freq = blocks.final_resolution
    values |= resolutions | {
        "fmap_base": 32,
        "fmap_max": 8,
        "latent_vector_size": 4,
        "batch_size_schedule": (2,),
        "audio_length": freq // 2 * (time - 1),
        "embedded_instruments": 1,
    }
    built = config.make_experiment(values)
    rng = np.random.default_rng(0)
    waves = 0.1 * rng.standard_normal((4, built.codec.audio_length)).astype(np.float32)
    full = built.codec.waves_to_specgrams(waves)
    vocabulary = PitchVocabulary((60, 61, 62), (2, 1, 1))
    model_config = built.model_config(vocabulary)
    model = GANSynth(
        model_config, built.losses, built.optimizer, built.normalizer.fit(full.numpy()), seed=1
    )
    model.begin_stage(built.schedule.stage(1))
    take_steps = StepFunction(model, tf.distribute.get_strategy(), built.execution)
    batch = {
        "specgrams": networks.stage_specgrams(
            model_config.networks, full[:2], 2, model.normalizer.by_frequency
        ),
        "labels": tf.constant([0, 2]),
    }
    before = model.generator.blocks[0].conv1.kernel.numpy()
    terms = take_steps(iter(tf.data.Dataset.from_tensors(batch)), 0, [0.5])
    assert np.isfinite(terms).all()
    assert np.abs(model.generator.blocks[0].conv1.kernel.numpy() - before).max() > 0
    notes = model.sample(np.zeros([3, 4], np.float32), np.array([0, 1, 2]), 0.5)
    assert notes.shape == (3, built.codec.audio_length)
    assert np.isfinite(notes).all()


def test_every_setting_is_a_flag_with_its_default():
    values = flags.FlagValues()
    config.define_experiment_flags(values)
    defaults = experiment.default_values()
    assert set(values) == set(defaults)
    values(["test"])
    assert config.given_values(values) == {}
    assert config.make_experiment({}).values == defaults


def test_a_flagfile_includes_another_beside_it(tmp_path, monkeypatch):
    (tmp_path / "base.cfg").write_text("# shared\n--fmap_max=8\n--seed=1\n")
    (tmp_path / "mine.cfg").write_text("--flagfile=base.cfg\n\n--seed=2\n")
    monkeypatch.chdir("/")
    assert values_of(f"--flagfile={tmp_path / 'mine.cfg'}") == {"fmap_max": 8, "seed": 2}
    assert values_of("--flagfile", str(tmp_path / "mine.cfg"), "--seed=3")["seed"] == 3


def test_a_flagfile_includes_a_shipped_one_by_its_name(tmp_path):
    path = tmp_path / "mine.cfg"
    path.write_text("--config=tiny\n--seed=2\n")
    assert values_of(f"--flagfile={path}") == values_of("--config=tiny", "--seed=2")


def test_names_of_all_flags_that_are_given(tmp_path):
    path = tmp_path / "mine.cfg"
    path.write_text("--config=tiny\n--notensorboard")
    given = config.flag_names(["--flagfile", str(path), "--run_dir", "a--config=b", "--", "--no"])
    assert {"flagfile", "config", "run_dir", "notensorboard", "fmap_max"} <= given
    assert "no" not in given
    assert "config" not in config.flag_names(["--run_dir=--config=b"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--flagfile=mine.cfg", "includes itself"),
        ("fmap_max 8", "--name=value was expected"),
        ("--flagfile base.cfg", "--name=value was expected, not '--flagfile base.cfg'"),
        ("--flagfile=", "--flagfile=NAME was expected"),
        ("--config", "--config=NAME was expected"),
        ("--", "--name=value was expected"),
    ],
)
def test_a_broken_flagfile_is_named(tmp_path, text, message):
    path = tmp_path / "mine.cfg"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        values_of(f"--flagfile={path}")
    assert "mine.cfg" in str(error.value)


@pytest.mark.parametrize(
    ("name", "meant"), [("mel_if_hire", "mel_if_hires"), ("mel_prog_hires", "mel_if_hires")]
)
def test_an_unknown_config_offers_the_nearest(name, meant):
    with pytest.raises(UserError, match=f"did you mean {meant}\\?"):
        values_of(f"--config={name}")


@pytest.mark.parametrize("arguments", [["--flagfile="], ["--flagfile"], ["--config="]])
def test_a_file_flag_without_its_value(arguments):
    with pytest.raises(UserError, match=r"needs a value: the (path|name) of"):
        values_of(*arguments)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"scale_mode": "W"}, "scale_mode"),
        ({"audio_length": 10**6}, "audio_length"),
        ({"data_type": "cepstrum"}, "data_type"),
        ({"min_pitch": 70, "max_pitch": 60}, "min_pitch"),
        ({"dataset_name": "nsynt"}, "dataset_name"),
        ({"cache": "tape"}, "cache"),
        ({"seed": -1}, "seed"),
        ({"gradient_penalty_weight": float("nan")}, "gradient_penalty_weight"),
        ({"fmap_base": 64}, "fmap_base"),
        ({"fake_batch_size": 10**6}, "fake_batch_size"),
        ({"generator_learning_rate": 2.0}, "generator_learning_rate"),
        ({"discriminator_learning_rate": float("inf")}, "discriminator_learning_rate"),
        # Under the flag's name, not the synthesiser's.
        ({"embedded_velocities": (0,)}, "embedded_velocities must be"),
        ({"embedded_velocities": (5, 5)}, "embedded_velocities must be"),
        ({"embedded_velocities": ()}, "embedded_velocities must be"),
        ({"embedded_instruments": 100_000}, "embedded_instruments must be"),
        ({"embedded_seed": -1}, "embedded_seed must be"),
        (
            {"dataset_name": "embedded", "train_data_path": "notes"},
            "train_data_path must be left out",
        ),
        ({"max_pitch": 128}, "max_pitch must be a MIDI pitch from 0 to 127, not 128"),
        # wave is not offered: it cannot be trained on.
        ({"data_type": "cepstrum"}, "one of linear, mel, phase, unwrapped_phase, not 'cepstrum'"),
        ({"data_type": "unwrapped_phase"}, "--data_normalizer=specgrams_simple_normalizer"),
        # Of another kind than the setting.
        ({"seed": 1.5}, "seed must be a whole number, not 1.5"),
        ({"seed": True}, "seed must be a whole number, not True"),
        ({"train_progressive": "no"}, "train_progressive must be true or false, not 'no'"),
        ({"kernel_size": 3.5}, "kernel_size must be a whole number"),
        ({"batch_size_schedule": 8}, "batch_size_schedule must be a list of whole numbers, not 8"),
        ({"batch_size_schedule": [8, "x"]}, "batch_size_schedule must be a list"),
        ({"fmap_decay": None}, "fmap_decay must be a number, not None"),
        ({"data_type": 3}, "data_type must be a text"),
    ],
)
def test_refused_values_are_named(values, name):
    with pytest.raises(UserError, match=name):
        config.make_experiment(values)


# --- Run folders ---


def test_a_run_keeps_what_it_was_begun_with(tmp_path):
    values = config.make_experiment(SMALL).values
    config.write_settings(tmp_path, values)
    assert config.read_settings(tmp_path) == values
    # Left out: the run's. Given the same: fine. Another cadence or rate: taken.
    resolved = config.resolve(
        {"fmap_max": SMALL["fmap_max"], "generator_learning_rate": 1e-4}, tmp_path
    )
    assert resolved["fmap_max"] == SMALL["fmap_max"]
    assert resolved["generator_learning_rate"] == 1e-4
    assert resolved["batch_size_schedule"] == (4,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fmap_max", 16),
        ("data_type", "mel"),
        ("total_num_images", 7),
        ("max_pitch", 80),
        ("batch_size_schedule", (2,)),
        ("seed", 9),
    ],
)
def test_a_contradiction_is_refused_by_name(tmp_path, name, value):
    values = config.make_experiment(SMALL).values
    config.write_settings(tmp_path, values)
    write_checkpoint(tmp_path, values)
    with pytest.raises(UserError, match=f"--{name}=.*contradicts"):
        config.resolve({name: value}, tmp_path)


def test_before_the_first_checkpoint_a_contradiction_begins_another_run(tmp_path):
    config.write_settings(tmp_path, config.make_experiment(SMALL).values)
    assert config.resolve({"ema_decay": 0.5}, tmp_path)["fmap_max"] == SMALL["fmap_max"]
    assert config.resolve({"fmap_max": 16}, tmp_path) == experiment.default_values() | {
        "fmap_max": 16
    }


def test_settings_of_a_refused_run_are_put_back(tmp_path):
    values = config.make_experiment(SMALL).values
    config.restore_settings(tmp_path, None)
    config.write_settings(tmp_path, values)
    config.restore_settings(tmp_path, None)
    assert config.read_settings(tmp_path) is None
    config.write_settings(tmp_path, values)
    write_checkpoint(tmp_path, values)
    config.restore_settings(tmp_path, None)
    assert config.read_settings(tmp_path) == values
    config.write_settings(tmp_path, values | {"log_seconds": 7.0})
    config.restore_settings(tmp_path, values)
    assert config.read_settings(tmp_path) == values


def test_all_contradictions_are_in_one_sentence(tmp_path):
    """Of architecture, representation, vocabulary and schedule; the rest is taken as given."""
    write_checkpoint(tmp_path, config.make_experiment(SMALL).values)
    given = {
        "fmap_max": 16,
        "data_type": "mel",
        "max_pitch": 80,
        "batch_size_schedule": (8, 2),
        "ema_decay": 0.5,
    }
    with pytest.raises(UserError) as error:
        config.resolve(given, tmp_path)
    assert str(error.value) == (
        f"--batch_size_schedule=8,2, --data_type=mel, --fmap_max=16, --max_pitch=80 contradict "
        f"the run in {tmp_path}, which was begun with batch_size_schedule=4, data_type=linear, "
        f"fmap_max=4, max_pitch=62: leave the flags out, or choose another --run_dir."
    )


# What of a run may be another after a resume; every other setting is what the run is.
FREE = {
    *("gradient_penalty_weight", "gradient_penalty_target", "gradient_penalty_units"),
    *("real_score_penalty_weight", "generator_ac_loss_weight", "discriminator_ac_loss_weight"),
    *("generator_learning_rate", "discriminator_learning_rate", "adam_beta1", "adam_beta2"),
    *("ema_decay", "train_data_path", "cache", "cache_dir", "specgram_on"),
    *("precision", "jit_compile", "steps_per_execution", "strategy", "minibatch_stddev"),
    *("log_seconds", "checkpoint_num_images", "checkpoint_minutes", "keep_checkpoints"),
    *("save_summaries_num_images", "fake_batch_size", "tensorboard", "grace_seconds"),
}


def test_what_a_resumed_run_may_change():
    assert set(experiment.default_values()) - experiment.kept_names() == FREE


def test_a_damaged_settings_file_is_named(tmp_path):
    path = tmp_path / config.SETTINGS_FILE
    path.write_text("{")
    with pytest.raises(UserError, match="damaged"):
        config.read_settings(tmp_path)
    path.write_text(json.dumps({"format_version": 99, "values": {}}))
    with pytest.raises(UserError, match="format 99"):
        config.read_settings(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "values must be a table"),
        (None, "values must be a table"),
        ({"seed": 1.5}, "seed must be a whole number, not 1.5"),
        ({"train_progressive": "no"}, "train_progressive must be true or false"),
        ({"batch_size_schedule": 8}, "batch_size_schedule must be a list"),
        ({"seeds": 1}, "Unknown settings: seeds"),
        ({"seed": -1}, "seed must be in"),
    ],
)
def test_what_is_no_setting_in_a_settings_file(tmp_path, values, message):
    path = tmp_path / config.SETTINGS_FILE
    path.write_text(json.dumps({"format_version": 1, "values": values}))
    with pytest.raises(UserError, match=message) as error:
        config.resolve({}, tmp_path)
    assert str(path) in str(error.value)


def write_checkpoint(run_dir, values):
    checkpoint.save(
        run_dir / CHECKPOINT_FOLDER, {"a": np.zeros(1)}, RunState(images=4), {"values": values}
    )


def test_without_its_settings_file_a_run_is_still_what_it_was_begun_as(tmp_path):
    values = config.make_experiment(SMALL).values
    write_checkpoint(tmp_path, values)
    assert config.resolve({}, tmp_path) == values
    assert config.resolve({"ema_decay": 0.5}, tmp_path) == values | {"ema_decay": 0.5}
    with pytest.raises(UserError, match="--fmap_max=16 contradicts"):
        config.resolve({"fmap_max": 16}, tmp_path)


def test_settings_of_another_run_are_refused(tmp_path):
    values = config.make_experiment(SMALL).values
    write_checkpoint(tmp_path, values)
    config.write_settings(tmp_path, values | {"ema_decay": 0.5})
    assert config.resolve({}, tmp_path)["ema_decay"] == 0.5
    config.write_settings(tmp_path, values | {"seed": 9, "fmap_max": 8})
    with pytest.raises(UserError, match=r"fmap_max=8, seed=9.*fmap_max=4, seed=3") as error:
        config.resolve({}, tmp_path)
    assert str(tmp_path / config.SETTINGS_FILE) in str(error.value)
    assert "ckpt_000000000004.npz" in str(error.value)


@pytest.mark.parametrize("settings", [{}, {"values": []}, {"values": {"seed": "x"}}])
def test_a_checkpoint_without_proper_settings_is_named(tmp_path, settings):
    folder = tmp_path / CHECKPOINT_FOLDER
    path = checkpoint.save(folder, {"a": np.zeros(1)}, RunState(images=4), settings)
    with pytest.raises(UserError, match="damaged") as error:
        config.resolve({}, tmp_path)
    assert str(path) in str(error.value)
