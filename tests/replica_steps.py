"""Steps of a small model on so many logical CPU devices, as a process of its own.

    python replica_steps.py DEVICES OUT.npz

TensorFlow's devices, and the groups in which they meet, cannot be changed once it has begun.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from experiments import small_experiment

from gansynth_tf.distribution import Cluster, DistributionConfig, distribute_batches, make_strategy
from gansynth_tf.execution import StepFunction
from gansynth_tf.model import GANSynth, OptimizerConfig, PitchVocabulary
from gansynth_tf.variables import network_variables

STAGES = {"first": 0, "fading": 1, "last": 2}
SGD_RATE = 0.1
ADAM_STEPS = 20
CHANGE = "change of "
SLOW = OptimizerConfig(generator_learning_rate=1e-4, discriminator_learning_rate=1e-4)


class SgdGANSynth(GANSynth):
    """With plain gradient descent: Adam's first step is a sign, which hides a wrong scale."""

    def _adam(self, learning_rate: float):
        return keras.optimizers.SGD(SGD_RATE)


def take_steps(strategy, model_class, stage_index: int, steps: int):
    """Loss terms [steps, m] and, after so many steps, the networks' arrays and changes by name."""
    experiment = small_experiment()
    config = experiment.model_config(PitchVocabulary((60, 61, 62), (1, 2, 1)))
    stage = experiment.schedule.stage(stage_index)
    with strategy.scope():
        numbers = config.normalizer.prespecified()
        model = model_class(
            config, optimizer_config=SLOW, scale_offset=numbers, seed=3, global_stddev=True
        )
        model.begin_stage(stage)
    size = config.networks.resolutions.resolution(stage.num_blocks)
    batch = {
        "specgrams": np.random.default_rng(0).uniform(-0.5, 0.5, [4, *size, 2]).astype("f4"),
        "labels": np.array([0, 1, 2, 0], np.int32),
    }

    def make(share):
        data = tf.data.Dataset.from_tensor_slices(batch)
        return data.batch(4 // share.total, drop_remainder=True).repeat()

    before = {name: v.numpy() for name, v in network_variables(model).items()}
    batches = distribute_batches(strategy, make)
    function = StepFunction(model, strategy, experiment.execution)
    terms = [function(batches, step, [0.5]).numpy()[0] for step in range(steps)]
    arrays = {name: v.numpy() for name, v in network_variables(model).items()}
    changes = {f"{CHANGE}{name}": array - before[name] for name, array in arrays.items()}
    return terms, arrays | changes


def main(devices: int, path: str) -> None:
    """Writes the arrays of one step of every kind of stage, and the terms of many of one."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration() for _ in range(devices)]
    tf.config.set_logical_device_configuration(cpu, logical)
    name = "mirrored" if devices > 1 else "auto"
    strategy = make_strategy(DistributionConfig(strategy=name), Cluster())
    assert strategy.num_replicas_in_sync == devices
    found = {}
    for kind, index in STAGES.items():
        terms, arrays = take_steps(strategy, SgdGANSynth, index, 1)
        found[f"{kind}/terms"] = terms
        found |= {f"{kind}/{name}": array for name, array in arrays.items()}
    found["adam"], _ = take_steps(strategy, GANSynth, STAGES["fading"], ADAM_STEPS)
    np.savez(path, **found)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
