"""Counted costs are those of the networks, and of the paper's size."""

import dataclasses
import itertools
import math

import pytest

from gansynth_tf import networks
from gansynth_tf.costs import stage_cost
from gansynth_tf.networks import NetworkConfig
from gansynth_tf.schedule import FilterSchedule, ResolutionSchedule
from gansynth_tf.specgram import Normalizer, NormalizerConfig

pytestmark = pytest.mark.latest


def count(layers) -> int:
    return sum(math.prod(v.shape) for layer in layers for v in layer.variables)


@pytest.mark.parametrize("scale_mode", ["ALL", "H"])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_parameters_are_those_of_the_networks(scale_mode, kernel_size):
    config = NetworkConfig(
        resolutions=ResolutionSchedule(2, 8, 2, scale_mode, 3),
        filters=FilterSchedule(fmap_base=64, fmap_max=24),
        num_pitches=5,
        latent_vector_size=6,
        kernel_size=kernel_size,
    )
    normalizer = Normalizer(NormalizerConfig().prespecified())
    generator = networks.make_generator(config, normalizer, seed=0)
    critic = networks.make_discriminator(config, normalizer, seed=0)
    for num_blocks in (1, 2, 3):
        cost = stage_cost(config, num_blocks, batch_size=2)
        used = generator.blocks[:num_blocks]
        layers = [layer for block in used for layer in (block.conv0, block.conv1)]
        assert cost.generator_parameters == count([*layers, used[-1].to_specgram])
        used = critic.blocks[:num_blocks]
        layers = [layer for block in used[1:] for layer in (block.conv0, block.conv1)]
        expected = count([*layers, used[-1].from_specgram, critic.head])
        assert cost.discriminator_parameters == expected


def test_parameters_of_the_simple_architecture():
    config = NetworkConfig(
        resolutions=ResolutionSchedule(2, 8, 2, "ALL", 3),
        filters=FilterSchedule(fmap_base=64, fmap_max=24),
        num_pitches=5,
        latent_vector_size=6,
        simple_arch=True,
    )
    normalizer = Normalizer(NormalizerConfig().prespecified())
    generator = networks.make_generator(config, normalizer, seed=0)
    critic = networks.make_discriminator(config, normalizer, seed=0)
    for num_blocks in (1, 2, 3):
        cost = stage_cost(config, num_blocks, batch_size=2)
        variables = generator.active_variables(num_blocks, fading=False)
        assert cost.generator_parameters == sum(math.prod(v.shape) for v in variables)
        variables = critic.active_variables(num_blocks, fading=False)
        assert cost.discriminator_parameters == sum(math.prod(v.shape) for v in variables)
    standard = stage_cost(dataclasses.replace(config, simple_arch=False), 3, batch_size=2)
    assert cost.iteration_operations < standard.iteration_operations


def test_full_size_specgrams_take_memory():
    small, full = (stage_cost(paper_config(), 1, 8, by_frequency=b) for b in (False, True))
    # Reals, fakes and points between them at least: 128 x 1024 x 2 numbers a note.
    assert full.memory_bytes - small.memory_bytes > 3 * 8 * 4 * 128 * 1024 * 2 * 0.99
    same = [stage_cost(paper_config(), 7, 8, by_frequency=b).memory_bytes for b in (False, True)]
    assert same[0] == same[1]


def paper_config() -> NetworkConfig:
    """As flags/mel_if_hires.cfg."""
    config = NetworkConfig(
        resolutions=ResolutionSchedule(2, 16, 2, "ALL", 7),
        filters=FilterSchedule(4096, 1.0, 256),
        num_pitches=61,
        latent_vector_size=256,
    )
    filters = [config.filters.num_filters(block) for block in range(1, 8)]
    assert filters == [256, 256, 256, 256, 128, 64, 32]
    assert config.resolutions.final_resolution == (128, 1024)
    return config


def test_operations_at_the_papers_size():
    cost = stage_cost(paper_config(), num_blocks=7, batch_size=8)
    # The paper's generator takes 28 GFLOP, 17.6 of them to convolve upscaled images: of these,
    # 4 products in 9 are left.
    assert cost.generator_operations == pytest.approx(28e9 - 17.6e9 * 5 / 9, rel=0.05)
    assert cost.iteration_operations == pytest.approx(540e9, rel=0.15)


def test_costs_grow_with_the_blocks_and_memory_with_the_batch():
    costs = [stage_cost(paper_config(), blocks, batch_size=8) for blocks in range(1, 8)]
    for older, newer in itertools.pairwise(costs):
        assert older.generator_parameters < newer.generator_parameters
        assert older.discriminator_operations < newer.discriminator_operations
        assert older.memory_bytes < newer.memory_bytes
    larger = stage_cost(paper_config(), 7, batch_size=16)
    assert larger.memory_bytes > costs[-1].memory_bytes
    assert larger.iteration_operations == costs[-1].iteration_operations
