"""GANSynth for TensorFlow 2 and Keras 3: a progressive GAN that makes musical notes."""

import importlib
import os
import pathlib

__version__ = "0.1.0"

# TensorFlow reads this when it is first imported. It leaves oneDNN's convolutions off on CPUs
# without AVX-512 VNNI, though they halve the time of a training step there too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def load(name_or_folder: str | pathlib.Path) -> "gansynth_tf.instrument.Instrument":  # noqa: F821
    """A trained model to play, as ``--model`` of the commands takes it.

    Args:
      name_or_folder: a run folder, a checkpoint's file, or a folder that ``gansynth_export`` wrote.

    Returns:
      An instrument with ``generate``, ``synthesize``, ``analyze``, ``invert``, ``interpolate`` and
      the model's facts; see ``gansynth_tf.instrument.Instrument``.

    Raises:
      OSError: there is no such model, or it cannot be read or used; the message says which.
    """
    # Imported on first use: TensorFlow takes seconds.
    return importlib.import_module("gansynth_tf.loading").load(name_or_folder)
