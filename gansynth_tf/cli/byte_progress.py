"""Progress lines of work that is counted in bytes."""

import time

_LINE_SECONDS = 5.0


class ByteProgress:
    """Prints how far the work is, every few seconds."""

    def __init__(self):
        self._printed = time.monotonic()
        self._start: tuple[float, int] | None = None
        self._done = 0

    def __call__(self, text: str, done: int, total: int) -> None:
        from gansynth_tf.callbacks import duration

        now = time.monotonic()
        if self._start is None or done < self._done:  # the next pass counts anew
            self._start = now, done
        self._done = done
        if now - self._printed < _LINE_SECONDS:
            return
        self._printed = now
        line = f"{text}; {done / 1e9:.1f} of {total / 1e9:.1f} GB"
        if done > self._start[1]:
            rate = (done - self._start[1]) / max(now - self._start[0], 1e-3)  # bytes a second
            line += f", {rate / 1e6:.0f} MB/s, {duration((total - done) / rate)} left"
        print(line, flush=True)
