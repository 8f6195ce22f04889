"""Signals ask to stop; SIGTERM is answered within its grace, whatever a process is busy with."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from gansynth_tf.interruption import (
    STOPPED,
    UNSAVED,
    Interruption,
    Terminated,
    termination_raised,
)

pytestmark = pytest.mark.latest


def kill_self(number: int):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_is_told(number):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    said = []
    with Interruption(said.append) as interruption:
        assert interruption.received is None
        kill_self(number)
        assert interruption.received == number
    assert said == ["Stopping after this step ..."]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_ends_at_once_and_a_second_sigterm_changes_nothing(first):
    with Interruption(lambda text: None) as interruption:
        kill_self(first)
        kill_self(signal.SIGTERM)
        kill_self(signal.SIGTERM)
        assert interruption.received == first
        with pytest.raises(KeyboardInterrupt):
            kill_self(signal.SIGINT)


def test_what_asks_from_inside_is_as_a_signal():
    with Interruption(lambda text: None) as interruption:
        interruption.ask()
        assert interruption.received == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            kill_self(signal.SIGINT)


def test_a_signal_while_the_output_is_gone_still_asks():
    def say(text):
        raise BrokenPipeError

    with Interruption(say) as interruption:
        kill_self(signal.SIGINT)
        assert interruption.received == signal.SIGINT


def test_where_a_run_ends_in_time_nothing_waits_for_the_grace():
    running = threading.active_count()
    with Interruption(lambda text: None, grace_seconds=60.0):
        kill_self(signal.SIGTERM)
    assert threading.active_count() == running


@pytest.mark.parametrize(
    ("nothing_lost", "code", "says"),
    [(True, STOPPED, "nothing is lost"), (False, UNSAVED, "since the last checkpoint is lost")],
)
def test_the_grace_ends_a_process_that_does_not_come_back(nothing_lost, code, says):
    """Its main thread waits in C code, where no Python handler runs."""
    program = f"""
import signal
from gansynth_tf.interruption import Interruption
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
with Interruption(print, 0.3, lambda: {nothing_lost}):
    print("busy", flush=True)
    while True:
        signal.sigwait([signal.SIGUSR1])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "busy\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == code
    assert says in process.stderr.read()


def test_before_a_run_sigterm_raises():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), termination_raised():
        kill_self(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_off_the_main_thread_there_are_no_signals_to_hear():
    done = []

    def work():
        with termination_raised():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done
