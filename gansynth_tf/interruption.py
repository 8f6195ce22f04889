"""Ctrl-C and SIGTERM as requests to stop: after the step in hand, and SIGTERM within a time."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

STOPPED = 75  # EX_TEMPFAIL: asked to stop, nothing is lost, the same command goes on
UNSAVED = 128 + signal.SIGTERM  # as a shell says of a command that SIGTERM ended


class Terminated(BaseException):
    """SIGTERM came where there is nothing to save."""


@contextlib.contextmanager
def termination_raised() -> Iterator[None]:
    """Within it, SIGTERM raises Terminated, as SIGINT raises KeyboardInterrupt.

    Only the main thread hears signals: elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_):
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Interruption:
    """Turns SIGINT and SIGTERM into a request to stop after the step in hand.

    The first one is told to ``say``. A second SIGINT ends at once, as KeyboardInterrupt. A second
    SIGTERM changes nothing: a scheduler may send it to a process and to all that started it, which
    pass it on.

    After a SIGTERM the process ends by itself once ``grace_seconds`` have gone by (0: however long
    it takes), whatever it is in the midst of: with STOPPED where ``nothing_lost()``, else UNSAVED.

    Only the main thread hears signals: elsewhere ``ask`` alone asks.
    """

    def __init__(
        self,
        say: Callable[[str], object] = print,
        grace_seconds: float = 0.0,
        nothing_lost: Callable[[], bool] = lambda: False,
    ):
        self.received = None
        self._say, self._grace_seconds, self._nothing_lost = say, grace_seconds, nothing_lost

    def __enter__(self):
        self._is_heard = threading.current_thread() is threading.main_thread()
        if not self._is_heard:
            return self
        signals = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._receive) for number in signals}
        # Handlers wait for the main thread, which may be in a step; this pipe tells at once.
        reading, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        self._pipe_before = signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)
        self._left = threading.Event()
        self._watcher = threading.Thread(target=self._watch, args=[reading], daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_):
        if not self._is_heard:
            return
        self._left.set()
        signal.set_wakeup_fd(self._pipe_before)
        os.close(self._pipe)
        self._watcher.join()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ask(self, number: int = signal.SIGTERM) -> None:
        """Asks as a signal does that comes from outside."""
        if self.received is None:
            self.received = number

    def _receive(self, number: int, _: object):
        if self.received is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.ask(number)
        # A signal may come in the midst of another write to the same stream, which then refuses.
        with contextlib.suppress(RuntimeError, OSError):
            self._say("Stopping after this step ...")

    def _watch(self, reading: int) -> None:
        """A thread: waits for SIGTERM, then for the end of the grace."""
        with open(reading, "rb", buffering=0) as numbers:
            while received := numbers.read(1):
                if received[0] != signal.SIGTERM or not self._grace_seconds:
                    continue
                if not self._left.wait(self._grace_seconds):
                    self._end()

    def _end(self) -> None:
        lost = not self._nothing_lost()
        saved = "what came since the last checkpoint is lost" if lost else "nothing is lost"
        text = (
            f"What was in hand took longer than the {self._grace_seconds:g} s after SIGTERM: ended, "
            f"{saved}; the same command goes on.\n"
        )
        with contextlib.suppress(OSError):
            os.write(2, text.encode())
        os._exit(UNSAVED if lost else STOPPED)
