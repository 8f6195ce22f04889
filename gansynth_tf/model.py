"""GANSynth: generator, its moving average, discriminator, and the step that trains them.

One iteration, in the original's order: the generator on fresh latents and labels; its moving
average from the updated weights; the discriminator on fresh latents, labels and interpolation
weights and a batch of real notes, against the just-updated generator.

Everything random is drawn from (seed, step) for the global batch and then sliced by replica: a
resumed run and a run on another number of replicas see the same numbers.
"""

import dataclasses
import enum
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gansynth_tf import losses, networks
from gansynth_tf.losses import DiscriminatorLosses, GeneratorLosses, LossConfig
from gansynth_tf.networks import NetworkConfig, StageEncoder
from gansynth_tf.schedule import Stage
from gansynth_tf.specgram import SPECGRAMS, Normalizer, NormalizerConfig, SpecgramCodec

ADAM_EPSILON = 1e-8


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """Adam's settings for both networks, under the original's names.

    ``ema_decay`` is new; the original's moving average has 0.999 fixed. A short run needs less:
    a new block's average starts at its first weights and forgets them in some 1 / (1 - decay)
    steps.
    """

    generator_learning_rate: float = 8e-4
    discriminator_learning_rate: float = 8e-4
    adam_beta1: float = 0.0
    adam_beta2: float = 0.99
    ema_decay: float = 0.999

    def __post_init__(self):
        for name in ("generator_learning_rate", "discriminator_learning_rate"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} must be above 0 and at most 1, not {getattr(self, name)!r}."
                )
        for name in ("adam_beta1", "adam_beta2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), not {getattr(self, name)!r}.")


@dataclasses.dataclass(frozen=True)
class PitchVocabulary:
    """The MIDI pitches that a model knows, ascending, and how often its notes have them."""

    pitches: tuple[int, ...]
    counts: tuple[int, ...]

    def __post_init__(self):
        if not self.pitches or len(self.pitches) != len(self.counts):
            raise ValueError("A pitch vocabulary needs at least one pitch and a count for each.")
        if list(self.pitches) != sorted(set(self.pitches)):
            raise ValueError("A pitch vocabulary must be ascending, without repetition.")
        if min(self.counts) < 1:
            raise ValueError("Every pitch of a vocabulary must occur at least once.")

    @classmethod
    def from_pitches(cls, pitches: Sequence[int]) -> "PitchVocabulary":
        """Counts the pitches of a data set's notes."""
        values, counts = np.unique(np.asarray(pitches, np.int64), return_counts=True)
        return cls(tuple(map(int, values)), tuple(map(int, counts)))

    def labels(self, pitches: Sequence[int]) -> np.ndarray:
        """MIDI pitches [n] -> labels [n] int32.

        Raises:
          ValueError: a pitch that the vocabulary lacks.
        """
        index = {pitch: label for label, pitch in enumerate(self.pitches)}
        unknown = sorted({int(p) for p in pitches} - set(index))
        if unknown:
            raise ValueError(
                f"pitches {', '.join(map(str, unknown))}: the model knows only MIDI pitches "
                f"{self.describe()}."
            )
        return np.array([index[int(pitch)] for pitch in pitches], np.int32)

    def describe(self) -> str:
        """ "48-72", or a list where pitches are missing."""
        first, last = self.pitches[0], self.pitches[-1]
        if len(self.pitches) == last - first + 1:
            return f"{first}-{last}"
        return ", ".join(map(str, self.pitches))


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """All that makes a model what it is; a saved run keeps it."""

    codec: SpecgramCodec
    normalizer: NormalizerConfig
    networks: NetworkConfig
    vocabulary: PitchVocabulary

    def __post_init__(self):
        if self.codec.representation == "wave":
            raise ValueError(
                f"data_type=wave has no specgram for these networks to train on: one of "
                f"{', '.join(SPECGRAMS)} was expected."
            )
        if self.codec.representation == "unwrapped_phase" and not self.normalizer.is_fitted:
            # Its range grows with the note: the prespecified numbers would clip nearly all of it.
            raise ValueError(
                "data_type=unwrapped_phase needs a fitted normaliser: give "
                "--data_normalizer=specgrams_simple_normalizer."
            )
        if len(self.vocabulary.pitches) != self.networks.num_pitches:
            raise ValueError("num_pitches must be the size of the pitch vocabulary.")
        size = (self.codec.time, self.codec.freq)
        if size != self.networks.resolutions.final_resolution:
            raise ValueError(
                f"The codec makes specgrams of {size}, the networks of "
                f"{self.networks.resolutions.final_resolution}."
            )


# --- Random numbers ---


class Stream(enum.IntEnum):
    """What is drawn in a step; each has numbers of its own."""

    GENERATOR_LATENTS = 0
    GENERATOR_LABELS = 1
    DISCRIMINATOR_LATENTS = 2
    DISCRIMINATOR_LABELS = 3
    INTERPOLATION = 4


class Draws(NamedTuple):
    """What is random in a step: of the generator's update, then of the discriminator's.

    Latents are [batch, latent], labels one-hot [batch, pitches], interpolation weights [batch].
    """

    latents_g: tf.Tensor
    labels_g: tf.Tensor
    latents_d: tf.Tensor
    labels_d: tf.Tensor
    amount: tf.Tensor


def step_seed(seed: int, step: tf.Tensor, stream: Stream) -> tf.Tensor:
    """[2] int64 seed for tf.random.stateless_*; a pure function of its arguments."""
    base = tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)])
    return tf.random.experimental.stateless_fold_in(base, int(stream))


def latents_from_seed(seed: int, count: int, size: int) -> np.ndarray:
    """Latents [count, size] float32 for playing, the same on every machine."""
    generator = np.random.Generator(np.random.Philox(key=seed))
    return generator.standard_normal((count, size), dtype=np.float32)


# --- Model ---


class GANSynth(keras.Model):
    """The whole of GANSynth at one stage of its growth.

    ``begin_stage`` must be called before the first ``train_step`` and at each change of stage;
    it makes new optimizers and asks for a new trace of the step.
    """

    def __init__(
        self,
        config: ModelConfig,
        loss_config: LossConfig = LossConfig(),
        optimizer_config: OptimizerConfig = OptimizerConfig(),
        scale_offset: np.ndarray | None = None,
        seed: int = 0,
        image_type: str = "float32",
        global_stddev: bool = False,
    ):
        """A model with its first weights.

        Args:
          scale_offset: the fitted normaliser's numbers (NormalizerConfig.fit).
          image_type: of the images inside the networks, "float32" or "bfloat16".
          global_stddev: whether the critic's minibatch statistic is that of all replicas' notes.
        """
        super().__init__(name="gansynth")
        if scale_offset is None:
            if config.normalizer.is_fitted:
                raise ValueError(f"{config.normalizer.data_normalizer} needs fitted numbers.")
            scale_offset = config.normalizer.prespecified()
        self.config = config
        self.loss_config = loss_config
        self.optimizer_config = optimizer_config
        self.seed = seed
        self.normalizer = Normalizer(scale_offset)
        shared = {"normalizer": self.normalizer, "seed": seed, "image_type": image_type}
        make = networks.make_generator
        self.generator = make(config.networks, **shared)
        self.ema_generator = make(config.networks, name="ema_generator", **shared)
        self.ema_generator.trainable = False
        self.discriminator = networks.make_discriminator(
            config.networks, **shared, global_stddev=global_stddev
        )
        # Same seed, same names, same weights: the average starts equal to what it averages.
        self.stage: Stage | None = None
        self.built = True

    # --- Stages ---

    @property
    def num_blocks(self) -> int:
        return self.stage.num_blocks

    @property
    def encoder(self) -> StageEncoder:
        """What makes the stage's specgrams of waves."""
        by_frequency = self.normalizer.by_frequency
        return StageEncoder(self.config.codec, self.config.networks, self.num_blocks, by_frequency)

    def begin_stage(self, stage: Stage) -> None:
        """Takes ``stage``'s blocks into use, with new optimizers over their variables alone."""
        self.stage = stage
        config = self.optimizer_config
        fading = stage.is_transition
        self.generator_variables = self.generator.active_variables(stage.num_blocks, fading)
        self.discriminator_variables = self.discriminator.active_variables(stage.num_blocks, fading)
        self.generator_optimizer = self._adam(config.generator_learning_rate)
        self.generator_optimizer.build(self.generator_variables)
        self.discriminator_optimizer = self._adam(config.discriminator_learning_rate)
        self.discriminator_optimizer.build(self.discriminator_variables)

    def _adam(self, learning_rate: float):
        config = self.optimizer_config
        return keras.optimizers.Adam(
            learning_rate, config.adam_beta1, config.adam_beta2, epsilon=ADAM_EPSILON
        )

    # --- Losses ---

    def generator_losses(
        self, latents: tf.Tensor, labels: tf.Tensor, fade: tf.Tensor | None = None
    ) -> GeneratorLosses:
        """Latents [batch, latent] and one-hot labels [batch, pitches] -> terms, each [batch]."""
        fakes = self.generator(latents, labels, num_blocks=self.num_blocks, fade=fade)
        output = self.discriminator(fakes, num_blocks=self.num_blocks, fade=fade)
        return GeneratorLosses(
            wasserstein_g=losses.generator_wasserstein(output.score),
            fake_ac_loss=losses.pitch_loss(output.pitch_logits, labels),
        )

    def discriminator_losses(
        self,
        specgrams: tf.Tensor,
        real_labels: tf.Tensor,
        latents: tf.Tensor,
        labels: tf.Tensor,
        amount: tf.Tensor,
        fade: tf.Tensor | None = None,
    ) -> DiscriminatorLosses:
        """Terms, each [batch].

        Args:
          specgrams: real notes, as ``networks.stage_specgrams`` gives them, not yet faded.
          real_labels: their one-hot pitches [batch, pitches].
          latents, labels: of the fakes.
          amount: interpolation weights [batch].
          fade: weight of the newest block, or None.
        """
        reals, fakes = self._compared(specgrams, latents, labels, fade)
        wasserstein, drift, pitch = self._score_losses(reals, real_labels, fakes, fade)
        penalty = self._penalty(reals, fakes, amount, fade)
        return DiscriminatorLosses(wasserstein, penalty, drift, pitch)

    def _compared(
        self, specgrams: tf.Tensor, latents: tf.Tensor, labels: tf.Tensor, fade: tf.Tensor | None
    ):
        """Reals as the critic sees them, and fakes, which are constants to it."""
        config, blocks = self.config.networks, self.num_blocks
        by_frequency = self.normalizer.by_frequency
        reals = networks.blend_specgrams(config, specgrams, blocks, by_frequency, fade)
        fakes = tf.stop_gradient(self.generator(latents, labels, num_blocks=blocks, fade=fade))
        return reals, fakes

    def _score_losses(
        self, reals: tf.Tensor, real_labels: tf.Tensor, fakes: tf.Tensor, fade: tf.Tensor | None
    ):
        """Wasserstein loss, drift and pitch loss, each [batch]."""
        # One pass for both; each half keeps a minibatch statistic of its own.
        both = self.discriminator(
            tf.concat([reals, fakes], 0), num_blocks=self.num_blocks, fade=fade, groups=2
        )
        real_score, fake_score = tf.split(both.score, 2)
        real_pitch_logits, _ = tf.split(both.pitch_logits, 2)
        return (
            losses.discriminator_wasserstein(real_score, fake_score),
            losses.drift(real_score),
            losses.pitch_loss(real_pitch_logits, real_labels),
        )

    def _penalty(
        self, reals: tf.Tensor, fakes: tf.Tensor, amount: tf.Tensor, fade: tf.Tensor | None
    ):
        """Gradient penalty [batch]."""
        config, blocks = self.config.networks, self.num_blocks
        return losses.gradient_penalty(
            lambda x: self.discriminator(x, num_blocks=blocks, fade=fade).score,
            losses.interpolate(reals, fakes, amount),
            config.slope_scale(config.working_block(blocks, self.normalizer.by_frequency)),
            self.loss_config.gradient_penalty_target,
            self._penalty_unit(),
        )

    def _penalty_unit(self):
        if self.loss_config.gradient_penalty_units == "natural":
            return 1.0
        return 1.0 / self.normalizer.scale_offset[0]  # [channels] or [freq, channels]

    # --- One iteration ---

    def train_step(
        self, data: dict[str, tf.Tensor], update: Callable | None = None
    ) -> dict[str, tf.Tensor]:
        """Updates generator, moving average and discriminator once.

        Args:
          data: dict of this replica's "specgrams" [batch, ...] (networks.stage_specgrams), or
            "waves" [batch, audio_length] to make them of, and "labels" [batch] int32, and of the
            scalars "step" (counted from the start of the run) and "fade" (read in transition
            stages only).
          update: in place of the method of that name, such as the same compiled.

        Returns:
          Every loss term, averaged over the global batch once replicas are summed.
        """
        specgrams = data["specgrams"] if "specgrams" in data else self.encoder(data["waves"])
        fade = tf.cast(data["fade"], tf.float32) if self.stage.is_transition else None
        local = specgrams.shape[0] or tf.shape(specgrams)[0]
        draws = self.draw(data["step"], local)
        return (update or self.update)(specgrams, self._one_hot(data["labels"]), draws, fade)

    def update(
        self, specgrams: tf.Tensor, real_labels: tf.Tensor, draws: Draws, fade: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """What ``train_step`` does once everything random is drawn; returns the loss terms."""
        generator_terms = self.update_generator(draws.latents_g, draws.labels_g, fade)
        discriminator_terms = self.update_discriminator(
            specgrams, real_labels, draws.latents_d, draws.labels_d, draws.amount, fade
        )
        return generator_terms | discriminator_terms

    def update_generator(
        self, latents: tf.Tensor, labels: tf.Tensor, fade: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """One Adam step of the generator, then its moving average; returns the loss terms."""
        variables = self.generator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([_tensor_source(v) for v in variables])
            terms = GeneratorLosses(
                *map(self._global_mean, self.generator_losses(latents, labels, fade))
            )
            total = terms.total(self.loss_config)
        gradients = tape.gradient(total, [_tensor_source(v) for v in variables])
        self.generator_optimizer.apply(gradients, variables)
        self.update_average()
        return {**terms._asdict(), "generator_loss": total}

    def update_discriminator(
        self,
        specgrams: tf.Tensor,
        real_labels: tf.Tensor,
        latents: tf.Tensor,
        labels: tf.Tensor,
        amount: tf.Tensor,
        fade: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """One Adam step of the discriminator; returns the loss terms."""
        config, variables = self.loss_config, self.discriminator_variables
        sources = [_tensor_source(v) for v in variables]
        reals, fakes = self._compared(specgrams, latents, labels, fade)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            penalty = self._global_mean(self._penalty(reals, fakes, amount, fade))
            weighted = config.gradient_penalty_weight * penalty
        slopes = tape.gradient(weighted, sources, unconnected_gradients="zero")
        # One after the other, so that what both keep is never in memory at once.
        with (
            tf.control_dependencies(slopes),
            tf.GradientTape(watch_accessed_variables=False) as tape,
        ):
            tape.watch(sources)
            wasserstein, drift, pitch = map(
                self._global_mean, self._score_losses(reals, real_labels, fakes, fade)
            )
            terms = DiscriminatorLosses(wasserstein, penalty, drift, pitch)
            rest = terms._replace(gradient_penalty=tf.zeros([])).total(config)
        gradients = [a + b for a, b in zip(slopes, tape.gradient(rest, sources), strict=True)]
        self.discriminator_optimizer.apply(gradients, variables)
        return {**terms._asdict(), "discriminator_loss": terms.total(config)}

    def update_average(self) -> None:
        """Moves the averaged generator towards the trained one, in the blocks in use."""
        rate = 1.0 - self.optimizer_config.ema_decay

        def move(average: tf.Variable, variable: tf.Variable):
            average.assign(average - rate * (average - variable))

        def move_all(strategy: tf.distribute.Strategy):
            for average, variable in zip(
                self.ema_generator.block_variables(self.num_blocks),
                self.generator.block_variables(self.num_blocks),
                strict=True,
            ):
                update = strategy.extended.update
                update(average.value, move, args=(variable.value,), group=False)

        # Every device from its own copy of the weights, which are the same: assigned within a
        # replica, the averages would be averaged over replicas by way of the network.
        tf.distribute.get_replica_context().merge_call(move_all)

    def _global_mean(self, term: tf.Tensor):
        """A term of this replica, by example -> its sum over the global batch size."""
        return tf.reduce_mean(term) / tf.distribute.get_strategy().num_replicas_in_sync

    # --- Draws ---

    def draw(self, step: tf.Tensor, local: int | tf.Tensor) -> Draws:
        """This replica's part of what is random in a step; ``local`` is its batch size.

        Not to be compiled by XLA, whose generators give other numbers from the same seed.
        """
        return Draws(
            latents_g=self._draw_latents(step, Stream.GENERATOR_LATENTS, local),
            labels_g=self._draw_labels(step, Stream.GENERATOR_LABELS, local),
            latents_d=self._draw_latents(step, Stream.DISCRIMINATOR_LATENTS, local),
            labels_d=self._draw_labels(step, Stream.DISCRIMINATOR_LABELS, local),
            amount=self._draw_amount(step, local),
        )

    def _one_hot(self, labels: tf.Tensor):
        return tf.one_hot(labels, self.config.networks.num_pitches)

    def _own_slice(self, drawn: tf.Tensor, local: int | tf.Tensor):
        """This replica's part of numbers drawn for the global batch."""
        context = tf.distribute.get_replica_context()
        start = context.replica_id_in_sync_group * local
        return drawn[start : start + local]

    def _global_size(self, local: int | tf.Tensor):
        return local * tf.distribute.get_strategy().num_replicas_in_sync

    def _draw_latents(self, step: tf.Tensor, stream: Stream, local: int | tf.Tensor):
        shape = [self._global_size(local), self.config.networks.latent_vector_size]
        seed = step_seed(self.seed, step, stream)
        return self._own_slice(tf.random.stateless_normal(shape, seed, alg="philox"), local)

    def _draw_labels(self, step: tf.Tensor, stream: Stream, local: int | tf.Tensor):
        """Labels that follow the data set's pitch histogram, one-hot."""
        counts = np.asarray(self.config.vocabulary.counts, np.float64)
        edges = tf.constant(np.cumsum(counts)[:-1] / counts.sum(), tf.float32)
        uniform = tf.random.stateless_uniform(
            [self._global_size(local)], step_seed(self.seed, step, stream), alg="philox"
        )
        labels = tf.searchsorted(edges, uniform, side="right")
        return self._one_hot(self._own_slice(labels, local))

    def _draw_amount(self, step: tf.Tensor, local: int | tf.Tensor):
        seed = step_seed(self.seed, step, Stream.INTERPOLATION)
        drawn = tf.random.stateless_uniform([self._global_size(local)], seed, alg="philox")
        return self._own_slice(drawn, local)

    # --- Playing ---

    def sample_specgrams(
        self, latents: tf.Tensor, labels: tf.Tensor, fade: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Latents [batch, latent], labels [batch] int -> full-size specgrams, averaged weights."""
        return self.ema_generator.full_size(
            latents, self._one_hot(labels), num_blocks=self.num_blocks, fade=fade
        )

    def sample(
        self, latents: tf.Tensor, labels: tf.Tensor, fade: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Latents [batch, latent] and labels [batch] int -> waves [batch, audio_length]."""
        return self.config.codec.specgrams_to_waves(self.sample_specgrams(latents, labels, fade))


def _tensor_source(variable: keras.Variable):
    """What a GradientTape knows a Keras variable by."""
    return variable.value
