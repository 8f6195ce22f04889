"""Twenty kills at random times over a run through all stages: it ends as if there had been none."""

import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from experiments import small_flags

from gansynth_tf import callbacks, checkpoint
from gansynth_tf.interruption import STOPPED
from gansynth_tf.training import CHECKPOINT_FOLDER

pytestmark = pytest.mark.slow

KILLS = 20
IMAGES = 600
FLAGS = {
    "stable_stage_num_images": IMAGES // 3,
    "transition_stage_num_images": IMAGES // 3,
    "total_num_images": IMAGES,
    "checkpoint_num_images": 8,
    "save_summaries_num_images": 100,
    "log_seconds": 0.05,
}
# What may come of the signals: SIGTERM before Python listens ends a process as it ends any.
ENDS = {signal.SIGKILL: {-signal.SIGKILL}, signal.SIGTERM: {STOPPED, -signal.SIGTERM}}


def start(run_dir) -> subprocess.Popen:
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from gansynth_tf.cli.train import run; run()",
            *small_flags(**FLAGS),
            f"--run_dir={run_dir}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def await_images(process: subprocess.Popen, images: int) -> None:
    """Until the run says that it saved so many."""
    for line in process.stdout:
        saved = re.match(r"Saved ckpt_(\d+)", line)
        if saved and int(saved[1]) >= images:
            return
    pytest.fail(f"ended before {images} images, with {process.wait()}: {process.stderr.read()}")


def final(run_dir):
    return checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER)


def files_below(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_twenty_kills_change_nothing(tmp_path):
    rng = random.Random(20)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start(whole)
    _, error = process.communicate()
    assert (process.returncode, error) == (0, "")
    stages = []
    for kill in range(KILLS):
        process = start(killed)
        if kill % 5 == 2:
            time.sleep(rng.uniform(0.0, 12.0))  # while it is started, or wherever it is by then
        else:
            # A little further each time, so that all stages have their share.
            await_images(process, 8 + kill * (IMAGES - 60) // KILLS)
            time.sleep(rng.uniform(0.0, 0.2))
        number = rng.choice([signal.SIGKILL, signal.SIGTERM])
        process.send_signal(number)
        ends = ENDS[number]
        if number == signal.SIGTERM and rng.random() < 0.4:
            time.sleep(rng.uniform(0.0, 0.1))  # and again, in the midst of saving
            process.kill()
            ends = ends | ENDS[signal.SIGKILL]
        _, error = process.communicate()
        assert process.returncode in ends, error
        assert "Traceback" not in error
        saved = final(killed)
        stages.append(saved.state.stage if saved else 0)
    assert set(stages) == {0, 1, 2}
    assert final(killed).state.stage != 2 or not final(killed).state.stage_done
    process = start(killed)
    _, error = process.communicate()
    assert (process.returncode, error) == (0, "")

    first, second = final(whole), final(killed)
    assert (second.state.images, second.state.steps) == (first.state.images, first.state.steps)
    assert second.arrays.keys() == first.arrays.keys()
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(second.arrays[name], array, err_msg=name)
    images = [row["images"] for row in callbacks.read_log(killed / callbacks.LOG_FILE)]
    assert images == sorted(set(images))
    samples, others = (
        files_below(run_dir / callbacks.SAMPLE_FOLDER) for run_dir in (killed, whole)
    )
    assert samples.items() <= others.items()
    ends = {name for name in others if name.split("/")[0].endswith(("0200", "0400", "0600"))}
    assert ends <= samples.keys()
    hidden = {path.name for path in killed.rglob(".*")}
    assert hidden == {checkpoint.LOCK_FILE}
