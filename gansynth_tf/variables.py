"""Models as arrays by name, and back. Names do not depend on how Keras counts its layers."""

import keras
import numpy as np

from gansynth_tf.model import GANSynth, ModelConfig


def named_variables(network: keras.Model, prefix: str) -> dict:
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


def network_arrays(model: GANSynth) -> dict[str, np.ndarray]:
    """Every variable of networks and normaliser, by name."""
    arrays = {name: variable.numpy() for name, variable in network_variables(model).items()}
    return arrays | {"normalizer": model.normalizer.scale_offset.numpy()}


def model_arrays(model: GANSynth) -> dict[str, np.ndarray]:
    """Every variable of networks, normaliser and optimizers, by name."""
    optimizers = {name: v.numpy() for name, v in _optimizer_variables(model).items()}
    return network_arrays(model) | optimizers


def assign_arrays(variables: dict, arrays: dict) -> None:
    """Gives each variable the array of its name.

    Raises:
      ValueError: an array is missing, or has another shape or kind of number; no variable is
        changed then.
    """
    for name, variable in variables.items():
        if name not in arrays:
            raise ValueError(f"array {name} is missing")
        array, wanted = arrays[name], np.dtype(variable.dtype)
        fits = array.shape == tuple(variable.shape)
        if not fits or not np.can_cast(array.dtype, wanted, "same_kind"):
            raise ValueError(
                f"array {name} is {array.dtype} {list(array.shape)}, but {wanted} "
                f"{list(variable.shape)} was expected"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def normalizer_numbers(config: ModelConfig, arrays: dict) -> np.ndarray:
    """The normaliser's scale and offset among the arrays of ``model_arrays``.

    Raises:
      ValueError: they are missing, or not those of such a normaliser.
    """
    by_frequency = config.normalizer.by_frequency
    expected = (2, config.codec.freq, 2) if by_frequency else (2, 2)
    numbers = arrays.get("normalizer")
    if numbers is None:
        raise ValueError("array normalizer is missing")
    if numbers.shape != expected or not np.issubdtype(numbers.dtype, np.floating):
        raise ValueError(
            f"array normalizer is {numbers.dtype} {list(numbers.shape)}, but numbers "
            f"{list(expected)} were expected"
        )
    return numbers


def first_non_finite(arrays: dict) -> str | None:
    """Name of the first array that holds NaN or infinity."""
    return next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)


def restore_networks(model: GANSynth, arrays: dict) -> None:
    """Gives the networks the arrays of ``model_arrays``; raises what ``assign_arrays`` does."""
    assign_arrays(network_variables(model), arrays)


def restore_optimizers(model: GANSynth, arrays: dict) -> None:
    """Gives the stage's optimizers the arrays of ``model_arrays``, but for the learning rate."""
    assign_arrays(_optimizer_variables(model), arrays)


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
