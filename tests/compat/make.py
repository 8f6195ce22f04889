"""Writes ``run_format_<N>`` or ``export_format_<N>`` beside this file, of the format as it is now.

    python tests/compat/make.py run
    python tests/compat/make.py export    # of the newest run

To be called once for a format, when it is released; what is there stays as it is.
"""

import pathlib
import shutil
import sys
import tempfile

import numpy as np

COMPAT = pathlib.Path(__file__).parent
sys.path[:0] = [str(COMPAT.parent), str(COMPAT.parents[1])]

from experiments import small_flags  # noqa: E402

from gansynth_tf import callbacks, checkpoint, config, export, model_card  # noqa: E402
from gansynth_tf.cli import train  # noqa: E402
from gansynth_tf.instrument import load_run  # noqa: E402
from gansynth_tf.training import CHECKPOINT_FOLDER  # noqa: E402

NOTES = "notes.npz"
IMAGES = 44  # one step before the run's end, inside its third stage
# Its first block is as small as the networks allow, and so are the files.
CHANGES = {"start_height": 4, "start_width": 8, "scale_base": 8}


def make_run(target: pathlib.Path) -> None:
    """A small run, and how two notes of it sound."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = pathlib.Path(folder)
        flags = small_flags(**CHANGES, checkpoint_num_images=4, log_seconds=1e-6)
        if code := train.main([*flags, f"--run_dir={run_dir}"]):
            sys.exit(code)
        path = run_dir / CHECKPOINT_FOLDER / f"ckpt_{IMAGES:012d}.npz"
        (target / CHECKPOINT_FOLDER).mkdir(parents=True)
        shutil.copy(path, target / CHECKPOINT_FOLDER)
        shutil.copy(run_dir / config.SETTINGS_FILE, target)
        shutil.copy(run_dir / callbacks.LOG_FILE, target)
    callbacks.trim_log(target / callbacks.LOG_FILE, IMAGES)
    instrument = load_run(target)
    latents = instrument.latents(seed=1, count=2)
    pitches = np.array(instrument.vocabulary.pitches[:2])
    waves = instrument.synthesize(latents, pitches)
    np.savez(target / NOTES, latents=latents, pitches=pitches, waves=waves)


def make_export(target: pathlib.Path) -> None:
    """The newest format's run as a SavedModel."""
    run = COMPAT / f"run_format_{checkpoint.FORMAT_VERSION}"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(export.export_saved_model(load_run(run), folder), target)
    shutil.copy(run / NOTES, target)


def main(kind: str) -> None:
    make, version = {
        "run": (make_run, checkpoint.FORMAT_VERSION),
        "export": (make_export, model_card.FORMAT_VERSION),
    }[kind]
    target = COMPAT / f"{kind}_format_{version}"
    if target.exists():
        sys.exit(f"{target} is there already: a released format does not change.")
    make(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
