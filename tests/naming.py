"""The original's variable names, for goldens that are keyed by them."""

_BLOCK = "progressive_gan_block_{}"


def generator_variables(generator) -> dict:
    """Original name -> our variable."""
    root = "Generator/progressive_gan_generator/"
    names = {}
    for number, block in enumerate(generator.blocks, start=1):
        prefix = root + _BLOCK.format(number)
        names |= _conv(f"{prefix}/conv0", block.conv0)
        names |= _conv(f"{prefix}/conv1", block.conv1)
        names |= _conv(f"{prefix}/to_rgb", block.to_specgram)
    return names


def discriminator_variables(discriminator) -> dict:
    """Original name -> our variable."""
    root = "Discriminator/progressive_gan_discriminator/"
    names = {}
    for number, block in enumerate(discriminator.blocks, start=1):
        prefix = root + _BLOCK.format(number)
        names |= _conv(f"{prefix}/from_rgb", block.from_specgram)
        convs = discriminator.head if number == 1 else block
        names |= _conv(f"{prefix}/conv0", convs.conv0)
        names |= _conv(f"{prefix}/conv1", convs.conv1)
    head = discriminator.head
    names |= _dense(root + _BLOCK.format(1) + "/logits", head.score)
    names |= _dense("Discriminator/discriminator_cond/classification_logits", head.pitch_logits)
    return names


def _conv(name, layer):
    return {f"{name}/conv2d/kernel": layer.kernel, f"{name}/bias": layer.bias}


def _dense(name, layer):
    return {f"{name}/dense/kernel": layer.kernel, f"{name}/bias": layer.bias}


def assign(variables: dict, arrays, prefix: str = "", suffix: str = "") -> None:
    """Gives every variable its golden value, where the golden has one."""
    for name, variable in variables.items():
        key = f"{prefix}{name}{suffix}"
        if key in arrays:
            variable.assign(arrays[key])
