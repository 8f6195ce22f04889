"""A trained model as files that need neither this package nor its data."""

import os
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from gansynth_tf import converters, model_card, portable, warmup
from gansynth_tf.files import write_atomically
from gansynth_tf.instrument import RunInstrument
from gansynth_tf.signatures import SignatureModule

SAVED_MODEL = "saved_model.pb"
TFLITE, ONNX = "gansynth.tflite", "gansynth.onnx"
_TEMPORARY = ".export-"  # no version, so that a server that watches the folder passes it over


def versions(base: str | pathlib.Path) -> dict[int, pathlib.Path]:
    """Version -> folder of every export in ``base``, ascending."""
    base = pathlib.Path(base)
    if not base.is_dir():
        return {}
    found = [
        path for path in base.iterdir() if path.name.isdecimal() and (path / SAVED_MODEL).is_file()
    ]
    return {int(path.name): path for path in sorted(found, key=lambda path: int(path.name))}


def export_saved_model(
    instrument: RunInstrument, base: str | pathlib.Path, version: int | None = None
) -> pathlib.Path:
    """Writes ``base/<version>/`` whole or not at all.

    Args:
      version: a whole number of at least 1; one more than the highest there when None.

    Returns:
      The folder.

    Raises:
      FileExistsError: there is such a version, which a server may be serving.
    """
    base = pathlib.Path(base)
    base.mkdir(parents=True, exist_ok=True)
    taken = [int(path.name) for path in base.iterdir() if path.name.isdecimal()]
    version = max(taken, default=0) + 1 if version is None else version
    folder = base / str(version)
    if version in taken:
        raise FileExistsError(f"{folder} is there already: another version was expected.")
    _remove_abandoned(base)
    temporary = base / f"{_TEMPORARY}{os.getpid()}"
    try:
        _write(instrument, temporary)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def export_tflite(instrument: RunInstrument, base: str | pathlib.Path) -> pathlib.Path:
    """Writes ``base/gansynth.tflite`` (z, pitch -> audio) and what it is; returns its path.

    Raises:
      ConversionError: it cannot hold the model.
    """
    return _write_portable(instrument, pathlib.Path(base) / TFLITE, converters.to_tflite)


def export_onnx(instrument: RunInstrument, base: str | pathlib.Path) -> pathlib.Path:
    """As ``export_tflite``, ``base/gansynth.onnx``."""
    return _write_portable(instrument, pathlib.Path(base) / ONNX, converters.to_onnx)


def _write_portable(
    instrument: RunInstrument, path: pathlib.Path, convert: Callable
) -> pathlib.Path:
    content = convert(portable.make_function(instrument.player))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(content))
    model_card.write(instrument, path.parent / model_card.FILE.name)
    return path


def _write(instrument: RunInstrument, folder: pathlib.Path) -> None:
    module = SignatureModule(instrument.player)
    tf.saved_model.save(module, str(folder), module.signatures())
    (folder / model_card.FILE).parent.mkdir(exist_ok=True)
    model_card.write(instrument, folder / model_card.FILE)
    warmup.write(folder, _warmup_requests(instrument))


def _warmup_requests(instrument: RunInstrument) -> list[tuple[str, dict[str, np.ndarray]]]:
    """One note by each signature that plays one, and by ``serving_default``."""
    pitch = np.array([instrument.pitches[len(instrument.pitches) // 2]], np.int32)
    note = {"pitch": pitch, "seed": np.array([0], np.int32)}
    z = np.zeros([1, instrument.latent_size], np.float32)
    latent = {"z": z, "pitch": pitch}
    path = {"z_from": z, "z_to": z, "amount": np.array([0.5], np.float32), "pitch": pitch}
    return [
        ("serving_default", note),
        ("generate", note),
        ("generate_wav", note),
        ("synthesize", latent),
        ("interpolate", path),
    ]


def _remove_abandoned(base: pathlib.Path) -> None:
    """Removes what killed exports left; those of living processes stay."""
    for left in base.glob(f"{_TEMPORARY}*"):
        number = left.name.removeprefix(_TEMPORARY)
        if not (number.isdecimal() and pathlib.Path(f"/proc/{number}").exists()):
            shutil.rmtree(left, ignore_errors=True)
