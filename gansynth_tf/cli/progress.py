"""Progress lines of long work: how much is done, how fast, and how long the rest will take."""

import time
from collections.abc import Callable

from gansynth_tf.cadence import Every

LINE_SECONDS = 5.0


class Progress:
    """Prints how far the work is, every few seconds; nothing of what is done sooner.

    Args:
      unit: what is counted, in the plural.
      size: how much of what the calls count makes one of the unit: 1e6 where bytes are counted
        and "MB" are shown.
      clock: seconds that only grow.
    """

    def __init__(self, unit: str, size: float = 1.0, clock: Callable[[], float] = time.monotonic):
        self._unit, self._size, self._clock = unit, size, clock
        self._made = self._begun = clock()
        self._every = Every(LINE_SECONDS)
        self._first: float | None = None  # what was done when counting began
        self._last = 0.0

    def __call__(self, done: float, total: float, text: str = "") -> None:
        """Tells of ``done`` out of ``total``, after ``text``; less than before begins a new pass."""
        now = self._clock()
        if self._first is None:  # not 0, where earlier work is gone on with
            self._first = done
        elif done < self._last:
            self._begun, self._first = now, done
        self._last = done
        if not self._every.due(now - self._made):
            return
        from gansynth_tf.callbacks import duration  # TensorFlow, which takes seconds

        size, unit = self._size, self._unit
        line = f"{text}; " if text else ""
        line += f"{done / size:,.0f} of {total / size:,.0f} {unit}"
        # Less tells no rate: the first of many may have waited for all that come at once.
        if done > self._first and 100 * (done - self._first) >= total:
            rate = (done - self._first) / (now - self._begun)
            line += f", {rate / size:,.3g} {unit}/s, {duration((total - done) / rate)} left"
        print(line, flush=True)
