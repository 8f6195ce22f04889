"""Exported models, each in a process of its own: size, cold start, seconds from latents to waves.

    python -m benchmarks.export --config=mel_if_hires

The cold start is that of a process which is asked for one note: interpreter, imports, the file,
the first call. The processes know nothing of this package.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

from absl import flags

from benchmarks import command
from benchmarks.measuring import show
from benchmarks.step import make_model
from gansynth_tf import converters, portable
from gansynth_tf.experiment import Experiment
from gansynth_tf.export import save_signatures
from gansynth_tf.files import size_of
from gansynth_tf.player import Player

MOST_NOTES = 1024
# Each defines play(z, pitch), which returns the waves; `path` is there already.
LOADERS = {
    "saved_model": """
import tensorflow as tf
loaded = tf.saved_model.load(path)
signature = loaded.signatures["synthesize"]
def play(z, pitch):
    return signature(z=tf.constant(z), pitch=tf.constant(pitch))["audio"].numpy()
""",
    "tflite": """
import os
import tensorflow as tf
interpreter = tf.lite.Interpreter(path, num_threads=os.cpu_count())
signature = interpreter.get_signature_runner("synthesize")
def play(z, pitch):
    return signature(z=z, pitch=pitch)["audio"]
""",
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
def play(z, pitch):
    return session.run(["audio"], {"z": z, "pitch": pitch})[0]
""",
}
# Arguments: file, latent size, a pitch, seconds, batch sizes. Prints one line before it measures.
MEASURE = """
import json, statistics, sys, time
import numpy as np
path, size, pitch, least, *batches = sys.argv[1:]
def notes(count):
    z = np.random.default_rng(0).standard_normal((count, int(size)), np.float32)
    return z, np.full(count, int(pitch), np.int32)
{loader}
play(*notes(1))
print("first", flush=True)
results = []
for count in map(int, batches):
    given, durations = notes(count), []
    play(*given)
    while len(durations) < 3 or sum(durations) < float(least):
        started = time.perf_counter()
        play(*given)
        durations.append(time.perf_counter() - started)
    results.append(statistics.median(durations))
print(json.dumps(results))
"""


def write_exports(player: Player, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """What is measured, by its name."""
    paths = {name: folder / name for name in LOADERS}
    save_signatures(player, paths["saved_model"])
    function = portable.make_function(player)
    paths["tflite"].write_bytes(converters.to_tflite(function))
    paths["onnx"].write_bytes(converters.to_onnx(function))
    return paths


def measure(
    name: str, path: pathlib.Path, player: Player, batches: list[int], least: float
) -> dict[str, object]:
    """One row."""
    script = MEASURE.format(loader=LOADERS[name])
    arguments = [path, player.latent_size, player.vocabulary.pitches[0], least, *batches]
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-I", "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        process.stdout.readline()
        cold = time.perf_counter() - started
        rest = process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"{name} does not play: exit code {process.returncode}")
    taken = json.loads(rest)
    row = {"export": name, "MB": size_of(path) / 1e6, "cold start s": cold}
    return row | {f"{count} notes s": value for count, value in zip(batches, taken, strict=True)}


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Writes the exports, measures each and shows them."""
    batches = command.whole_numbers("notes", values.notes, 1, MOST_NOTES)
    model = make_model(experiment)
    num_blocks = experiment.schedule.stages()[-1].num_blocks
    player = Player(model.config, model.ema_generator, num_blocks, fade=None)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_exports(player, pathlib.Path(folder))
        rows = [
            measure(name, path, player, batches, values.seconds) for name, path in paths.items()
        ]
    show(command.title("export", experiment), list(rows[0]), rows)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_list("notes", ["1", "8"], "Batch sizes.", flag_values=values)


if __name__ == "__main__":
    command.main("benchmarks.export", __doc__, run, _define)
