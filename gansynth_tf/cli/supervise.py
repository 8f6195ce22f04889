"""gansynth_supervise: gansynth_train, started again until it is done.

Every flag is one of gansynth_train, but for

--restarts=5
    How many times in a row a run that failed or was killed is started again without a new
    checkpoint. One that was asked to stop (exit code 75) is always started again.
--restart_seconds=10
    Seconds before the first of these; each further one waits twice as long.

It ends, with the code of gansynth_train, where that is done (0), was given bad input (2), was
interrupted (130) or is read no more (141), and where these restarts are used up. SIGTERM is passed
on, and the end of the run awaited.
"""

import argparse
import pathlib
import signal
import subprocess
import sys
import time

from gansynth_tf.cli.command import BAD_INPUT, INTERRUPTED, OUTPUT_CLOSED
from gansynth_tf.interruption import STOPPED

NAME = "gansynth_supervise"
_ENDS = (0, BAD_INPUT, INTERRUPTED, OUTPUT_CLOSED)
_TRAIN = (sys.executable, "-c", "from gansynth_tf.cli.train import run; run()")


class Supervisor:
    """Starts a command again and again.

    Args:
      command: what to start.
      checkpoints: the folder where its progress shows.
      restarts: how often in a row without progress.
      restart_seconds: before the first of them.
    """

    def __init__(
        self,
        command: list[str],
        checkpoints: pathlib.Path,
        restarts: int = 5,
        restart_seconds: float = 10.0,
    ):
        self._command, self._checkpoints = command, checkpoints
        self._restarts, self._seconds = restarts, restart_seconds
        self._process, self._asked = None, None

    def run(self) -> int:
        """Returns the exit code of the last process, of one that a signal ended as a shell does."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)
        failures = 0
        while True:
            before = self._newest()
            code = self._run_once()
            if code in _ENDS or self._asked:
                return code
            seconds = 0.0
            if code != STOPPED:
                failures = 0 if self._newest() != before else failures
                if failures == self._restarts:
                    _tell(f"gave up after {failures} restarts without a new checkpoint.")
                    return code
                seconds = self._seconds * 2**failures
                failures += 1
            _tell(f"gansynth_train ended with code {code}; it is started again in {seconds:g} s.")
            self._wait(seconds)
            if self._asked:
                return INTERRUPTED if self._asked == signal.SIGINT else STOPPED

    def _run_once(self) -> int:
        # In a group of its own, so that it gets a terminal's Ctrl-C once, passed on.
        self._process = subprocess.Popen(self._command, process_group=0)
        if self._asked:  # the signal came before there was whom to pass it on to
            self._process.send_signal(self._asked)
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def _receive(self, number: int, _: object):
        self._asked = number
        if self._process is not None:
            self._process.send_signal(number)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))

    def _newest(self) -> str:
        """Name of the newest checkpoint; they sort by what they hold."""
        return max((path.name for path in self._checkpoints.glob("ckpt_*.npz")), default="")


def _tell(text: str) -> None:
    print(f"{NAME}: {text}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"--help", "--helpshort", "-h"} & set(arguments):
        print(__doc__)
        return 0
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--restart_seconds", type=float, default=10.0)
    parser.add_argument("--run_dir")
    try:
        own, flags = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        _tell(f"{error}.")
        return BAD_INPUT
    if not own.run_dir:
        _tell("--run_dir=DIR is needed, and not in a flagfile: the folder of the run.")
        return BAD_INPUT
    if own.restarts < 0 or not 0 <= own.restart_seconds < 86_400:
        _tell("--restarts must be at least 0, and --restart_seconds from 0 to a day.")
        return BAD_INPUT
    command = [*_TRAIN, *flags, f"--run_dir={own.run_dir}"]
    checkpoints = pathlib.Path(own.run_dir, "checkpoints")
    return Supervisor(command, checkpoints, own.restarts, own.restart_seconds).run()


def run() -> None:
    """Console entry point."""
    sys.exit(main())
