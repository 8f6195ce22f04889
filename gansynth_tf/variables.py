"""Models as arrays by name, and back. Names do not depend on how Keras counts its layers."""

import numpy as np

from gansynth_tf.model import GANSynth


def named_variables(network, prefix: str) -> dict:
    """Name -> variable of one network, without its normaliser, which networks share."""
    names = {}
    for variable in network.variables:
        if variable is not network.normalizer.scale_offset:
            layer, weight = variable.path.split("/")[-2:]
            name = f"{prefix}/{layer}/{weight}"
            assert name not in names
            names[name] = variable
    return names


def network_variables(model: GANSynth) -> dict:
    """Name -> variable of all three networks."""
    return (
        named_variables(model.generator, "generator")
        | named_variables(model.ema_generator, "ema_generator")
        | named_variables(model.discriminator, "discriminator")
    )


def model_arrays(model: GANSynth) -> dict[str, np.ndarray]:
    """Every variable of networks, normaliser and optimizers, by name."""
    arrays = {name: variable.numpy() for name, variable in network_variables(model).items()}
    arrays["normalizer"] = model.normalizer.scale_offset.numpy()
    return arrays | {name: v.numpy() for name, v in _optimizer_variables(model).items()}


def restore_networks(model: GANSynth, arrays: dict) -> None:
    """Gives the networks the arrays of ``model_arrays``."""
    for name, variable in network_variables(model).items():
        variable.assign(arrays[name])


def restore_optimizers(model: GANSynth, arrays: dict) -> None:
    """Gives the stage's optimizers the arrays of ``model_arrays``, but for the learning rate."""
    for name, variable in _optimizer_variables(model).items():
        variable.assign(arrays[name])


def _optimizer_variables(model: GANSynth) -> dict:
    optimizers = {
        "generator_optimizer": model.generator_optimizer,
        "discriminator_optimizer": model.discriminator_optimizer,
    }
    return {
        f"{name}/{number:03d}": variable
        for name, optimizer in optimizers.items()
        for number, variable in enumerate(optimizer.variables)
        if variable is not optimizer._learning_rate
    }
