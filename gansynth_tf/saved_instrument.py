"""An exported model to play, by the signatures of its SavedModel."""

import pathlib

import tensorflow as tf

from gansynth_tf import model_card
from gansynth_tf.checkpoint import CheckpointError, fitting
from gansynth_tf.instrument import Instrument


class SavedInstrument(Instrument):
    """Played by a SavedModel of ``gansynth_export``: not by this package's own networks."""

    def __init__(self, folder: pathlib.Path):
        """Raises CheckpointError where the folder's SavedModel is damaged, or somebody else's."""
        card = model_card.read(folder)
        super().__init__(folder, card.codec, card.vocabulary, card.latent_size, card.description)
        try:
            loaded = tf.saved_model.load(str(folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{folder} is damaged: {reason}") from error
        with fitting(folder):
            names = ("specgram", "invert", "synthesize", "generate")
            self._signatures = {name: loaded.signatures[name] for name in names}
        self._loaded = loaded  # its variables live as long as it does

    def _specgrams(self, latents: tf.Tensor, pitches: tf.Tensor) -> tf.Tensor:
        return self._signatures["specgram"](z=latents, pitch=pitches)["specgram"]

    def _waves(self, specgrams: tf.Tensor) -> tf.Tensor:
        return self._signatures["invert"](specgram=specgrams)["audio"]

    def differentiable(self, latents: tf.Tensor, pitches: tf.Tensor) -> tf.Tensor:
        return self._signatures["synthesize"](z=latents, pitch=pitches)["audio"]
