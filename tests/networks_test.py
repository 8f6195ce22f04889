"""Both networks give the original's outputs, and keep their own rules."""

import numpy as np
import pytest
import tensorflow as tf
from naming import assign

from gansynth_tf import networks
from gansynth_tf.layers import box_upscale
from gansynth_tf.magenta_names import discriminator_variables, generator_variables
from gansynth_tf.networks import NetworkConfig
from gansynth_tf.schedule import FilterSchedule, ResolutionSchedule
from gansynth_tf.specgram import Normalizer, NormalizerConfig

pytestmark = pytest.mark.latest
CASES = [(1, 0.0), (2, 0.0), (2, 0.3), (2, 1.0), (3, 0.0), (3, 0.3), (3, 1.0), (3, 1.5), (3, 2.0)]


def tiny_config(**changes) -> NetworkConfig:
    settings = {
        "resolutions": ResolutionSchedule(start_height=2, start_width=16, num_resolutions=3),
        "filters": FilterSchedule(fmap_base=64, fmap_decay=1.0, fmap_max=16),
        "num_pitches": 61,
        "latent_vector_size": 8,
    }
    return NetworkConfig(**(settings | changes))


def prespecified() -> Normalizer:
    return Normalizer(NormalizerConfig().prespecified())


def active(progress: float) -> tuple[int, float | None]:
    """The blocks that progress reaches, and the weight of the newest one when it fades in.

    The original also runs blocks above, at weight 0; here they are not computed.
    """
    whole = int(progress)
    return (whole + 1, None) if progress == whole else (whole + 2, progress - whole)


@pytest.fixture(scope="module")
def arrays(goldens):
    return goldens.load("networks_tiny.npz")


@pytest.fixture(scope="module")
def generator(arrays):
    generator = networks.make_generator(tiny_config(), prespecified(), seed=0)
    assign(generator_variables(generator), arrays, "var/")
    return generator


@pytest.fixture(scope="module")
def discriminator(arrays):
    discriminator = networks.make_discriminator(tiny_config(), prespecified(), seed=0)
    assign(discriminator_variables(discriminator), arrays, "var/")
    return discriminator


def assert_close(ours, expected, tolerance=5e-6):
    error = np.abs(np.asarray(ours) - expected).max() / np.abs(expected).max()
    assert error < tolerance, f"relative error {error:.2e}"


@pytest.mark.parametrize(("blocks", "progress"), CASES)
def test_generator(arrays, generator, blocks, progress):
    prefix = f"nb{blocks}_p{progress:.1f}_"
    num_blocks, fade = active(progress)
    step = generator.config.resolutions.step
    latents, labels = arrays["z"], arrays["one_hot_labels"]

    ours = generator(latents, labels, num_blocks=num_blocks, fade=fade)
    ours = box_upscale(ours, step(3 - num_blocks))
    assert_close(ours, arrays[prefix + "gen"])

    for block in range(1, blocks + 1):
        (output,) = generator.outputs(latents, labels, block, fading=False)
        upscaled = box_upscale(output, step(3 - block))
        assert_close(upscaled, arrays[f"{prefix}gen_upscaled_rgb_{block}"])


@pytest.mark.parametrize(("blocks", "progress"), CASES)
@pytest.mark.parametrize("source", ["real", "fake", "blend"])
def test_discriminator(arrays, discriminator, blocks, progress, source):
    prefix = f"nb{blocks}_p{progress:.1f}_"
    num_blocks, fade = active(progress)
    if source == "real" and num_blocks < 3:
        pytest.skip("unblended notes below full size: the clip comes before the averaging there")
    specgrams = {
        "real": arrays["real"],
        "fake": arrays[prefix + "gen"],
        "blend": arrays[prefix + "blend"],
    }[source]
    small = networks.stage_specgrams(discriminator.config, specgrams, num_blocks, False)
    output = discriminator(small, num_blocks=num_blocks, fade=fade)
    assert_close(output.score, arrays[f"{prefix}d_logits_on_{source}"][:, 0])
    assert_close(output.pitch_logits, arrays[f"{prefix}d_class_logits_on_{source}"])
    assert_close(output.last_conv, arrays[f"{prefix}d_last_conv_on_{source}"][:, 0, 0])


@pytest.mark.parametrize(("blocks", "progress"), CASES)
def test_blend(arrays, blocks, progress):
    config = tiny_config()
    num_blocks, fade = active(progress)
    small = networks.stage_specgrams(config, arrays["real"], num_blocks, False)
    ours = networks.blend_specgrams(config, small, num_blocks, False, fade)
    ours = box_upscale(ours, config.resolutions.step(3 - num_blocks))
    assert_close(ours, arrays[f"nb{blocks}_p{progress:.1f}_blend"])


def test_normalised_specgrams(arrays):
    assert_close(prespecified().normalize(arrays["real"]), arrays["normalized_real"])


def test_two_batches_in_one_pass_keep_their_own_statistics(arrays, discriminator):
    reals, fakes = arrays["real"], arrays["nb3_p2.0_gen"]
    both = discriminator(tf.concat([reals, fakes], 0), num_blocks=3, groups=2)
    apart = [discriminator(tf.constant(x), num_blocks=3).score for x in (reals, fakes)]
    np.testing.assert_allclose(both.score, tf.concat(apart, 0), rtol=1e-5)
    mixed = discriminator(tf.concat([reals, fakes], 0), num_blocks=3)
    assert np.abs(mixed.score - both.score).max() > 1e-4


SHAPES = {
    "both axes": {},
    "time only": {
        "resolutions": ResolutionSchedule(2, 32, 2, "H", 3),
    },
    "base 4": {"resolutions": ResolutionSchedule(2, 4, 4, "ALL", 2)},
    "odd start, wide kernel": {
        "resolutions": ResolutionSchedule(3, 8, 2, "ALL", 3),
        "kernel_size": 5,
    },
    "one resolution": {"resolutions": ResolutionSchedule(4, 8, 2, "ALL", 1)},
    "linear output": {"to_rgb_activation": "linear"},
}


@pytest.mark.parametrize("simple", [False, True], ids=["standard", "simple"])
@pytest.mark.parametrize("case", SHAPES)
def test_every_size(case, simple):
    config = tiny_config(**SHAPES[case], simple_arch=simple, num_pitches=5)
    normalizer = prespecified()
    generator = networks.make_generator(config, normalizer, seed=1)
    discriminator = networks.make_discriminator(config, normalizer, seed=1)
    latents, labels = tf.random.normal([3, 8]), tf.one_hot([0, 1, 4], 5)
    for num_blocks in range(1, config.resolutions.num_resolutions + 1):
        for fade in (None, 0.5) if num_blocks > 1 else (None,):
            specgrams = generator(latents, labels, num_blocks=num_blocks, fade=fade)
            assert specgrams.shape == (3, *config.resolutions.resolution(num_blocks), 2)
            output = discriminator(specgrams, num_blocks=num_blocks, fade=fade)
            assert output.score.shape == (3,)
            assert output.pitch_logits.shape == (3, 5)
            if config.to_rgb_activation == "tanh":
                assert np.abs(normalizer.scale_offset[0] * specgrams).max() <= 2.0


@pytest.mark.parametrize("simple", [False, True], ids=["standard", "simple"])
@pytest.mark.parametrize("fade", [None, 0.5])
def test_active_variables_are_those_with_a_gradient(simple, fade):
    config = tiny_config(simple_arch=simple)
    generator = networks.make_generator(config, prespecified(), seed=1)
    discriminator = networks.make_discriminator(config, prespecified(), seed=1)
    latents, labels = tf.random.normal([3, 8]), tf.one_hot([0, 1, 4], 61)
    with tf.GradientTape(persistent=True) as tape:
        specgrams = generator(latents, labels, num_blocks=2, fade=fade)
        output = discriminator(specgrams, num_blocks=2, fade=fade)
        total = tf.reduce_sum(output.score) + tf.reduce_sum(tf.square(output.pitch_logits))
    for network in (generator, discriminator):
        ours = {id(v) for v in network.active_variables(2, fade is not None)}
        gradients = tape.gradient(total, [v.value for v in network.trainable_variables])
        moved = {
            id(variable)
            for variable, gradient in zip(network.trainable_variables, gradients, strict=True)
            if gradient is not None
        }
        assert ours == moved


def test_first_weights_depend_on_the_seed_alone():
    first, same, other = (
        networks.make_generator(tiny_config(), prespecified(), seed) for seed in (1, 1, 2)
    )
    kernels = [network.blocks[2].conv0.kernel.numpy() for network in (first, same, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.1
    assert np.abs(kernels[0][:, :, :8] - first.blocks[2].conv1.kernel.numpy()).mean() > 0.1


def test_a_per_frequency_normaliser_stays_at_full_size():
    config = tiny_config()
    numbers = np.ones((2, 64, 2)) * np.linspace(0.5, 1.5, 64)[None, :, None]
    normalizer = Normalizer(numbers)
    generator = networks.make_generator(config, normalizer, seed=1)
    discriminator = networks.make_discriminator(config, normalizer, seed=1)
    specgrams = generator(tf.random.normal([2, 8]), tf.one_hot([0, 1], 61), num_blocks=2)
    assert specgrams.shape == (2, 8, 64, 2)
    assert discriminator(specgrams, num_blocks=2).score.shape == (2,)
    full = tf.random.normal([2, 8, 64, 2])
    assert networks.stage_specgrams(config, full, 2, True).shape == (2, 8, 64, 2)


def test_the_first_block_cannot_fade():
    generator = networks.make_generator(tiny_config(), prespecified(), seed=1)
    with pytest.raises(ValueError, match="fade"):
        generator(tf.zeros([1, 8]), tf.zeros([1, 61]), num_blocks=1, fade=0.5)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"to_rgb_activation": "relu"}, "to_rgb_activation"),
        ({"latent_vector_size": 0}, "latent_vector_size"),
        ({"latent_vector_size": 10**12}, "latent_vector_size must be at most"),
        ({"kernel_size": 4}, "kernel_size must be an odd number"),
        ({"kernel_size": 10**6 + 1}, "kernel_size must be an odd number"),
        ({"filters": FilterSchedule(fmap_base=4)}, "fmap_base"),
    ],
)
def test_errors_name_the_argument(changes, name):
    with pytest.raises(ValueError, match=name):
        tiny_config(**changes)
