"""gansynth_export: write a trained model for those who play it without this package."""

import pathlib
import sys

from absl import flags

from gansynth_tf.cli import export_sfz
from gansynth_tf.cli.command import check_folder, run_command


def _define(values: flags.FlagValues):
    flags.DEFINE_string(
        "model", None, "Trained model, as of gansynth_generate.", flag_values=values
    )
    flags.DEFINE_string(
        "export_dir",
        None,
        "Base folder; a SavedModel goes to export_dir/VERSION.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "version",
        None,
        "Version of the SavedModel; one more than the highest there if not given.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "saved_model",
        None,
        "Write a SavedModel (default: unless another is asked for).",
        flag_values=values,
    )
    flags.DEFINE_boolean("tflite", False, "Write gansynth.tflite.", flag_values=values)
    flags.DEFINE_boolean("onnx", False, "Write gansynth.onnx.", flag_values=values)
    export_sfz.define(values)


def _export(values: flags.FlagValues) -> int:
    from gansynth_tf import export, loading
    from gansynth_tf.checkpoint import CheckpointError
    from gansynth_tf.config import UserError
    from gansynth_tf.converters import ConversionError
    from gansynth_tf.instrument import RunInstrument

    for name in ("model", "export_dir"):
        if not values[name].value:
            raise UserError(f"--{name}=DIR is needed.")
    check_folder("export_dir", values.export_dir, is_written=True)
    export_sfz.check(values)
    others = values.tflite or values.onnx or values.sfz
    saved_model = not others if values.saved_model is None else values.saved_model
    if not (saved_model or others):
        raise UserError("--nosaved_model leaves nothing to write: give --tflite, --onnx or --sfz.")
    try:
        instrument = loading.load(values.model)
        needs_run = saved_model or values.tflite or values.onnx
        if needs_run and not isinstance(instrument, RunInstrument):
            raise UserError(
                f"--model={values.model} is an export already: a run folder was expected."
            )
        print(f"{instrument.path.name}: {instrument.description}", flush=True)
        if saved_model:
            _tell(export.export_saved_model(instrument, values.export_dir, values.version))
        for is_wanted, write in (
            (values.tflite, export.export_tflite),
            (values.onnx, export.export_onnx),
        ):
            if is_wanted:
                _tell(write(instrument, values.export_dir))
        if values.sfz:
            for path in export_sfz.write(instrument, values):
                _tell(path.parent)
    except CheckpointError as error:
        raise UserError(f"--model={values.model}: {error}") from error
    except (FileExistsError, ConversionError) as error:
        raise UserError(str(error)) from error
    return 0


def _tell(path: pathlib.Path) -> None:
    from gansynth_tf.files import size_of

    print(f"{path} ({size_of(path) / 1e6:.1f} MB)", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command("gansynth_export", __doc__, _define, _export, arguments)


def run() -> None:
    """Console entry point."""
    sys.exit(main())
