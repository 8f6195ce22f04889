"""The original's folders: played as it plays them, imported to go on training, faults named."""

import json
import math
import re
import shutil

import numpy as np
import original_folder
import pytest
import tensorflow as tf
from experiments import SMALL
from original_folder import FLAGS, PITCHES, make_model, tensors

from gansynth_tf import checkpoint, export, loading
from gansynth_tf.checkpoint import CheckpointError, RunState
from gansynth_tf.cli import import_model, train
from gansynth_tf.config import make_experiment
from gansynth_tf.instrument import RunInstrument
from gansynth_tf.magenta_import import _updates, _values, import_run, read_checkpoint
from gansynth_tf.magenta_names import (
    MOVING_AVERAGE,
    discriminator_variables,
    generator_variables,
)
from gansynth_tf.specgram import NormalizerConfig
from gansynth_tf.training import CHECKPOINT_FOLDER, Trainer
from gansynth_tf.variables import model_arrays

pytestmark = pytest.mark.latest
SECONDS = 20.0
NOTES = {"embedded_instruments": 1, "embedded_velocities": (100,)}


# --- What the original itself wrote ---


@pytest.fixture(scope="module")
def original(goldens):
    return goldens.path("checkpoint_tiny/experiment.json").parent


@pytest.fixture(scope="module")
def expected(original):
    return dict(np.load(original / "expected.npz"))


@pytest.fixture(scope="module")
def instrument(original):
    return loading.load(original)


def relative(waves: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Differences in units of each wave's peak; the small set of goldens has parts of waves."""
    count, length = expected.shape
    peaks = np.abs(expected).max(1, keepdims=True)
    return np.abs(waves[:count, :length] - expected) / peaks


def test_waves_are_those_of_the_original(instrument, expected):
    waves = instrument.synthesize(expected["z"], expected["pitches"])
    error = relative(waves, expected["waves"])
    # See docs/FIDELITY.md: the original's own float noise is larger than 1e-4 of the peak.
    assert np.sqrt(np.mean(error**2, axis=1)).max() < 1e-4
    assert error.max() < 1e-3
    raw = expected["waves_if_raw_weights_were_used"]
    assert relative(waves, raw).max() > 0.3
    assert instrument.pitches == tuple(range(24, 85))
    assert instrument.description == "stage 12 of 0-12 (stable), 128 x 1024"
    assert (instrument.state.images, instrument.state.stage) == (112, 12)


def test_waves_are_as_near_to_exact_ones_as_the_original_s(instrument, expected, original):
    z, pitches = expected["z"][:1], expected["pitches"][:1]
    exact = instrument.invert(exact_specgrams(original, z, pitches).astype(np.float32))
    theirs = relative(exact, expected["waves"][:1]).max()
    ours = relative(instrument.synthesize(z, pitches), exact).max()
    assert ours < 1.5 * theirs
    assert theirs > 1e-4, "the original's float noise"


def exact_specgrams(original, z, pitches) -> np.ndarray:
    """The original's generator, its layers one after the other, in float64."""
    path = original / "stage_00012/model.ckpt-112"
    reader = tf.train.load_checkpoint(str(path))

    def get(name):
        name = f"Generator/progressive_gan_generator/progressive_gan_block_{name}"
        return reader.get_tensor(name + MOVING_AVERAGE).astype(np.float64)

    def norm(x):
        return x / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + 1e-8)

    def conv(x, name, gain, padding="SAME"):
        kernel = get(f"{name}/conv2d/kernel")
        scale = math.sqrt(gain / math.prod(kernel.shape[:-1]))
        return scale * tf.nn.conv2d(x, kernel, 1, padding).numpy() + get(f"{name}/bias")

    x = norm(np.concatenate([z, np.eye(61)[pitches - 24]], 1).astype(np.float64))
    x = np.pad(x[:, None, None], [[0, 0], [1, 1], [15, 15], [0, 0]])
    for block in range(1, 8):
        if block > 1:
            x = x.repeat(2, axis=1).repeat(2, axis=2)
        for number in (0, 1):
            padding = "VALID" if (block, number) == (1, 0) else "SAME"
            x = conv(x, f"{block}/conv{number}", 2.0, padding)
            x = norm(np.where(x > 0, x, 0.2 * x))
    x = np.tanh(conv(x, "7/to_rgb", 1.0))
    return (x - [0.113718730221, 0.0]) / [0.0661371661726, 0.8]


def test_it_goes_through_an_export(instrument, expected, tmp_path):
    export.export_saved_model(instrument, tmp_path)
    exported = loading.load(tmp_path)
    notes = expected["z"][:1], expected["pitches"][:1]
    error = relative(exported.synthesize(*notes), expected["waves"][:1])
    assert np.sqrt(np.mean(error**2)) < 1e-4
    assert error.max() < 1e-3


@pytest.mark.parametrize("stage", [0, 3, 8])
def test_any_stage_of_it(goldens, tmp_path, stage):
    goldens.path("checkpoint_tiny/stage_00000")  # in the full set only
    original = goldens.path("checkpoint_tiny/experiment.json").parent
    (tmp_path / "experiment.json").symlink_to(original / "experiment.json")
    for index in range(stage + 1):
        name = f"stage_{index:05d}"
        (tmp_path / name).symlink_to(original / name)
    (tmp_path / f"stage_{stage + 1:05d}").mkdir()  # just begun
    loaded = loading.load(tmp_path)
    assert (loaded.state.stage, loaded.state.images) == (stage, 16 + 8 * stage)
    assert np.isfinite(loaded.generate([60], [1]).waves).all()
    path = import_run(tmp_path, tmp_path / "run")
    saved = checkpoint.load(path).arrays
    reader = tf.train.load_checkpoint(str(loaded.path))
    bias = "Generator/progressive_gan_generator/progressive_gan_block_1/conv1/bias"
    np.testing.assert_array_equal(
        saved["generator/generator_block_1_conv1/bias"], reader.get_tensor(bias)
    )
    moment = reader.get_tensor(f"progressive_gan_train_ops/{bias}/Adam_1")
    moments = [v for name, v in saved.items() if name.startswith("generator_optimizer/")]
    assert any(v.shape == moment.shape and np.array_equal(v, moment) for v in moments)
    power = reader.get_tensor("progressive_gan_train_ops/generator_train/beta2_power")
    assert saved["generator_optimizer/000"] == round(math.log(power) / math.log(0.99)) - 1


@pytest.mark.slow
def test_it_trains_on(original, tmp_path):
    path = import_run(original, tmp_path / "run", total_num_images=128)
    flags = ["--embedded_instruments=1", "--embedded_velocities=100", "--tensorboard=false"]
    assert train.main([f"--run_dir={tmp_path / 'run'}", *flags]) == 0
    before, after = checkpoint.load(path), checkpoint.load_latest(path.parent)
    assert (after.state.images, after.state.stage_done) == (128, True)
    changed = [n for n, v in before.arrays.items() if not np.array_equal(v, after.arrays[n])]
    assert any(name.startswith("discriminator/") for name in changed)
    moved = after.arrays["ema_generator/generator_block_1_conv1/kernel"]
    error = moved - before.arrays["ema_generator/generator_block_1_conv1/kernel"]
    assert 0 < np.abs(error).max() < 0.1
    loading.load(tmp_path / "run").generate([60], [1])


# --- Every configuration ---


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({}, 2),
        ({}, 1),
        ({}, 0),
        ({"data_type": "mel"}, 2),
        ({"data_type": "phase"}, 2),
        ({"data_type": "wave", "scale_mode": "H", "start_height": 1024, "start_width": 1}, 2),
        ({"kernel_size": 5, "to_rgb_activation": "linear", "fmap_decay": 0.5}, 2),
        ({"scale_mode": "H", "start_width": 64, "start_height": 8, "scale_base": 4}, 2),
        ({"simple_arch": True}, 2),
        ({"simple_arch": True, "scale_mode": "H", "start_width": 64}, 1),
        ({"num_resolutions": 3, "start_height": 8, "start_width": 16, "fmap_max": 2}, 3),
        ({"train_progressive": False}, 2),
        ({"train_time_limit": 90.0, "train_time_stage_multiplier": 2.0}, 1),
        ({"mag_normalizer_a": 0.05, "mag_normalizer_b": 0.2, "p_normalizer_b": 0.1}, 2),
        ({"batch_size_schedule": [4, 4, 8], "train_time_stage_multiplier": 2.0}, 2),
    ],
)
def test_every_configuration_is_played(tmp_path, changes, stage):
    flags, images = FLAGS | changes, images_within(stage)
    model = make_model(_values(flags), stage)
    original_folder.write(tmp_path, flags, tensors(model, images, SECONDS), stage, images)
    assert_plays(loading.load(tmp_path), model, flags, stage)


def images_within(stage):
    return 16 * stage + 9


def assert_plays(instrument, model, flags, stage):
    """As the model's own averages play."""
    schedule = make_experiment(_values(flags)).schedule
    fade = None
    if stage % 2:
        fade = schedule.fade(schedule.stage(stage), images_within(stage), SECONDS)
        assert 0 < fade < 1
        fade = np.float32(fade)
    z, pitches = instrument.latents(1, 3), [24, 60, 84]
    expected = model.sample_specgrams(z, PITCHES.labels(pitches), fade).numpy()
    played = instrument.specgrams(z, pitches)
    np.testing.assert_allclose(played, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    assert np.ptp(played[..., 0]) > 0.1
    assert instrument.codec.representation == _values(flags)["data_type"]


@pytest.mark.parametrize("kind", ["simple", "freq"])
def test_fitted_normalisers_are_read_from_the_folder(tmp_path, kind):
    name = f"specgrams_{kind}_normalizer"
    flags = FLAGS | {"data_normalizer": name}
    rng = np.random.default_rng(2)
    numbers = rng.uniform(0.5, 1.5, [64, 4] if kind == "freq" else [4])
    scale_offset = np.stack([numbers[..., [0, 2]], numbers[..., [1, 3]]])
    config = NormalizerConfig(name)
    assert scale_offset.shape == config.fit(rng.random([2, 3, 64, 2])).shape
    model = make_model(_values(flags), 2, scale_offset)
    original_folder.write(tmp_path, flags, tensors(model, 41), 2, 41)
    asset = tmp_path / "assets" / f"{name}.npz"

    with pytest.raises(CheckpointError, match=f"{asset} is missing"):
        read_checkpoint(tmp_path)
    asset.parent.mkdir()
    np.savez(asset, normalizer=numbers)
    assert_plays(loading.load(tmp_path), model, flags, 2)
    arrays = checkpoint.load(import_run(tmp_path, tmp_path / "run")).arrays
    np.testing.assert_array_equal(arrays["normalizer"], scale_offset.astype(np.float32))

    for wrong, message in (
        (numbers[..., :3], re.escape(f"array normalizer is float64 {[*numbers.shape[:-1], 3]}")),
        (numbers * np.inf, "must hold finite numbers"),
        (numbers * 0, "scales that are not 0"),
    ):
        np.savez(asset, normalizer=wrong)
        with pytest.raises(CheckpointError, match=f"{asset} cannot be used: .*{message}"):
            read_checkpoint(tmp_path)
    asset.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=f"{asset} is damaged"):
        read_checkpoint(tmp_path)


def test_without_a_normaliser_it_is_played_but_not_trained(tmp_path):
    flags = FLAGS | {"data_normalizer": "none"}
    model = make_model(_values(flags), 2)
    original_folder.write(tmp_path / "a", flags, tensors(model, 41), 2, 41)
    loaded = loading.load(tmp_path / "a")
    assert_plays(loaded, model, flags, 2)
    assert np.abs(loaded.specgrams(loaded.latents(0, 1), [60])).max() <= 1.0  # tanh alone
    with pytest.raises(CheckpointError, match="data_normalizer=none: such a model can be played"):
        import_run(tmp_path / "a", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wave_is_an_image_one_cell_wide(tmp_path):
    shape = {"scale_mode": "H", "start_height": 16384, "start_width": 1, "scale_base": 4}
    flags = FLAGS | shape | {"data_type": "wave", "data_normalizer": "none", "audio_length": 64000}
    model = make_model(_values(flags), 2)
    original_folder.write(tmp_path, flags, tensors(model, 41), 2, 41)
    loaded = loading.load(tmp_path)
    z = loaded.latents(0, 1)
    image = loaded.specgrams(z, [60])
    assert image.shape == (1, 65536, 1, 2)
    np.testing.assert_array_equal(loaded.synthesize(z, [60]), image[:, 768:-768, 0, 0])
    wave = loaded.synthesize(z, [60])
    assert wave.shape == (1, 64000)
    np.testing.assert_array_equal(loaded.invert(loaded.analyze(wave)), wave)


def test_names_of_the_simple_architecture():
    model = make_model(_values(FLAGS | {"simple_arch": True}), 2)
    names = set(generator_variables(model.generator) | discriminator_variables(model.discriminator))
    blocks = {
        "Generator/progressive_gan_generator": ("1/dense", "2/conv2d_transpose")
        + ("1/to_rgb", "2/to_rgb"),
        "Discriminator/progressive_gan_discriminator": ("1/from_rgb", "2/from_rgb", "2/conv")
        + ("1/last_conv", "1/logits"),
    }
    layers = {f"{r}/progressive_gan_block_{n}" for r, own in blocks.items() for n in own}
    expected = {f"{layer}/{weight}" for layer in layers for weight in ("kernel", "bias")}
    head = "Discriminator/discriminator_cond/classification_logits"
    assert names == expected | {f"{head}/dense/kernel", f"{head}/bias"}


def test_what_the_flags_leave_out_is_as_in_the_original():
    values = _values({})
    assert values["batch_size_schedule"] == [16, 8]
    assert values["total_num_images"] == 320
    assert values["fmap_max"] == 128
    assert values["generator_ac_loss_weight"] == 1.0


# --- Where the last checkpoint is ---


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """An original's folder, in the midst of its transition, and its model."""
    folder, model = tmp_path_factory.mktemp("original"), make_model(_values(FLAGS), 1)
    original_folder.write(folder, FLAGS, tensors(model, 24), 1, 24)
    return folder, model


@pytest.fixture
def small(written, tmp_path):
    """A copy of it, to break."""
    folder, model = written
    return shutil.copytree(folder, tmp_path / "a"), model


def test_a_folder_that_was_moved(small):
    folder, model = small
    state = folder / "stage_00001/checkpoint"
    original_folder.write(folder, FLAGS, tensors(model, 28), 1, 28)
    original_folder.write(folder, FLAGS, tensors(model, 100), 1, 100)
    state.write_text('model_checkpoint_path: "/elsewhere/stage_00001/model.ckpt-28"\n')
    assert read_checkpoint(folder).state.images == 28
    state.write_text('model_checkpoint_path: "/elsewhere/stage_00001/model.ckpt-32"\n')
    assert read_checkpoint(folder).state.images == 100
    state.write_bytes(b"\xff nonsense")
    assert read_checkpoint(folder).state.images == 100
    state.unlink()
    assert read_checkpoint(folder).state.images == 100


# --- Faults ---


def with_flags(**changes):
    def break_it(folder, path):
        (folder / "experiment.json").write_text(json.dumps(FLAGS | changes))

    return break_it


def cut(ending, size):
    def break_it(folder, path):
        file = path.with_name(path.name + ending)
        file.write_bytes(file.read_bytes()[:size])

    return break_it


CONV1 = "Generator/progressive_gan_generator/progressive_gan_block_2/conv1/conv2d/kernel"


def rewritten(change):
    def break_it(folder, path):
        reader = tf.train.load_checkpoint(str(path))
        arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
        original_folder.write(folder, FLAGS, change(arrays), 1, 24)

    return break_it


def without(name):
    return rewritten(lambda arrays: {n: v for n, v in arrays.items() if n != name})


def with_array(name, array):
    return rewritten(lambda arrays: arrays | {name: array})


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder, _: (folder / "experiment.json").unlink(), "experiment.json is missing"),
        (lambda folder, _: (folder / "experiment.json").write_text("{"), "experiment.json is dam"),
        (lambda folder, _: (folder / "experiment.json").write_text("[]"), "a table of flags was"),
        (
            with_flags(data_type="cqt"),
            "data_type must be one of linear, mel, phase, wave, not 'cqt'",
        ),
        (with_flags(data_normalizer="other"), "data_normalizer must be one of"),
        (with_flags(g_fn="dcgan"), "g_fn must be specgram, not 'dcgan'"),
        (with_flags(fmap_max="many"), "fmap_max must be a whole number"),
        (with_flags(kernel_size=4), "kernel_size must be an odd number"),
        (with_flags(num_resolutions=1, start_height=32, start_width=64), "stage must be in"),
        (with_flags(fmap_max=2), r"array Generator/\S+ is float32 \[.*\] was expected"),
        (without(CONV1), f"array {CONV1} is missing"),
        (without(CONV1 + MOVING_AVERAGE), f"array {CONV1}{MOVING_AVERAGE} is missing"),
        (without("global_step"), "global_step.* is missing"),
        (with_array(CONV1, np.zeros([3, 3, 4, 5], np.float32)), rf"array {CONV1} is float32 \[3"),
        (with_array(CONV1, np.array("text")), f"array {CONV1}"),
        (with_array(CONV1, np.full([3, 3, 4, 4], np.nan, np.float32)), f"array {CONV1} holds NaN"),
        (with_array("global_step", np.int64(-1)), "images must be"),
        (cut(".data-00000-of-00001", 1000), "model.ckpt-24 is damaged"),
        (cut(".data-00000-of-00001", 0), "model.ckpt-24 is damaged"),
        (cut(".index", 100), "model.ckpt-24 is damaged"),
        (cut(".index", 0), "model.ckpt-24 is damaged"),
        (
            lambda _, path: path.with_name(path.name + ".data-00000-of-00001").unlink(),
            "model.ckpt-24 is damaged",
        ),
        (lambda folder, _: shutil.rmtree(folder / "stage_00001"), "holds no checkpoint of the or"),
    ],
)
def test_what_is_wrong_is_named(small, capsys, break_it, message):
    folder, _ = small
    break_it(folder, folder / "stage_00001/model.ckpt-24")
    with pytest.raises(CheckpointError, match=message) as caught:
        loading.load(folder)
    assert "\n" not in str(caught.value)
    run_dir = folder.parent / "run"
    assert import_model.main([f"--model={folder}", f"--run_dir={run_dir}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"gansynth_import: --model={folder}: ")
    assert error.count("\n") == 1
    assert not run_dir.exists()


# --- Going on ---


def test_training_goes_on_as_if_it_had_never_been_the_original_s(tmp_path):
    """One state, in the midst of a transition, saved by us and as the original does."""
    values = SMALL | NOTES | {"min_pitch": 24, "max_pitch": 84, "seed": 0, "total_num_images": 32}
    experiment = make_experiment(values)
    model = make_model(experiment.values, 1)
    families = 11
    settings = {
        "values": experiment.values,
        "pitches": list(PITCHES.pitches),
        "counts": [families] * len(PITCHES.pitches),
    }
    state = RunState(stage=1, images=24, steps=6)
    folder = tmp_path / "ours" / CHECKPOINT_FOLDER
    begun = checkpoint.load(checkpoint.save(folder, model_arrays(model), state, settings))
    flags = FLAGS | {name: experiment.values[name] for name in _values({})}
    original_folder.write(tmp_path / "theirs", flags, tensors(model, 24), 1, 24)
    says, run_dir = [], tmp_path / "run"
    imported = checkpoint.load(import_run(tmp_path / "theirs", run_dir, say=says.append))
    assert not says
    assert imported.state == begun.state
    assert_equal(imported.arrays, begun.arrays)

    Trainer(experiment, tmp_path / "ours", lambda _: None).run()
    given = ["--embedded_instruments=1", "--embedded_velocities=100", "--tensorboard=false"]
    given += ["--save_summaries_num_images=0", "--fake_batch_size=3"]
    assert train.main([f"--run_dir={run_dir}", *given]) == 0
    ours = checkpoint.load_latest(folder)
    theirs = checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER)
    assert (theirs.state.images, theirs.state.steps) == (ours.state.images, ours.state.steps)
    assert ours.state.images == 32
    assert_equal(theirs.arrays, ours.arrays)
    assert not np.array_equal(
        theirs.arrays["generator_optimizer/002"], imported.arrays["generator_optimizer/002"]
    )


def assert_equal(arrays, expected):
    assert set(arrays) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_an_import_is_a_run_folder(small, capsys):
    folder, model = small
    run_dir = folder.parent / "run"
    assert import_model.main([f"--model={folder}", f"--run_dir={run_dir}"]) == 0
    out = capsys.readouterr().out
    assert f"gansynth_train --run_dir={run_dir} goes on" in out
    loaded = loading.load(run_dir)
    assert isinstance(loaded, RunInstrument)
    assert loaded.state == read_checkpoint(folder).state
    assert_equal(checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER).arrays, model_arrays(model))
    before = sorted(run_dir.rglob("*"))
    assert import_model.main([f"--model={folder}", f"--run_dir={run_dir}"]) == 2
    assert f"--run_dir={run_dir}: {run_dir} is not empty" in capsys.readouterr().err
    assert sorted(run_dir.rglob("*")) == before


def test_a_run_dir_with_other_things_is_refused(small, capsys):
    folder, _ = small
    run_dir = folder.parent / "run"
    run_dir.mkdir()
    (run_dir / "letter.txt").write_text("mine")
    assert import_model.main([f"--model={folder}", f"--run_dir={run_dir}"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [p.name for p in run_dir.iterdir()] == ["letter.txt"]


def test_what_a_killed_import_left_is_no_obstacle(small):
    folder, _ = small
    written = folder.parent / "run" / CHECKPOINT_FOLDER
    written.mkdir(parents=True)
    (written.parent / checkpoint.LOCK_FILE).touch()
    (written / ".ckpt_000000000024.0123abcd.npz").write_text("half")
    path = import_run(folder, written.parent)
    assert list(written.iterdir()) == [path]


def test_moments_that_are_missing_begin_anew(small):
    folder, _ = small
    without("progressive_gan_train_ops/generator_train/beta2_power")(
        folder, folder / "stage_00001/model.ckpt-24"
    )
    says = []
    arrays = checkpoint.load(import_run(folder, folder.parent / "run", say=says.append)).arrays
    (said,) = says
    assert said.startswith("The optimizers begin anew")
    assert "generator_train/beta2_power is missing" in said
    assert not any(v.any() for name, v in arrays.items() if "_optimizer/" in name)


def test_a_finished_run_is_extended(tmp_path, capsys):
    model = make_model(_values(FLAGS), 2)
    original_folder.write(tmp_path / "a", FLAGS, tensors(model, 52), 2, 52)
    command = [f"--model={tmp_path / 'a'}", f"--run_dir={tmp_path / 'run'}"]
    assert import_model.main([*command, "--total_num_images=52"]) == 2
    assert "--total_num_images=52 must be above the 52 images" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert import_model.main([*command, "--total_num_images=60"]) == 0
    assert "at its end" not in capsys.readouterr().out
    settings = checkpoint.load_latest(tmp_path / "run" / CHECKPOINT_FOLDER).settings
    assert settings["values"]["total_num_images"] == 60
    assert import_model.main([command[0], f"--run_dir={tmp_path / 'other'}"]) == 0
    assert "The run is at its end, 52 images" in capsys.readouterr().out


def test_notes_of_other_pitches_are_refused(small, capsys):
    folder, _ = small
    run_dir = folder.parent / "run"
    import_run(folder, run_dir)
    flags = ["--embedded_instruments=1", "--embedded_velocities=100", "--max_pitch=83"]
    assert train.main([f"--run_dir={run_dir}", *flags]) != 0
    assert "it knows MIDI pitches 24-84, and these notes have 24-83" in capsys.readouterr().err
    assert train.main([f"--run_dir={run_dir}", "--fmap_max=8", "--dry_run"]) == 2
    assert "--fmap_max=8 contradicts" in capsys.readouterr().err


def test_the_command_refuses_what_is_no_original(tmp_path, capsys):
    assert import_model.main([f"--model={tmp_path}", f"--run_dir={tmp_path / 'run'}"]) == 2
    assert f"--model={tmp_path} is no folder of the original" in capsys.readouterr().err
    assert import_model.main([f"--model={tmp_path}"]) == 2
    assert "--run_dir=DIR is needed" in capsys.readouterr().err
    assert import_model.main(["--helpshort"]) == 0
    assert "--total_num_images" in capsys.readouterr().out


def test_updates_are_read_from_the_power():
    power, beta2 = np.float32(0.99), np.float32(0.99)
    for count in range(3000):
        assert _updates(power, 0.99) == count
        power *= beta2
    assert 0.99 ** (_updates(np.float32(0), 0.99) + 1) < 1e-37
    assert _updates(np.float32(0), 0.0) == 0
