"""gansynth_supervise: what is started again, what is not, and who is told to stop."""

import os
import signal
import subprocess
import sys

import pytest
from experiments import small_flags

from gansynth_tf import checkpoint
from gansynth_tf.cli import supervise

pytestmark = pytest.mark.latest

# A process that does, at its n-th start, what the n-th word says: an exit code, or a signal's name;
# "+" before it: makes a checkpoint first; "wait": until it is told to stop.
ACTOR = """
import os, pathlib, signal, sys, time
folder, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
starts = folder / "starts"
start = len(starts.read_text()) if starts.exists() else 0
starts.write_text("x" * (start + 1))
word = words[min(start, len(words) - 1)]
if word[0] == "+":
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    (checkpoints / f"ckpt_{start:012d}.npz").touch()
    word = word[1:]
if word == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    print("waits", flush=True)
    time.sleep(60)
if word.startswith("SIG"):
    os.kill(os.getpid(), getattr(signal, word))
    time.sleep(60)
sys.exit(int(word))
"""
SUPERVISOR = """
import pathlib, sys
from gansynth_tf.cli.supervise import Supervisor
folder, actor, restarts, seconds, *words = sys.argv[1:]
command = [sys.executable, "-c", actor, folder, *words]
checkpoints = pathlib.Path(folder, "checkpoints")
sys.exit(Supervisor(command, checkpoints, int(restarts), float(seconds)).run())
"""


def start(folder, *words, restarts=2, seconds=0.01, **options) -> subprocess.Popen:
    arguments = [folder, ACTOR, restarts, seconds, *words]
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def starts(folder) -> int:
    return len((folder / "starts").read_text())


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["0"], 0, 1),
        (["2"], 2, 1),
        (["130"], 130, 1),
        (["141"], 141, 1),
        (["75", "75", "75", "75", "0"], 0, 5),  # as often as it is asked to
        (["1", "SIGKILL", "0"], 0, 3),
        (["1", "1", "1"], 1, 3),  # the first, and two restarts
        (["SIGSEGV", "SIGKILL", "SIGKILL"], 137, 3),
        (["1", "1", "+1", "1", "1", "0"], 1, 5),  # a checkpoint makes the count begin again
        (["1", "1", "+1", "+1", "1", "0"], 0, 6),
        (["SIGINT"], 130, 1),
    ],
)
def test_what_is_started_again(tmp_path, words, code, expected):
    process = start(tmp_path, *words)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, starts(tmp_path)) == (code, expected), error
    assert ("gave up" in error) == (code in (1, 137))


def test_sigterm_is_passed_on_and_its_answer_awaited(tmp_path):
    process = start(tmp_path, "wait")
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert (process.returncode, starts(tmp_path)) == (75, 1)


def test_ctrl_c_of_a_terminal_ends_both(tmp_path):
    """The training, in a group of its own, gets it once, answers, and is not started again."""
    process = start(tmp_path, "wait", start_new_session=True)
    assert process.stdout.readline() == "waits\n"
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert (process.returncode, starts(tmp_path)) == (130, 1)


def test_an_interrupt_that_it_gets_alone_is_passed_on(tmp_path):
    process = start(tmp_path, "wait")
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert (process.returncode, starts(tmp_path)) == (130, 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_between_two_starts_it_ends_at_once(tmp_path, number, code):
    process = start(tmp_path, "1", seconds=3600)
    assert "ended with code 1; it is started again in 3600 s" in process.stderr.readline()
    process.send_signal(number)
    process.communicate(timeout=30)
    assert (process.returncode, starts(tmp_path)) == (code, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=tiny"], "--run_dir=DIR is needed"),
        (["--run_dir=r", "--restarts=many"], "--restarts"),
        (["--run_dir=r", "--restarts=-1"], "--restarts must be at least 0"),
        (["--run_dir=r", "--restart_seconds=nan"], "--restart_seconds from 0"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, message, capsys):
    assert supervise.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gansynth_supervise: ")
    assert message in line


def test_help_names_its_own_flags(capsys):
    assert supervise.main(["--helpshort"]) == 0
    out = capsys.readouterr().out
    assert "--restarts=5" in out
    assert "--restart_seconds=10" in out


@pytest.mark.slow
def test_a_training_that_is_killed_and_preempted_is_brought_to_its_end(tmp_path):
    flags = small_flags(
        stable_stage_num_images=400,
        transition_stage_num_images=400,
        total_num_images=1200,
        checkpoint_num_images=40,
        log_seconds=0.5,
    )
    command = "import sys; from gansynth_tf.cli.supervise import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", command, *flags, f"--run_dir={tmp_path}", "--restart_seconds=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    kills = [signal.SIGKILL, signal.SIGTERM]
    for line in process.stdout:
        if "images/s" in line and kills:
            with open(children) as file:
                os.kill(int(file.read()), kills.pop())
            for other in process.stdout:  # what the old one still says
                if other.startswith("Going on"):
                    break
    assert process.wait(60) == 0
    error = process.stderr.read()
    assert "ended with code 75; it is started again" in error
    assert "ended with code 137; it is started again" in error
    assert checkpoint.load_latest(tmp_path / "checkpoints").state.images == 1200
