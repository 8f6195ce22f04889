"""The driver: stages end where they should, runs repeat and resume bit by bit."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from experiments import small_experiment, small_flags

from gansynth_tf import callbacks, checkpoint
from gansynth_tf.checkpoint import CheckpointError
from gansynth_tf.cli.train import main
from gansynth_tf.interruption import STOPPED
from gansynth_tf.training import CHECKPOINT_FOLDER, NonFiniteLossError, Trainer

pytestmark = pytest.mark.latest


def quiet(_):
    pass


def train(run_dir, say=quiet, **changes):
    return Trainer(small_experiment(**changes), run_dir, say).run()


def final(run_dir):
    return checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER)


def assert_same_weights(first, second):
    assert first.state.images == second.state.images
    assert first.arrays.keys() == second.arrays.keys()
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[name], err_msg=name)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("undisturbed")
    outcome = train(run_dir)
    return run_dir, outcome


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that was stopped inside of its last stage."""
    run_dir = tmp_path_factory.mktemp("stopped")

    class Stopping(Trainer):
        def _refuse_non_finite(self, terms):
            if self.state.images == 40:
                kill_self()

    Stopping(small_experiment(), run_dir, quiet).run()
    return run_dir


def test_stages_end_at_their_image_counts(undisturbed):
    run_dir, outcome = undisturbed
    assert outcome.finished
    assert not outcome.was_finished
    names = [path.name for path in checkpoint.list_checkpoints(run_dir / CHECKPOINT_FOLDER)]
    assert names == [f"ckpt_{n:012d}_stage_{i:02d}.npz" for i, n in enumerate((16, 32, 48))]
    assert outcome.state.steps == 12


def test_what_a_run_writes(undisturbed):
    run_dir, _ = undisturbed
    rows = callbacks.read_log(run_dir / callbacks.LOG_FILE)
    assert {row["stage"] for row in rows} == {0, 1, 2}
    for name in (
        "generator_loss",
        "discriminator_loss",
        "gradient_penalty",
        "fake_ac_loss",
        "real_ac_loss",
        "wasserstein_g",
        "wasserstein_d",
        "real_score_penalty",
    ):
        assert all(np.isfinite(row[name]) for row in rows)
    samples = sorted(path.name for path in (run_dir / callbacks.SAMPLE_FOLDER).iterdir())
    assert samples == ["stage_00_0000000016", "stage_01_0000000032", "stage_02_0000000048"]
    written = {path.name for path in (run_dir / "samples" / samples[-1]).iterdir()}
    assert written == {f"note_{i:02d}_p{60 + i:03d}.wav" for i in range(3)} | {"rainbowgrams.png"}


def test_a_finished_run_is_not_trained_again(undisturbed):
    run_dir, _ = undisturbed
    before = final(run_dir)
    outcome = train(run_dir)
    assert outcome.was_finished
    assert_same_weights(before, final(run_dir))


def test_same_seed_same_bits(undisturbed, tmp_path):
    train(tmp_path)
    assert_same_weights(final(undisturbed[0]), final(tmp_path))


def test_another_seed_other_weights(undisturbed, tmp_path):
    train(tmp_path, seed=4, total_num_images=8)
    name = "generator/generator_block_1_conv1/kernel"
    first = checkpoint.list_checkpoints(undisturbed[0] / CHECKPOINT_FOLDER)[0]
    assert np.abs(checkpoint.load(first).arrays[name] - final(tmp_path).arrays[name]).max() > 0.1


@pytest.mark.parametrize("stop_at", [8, 20, 44])
def test_resume_inside_a_stage_is_exact(undisturbed, tmp_path, stop_at):
    """Stopped by a signal inside a stable or a transition stage, with another cadence."""

    class Stopping(Trainer):
        def _refuse_non_finite(self, terms):
            if self.state.images + 4 == stop_at:
                os.kill(os.getpid(), signal.SIGINT)

    outcome = Stopping(small_experiment(checkpoint_num_images=4), tmp_path, quiet).run()
    assert outcome.signal == signal.SIGINT
    assert outcome.state.images == stop_at
    assert train(tmp_path).finished
    assert_same_weights(final(undisturbed[0]), final(tmp_path))


def test_not_a_number_stops_the_run_and_keeps_the_last_checkpoint(tmp_path):
    class Broken(Trainer):
        def _refuse_non_finite(self, terms):
            if self.state.images == 24:
                terms["gradient_penalty"] = float("nan")
            super()._refuse_non_finite(terms)

    with pytest.raises(NonFiniteLossError, match="gradient_penalty is nan"):
        Broken(small_experiment(), tmp_path, quiet).run()
    assert final(tmp_path).state.images == 16


def test_a_damaged_newest_checkpoint_is_named_and_passed_over(undisturbed, tmp_path):
    train(tmp_path, total_num_images=48)
    newest = checkpoint.list_checkpoints(tmp_path / CHECKPOINT_FOLDER)[-1]
    newest.write_bytes(newest.read_bytes()[:-1000])
    said = []
    assert train(tmp_path, said.append).finished
    assert any(newest.name in line and "damaged" in line for line in said)
    assert_same_weights(final(undisturbed[0]), final(tmp_path))


def test_when_every_checkpoint_is_damaged_nothing_is_begun_anew(undisturbed, tmp_path):
    run_dir = shutil.copytree(undisturbed[0], tmp_path / "run")
    saved = checkpoint.list_checkpoints(run_dir / CHECKPOINT_FOLDER)
    for path in saved:
        path.write_bytes(b"PK")
    before = (run_dir / callbacks.LOG_FILE).read_bytes()
    with pytest.raises(OSError, match="No checkpoint in") as caught:
        train(run_dir)
    assert all(path.name in str(caught.value) for path in saved)
    assert (run_dir / callbacks.LOG_FILE).read_bytes() == before


def change_header(content, change):
    header = json.loads(content["header"].tobytes())
    change(header)
    content["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)


def drop_array(content):
    name = "ema_generator/generator_block_1_conv1/kernel"
    del content[name]
    change_header(content, lambda header: header["arrays"].remove(name))


def bend_array(content):
    name = "discriminator_optimizer/003"
    content[name] = content[name][..., np.newaxis]


def bend_normalizer(content):
    content["normalizer"] = np.zeros((2, 3), np.float32)


def name_stage_99(content):
    change_header(content, lambda header: header["state"].update(stage=99))


@pytest.mark.parametrize("change", [drop_array, bend_array, bend_normalizer, name_stage_99])
def test_a_checkpoint_of_something_else_is_named(stopped, tmp_path, change):
    run_dir = shutil.copytree(stopped, tmp_path / "run")
    path = final(run_dir).path
    with np.load(path) as file:
        content = dict(file)
    change(content)
    np.savez(path, **content)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=f"{path.name} cannot be used: ") as caught:
        train(run_dir)
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == before


def test_a_checkpoint_of_another_run_is_refused_with_all_that_differs(stopped):
    """Also where no command line was looked at before."""
    before = {path: path.stat() for path in (stopped / CHECKPOINT_FOLDER).iterdir()}
    changes = {"total_num_images": 96, "fmap_max": 8, "ema_decay": 0.5}
    with pytest.raises(CheckpointError) as caught:
        train(stopped, **changes)
    assert str(caught.value) == (
        f"{final(stopped).path} cannot be used: it is of a run with fmap_max=4, "
        f"total_num_images=48, not fmap_max=8, total_num_images=96."
    )
    assert {path: path.stat() for path in (stopped / CHECKPOINT_FOLDER).iterdir()} == before


def test_samples_and_the_last_row_come_before_the_checkpoint_of_a_stage(undisturbed, tmp_path):
    """A run that dies right before a stage's last save makes them again, once."""

    class Dying(Trainer):
        def _save(self):
            if self.state.stage_done and self.state.stage == 1:
                raise KeyboardInterrupt
            super()._save()

    with pytest.raises(KeyboardInterrupt):
        Dying(small_experiment(checkpoint_num_images=12), tmp_path, quiet).run()
    sample = tmp_path / callbacks.SAMPLE_FOLDER / "stage_01_0000000032"
    assert (sample / "rainbowgrams.png").exists()
    assert callbacks.read_log(tmp_path / callbacks.LOG_FILE)[-1]["images"] == 32
    (sample / "note_00_p060.wav").write_bytes(b"half")
    (sample / "note_09_p061.wav").write_bytes(b"of another fake_batch_size")
    assert train(tmp_path).finished
    whole = undisturbed[0] / callbacks.SAMPLE_FOLDER / sample.name
    assert {path.name for path in sample.iterdir()} == {path.name for path in whole.iterdir()}
    for path in whole.glob("*.wav"):
        assert (sample / path.name).read_bytes() == path.read_bytes()
    images = [row["images"] for row in callbacks.read_log(tmp_path / callbacks.LOG_FILE)]
    assert images == sorted(set(images))
    assert {16, 32, 48} <= set(images)
    assert_same_weights(final(undisturbed[0]), final(tmp_path))


@pytest.mark.parametrize(("poisoned_at", "kept"), [(8, None), (24, 16)])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, poisoned_at, kept):
    class Poisoned(Trainer):
        def _refuse_non_finite(self, terms):
            if self.state.images == poisoned_at:
                weight = self.model.generator.trainable_variables[0]
                weight.assign(np.nan * weight.numpy())

    expected = "is untouched" if kept else "there is no checkpoint yet"
    changes = {"checkpoint_num_images": 4} if kept else {}
    with pytest.raises(NonFiniteLossError, match=rf"generator/\S+ holds NaN.*{expected}"):
        Poisoned(small_experiment(**changes), tmp_path, quiet).run()
    found = final(tmp_path)
    assert (found and found.state.images) == (kept and poisoned_at)
    if kept:
        assert train(tmp_path).finished


def test_temporaries_of_a_killed_run_are_removed(tmp_path):
    left = [
        tmp_path / CHECKPOINT_FOLDER / ".ckpt_000000000008.0123abcd.npz",
        tmp_path / callbacks.SAMPLE_FOLDER / "stage_00_0000000008" / ".note_00_p060.0123abcd.wav",
        tmp_path / ".log.0123abcd.jsonl",
        tmp_path / ".config.0123abcd.json",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    train(tmp_path, total_num_images=4)
    assert not any(path.exists() for path in left)


# --- What cannot be written ---


@pytest.mark.parametrize("method", ["samples", "step_done", "close"])
@pytest.mark.parametrize("together", [1, 3])
def test_what_cannot_be_shown_costs_no_training(
    undisturbed, tmp_path, monkeypatch, method, together
):
    """It is saved, and the same command makes what is missing."""
    whole = getattr(callbacks.Observers, method)

    def full(self, *arguments, **options):
        if self._state.images >= 12:
            raise OSError("No space left on device")
        whole(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Observers, method, full)
        with pytest.raises(OSError, match="No space left"):
            train(tmp_path, steps_per_execution=together)
    assert final(tmp_path).state.images == 16
    assert not final(tmp_path).state.stage_done
    outcome = train(tmp_path)
    assert outcome.finished
    assert not outcome.was_finished
    sample = tmp_path / callbacks.SAMPLE_FOLDER / "stage_00_0000000016"
    assert (sample / "rainbowgrams.png").exists()
    assert (tmp_path / CHECKPOINT_FOLDER / "ckpt_000000000016_stage_00.npz").exists()
    assert_same_weights(final(undisturbed[0]), final(tmp_path))


def test_samples_that_fail_at_the_very_end_are_made_by_the_next_start(tmp_path, monkeypatch):
    short = {"total_num_images": 8, "stable_stage_num_images": 8}
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.wavfiles, "write_wavs", lambda *_: tmp_path.read_bytes())
        with pytest.raises(IsADirectoryError):
            train(tmp_path, **short)
    outcome = train(tmp_path, **short)
    assert (outcome.finished, outcome.was_finished) == (True, False)
    assert len(list(tmp_path.glob("samples/stage_00_0000000008/*.wav"))) == 3
    assert train(tmp_path, **short).was_finished


def test_tensorboard_that_fails_on_the_way_is_one_sentence(tmp_path, monkeypatch):
    def full(*_):
        raise tf.errors.OutOfRangeError(None, None, "{{node}} events; File too large\n\tmore")

    monkeypatch.setattr(tf.summary, "scalar", full)
    with pytest.raises(OSError, match=r"tensorboard cannot be written: events; File too large.$"):
        train(tmp_path, tensorboard=True)
    assert final(tmp_path).state.images == 16


@pytest.mark.parametrize("name", ["samples", "tensorboard", "checkpoints", "log.jsonl"])
def test_what_is_in_the_way_of_a_run_is_named_before_it_begins(tmp_path, capsys, name):
    path = tmp_path / name
    path.mkdir() if name == "log.jsonl" else path.touch()
    assert main([*small_flags(), f"--run_dir={tmp_path}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert list(tmp_path.iterdir()) == [path]


# --- Two in one folder ---


def test_a_folder_that_another_process_trains_in_is_refused(tmp_path, capsys):
    with checkpoint.held(tmp_path):
        assert main([*small_flags(), f"--run_dir={tmp_path}"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"Another process is training in {tmp_path}:" in line
        with pytest.raises(OSError, match="Another process"):
            train(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [checkpoint.LOCK_FILE]
    assert train(tmp_path, total_num_images=4).finished


def test_a_file_system_without_locks_is_good_enough(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    assert train(tmp_path, total_num_images=4).finished


# --- Signals ---


def kill_self(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def test_a_signal_in_the_very_last_step_leaves_its_samples_to_the_next_start(undisturbed, tmp_path):
    class Late(Trainer):
        def _refuse_non_finite(self, terms):
            if self.state.images == 44:
                kill_self()

    said = []
    outcome = Late(small_experiment(), tmp_path, said.append).run()
    assert (outcome.finished, outcome.signal) == (False, signal.SIGINT)
    assert "Stopping after this step ..." in said
    assert (final(tmp_path).state.images, final(tmp_path).state.stage_done) == (48, False)
    samples = tmp_path / callbacks.SAMPLE_FOLDER / "stage_02_0000000048"
    assert not samples.exists()
    again = train(tmp_path)
    assert (again.finished, again.was_finished) == (True, False)
    assert (samples / "rainbowgrams.png").exists()
    assert_same_weights(final(undisturbed[0]), final(tmp_path))


def test_a_signal_while_samples_are_drawn_leaves_them_out(tmp_path, monkeypatch):
    """Those within a stage are left out for good, and nothing of them is written."""

    class Signalled(callbacks.Observers):
        def samples(self, state, fade):
            kill_self(signal.SIGTERM)
            super().samples(state, fade)

    monkeypatch.setattr(callbacks, "Observers", Signalled)
    one_stage = {"train_progressive": False, "total_num_images": 16, "tensorboard": True}
    outcome = train(tmp_path, **one_stage, save_summaries_num_images=8)
    assert (outcome.signal, outcome.state.images) == (signal.SIGTERM, 8)
    assert final(tmp_path).state.images == 8
    assert not (tmp_path / callbacks.SAMPLE_FOLDER).exists()
    assert [row["images"] for row in callbacks.read_log(tmp_path / callbacks.LOG_FILE)] == [8]
    (events,) = (tmp_path / callbacks.TENSORBOARD_FOLDER).iterdir()
    assert b"generator_loss" in events.read_bytes()


def test_a_signal_while_notes_render_stops_at_once(tmp_path):
    class Early(Trainer):
        def _load_notes(self):
            kill_self(signal.SIGTERM)
            return super()._load_notes()

    said = []
    outcome = Early(small_experiment(), tmp_path, said.append).run()
    assert (outcome.finished, outcome.signal) == (False, signal.SIGTERM)
    assert said == ["Stopping after this step ..."]


def test_a_signal_while_the_normaliser_is_fitted_stops_at_once(tmp_path):
    said = []

    def say(line):
        said.append(line)
        if line.startswith("Fitting"):
            kill_self()

    outcome = train(tmp_path, say, data_normalizer="specgrams_simple_normalizer")
    assert (outcome.finished, outcome.signal) == (False, signal.SIGINT)
    assert said[-1] == "Stopping after this step ..."
    assert final(tmp_path) is None


def test_by_the_clock(tmp_path):
    outcome = train(tmp_path, train_time_limit=3.0, total_num_images=10**9)
    assert outcome.finished
    assert outcome.state.seconds >= 3.0
    assert outcome.state.stage == 2


def test_without_growth(tmp_path):
    outcome = train(tmp_path, train_progressive=False, total_num_images=8)
    assert outcome.finished
    assert (outcome.state.stage, outcome.state.images) == (2, 8)


@pytest.mark.parametrize("kind", ["simple", "freq"])
def test_fitted_normalisers_are_kept_by_the_run(tmp_path, kind):
    train(tmp_path, data_normalizer=f"specgrams_{kind}_normalizer", total_num_images=20)
    numbers = final(tmp_path).arrays["normalizer"]
    assert numbers.shape == ((2, 64, 2) if kind == "freq" else (2, 2))
    assert np.isfinite(numbers).all()
    assert train(
        tmp_path, data_normalizer=f"specgrams_{kind}_normalizer", total_num_images=20
    ).was_finished


# --- As processes ---


def command(*arguments):
    code = "import sys; from gansynth_tf.cli.train import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, *arguments]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, STOPPED)])
def test_a_signal_saves_and_ends(tmp_path, number, code):
    arguments = small_flags(total_num_images=10**6, stable_stage_num_images=10**6)
    process = subprocess.Popen(
        command(*arguments, f"--run_dir={tmp_path}", "--log_seconds=1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in process.stdout:
        if "images/s" in line:
            process.send_signal(number)
            break
    rest = process.stdout.read()
    assert process.wait(60) == code
    assert "Interrupted and saved" in rest
    assert "Traceback" not in rest
    assert final(tmp_path).state.images > 0


def test_ctrl_c_saves_though_it_ended_the_reader_of_the_output_too(tmp_path):
    """``gansynth_train | tee log``: a terminal's Ctrl-C ends tee at once."""
    arguments = small_flags(total_num_images=10**6, stable_stage_num_images=10**6)
    process = subprocess.Popen(
        command(*arguments, f"--run_dir={tmp_path}", "--log_seconds=1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "images/s" not in process.stdout.readline():
        pass
    process.stdout.close()
    process.send_signal(signal.SIGINT)
    errors = process.stderr.read()
    assert process.wait(60) != 0
    assert "Traceback" not in errors
    assert final(tmp_path).state.images > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_9_and_the_same_command_again(tmp_path, seed):
    """Three random moments inside a stage: the weights end bit-identical."""
    rng = np.random.default_rng(seed)
    flags = small_flags(
        stable_stage_num_images=400,
        transition_stage_num_images=400,
        total_num_images=1200,
        checkpoint_num_images=40,
    )
    run = command(*flags, f"--run_dir={tmp_path / 'whole'}")
    subprocess.run(run, check=True, capture_output=True)
    killed = command(*flags, f"--run_dir={tmp_path / 'killed'}", "--log_seconds=0.5")
    process = subprocess.Popen(killed, stdout=subprocess.PIPE, text=True)
    wanted, saves = int(rng.integers(1, 3)), int(rng.integers(1, 8))
    for line in process.stdout:
        if f"Stage {wanted} of" in line:
            break
    for line in process.stdout:
        saves -= line.startswith("Saved")
        if not saves:
            break
    time.sleep(rng.uniform(0.0, 0.05))
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it had ended before"
    names = [p.name for p in checkpoint.list_checkpoints(tmp_path / "killed" / CHECKPOINT_FOLDER)]
    assert "_stage_" not in names[-1], "it was not killed within a stage"
    assert f"_stage_{wanted - 1:02d}" in "".join(names)
    again = subprocess.run(killed, check=True, capture_output=True, text=True)
    assert f"Going on from {names[-1]}" in again.stdout
    assert_same_weights(final(tmp_path / "whole"), final(tmp_path / "killed"))


def test_two_replicas_see_the_same_numbers():
    """Draws for the global batch, cut by replica, do not depend on the number of replicas."""
    code = """
import tensorflow as tf
devices = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(devices[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import sys
sys.path.insert(0, {tests!r})
from model_test import tiny_model, tiny_schedule
from gansynth_tf.model import Stream

def draws(strategy, local):
    with strategy.scope():
        model = tiny_model()
    def draw():
        step = tf.constant(5, tf.int64)
        return (model._draw_latents(step, Stream.GENERATOR_LATENTS, local),
                model._draw_labels(step, Stream.GENERATOR_LABELS, local),
                model._draw_amount(step, local))
    results = strategy.run(tf.function(draw))
    return [tf.concat(strategy.experimental_local_results(r), 0).numpy() for r in results]

one = draws(tf.distribute.OneDeviceStrategy("CPU:0"), 4)
two = draws(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), 2)
for a, b in zip(one, two):
    assert a.shape == b.shape and (a == b).all(), (a, b)
assert abs(one[0]).max() > 0.1
print("same")
"""
    tests = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", code.format(tests=tests)], capture_output=True, text=True
    )
    assert "same" in done.stdout, done.stderr[-2000:]


def test_tensorboard_events(tmp_path):
    train(tmp_path, tensorboard=True, total_num_images=8, stable_stage_num_images=8)
    (events,) = (tmp_path / "tensorboard").iterdir()
    tags = {
        value.tag
        for record in tf.data.TFRecordDataset(str(events))
        for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value
    }
    assert {"generator_loss", "rainbowgrams"} <= tags
    assert any(tag.startswith("notes") for tag in tags)


def test_the_first_execution_of_a_session_is_not_on_the_clock(tmp_path):
    """Through a real run: its rows tell no speed of the step that traced the graph."""
    seen = []

    class Watching(Trainer):
        def _stage_ended(self, stage):
            seen.append((self.state.steps, self.state.seconds))
            return super()._stage_ended(stage)

    Watching(small_experiment(), tmp_path, lambda text: None).run()
    by_steps = dict(seen)
    assert by_steps[0] == by_steps[1] == 0.0
    assert by_steps[4] == by_steps[5] < by_steps[6]
