"""Several devices and several workers train what one trains."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import replica_steps
from experiments import small_experiment, small_flags
from hypothesis import given
from hypothesis import strategies as st

from gansynth_tf import checkpoint, distribution
from gansynth_tf.cli import train
from gansynth_tf.distribution import Cluster, DistributionConfig, DistributionError
from gansynth_tf.training import CHECKPOINT_FOLDER, Trainer

TESTS = pathlib.Path(__file__).parent
TRAIN = "from gansynth_tf.cli.train import run; run()"
AGAIN = 75

# --- TF_CONFIG ---


def tf_config(index: int, kind: str = "worker", **jobs: list[str]) -> str:
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


@given(st.integers(1, 5), st.booleans(), st.data())
def test_a_cluster_has_one_chief_and_each_worker_its_place(count, has_chief, data):
    jobs = {"worker": [f"host{i}:1" for i in range(count)]}
    if has_chief:
        jobs["chief"] = ["first:1"]
    tasks = [(kind, index) for kind in jobs for index in range(len(jobs[kind]))]
    found = [distribution.parse_cluster(tf_config(i, kind, **jobs)) for kind, i in tasks]
    assert sorted(cluster.index for cluster in found) == list(range(len(tasks)))
    (chief,) = (cluster for cluster in found if cluster.is_chief)
    assert chief.addresses[0] == ("first:1" if has_chief else "host0:1")
    own = [jobs[kind][index] for kind, index in tasks]
    assert [cluster.addresses[cluster.index] for cluster in found] == own


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"cluster": {"worker": "abc"}, "task": {"type": "worker", "index": 0}}',
        tf_config(0, worker=["host0", "host1"]),
        tf_config(0, worker=["host0:99999", "host1:1"]),
        tf_config(0, "ps", ps=["a:1"], worker=["b:1"]),
        tf_config(2, worker=["a:1", "b:1"]),
        tf_config(-1, worker=["a:1", "b:1"]),
        tf_config(0, "evaluator", worker=["a:1", "b:1"]),
        tf_config(0, worker=["a:1", "a:1"]),
        tf_config(0, worker=[1, 2]),
        tf_config(0, "chief", chief=["a:1", "b:1"]),
    ],
)
def test_a_cluster_that_is_none_is_one_sentence(text):
    with pytest.raises(DistributionError, match=r"^TF_CONFIG cannot be used: .* was expected\.$"):
        distribution.parse_cluster(text)


def test_who_takes_part(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert distribution.find_cluster(DistributionConfig()) == Cluster()
    with pytest.raises(DistributionError, match="needs the environment variable TF_CONFIG"):
        distribution.find_cluster(DistributionConfig(strategy="multi_worker"))
    monkeypatch.setenv("TF_CONFIG", tf_config(1, worker=["a:1", "b:1"]))
    for strategy, workers in {"auto": 2, "multi_worker": 2, "one_device": 1, "mirrored": 1}.items():
        cluster = distribution.find_cluster(DistributionConfig(strategy=strategy))
        assert cluster.num_workers == workers


# --- Devices ---


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """Number of logical CPU devices -> arrays of tests/replica_steps.py."""
    folder, found = tmp_path_factory.mktemp("steps"), {}

    def taken(devices: int):
        if devices not in found:
            path = folder / f"{devices}.npz"
            script = TESTS / "replica_steps.py"
            subprocess.run([sys.executable, script, str(devices), path], check=True)
            found[devices] = dict(np.load(path))
        return found[devices]

    return taken


@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_step_on_several_devices_is_that_on_one(steps, devices):
    """With the global minibatch statistic: every weight of both networks, every kind of stage.

    To 1e-5 of an array's largest number, or of a gradient of 1 where that is more: biases begin at
    zero, and the gradients of some are small sums of large numbers.
    """
    one, several = steps(1), steps(devices)
    assert one.keys() == several.keys()
    assert len(one) > 60
    for name in one.keys() - {"adam"}:
        if replica_steps.CHANGE in name:
            continue
        scale = max(np.abs(one[name]).max(), replica_steps.SGD_RATE)
        np.testing.assert_allclose(
            several[name], one[name], rtol=0, atol=1e-5 * scale, err_msg=name
        )


def test_a_step_changes_the_moving_average_on_several_devices_as_on_one(steps):
    """It moves so little in a step that its weights would hardly tell; its changes do, rounded."""
    one, several = steps(1), steps(2)
    names = [name for name in one if f"{replica_steps.CHANGE}ema_" in name]
    moved = [name for name in names if np.abs(one[name]).max() > 1e-6]
    assert len(moved) > 20
    for name in names:
        weights = one[name.replace(replica_steps.CHANGE, "")]
        rounding = 2.0**-22 * np.abs(weights).max()
        tolerance = 1e-3 * np.abs(one[name]).max() + rounding
        np.testing.assert_allclose(several[name], one[name], rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_twenty_steps_of_adam_on_several_devices(steps, devices):
    """Losses only: Adam's first step is a sign, whatever little of a gradient there is."""
    np.testing.assert_allclose(steps(devices)["adam"], steps(1)["adam"], rtol=1e-3, atol=1e-3)


def test_one_replica_of_a_strategy_trains_as_none(tmp_path):
    """Within rounding: what is in one graph is optimised otherwise than what is in two."""
    arrays = {}
    for strategy in ("auto", "one_device", "mirrored"):
        Trainer(small_experiment(strategy=strategy), tmp_path / strategy, str).run()
        arrays[strategy] = final_arrays(tmp_path / strategy)
    for strategy in ("one_device", "mirrored"):
        for name, array in arrays["auto"].items():
            same = arrays[strategy][name]
            np.testing.assert_allclose(same, array, rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    ("flags", "variable", "message"),
    [
        (["--strategy=all"], "", "strategy must be one of"),
        (["--minibatch_stddev=all"], "", "minibatch_stddev must be one of"),
        (["--strategy=multi_worker"], "", "needs the environment variable TF_CONFIG"),
        ([], "{", "TF_CONFIG cannot be used"),
        (["--strategy=mirrored", "--jit_compile"], "", "jit_compile cannot be combined"),
        (["--train_time_limit=9"], tf_config(0, worker=["a:1", "b:1"]), "a clock of its own"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, monkeypatch, capsys, flags, variable, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if variable:
        monkeypatch.setenv("TF_CONFIG", variable)
    code = train.main([*small_flags(), *flags, f"--run_dir={tmp_path / 'run'}"])
    assert code == 2
    assert message in capsys.readouterr().err
    assert not checkpoints(tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_batch_that_replicas_cannot_share_is_refused():
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(DistributionError, match="a batch of 4, which 3 replicas cannot share"):
        distribution.check_batches(Three(), small_experiment().schedule.stages())


# --- Workers ---


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("localhost", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def start_worker(index: int, ports: list[int], run_dir: pathlib.Path, environ, *flags: str):
    """One of several workers, as a process."""
    addresses = [f"localhost:{port}" for port in ports]
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, *flags, f"--run_dir={run_dir}"],
        env={**environ, "TF_CONFIG": tf_config(index, worker=addresses)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_pair(run_dir: pathlib.Path, environ, *flags: str, own_flags=((), ())):
    """Two workers of one run."""
    ports = free_ports(2)
    return [
        start_worker(index, ports, run_dir, environ, *flags, *own_flags[index]) for index in (0, 1)
    ]


def ends(pair: list[subprocess.Popen]) -> tuple[list[int], list[str]]:
    """Exit codes, and all that was printed."""
    texts = ["".join(worker.communicate(timeout=300)) for worker in pair]
    return [worker.returncode for worker in pair], texts


def checkpoints(run_dir: pathlib.Path) -> list[str]:
    return [path.name for path in checkpoint.list_checkpoints(run_dir / CHECKPOINT_FOLDER)]


def final_arrays(run_dir: pathlib.Path):
    return checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER).arrays


def wait_for_checkpoint(run_dir: pathlib.Path, pair: list[subprocess.Popen], seconds=300) -> None:
    until = time.monotonic() + seconds
    while not checkpoints(run_dir):
        assert time.monotonic() < until
        assert all(worker.poll() is None for worker in pair)
        time.sleep(0.05)


@pytest.fixture(scope="module")
def environ():
    path = os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


PAIR_FLAGS = small_flags(
    stable_stage_num_images=160,
    transition_stage_num_images=160,
    total_num_images=480,
    checkpoint_num_images=40,
    log_seconds=0.5,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, environ):
    run_dir = tmp_path_factory.mktemp("pair") / "run"
    codes, texts = ends(start_pair(run_dir, environ, *PAIR_FLAGS))
    assert codes == [0, 0], texts
    return run_dir


@pytest.mark.slow
def test_two_workers_train_through_all_stages_and_the_chief_alone_writes(undisturbed):
    names = checkpoints(undisturbed)
    assert [name for name in names if "stage" in name] == [
        "ckpt_000000000160_stage_00.npz",
        "ckpt_000000000320_stage_01.npz",
        "ckpt_000000000480_stage_02.npz",
    ]
    rows = [json.loads(line) for line in (undisturbed / "log.jsonl").read_text().splitlines()]
    images = [row["images"] for row in rows]
    assert images == sorted(set(images))
    assert images[-1] == 480


@pytest.mark.slow
def test_a_run_of_two_workers_goes_on_with_one(undisturbed, tmp_path, capsys):
    shutil.copytree(undisturbed, tmp_path / "run")
    folder = tmp_path / "run" / CHECKPOINT_FOLDER
    for path in checkpoint.list_checkpoints(folder):
        if "000160" not in path.name:
            path.unlink()
    assert train.main([*PAIR_FLAGS, f"--run_dir={tmp_path / 'run'}"]) == 0
    assert "Trained on 2 replicas before, now on 1 replica." in capsys.readouterr().out
    assert checkpoint.load_latest(folder).state.images == 480


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker_ends_the_other_and_the_restarted_pair_ends_the_same(
    undisturbed, tmp_path, environ, victim
):
    pair = start_pair(tmp_path / "run", environ, *PAIR_FLAGS)
    wait_for_checkpoint(tmp_path / "run", pair)
    pair[victim].kill()
    codes, texts = ends(pair)
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] == AGAIN, texts
    left = texts[1 - victim]
    assert "Another worker has ended" in left
    assert "Traceback" not in left
    codes, texts = ends(start_pair(tmp_path / "run", environ, *PAIR_FLAGS))
    assert codes == [0, 0], texts
    assert "Going on from" in texts[1]
    same, expected = final_arrays(tmp_path / "run"), final_arrays(undisturbed)
    for name, array in expected.items():
        np.testing.assert_array_equal(same[name], array, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_is_asked_to_stop_has_both_saved_and_stopped(
    undisturbed, tmp_path, environ, victim
):
    pair = start_pair(tmp_path / "run", environ, *PAIR_FLAGS, "--total_num_images=480000")
    wait_for_checkpoint(tmp_path / "run", pair)
    pair[victim].send_signal(signal.SIGTERM)
    codes, texts = ends(pair)
    assert codes == [AGAIN, AGAIN], texts
    last = checkpoints(tmp_path / "run")[-1]
    assert f"Saved {last}" in texts[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, AGAIN), (signal.SIGINT, 130)])
def test_a_worker_that_waits_for_the_others_ends_at_once_when_told(tmp_path, environ, number, code):
    worker = start_worker(0, free_ports(2), tmp_path / "run", environ, *PAIR_FLAGS)
    while "waiting for the others" not in worker.stdout.readline():
        assert worker.poll() is None
    time.sleep(1)
    worker.send_signal(number)
    _, text = worker.communicate(timeout=10)
    assert worker.returncode == code
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_worker_that_dies_before_all_have_met_is_waited_for(tmp_path, environ):
    ports = free_ports(2)
    dying = start_worker(1, ports, tmp_path / "run", environ, *PAIR_FLAGS)
    while "waiting for the others" not in dying.stdout.readline():
        assert dying.poll() is None
    dying.kill()
    dying.communicate()
    pair = [start_worker(i, ports, tmp_path / "run", environ, *PAIR_FLAGS) for i in (0, 1)]
    codes, texts = ends(pair)
    assert codes == [0, 0], texts


def test_an_address_that_is_taken_is_named(tmp_path, environ):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = [port, *free_ports(1)]
        worker = start_worker(0, ports, tmp_path / "run", environ, *PAIR_FLAGS)
        _, text = worker.communicate(timeout=100)
    assert worker.returncode == 1
    assert f"localhost:{port}" in text
    assert "Traceback" not in text


@pytest.mark.slow
def test_workers_that_differ_are_refused(tmp_path, environ):
    own = ["--generator_learning_rate=0.001"], ["--generator_learning_rate=0.002"]
    codes, texts = ends(start_pair(tmp_path / "run", environ, *PAIR_FLAGS, own_flags=own))
    assert codes == [2, 2], texts
    for text in texts:
        assert "The workers differ" in text
        assert "Traceback" not in text
    assert not checkpoints(tmp_path / "run")
