"""gansynth_data: make data sets of notes, and look at them.

    gansynth_data prepare_nsynth   NSynth's official archives -> what TensorFlow Datasets reads
    gansynth_data render_soundfont a SoundFont's instruments -> notes
    gansynth_data import_folder    your own recordings -> notes
    gansynth_data inspect          counts, pictures and a page that plays

`gansynth_data COMMAND --helpshort` lists the flags of one.
"""

import importlib
import sys

from absl import logging

from gansynth_tf.cli.command import BAD_INPUT, run_command

# Command -> its module, which has ``define(values)`` and ``body(values)``.
COMMANDS = {
    "prepare_nsynth": "prepare_nsynth",
    "render_soundfont": "render_soundfont",
    "import_folder": "import_folder",
    "inspect": "inspect_data",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the command that the first argument names; returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    name, *rest = arguments or [""]
    if name in ("--help", "--helpshort", "help"):
        print(__doc__)
        return 0
    if name not in COMMANDS:
        given = f"not {name!r}" if name else "and was left out"
        print(
            f"gansynth_data: the first argument must be one of {', '.join(COMMANDS)}, {given}.",
            file=sys.stderr,
        )
        return BAD_INPUT
    logging.set_verbosity(logging.ERROR)  # TensorFlow Datasets warns of its own deprecated calls
    module = importlib.import_module(f"gansynth_tf.cli.{COMMANDS[name]}")
    return run_command(f"gansynth_data {name}", module.__doc__, module.define, module.body, rest)


def run() -> None:
    """Console entry point."""
    sys.exit(main())
