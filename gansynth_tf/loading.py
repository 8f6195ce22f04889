"""From a name or a folder to an instrument: what ``--model`` takes."""

import pathlib
from collections.abc import Callable

from gansynth_tf import checkpoint, export
from gansynth_tf.checkpoint import CheckpointError
from gansynth_tf.instrument import Instrument, RunInstrument, load_run
from gansynth_tf.saved_instrument import SavedInstrument
from gansynth_tf.training import CHECKPOINT_FOLDER

EXPECTED = "a run folder, one of its checkpoints, or a folder that gansynth_export wrote"


def load(name_or_folder: str | pathlib.Path, warn: Callable[[str], object] = print) -> Instrument:
    """A trained model, ready to play.

    Args:
      name_or_folder: a run folder (its newest readable checkpoint), a checkpoint's file, or an
        export: the SavedModel's own folder, or the one of its versions, the highest of which is
        taken.
      warn: is told of checkpoints that cannot be read and are passed over.

    Raises:
      CheckpointError: there is no such model, or it cannot be read or used.
    """
    path = pathlib.Path(name_or_folder)
    if path.is_file() and path.suffix == ".npz":
        return RunInstrument(checkpoint.load(path))
    if not path.is_dir():
        raise CheckpointError(f"{path} is not there: {EXPECTED} was expected.")
    if (path / export.SAVED_MODEL).is_file():
        return SavedInstrument(path)
    if (path / CHECKPOINT_FOLDER).is_dir():
        return load_run(path, warn)
    exported = export.versions(path)
    if exported:
        return SavedInstrument(exported[max(exported)])
    raise CheckpointError(f"{path} holds no model: {EXPECTED} was expected.")
