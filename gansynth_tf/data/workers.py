"""Worker processes: fresh interpreters that import one module, and nothing of the caller's.

A fork would copy TensorFlow's held locks, and multiprocessing's `spawn` would run an unguarded
script again. A worker gets one order as JSON on its standard input and answers in bytes.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np


class WorkerError(OSError):
    """A worker ended before it had answered."""


def default_processes() -> int:
    """One for each core."""
    return os.cpu_count() or 1


def block_interrupts() -> None:
    """Keeps Ctrl-C from processes that this thread starts from now on: they inherit its mask.

    A terminal sends SIGINT to all of them; what it means is the parent's to decide.
    """
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextlib.contextmanager
def interrupts_blocked() -> Iterator[None]:
    """`block_interrupts` within it; a Ctrl-C that comes meanwhile is heard at its end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_worker(module: str) -> subprocess.Popen:
    """Starts a process that calls `work()` of a module, with pipes to write to and to read from."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", f"import {module} as module; module.work()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )


def send_order(process: subprocess.Popen, order: Mapping[str, object]) -> None:
    """Gives a worker what it is to do; there is one order for each."""
    # default: settings may be NumPy integers.
    process.stdin.write(json.dumps(order, default=int).encode())
    process.stdin.close()


def serve(answer: Callable[[dict], Iterable[bytes]]) -> None:
    """A worker's main: reads its order and writes all that `answer(order)` gives."""
    output = sys.stdout.buffer
    try:
        for part in answer(json.load(sys.stdin.buffer)):
            output.write(part)
        output.flush()
    except BrokenPipeError:  # nobody waits for the rest
        os._exit(1)


def read_into(stream: BinaryIO, row: np.ndarray) -> np.ndarray:
    """Fills a contiguous array from a stream, and returns it.

    Raises:
      EOFError: the stream ends before.
    """
    target = memoryview(row).cast("B")
    while len(target):
        count = stream.readinto(target)
        if not count:
            raise EOFError("its output ended early")
        target = target[count:]
    return row


@contextlib.contextmanager
def in_order(
    module: str, order: Mapping[str, object], tasks: Sequence, processes: int
) -> Iterator[Iterator[BinaryIO]]:
    """Shares tasks among workers, and gives the streams with their answers in the tasks' order.

    Worker n gets `order` and, as its "tasks", every `processes`-th of them from the n-th on. Each
    answer must be read whole before the next stream is taken. A worker that is ahead waits until
    it is read, so that no more than an answer of each is in memory. All are ended on leaving.

    Raises:
      WorkerError: one ended early.
    """
    with contextlib.ExitStack() as stack:
        workers = []
        with interrupts_blocked():
            for _ in range(min(processes, len(tasks))):
                workers.append(stack.enter_context(start_worker(module)))
                stack.callback(workers[-1].kill)
        for number, worker in enumerate(workers):
            with contextlib.suppress(BrokenPipeError):  # it ended; reading from it will tell
                send_order(worker, {**order, "tasks": tasks[number :: len(workers)]})
        asked = None

        def streams() -> Iterator[BinaryIO]:
            nonlocal asked
            for number in range(len(tasks)):
                asked = workers[number % len(workers)]
                yield asked.stdout

        try:
            yield streams()
        except EOFError as error:
            raise WorkerError(
                f"A worker process ended early, with exit code {asked.wait()}; -9 is that of a "
                f"process that was killed, mostly for want of memory: try fewer processes."
            ) from error
