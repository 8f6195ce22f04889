"""gansynth_quickstart: train quickstart.cfg (or --config), play the notes, write report.html."""

import pathlib
import sys

from absl import flags

from gansynth_tf.cli import train
from gansynth_tf.cli.command import run_command

DEFAULTS = {"config": "quickstart", "run_dir": "runs/quickstart"}


def _quickstart(values: flags.FlagValues) -> int:
    from gansynth_tf import quickstart, report

    code = train.train(values)
    if code or values.dry_run:
        return code
    run_dir = pathlib.Path(values.run_dir)
    figures = quickstart.write_results(run_dir)
    print(
        f"{figures.pitch_share:.0%} of {figures.notes} generated notes are heard within "
        f"{figures.tolerance_cents:.0f} cents of their pitch; of real notes, "
        f"{figures.real_pitch_share:.0%}.\n"
        f"Open {run_dir / report.HTML_NAME} in a browser."
    )
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code. Its flags are those of gansynth_train."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return run_command(
        "gansynth_quickstart", __doc__, train.define, _quickstart, arguments, DEFAULTS
    )


def run() -> None:
    """Console entry point."""
    sys.exit(main())
