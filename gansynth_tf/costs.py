"""What a network costs: parameters, operations and memory, counted from its shapes."""

import dataclasses
import math

from gansynth_tf.layers import can_fuse
from gansynth_tf.networks import CHANNELS, NetworkConfig

FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class StageCost:
    """Costs of one stage.

    Attributes:
      generator_parameters, discriminator_parameters: of the blocks in use.
      generator_operations, discriminator_operations: of one forward pass of one image; a
        multiply-add counts as two.
      iteration_operations: of one training iteration, per image.
      memory_bytes: estimate of what an iteration holds: weights, moving average, optimizer
        state, and the activations kept for the gradients.
    """

    generator_parameters: int
    discriminator_parameters: int
    generator_operations: int
    discriminator_operations: int
    iteration_operations: int
    memory_bytes: int


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """Costs of one convolution, or of a dense layer as one of a single cell.

    Attributes:
      kernel: (time, freq, inputs, outputs).
      size: (time, freq) of the output.
      products: share of the kernel's products that are computed.
    """

    kernel: tuple[int, int, int, int]
    size: tuple[int, int]
    products: float = 1.0

    @property
    def cells(self) -> int:
        return math.prod(self.size)

    @property
    def parameters(self) -> int:
        return math.prod(self.kernel) + self.kernel[-1]

    @property
    def operations(self) -> int:
        """Of a forward pass of one image; a multiply-add counts as two."""
        return round(2 * math.prod(self.kernel) * self.cells * self.products)

    @property
    def activations(self) -> int:
        return self.kernel[-1] * self.cells


def stage_cost(
    config: NetworkConfig, num_blocks: int, batch_size: int, by_frequency: bool = False
) -> StageCost:
    """Costs of the stable stage of ``num_blocks``.

    ``by_frequency``: whether the normaliser differs by frequency, which may keep specgrams
    outside the networks at full size (NetworkConfig.working_block).
    """
    generator = generator_layers(config, num_blocks)
    discriminator = discriminator_layers(config, num_blocks)
    parameters_g, parameters_d = (
        sum(layer.parameters for layer in layers) for layers in (generator, discriminator)
    )
    forward_g, forward_d = (
        sum(layer.operations for layer in layers) for layers in (generator, discriminator)
    )
    # G's update: both forward, back through the critic's input, and G's input and kernels.
    # D's update: G forward; reals and fakes forward and back (2 x 3); the penalty's forward and
    # backward pass and both of theirs (6).
    update_g = 3 * forward_g + 2 * forward_d
    update_d = forward_g + 12 * forward_d
    # What the penalty keeps for its second derivative, each convolution's output and its slope,
    # or what scores keep of reals and fakes; and as much again at work (docs/PERFORMANCE.md).
    activations = 6 * sum(layer.activations for layer in discriminator)
    # Outside the networks: reals, fakes and the points between them, each with what its
    # normaliser keeps, and their gradients.
    working = config.working_block(num_blocks, by_frequency)
    activations += 8 * CHANNELS * math.prod(config.resolutions.resolution(working))
    memory = FLOAT_BYTES * (4 * parameters_g + 3 * parameters_d + batch_size * activations)
    return StageCost(parameters_g, parameters_d, forward_g, forward_d, update_g + update_d, memory)


def generator_layers(config: NetworkConfig, num_blocks: int) -> list[LayerCost]:
    """Of the generator's first ``num_blocks`` blocks, in order."""
    layers, kernel = [], (config.kernel_size, config.kernel_size)
    inputs = config.latent_vector_size + config.num_pitches
    for block in range(1, num_blocks + 1):
        time, freq = config.resolutions.resolution(block)
        filters = config.filters.num_filters(block)
        if config.simple_arch and block == 1:
            layers.append(LayerCost((1, 1, inputs, time * freq * filters), (1, 1)))
        elif config.simple_arch:
            # A transposed convolution multiplies each cell of the smaller image by the kernel.
            products = 1 / math.prod(config.resolutions.step())
            layers.append(LayerCost((*kernel, inputs, filters), (time, freq), products))
        elif block == 1:
            # The kernel covers the image, and each cell sees one tap of it.
            layers.append(LayerCost((time, freq, inputs, filters), (1, 1)))
        else:
            products = _products_of_upscaling(config)
            layers.append(LayerCost((*kernel, inputs, filters), (time, freq), products))
        if not config.simple_arch:
            layers.append(LayerCost((*kernel, filters, filters), (time, freq)))
        inputs = filters
    return [*layers, LayerCost((1, 1, inputs, CHANNELS), (time, freq))]


def _products_of_upscaling(config: NetworkConfig) -> float:
    """Share of a convolution's products that upscaling in the same operation leaves."""
    size, factors = config.kernel_size, config.resolutions.step()
    if not can_fuse(size, factors):
        return 1.0
    return math.prod(2 / size for factor in factors if factor > 1)


def discriminator_layers(config: NetworkConfig, num_blocks: int) -> list[LayerCost]:
    """Of the discriminator's first ``num_blocks`` blocks, in the order of a pass."""
    kernel = (config.kernel_size, config.kernel_size)
    filters = config.filters.num_filters
    resolution = config.resolutions.resolution
    layers = [LayerCost((1, 1, CHANNELS, filters(num_blocks)), resolution(num_blocks))]
    for block in range(num_blocks, 1, -1):
        sizes = (*kernel, filters(block), filters(block - 1))
        if config.simple_arch:
            layers.append(LayerCost(sizes, resolution(block - 1)))
        else:
            layers.append(LayerCost((*kernel, filters(block), filters(block)), resolution(block)))
            layers.append(LayerCost(sizes, resolution(block)))
    time, freq = config.resolutions.start_resolution
    inputs = filters(1) + 1
    if not config.simple_arch:
        layers.append(LayerCost((*kernel, inputs, filters(1)), (time, freq)))
        inputs = filters(1)
    layers.append(LayerCost((time, freq, inputs, filters(0)), (1, 1)))
    layers.append(LayerCost((1, 1, filters(0), 1 + config.num_pitches), (1, 1)))
    return layers
