"""Folders as the original writes them, of a model of our own."""

import json
import pathlib

import numpy as np
import tensorflow as tf

from gansynth_tf.experiment import Experiment
from gansynth_tf.magenta_names import (
    MOVING_AVERAGE,
    discriminator_variables,
    generator_variables,
)
from gansynth_tf.model import GANSynth, PitchVocabulary

PITCHES = PitchVocabulary(tuple(range(24, 85)), (1,) * 61)
# Two resolutions, three stages of 16 images.
FLAGS = {
    "data_type": "linear",
    "sample_rate": 8000,
    "audio_length": 900,
    "num_resolutions": 2,
    "start_height": 16,
    "start_width": 32,
    "fmap_base": 64,
    "fmap_max": 4,
    "latent_vector_size": 4,
    "batch_size_schedule": [4],
    "stable_stage_num_images": 16,
    "transition_stage_num_images": 16,
    "total_num_images": 48,
    # What is not taken over: places, pictures, servers, and what nobody knows.
    "train_root_dir": "/gone",
    "dataset_name": "nsynth_tfds",
    "fake_batch_size": 5000,
    "ps_tasks": 0,
    "g_fn": "specgram",
    "a_note": "kept silently",
}


def make_model(values: dict, stage: int, numbers: np.ndarray | None = None) -> GANSynth:
    """At that stage, every variable of its own, the averages too; ``values`` are our settings."""
    experiment = Experiment.from_values(values)
    model = GANSynth(experiment.model_config(PITCHES), scale_offset=numbers)
    model.begin_stage(experiment.schedule.stage(stage))
    rng = np.random.default_rng(5)
    trained = model.generator.variables + model.discriminator.variables
    for variable in {id(v): v for v in trained + model.ema_generator.variables}.values():
        if variable is not model.normalizer.scale_offset:
            variable.assign(rng.standard_normal(variable.shape))
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        for variable in optimizer.variables[2:]:
            variable.assign(rng.random(variable.shape))
        optimizer.iterations.assign(3)
    return model


def tensors(model: GANSynth, images: int, seconds: float = 0.0) -> dict[str, np.ndarray]:
    """What the original would save of a model, by its names; Adam's beta2 must be 0.99."""
    blocks = model.num_blocks
    arrays = {"global_step": np.int64(images), "Variable": np.float32(seconds)}
    average = generator_variables(model.ema_generator, blocks)
    arrays |= {name + MOVING_AVERAGE: v.numpy() for name, v in average.items()}
    for kind, names, optimizer, trained in (
        (
            "generator_train",
            generator_variables(model.generator, blocks),
            model.generator_optimizer,
            model.generator_variables,
        ),
        (
            "discriminator_train",
            discriminator_variables(model.discriminator, blocks),
            model.discriminator_optimizer,
            model.discriminator_variables,
        ),
    ):
        arrays |= {name: v.numpy() for name, v in names.items()}
        by_id = {id(variable): name for name, variable in names.items()}
        for variable, mean, square in zip(
            trained, optimizer._momentums, optimizer._velocities, strict=True
        ):
            name = f"progressive_gan_train_ops/{by_id[id(variable)]}"
            arrays |= {f"{name}/Adam": mean.numpy(), f"{name}/Adam_1": square.numpy()}
        power = np.float32(0.99) ** (int(optimizer.iterations) + 1)
        arrays[f"progressive_gan_train_ops/{kind}/beta2_power"] = np.float32(power)
    return arrays


def write(
    folder: pathlib.Path, flags: dict, arrays: dict[str, np.ndarray], stage: int, images: int
) -> pathlib.Path:
    """An original's folder with one checkpoint; returns what the names of its files begin with."""
    inside = folder / f"stage_{stage:05d}"
    inside.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.json").write_text(json.dumps(flags))
    path = inside / f"model.ckpt-{images}"
    names = sorted(arrays)
    values = [tf.constant(arrays[name]) for name in names]
    tf.raw_ops.SaveV2(
        prefix=str(path), tensor_names=names, shape_and_slices=[""] * len(names), tensors=values
    )
    (inside / "checkpoint").write_text(f'model_checkpoint_path: "{path.name}"\n')
    return path
