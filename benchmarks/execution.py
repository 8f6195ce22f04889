"""What precision, XLA and several steps at once change in a run: its losses, and pitches heard.

The same run, of the first stage alone and of a fixed number of images, again and again: as it is,
with another seed (how far chance alone goes), and with each flag.

    python -m benchmarks.execution --config=quickstart
"""

import pathlib
import tempfile

import numpy as np
from absl import flags

from benchmarks import command
from benchmarks.measuring import show
from gansynth_tf import callbacks, quickstart
from gansynth_tf.experiment import Experiment
from gansynth_tf.instrument import load_run
from gansynth_tf.training import Trainer

VARIANTS = {
    "float32": {},
    "another seed": {"seed": 1},
    "steps_per_execution=8": {"steps_per_execution": 8},
    "tensorfloat32": {"precision": "tensorfloat32"},
    "jit_compile": {"jit_compile": True},
    "mixed_bfloat16": {"precision": "mixed_bfloat16"},
}
# The critic's estimate of the distance, the penalty, pitch losses of real and generated notes.
TERMS = ("wasserstein_d", "gradient_penalty", "real_ac_loss", "fake_ac_loss")
COLUMNS = ["run", "images/s", *TERMS, "heard", "timbre dB"]


def measure(name: str, experiment: Experiment, run_dir: pathlib.Path) -> dict:
    """One row: losses averaged over the second half of the run, and its notes."""
    outcome = Trainer(experiment, run_dir, say=_say_nothing).run()
    images = outcome.state.images
    rows = [
        row
        for row in callbacks.read_log(run_dir / callbacks.LOG_FILE)
        if row["images"] > images / 2
    ]
    figures = quickstart.measure(load_run(run_dir), quickstart.NUM_NOTES, _say_nothing)
    values = [
        name,
        images / outcome.state.seconds,
        *(float(np.mean([row[term] for row in rows])) for term in TERMS),
        figures.pitch_share,
        figures.timbre_spread,
    ]
    return dict(zip(COLUMNS, values, strict=True))


def _say_nothing(_: str) -> None:
    pass


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Trains every variant and shows them."""
    fixed = experiment.values | {
        "train_time_limit": None,
        "stable_stage_num_images": values.images,
        "total_num_images": values.images,
        "log_seconds": 1.0,
        "tensorboard": False,
    }
    rows = []
    for name in values.variants:
        with tempfile.TemporaryDirectory() as folder:
            variant = Experiment.from_values(fixed | VARIANTS[name])
            rows.append(measure(name, variant, pathlib.Path(folder)))
        show(command.title("execution", experiment), COLUMNS, rows)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_integer("images", 20_480, "Images of each run.", 1, flag_values=values)
    flags.DEFINE_multi_enum(
        "variants", list(VARIANTS), list(VARIANTS), "Runs to make.", flag_values=values
    )


if __name__ == "__main__":
    command.main("benchmarks.execution", __doc__, run, _define)
