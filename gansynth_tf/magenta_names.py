"""The original's names of its variables, and the variables here that hold the same.

Of both architectures, and in the original's layouts, which are also ours.
"""

from keras.layers import Layer

from gansynth_tf.networks import Discriminator, Generator

MOVING_AVERAGE = "/ExponentialMovingAverage"

_BLOCK = "progressive_gan_block_{}"
_GENERATOR = "Generator/progressive_gan_generator/" + _BLOCK
_DISCRIMINATOR = "Discriminator/progressive_gan_discriminator/" + _BLOCK
_PITCH_LOGITS = "Discriminator/discriminator_cond/classification_logits"


def generator_variables(generator: Generator, num_blocks: int | None = None) -> dict:
    """Original name -> our variable, of the first ``num_blocks`` blocks, or of all."""
    names = {}
    for number, block in enumerate(generator.blocks[:num_blocks], start=1):
        prefix = _GENERATOR.format(number)
        if generator.config.simple_arch:
            # These two layers have no name of their own in the original, but TensorFlow 1's.
            layer = "dense" if block.is_first else "conv2d_transpose"
            names |= _plain(f"{prefix}/{layer}", block.conv)
            names |= _plain(f"{prefix}/to_rgb", block.to_specgram)
        else:
            names |= _conv(f"{prefix}/conv0", block.conv0)
            names |= _conv(f"{prefix}/conv1", block.conv1)
            names |= _conv(f"{prefix}/to_rgb", block.to_specgram)
    return names


def discriminator_variables(discriminator: Discriminator, num_blocks: int | None = None) -> dict:
    """As ``generator_variables``; the head is part of the first block."""
    is_simple, head = discriminator.config.simple_arch, discriminator.head
    first = _DISCRIMINATOR.format(1)
    names = _dense(_PITCH_LOGITS, head.pitch_logits)
    if is_simple:
        names |= _plain(f"{first}/last_conv", head.dense) | _plain(f"{first}/logits", head.score)
    else:
        names |= _conv(f"{first}/conv0", head.conv0) | _conv(f"{first}/conv1", head.conv1)
        names |= _dense(f"{first}/logits", head.score)
    for number, block in enumerate(discriminator.blocks[:num_blocks], start=1):
        prefix = _DISCRIMINATOR.format(number)
        make = _plain if is_simple else _conv
        names |= make(f"{prefix}/from_rgb", block.from_specgram)
        if number > 1 and is_simple:
            names |= _plain(f"{prefix}/conv", block.conv)
        elif number > 1:
            names |= _conv(f"{prefix}/conv0", block.conv0) | _conv(f"{prefix}/conv1", block.conv1)
    return names


def _conv(name: str, layer: Layer) -> dict:
    return {f"{name}/conv2d/kernel": layer.kernel, f"{name}/bias": layer.bias}


def _dense(name: str, layer: Layer) -> dict:
    return {f"{name}/dense/kernel": layer.kernel, f"{name}/bias": layer.bias}


def _plain(name: str, layer: Layer) -> dict:
    return {f"{name}/kernel": layer.kernel, f"{name}/bias": layer.bias}
