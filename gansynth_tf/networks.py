"""Generator and discriminator of GANSynth, grown block by block.

Both work at the resolution of the newest block in use, not at full size: box upscaling followed
by box downscaling is the identity, so nothing is lost but needless work.

``fade`` is the weight of the newest block while it fades in, in [0, 1]; None means that it has
faded in entirely, and the block before it is then not asked for its own specgram.

Source: Engel et al., "GANSynth", appendix A and table 2; Karras et al., "Progressive growing".
"""

import dataclasses
import math
from typing import NamedTuple

import keras
import tensorflow as tf

from gansynth_tf import layers
from gansynth_tf.layers import HE_GAIN, box_downscale, box_upscale, leaky_relu, pixel_norm
from gansynth_tf.schedule import FilterSchedule, ResolutionSchedule
from gansynth_tf.specgram import Normalizer, SpecgramCodec

CHANNELS = 2  # log magnitude and phase
# Far above what trains: a mistyped value gets a sentence, not a machine without memory.
MAX_LATENT_SIZE = 65_536
MAX_KERNEL_SIZE = 31
ACTIVATIONS = {"tanh": tf.tanh, "linear": tf.identity}


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Architecture of both networks.

    Attributes:
      resolutions: size of every block.
      filters: filters of every block.
      num_pitches: size of the pitch vocabulary.
      latent_vector_size: dimensions of the latent.
      kernel_size: of the inner convolutions; odd.
      to_rgb_activation: "tanh" or "linear" output of the generator.
      simple_arch: strided convolutions with plain ReLU in place of the paper's networks.
    """

    resolutions: ResolutionSchedule = ResolutionSchedule()
    filters: FilterSchedule = FilterSchedule()
    num_pitches: int = 61
    latent_vector_size: int = 256
    kernel_size: int = 3
    to_rgb_activation: str = "tanh"
    simple_arch: bool = False

    def __post_init__(self):
        for name in ("num_pitches", "latent_vector_size", "kernel_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.latent_vector_size > MAX_LATENT_SIZE:
            raise ValueError(
                f"latent_vector_size must be at most {MAX_LATENT_SIZE}, "
                f"not {self.latent_vector_size}."
            )
        if self.kernel_size % 2 == 0 or self.kernel_size > MAX_KERNEL_SIZE:
            raise ValueError(
                f"kernel_size must be an odd number from 1 to {MAX_KERNEL_SIZE}, "
                f"not {self.kernel_size}."
            )
        if self.to_rgb_activation not in ACTIVATIONS:
            raise ValueError(
                f"to_rgb_activation must be one of {', '.join(ACTIVATIONS)}, "
                f"not {self.to_rgb_activation!r}."
            )
        self.filters.num_filters(self.resolutions.num_resolutions)  # raises when it runs out

    def working_block(self, num_blocks: int, by_frequency: bool) -> int:
        """Block at whose resolution specgrams pass between the networks and the rest.

        A normaliser that differs by frequency does not commute with averaging over frequencies:
        specgrams then stay at full size.
        """
        if by_frequency and self.resolutions.scale_mode == "ALL":
            return self.resolutions.num_resolutions
        return num_blocks

    def slope_scale(self, block: int) -> float:
        """Factor from the slope at ``block``'s resolution to the slope at full size.

        A cell stands for n full-size pixels that each move the critic by 1/n of it, so the
        norm over all pixels is the cells' norm over sqrt(n).
        """
        return 1.0 / math.sqrt(math.prod(self.resolutions.shrink(block)))


def stage_specgrams(
    config: NetworkConfig, specgrams: tf.Tensor, num_blocks: int, by_frequency: bool
) -> tf.Tensor:
    """Full-size specgrams -> the same averaged to ``num_blocks``, at the working resolution."""
    resolutions = config.resolutions
    small = box_downscale(tf.convert_to_tensor(specgrams), resolutions.shrink(num_blocks))
    working = config.working_block(num_blocks, by_frequency)
    return box_upscale(small, resolutions.step(working - num_blocks))


def blend_specgrams(
    config: NetworkConfig,
    specgrams: tf.Tensor,
    num_blocks: int,
    by_frequency: bool,
    fade: tf.Tensor | None,
) -> tf.Tensor:
    """Specgrams of ``stage_specgrams`` -> faded with themselves at the block before."""
    if fade is None:
        return specgrams
    working = config.working_block(num_blocks, by_frequency)
    factors = config.resolutions.step(working - num_blocks + 1)
    older = box_upscale(box_downscale(specgrams, factors), factors)
    return fade * specgrams + (1.0 - fade) * older


@dataclasses.dataclass(frozen=True)
class StageEncoder:
    """Waves [batch, audio_length] -> what ``stage_specgrams`` gives; its repr says all it does."""

    codec: SpecgramCodec
    config: NetworkConfig
    num_blocks: int
    by_frequency: bool

    def __call__(self, waves: tf.Tensor) -> tf.Tensor:
        full = self.codec.waves_to_specgrams(waves)
        return stage_specgrams(self.config, full, self.num_blocks, self.by_frequency)


class DiscriminatorOutput(NamedTuple):
    """What the discriminator says: score [batch], pitch_logits [batch, num_pitches]."""

    score: tf.Tensor
    pitch_logits: tf.Tensor
    last_conv: tf.Tensor  # [batch, filters of block 0]


def make_generator(
    config: NetworkConfig,
    normalizer: Normalizer,
    seed: int,
    name: str = "generator",
    image_type: str = "float32",
) -> "Generator":
    """The generator of ``config``."""
    network = SimpleGenerator if config.simple_arch else Generator
    return network(config, normalizer, seed, name, image_type)


def make_discriminator(
    config: NetworkConfig,
    normalizer: Normalizer,
    seed: int,
    name: str = "discriminator",
    image_type: str = "float32",
    global_stddev: bool = False,
) -> "Discriminator":
    """The discriminator of ``config``."""
    network = SimpleDiscriminator if config.simple_arch else Discriminator
    return network(config, normalizer, seed, name, image_type, global_stddev)


# --- Generator ---


class Generator(keras.Model):
    """(latents [batch, latent], pitch one-hots [batch, pitches]) -> specgrams.

    The output is [batch, time, freq, 2] at the resolution of ``config.working_block``.
    """

    def __init__(
        self,
        config: NetworkConfig,
        normalizer: Normalizer,
        seed: int,
        name: str = "generator",
        image_type: str = "float32",
    ):
        super().__init__(name=name)
        self.config = config
        self.normalizer = normalizer
        self.image_type = image_type
        self.blocks = [
            self._make_block(block, seed)
            for block in range(1, config.resolutions.num_resolutions + 1)
        ]
        self.built = True

    def _make_block(self, block: int, seed: int):
        return GeneratorBlock(self.config, block, seed)

    def call(
        self,
        latents: tf.Tensor,
        labels: tf.Tensor,
        *,
        num_blocks: int,
        fade: tf.Tensor | None = None,
    ) -> tf.Tensor:
        outputs = self.outputs(latents, labels, num_blocks, fade is not None)
        normalized = outputs[-1]
        resolutions = self.config.resolutions
        if fade is not None:
            older = box_upscale(outputs[-2], resolutions.step())
            normalized = fade * normalized + (1.0 - fade) * older
        working = self.config.working_block(num_blocks, self.normalizer.by_frequency)
        normalized = box_upscale(normalized, resolutions.step(working - num_blocks))
        return self.normalizer.denormalize(normalized)

    def full_size(
        self,
        latents: tf.Tensor,
        labels: tf.Tensor,
        *,
        num_blocks: int,
        fade: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """As a call, but [batch, time, freq, 2] of the last block's resolution."""
        specgrams = self(latents, labels, num_blocks=num_blocks, fade=fade)
        working = self.config.working_block(num_blocks, self.normalizer.by_frequency)
        return box_upscale(specgrams, self.config.resolutions.shrink(working))

    def outputs(
        self, latents: tf.Tensor, labels: tf.Tensor, num_blocks: int, fading: bool
    ) -> list[tf.Tensor]:
        """Normalised output of the newest block, and of the one before when it is ``fading``.

        Each is [batch, time, freq, 2] at its own block's resolution, newest last.
        """
        if fading and num_blocks < 2:
            raise ValueError("The first block has nothing to fade in from: fade must be None.")
        x = tf.concat([latents, labels], axis=1)
        activation = ACTIVATIONS[self.config.to_rgb_activation]
        outputs = []
        for number, block in enumerate(self.blocks[:num_blocks], start=1):
            x = tf.cast(block(x), self.image_type)
            if number == num_blocks or (fading and number == num_blocks - 1):
                outputs.append(activation(tf.cast(block.to_specgram(x), tf.float32)))
        return outputs

    def active_variables(self, num_blocks: int, fading: bool) -> list:
        """Trainable variables that the output depends on."""
        variables = []
        for number, block in enumerate(self.blocks[:num_blocks], start=1):
            shown = number == num_blocks or (fading and number == num_blocks - 1)
            hidden = () if shown else {id(v) for v in block.to_specgram.trainable_variables}
            variables += [v for v in block.trainable_variables if id(v) not in hidden]
        return variables

    def block_variables(self, num_blocks: int) -> list:
        """All variables of the first ``num_blocks`` blocks."""
        return [v for block in self.blocks[:num_blocks] for v in block.variables]


class GeneratorBlock(keras.layers.Layer):
    """Upscale and two convolutions; the first block makes its image from the latent.

    [batch, time, freq, filters of block - 1] -> [batch, 2 time, 2 freq, filters of block].
    """

    def __init__(self, config: NetworkConfig, block: int, seed: int):
        super().__init__(name=f"block_{block}", autocast=False)
        name = f"generator/block_{block}"
        filters = config.filters.num_filters(block)
        self.is_first = block == 1
        if self.is_first:
            inputs = config.latent_vector_size + config.num_pitches
            start = config.resolutions.start_resolution
            self.conv0 = layers.LatentToImage(
                inputs, start, filters, HE_GAIN, seed, f"{name}/conv0"
            )
        else:
            inputs, step = config.filters.num_filters(block - 1), config.resolutions.step()
            self.conv0 = layers.UpscaleConv2D(
                inputs, filters, config.kernel_size, step, HE_GAIN, seed, f"{name}/conv0"
            )
        self.conv1 = layers.EqualizedConv2D(
            filters, filters, config.kernel_size, HE_GAIN, seed, f"{name}/conv1"
        )
        self.to_specgram = layers.EqualizedConv2D(
            filters, CHANNELS, 1, 1.0, seed, f"{name}/to_specgram"
        )
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if self.is_first:
            x = pixel_norm(x)
        x = pixel_norm(leaky_relu(self.conv0(x)))
        return pixel_norm(leaky_relu(self.conv1(x)))


class SimpleGenerator(Generator):
    """The original's ``simple_arch``: transposed convolutions and ReLU, no normalisation."""

    def _make_block(self, block: int, seed: int):
        return SimpleGeneratorBlock(self.config, block, seed)


class SimpleGeneratorBlock(keras.layers.Layer):
    """One transposed convolution; the first block is dense. Shapes as in GeneratorBlock."""

    def __init__(self, config: NetworkConfig, block: int, seed: int):
        super().__init__(name=f"block_{block}", autocast=False)
        name = f"simple_generator/block_{block}"
        filters = config.filters.num_filters(block)
        self.image_shape = (*config.resolutions.resolution(block), filters)
        self.is_first = block == 1
        if self.is_first:
            inputs = config.latent_vector_size + config.num_pitches
            units = math.prod(self.image_shape)
            self.conv = layers.PlainDense(inputs, units, seed, f"{name}/dense")
        else:
            inputs = config.filters.num_filters(block - 1)
            self.conv = layers.PlainConv2DTranspose(
                inputs, filters, config.kernel_size, config.resolutions.step(), seed, f"{name}/conv"
            )
        self.to_specgram = layers.PlainConv2D(filters, CHANNELS, 1, 1, seed, f"{name}/to_specgram")
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.nn.relu(self.conv(x))
        return tf.reshape(x, [-1, *self.image_shape]) if self.is_first else x


# --- Discriminator ---


class Discriminator(keras.Model):
    """Specgrams [batch, time, freq, 2] -> critic score and pitch logits, in one pass.

    Specgrams come at the resolution of ``config.working_block``.
    """

    def __init__(
        self,
        config: NetworkConfig,
        normalizer: Normalizer,
        seed: int,
        name: str = "discriminator",
        image_type: str = "float32",
        global_stddev: bool = False,
    ):
        """``global_stddev``: whether the minibatch statistic is that of all replicas' notes."""
        super().__init__(name=name)
        self.config = config
        self.normalizer = normalizer
        self.image_type = image_type
        self.global_stddev = global_stddev
        self.blocks = [
            self._make_block(block, seed)
            for block in range(1, config.resolutions.num_resolutions + 1)
        ]
        self.head = self._make_head(seed)
        self.built = True

    def _make_block(self, block: int, seed: int):
        return DiscriminatorBlock(self.config, block, seed)

    def _make_head(self, seed: int):
        return DiscriminatorHead(self.config, seed)

    def call(
        self,
        specgrams: tf.Tensor,
        *,
        num_blocks: int,
        fade: tf.Tensor | None = None,
        groups: int = 1,
    ) -> DiscriminatorOutput:
        """``groups``: how many batches the batch holds, see ``layers.minibatch_stddev``."""
        if fade is not None and num_blocks < 2:
            raise ValueError("The first block has nothing to fade in from: fade must be None.")
        resolutions = self.config.resolutions
        normalized = tf.cast(self.normalizer.normalize(specgrams), self.image_type)
        working = self.config.working_block(num_blocks, self.normalizer.by_frequency)
        normalized = box_downscale(normalized, resolutions.step(working - num_blocks))

        fade = None if fade is None else tf.cast(fade, self.image_type)
        newest = self.blocks[num_blocks - 1]
        x = newest.features(normalized)
        for block in self.blocks[num_blocks - 1 : 0 : -1]:
            x = block(x)
            if fade is not None and block is newest:
                smaller = box_downscale(normalized, resolutions.step())
                older = self.blocks[num_blocks - 2].features(smaller)
                x = fade * x + (1.0 - fade) * older
        x = layers.minibatch_stddev(
            tf.cast(x, tf.float32), groups, across_replicas=self.global_stddev
        )
        return self.head(x)

    def active_variables(self, num_blocks: int, fading: bool) -> list:
        """Trainable variables that the output depends on."""
        variables = []
        for number, block in enumerate(self.blocks[:num_blocks], start=1):
            shown = number == num_blocks or (fading and number == num_blocks - 1)
            hidden = () if shown else {id(v) for v in block.from_specgram.trainable_variables}
            variables += [v for v in block.trainable_variables if id(v) not in hidden]
        return variables + list(self.head.trainable_variables)


class DiscriminatorBlock(keras.layers.Layer):
    """Two convolutions and downscale; the first block only reads the specgram.

    [batch, time, freq, filters of block] -> [batch, time / 2, freq / 2, filters of block - 1].
    """

    def __init__(self, config: NetworkConfig, block: int, seed: int):
        super().__init__(name=f"block_{block}", autocast=False)
        name = f"discriminator/block_{block}"
        filters = config.filters.num_filters(block)
        self.from_specgram = layers.EqualizedConv2D(
            CHANNELS, filters, 1, HE_GAIN, seed, f"{name}/from_specgram"
        )
        if block > 1:
            self.conv0 = layers.EqualizedConv2D(
                filters, filters, config.kernel_size, HE_GAIN, seed, f"{name}/conv0"
            )
            outputs = config.filters.num_filters(block - 1)
            self.conv1 = layers.EqualizedConv2D(
                filters, outputs, config.kernel_size, HE_GAIN, seed, f"{name}/conv1"
            )
        self.step = config.resolutions.step()
        self.built = True

    def features(self, normalized: tf.Tensor) -> tf.Tensor:
        """Normalised specgram [batch, time, freq, 2] -> [batch, time, freq, filters]."""
        return leaky_relu(self.from_specgram(normalized))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = leaky_relu(self.conv0(x))
        return box_downscale(leaky_relu(self.conv1(x)), self.step)


class DiscriminatorHead(keras.layers.Layer):
    """[batch, start time, start freq, filters of block 1 + 1] -> DiscriminatorOutput."""

    def __init__(self, config: NetworkConfig, seed: int):
        super().__init__(name="head", autocast=False)
        filters, last = config.filters.num_filters(1), config.filters.num_filters(0)
        self.conv0 = layers.EqualizedConv2D(
            filters + 1, filters, config.kernel_size, HE_GAIN, seed, "discriminator/head/conv0"
        )
        self.conv1 = layers.ImageToVector(
            filters,
            config.resolutions.start_resolution,
            last,
            HE_GAIN,
            seed,
            "discriminator/head/conv1",
        )
        self.score = layers.EqualizedDense(last, 1, 1.0, seed, "discriminator/head/score")
        self.pitch_logits = layers.EqualizedDense(
            last, config.num_pitches, 1.0, seed, "discriminator/head/pitch_logits"
        )
        self.built = True

    def call(self, x: tf.Tensor) -> DiscriminatorOutput:
        x = leaky_relu(self.conv1(leaky_relu(self.conv0(x))))
        return DiscriminatorOutput(self.score(x)[:, 0], self.pitch_logits(x), x)


class SimpleDiscriminator(Discriminator):
    """The original's ``simple_arch``: one strided convolution a block, ReLU, plain weights."""

    def _make_block(self, block: int, seed: int):
        return SimpleDiscriminatorBlock(self.config, block, seed)

    def _make_head(self, seed: int):
        return SimpleDiscriminatorHead(self.config, seed)


class SimpleDiscriminatorBlock(keras.layers.Layer):
    """One strided convolution; shapes as in DiscriminatorBlock."""

    def __init__(self, config: NetworkConfig, block: int, seed: int):
        super().__init__(name=f"block_{block}", autocast=False)
        name = f"simple_discriminator/block_{block}"
        filters = config.filters.num_filters(block)
        self.from_specgram = layers.PlainConv2D(
            CHANNELS, filters, 1, 1, seed, f"{name}/from_specgram"
        )
        if block > 1:
            outputs = config.filters.num_filters(block - 1)
            step = config.resolutions.step()
            self.conv = layers.PlainConv2D(
                filters, outputs, config.kernel_size, step, seed, f"{name}/conv"
            )
        self.built = True

    def features(self, normalized: tf.Tensor) -> tf.Tensor:
        """Normalised specgram [batch, time, freq, 2] -> [batch, time, freq, filters]."""
        return tf.nn.relu(self.from_specgram(normalized))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(self.conv(x))


class SimpleDiscriminatorHead(keras.layers.Layer):
    """Dense layers in place of convolutions; shapes as in DiscriminatorHead.

    The pitch head is equalised here too, as in the original.
    """

    def __init__(self, config: NetworkConfig, seed: int):
        super().__init__(name="head", autocast=False)
        name = "simple_discriminator/head"
        inputs = math.prod(config.resolutions.start_resolution) * (
            config.filters.num_filters(1) + 1
        )
        last = config.filters.num_filters(0)
        self.dense = layers.PlainDense(inputs, last, seed, f"{name}/dense")
        self.score = layers.PlainDense(last, 1, seed, f"{name}/score")
        self.pitch_logits = layers.EqualizedDense(
            last, config.num_pitches, 1.0, seed, f"{name}/pitch_logits"
        )
        self.built = True

    def call(self, x: tf.Tensor) -> DiscriminatorOutput:
        inputs = math.prod(x.shape[1:])
        x = tf.nn.relu(self.dense(tf.reshape(x, [-1, inputs])))
        return DiscriminatorOutput(self.score(x)[:, 0], self.pitch_logits(x), x)
