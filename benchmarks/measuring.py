"""Timing, ceilings and how results are shown; shared by all benchmarks."""

import functools
import json
import statistics
import time
from collections.abc import Callable

import tensorflow as tf

from gansynth_tf.costs import LayerCost


def seconds(function: Callable[[], object], least: float = 1.0, calls: int = 3) -> float:
    """Median duration of a call, after one that is not counted.

    At least ``calls`` calls are counted, and more until they have taken ``least`` seconds.
    """
    function()
    durations: list[float] = []
    while len(durations) < calls or sum(durations) < least:
        started = time.perf_counter()
        function()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def seconds_in_turn(
    functions: dict[str, Callable[[], object]], least: float, rounds: int = 10
) -> dict[str, float]:
    """Median duration of each, called one after the other: what else runs then meets all of them.

    At least ``rounds`` rounds are counted, after one that is not, and more until the first
    function's calls have taken ``least`` seconds.
    """
    durations = {name: [] for name in functions}
    for function in functions.values():
        function()
    while min(map(len, durations.values())) < rounds or sum(next(iter(durations.values()))) < least:
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            durations[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in durations.items()}


@functools.lru_cache
def convolution_rate(layer: LayerCost, batch: int) -> float:
    """Operations a second of one bare forward convolution of the layer's size, in float32."""
    time_frames, freq = layer.size
    taps_time, taps_freq, inputs, outputs = layer.kernel
    kernel = tf.random.normal(layer.kernel)
    if layer.size == (1, 1):  # a dense layer
        x = tf.random.normal([batch, taps_time * taps_freq * inputs])
        kernel = tf.reshape(kernel, [-1, outputs])
        product = tf.function(lambda: tf.matmul(x, kernel))
    else:
        x = tf.random.normal([batch, time_frames, freq, inputs])
        product = tf.function(lambda: tf.nn.conv2d(x, kernel, 1, "SAME"))
    operations = 2 * taps_time * taps_freq * inputs * outputs * layer.cells * batch
    return operations / seconds(product, least=0.2)


def copy_rate(size: int = 64 * 2**20) -> float:
    """Bytes a second that one copy in memory reads and writes."""
    x = tf.zeros([size // 4])
    copy = tf.function(lambda: x + 1.0)
    return 2 * size / seconds(copy, least=0.3)


def show(title: str, columns: list[str], rows: list[dict]) -> None:
    """Prints a table, and the same as one JSON line."""
    print(f"\n{title}")
    table = [columns, *([_text(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    for line in table:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    print(json.dumps({"benchmark": title, "rows": rows}), flush=True)


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
