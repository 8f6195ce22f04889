"""The signatures of an exported model: what a server calls, checked where it is called.

Every argument is checked inside of the graph, so that plain TensorFlow answers bad input with
InvalidArgument and a sentence. Sizes are therefore left open in the signatures.
"""

import tensorflow as tf

from gansynth_tf.convolution import standard_gradients
from gansynth_tf.player import (
    UNKNOWN_PITCH,
    Player,
    interpolate_latents,
    latents_of_seeds,
)

Tensors = dict[str, tf.Tensor]

PITCH = tf.TensorSpec([None], tf.int32, "pitch")
SEED = tf.TensorSpec([None], tf.int32, "seed")
AMOUNT = tf.TensorSpec([None], tf.float32, "amount")
AUDIO = tf.TensorSpec([None, None], tf.float32, "audio")
SPECGRAM = tf.TensorSpec([None, None, None, None], tf.float32, "specgram")


def _latent(name: str) -> tf.TensorSpec:
    return tf.TensorSpec([None, None], tf.float32, name)


class SignatureModule(tf.Module):
    """A player as signatures; ``B`` is any number of notes from 1 on.

    ``generate``        pitch int32 [B], seed int32 [B] -> audio [B, samples], z [B, latent]
    ``generate_wav``    the same -> wav_bytes string [B]: 16-bit wav files
    ``synthesize``      z [B, latent], pitch [B] -> audio [B, samples]
    ``specgram``        z [B, latent], pitch [B] -> specgram [B, time, freq, 2]
    ``invert``          specgram [B, time, freq, 2] -> audio [B, samples]
    ``analyze``         audio [B, samples] -> specgram [B, time, freq, 2]
    ``interpolate``     z_from, z_to [B, latent], amount [B], pitch [B] -> audio [B, samples]

    A note depends on its own arguments alone. Peaks of ``audio`` may exceed 1; a wav whose peak
    does is brought down to 1.
    """

    def __init__(self, player: Player):
        super().__init__(name="gansynth")
        self._player = [player]  # in a list, which tf.Module does not search for variables
        # The only variables of the export. A Keras model would be stored beside them with all its
        # layers, and could not be read by the loader of TensorFlow 1.
        self.weights = [variable.value for variable in player.generator.variables]

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Name -> traced signature."""
        functions = {
            "serving_default": self.generate,
            "generate": self.generate,
            "generate_wav": self.generate_wav,
            "synthesize": self.synthesize,
            "specgram": self.specgram,
            "invert": self.invert,
            "analyze": self.analyze,
            "interpolate": self.interpolate,
        }
        with standard_gradients():
            return {name: function.get_concrete_function() for name, function in functions.items()}

    # --- Signatures ---

    @tf.function(input_signature=[PITCH, SEED])
    def generate(self, pitch: tf.Tensor, seed: tf.Tensor) -> Tensors:
        audio, z = self._generate(pitch, seed)
        return {"audio": audio, "z": z}

    @tf.function(input_signature=[PITCH, SEED])
    def generate_wav(self, pitch: tf.Tensor, seed: tf.Tensor) -> Tensors:
        audio, _ = self._generate(pitch, seed)
        return {"wav_bytes": self._encode(audio)}

    @tf.function(input_signature=[_latent("z"), PITCH])
    def synthesize(self, z: tf.Tensor, pitch: tf.Tensor) -> Tensors:
        return {"audio": self._audio(*self._checked_notes(pitch, z=z))}

    @tf.function(input_signature=[_latent("z"), PITCH])
    def specgram(self, z: tf.Tensor, pitch: tf.Tensor) -> Tensors:
        return {"specgram": self._specgrams(*self._checked_notes(pitch, z=z))}

    @tf.function(input_signature=[SPECGRAM])
    def invert(self, specgram: tf.Tensor) -> Tensors:
        shape = self._codec.specgram_shape
        return {"audio": self._inverted(_checked("specgram", specgram, shape))}

    @tf.function(input_signature=[AUDIO])
    def analyze(self, audio: tf.Tensor) -> Tensors:
        audio = _checked("audio", audio, (self._codec.audio_length,))
        return {"specgram": self._codec.waves_to_specgrams(audio)}

    @tf.function(input_signature=[_latent("z_from"), _latent("z_to"), AMOUNT, PITCH])
    def interpolate(
        self, z_from: tf.Tensor, z_to: tf.Tensor, amount: tf.Tensor, pitch: tf.Tensor
    ) -> Tensors:
        labels, z_from, z_to = self._checked_notes(pitch, z_from=z_from, z_to=z_to)
        within = (amount >= 0.0) & (amount <= 1.0)
        amount = _asserted(
            tf.shape(amount)[0] == tf.shape(pitch)[0],
            _same_number("amount", "pitch"),
            amount,
            tf.shape(amount)[0],
        )
        amount = _asserted(
            tf.reduce_all(within), "amount must be numbers from 0 to 1.", amount, amount
        )
        return {"audio": self._audio(labels, interpolate_latents(z_from, z_to, amount))}

    # --- What they share, traced once ---

    @property
    def _codec(self):
        return self._player[0].codec

    def _generate(self, pitch: tf.Tensor, seed: tf.Tensor):
        seed = _asserted(
            tf.shape(pitch)[0] == tf.shape(seed)[0],
            _same_number("seed", "pitch"),
            seed,
            tf.shape(seed)[0],
        )
        z = latents_of_seeds(seed, self._player[0].latent_size)
        labels = self._checked_labels(pitch)
        return self._audio(labels, z), z

    def _audio(self, labels: tf.Tensor, z: tf.Tensor):
        return self._inverted(self._specgrams(labels, z))

    @tf.function
    def _specgrams(self, labels: tf.Tensor, z: tf.Tensor):
        return self._player[0].specgrams(z, labels)

    @tf.function
    def _inverted(self, specgram: tf.Tensor):
        return self._codec.specgrams_to_waves(specgram)

    def _encode(self, audio: tf.Tensor):
        peaks = tf.reduce_max(tf.abs(audio), axis=1, keepdims=True)
        audio = audio / tf.maximum(peaks, 1.0)

        def encode(wave: tf.Tensor) -> tf.Tensor:
            return tf.audio.encode_wav(wave[:, tf.newaxis], self._codec.sample_rate)

        return tf.map_fn(encode, audio, fn_output_signature=tf.TensorSpec([], tf.string))

    def _checked_labels(self, pitch: tf.Tensor):
        player = self._player[0]
        pitch = _asserted(tf.size(pitch) > 0, "pitch must name at least one note.", pitch, pitch)
        labels = player.labels(pitch)
        return _asserted(
            tf.reduce_all(labels != UNKNOWN_PITCH),
            f"pitch: the model knows only MIDI pitches {player.vocabulary.describe()}.",
            labels,
            pitch,
        )

    def _checked_notes(self, pitch: tf.Tensor, **latents: tf.Tensor):
        """Labels of the pitches, then the latents, each by its name as an argument."""
        checked = [self._checked_labels(pitch)]
        for name, z in latents.items():
            z = _asserted(
                tf.shape(z)[0] == tf.shape(pitch)[0], _same_number(name, "pitch"), z, tf.shape(z)
            )
            checked.append(_checked(name, z, (self._player[0].latent_size,)))
        return checked


def _checked(name: str, value: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """``value`` [n, *shape], of that static shape, asserted to be so and finite."""
    sizes = ", ".join(map(str, shape))
    fits = tf.reduce_all(tf.shape(value)[1:] == list(shape))
    value = _asserted(fits, f"{name} must have shape [n, {sizes}].", value, tf.shape(value))
    value = tf.ensure_shape(value, [None, *shape])
    finite = tf.reduce_all(tf.math.is_finite(value))
    return _asserted(finite, f"{name} must be finite numbers.", value, finite)


def _same_number(name: str, other: str) -> str:
    return f"{name} must be as many as {other}."


def _asserted(holds: tf.Tensor, sentence: str, value: tf.Tensor, shown: tf.Tensor) -> tf.Tensor:
    """``value``, for whose use ``holds`` must be true; else InvalidArgument says the sentence."""
    with tf.control_dependencies([tf.debugging.Assert(holds, [sentence, shown], 8)]):
        return tf.identity(value)
