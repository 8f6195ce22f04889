"""Specgrams and waves equal the original's on every well-conditioned entry."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gansynth_tf import spectral
from gansynth_tf.specgram import Normalizer, NormalizerConfig, SpecgramCodec

SIZES = {"spectral.npz": (128, 1024), "spectral_256x512.npz": (256, 512)}
GOLDEN_NAMES = {"linear": "linear_if", "mel": "mel_if", "phase": "phase"}
pytestmark = pytest.mark.latest


@pytest.fixture(scope="module", params=SIZES)
def golden(request, goldens):
    return SIZES[request.param], goldens.load(request.param)


def codec_of(representation, size) -> SpecgramCodec:
    return SpecgramCodec(representation, *size)


def golden_sparse(arrays, name):
    matrix = np.zeros(arrays[f"{name}_shape"])
    rows, columns = arrays[f"{name}_nonzero_index"].T
    matrix[rows, columns] = arrays[f"{name}_nonzero_value"]
    return matrix


@pytest.mark.parametrize("representation", GOLDEN_NAMES)
def test_waves_to_specgrams(golden, representation):
    size, arrays = golden
    name = GOLDEN_NAMES[representation]
    expected = arrays[f"spec_{name}"]
    stable = np.unpackbits(arrays[f"stable_{name}_packed"])[: expected.size].reshape(expected.shape)
    ours = codec_of(representation, size).waves_to_specgrams(arrays["waves"]).numpy()
    assert ours.dtype == np.float32
    assert ours.shape == expected.shape
    difference = ours - expected
    difference[..., 1] = angle_difference(difference[..., 1])
    close = np.abs(difference) < 2e-3
    share = close[stable.astype(bool)].mean()
    assert share >= 0.99, f"only {share:.2%} of the stable entries agree"
    # Noise is well conditioned everywhere: nearly all of it must agree.
    assert close[2].mean() > 0.99


def angle_difference(half_turns):
    """A difference of angles in units of pi, less whole turns."""
    return half_turns - 2.0 * np.round(half_turns / 2.0)


@pytest.mark.parametrize("representation", GOLDEN_NAMES)
def test_specgrams_to_waves(golden, representation):
    size, arrays = golden
    name = GOLDEN_NAMES[representation]
    waves = codec_of(representation, size).specgrams_to_waves(arrays[f"spec_{name}"]).numpy()
    expected = arrays[f"roundtrip_{name}"]
    peak = np.maximum(np.abs(expected).max(axis=1, keepdims=True), 1e-3)
    assert np.max(np.abs(waves - expected) / peak) < 1e-4


def test_mel_matrices(golden):
    (_, freq), arrays = golden
    for name in ("linear_to_mel", "mel_to_linear"):
        expected = golden_sparse(arrays, name)
        ours = getattr(spectral, f"{name}_matrix")(freq, 16000)
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["linear_to_mel", "mel_to_linear"])
def test_banded_product_equals_the_dense_one(name):
    dense = getattr(spectral, f"{name}_matrix")(512, 16000)
    banded = getattr(spectral, name)(512, 16000)
    x = np.random.default_rng(0).standard_normal((3, 5, 512))
    np.testing.assert_allclose(banded.apply(tf.constant(x)), x @ dense, atol=1e-5)
    stored = sum(block.size for _, _, block in banded.blocks)
    assert stored < dense.size / 4


def test_frames_of_the_original():
    codec = SpecgramCodec("mel", 128, 1024)
    assert (codec.frame_length, codec.frame_step, codec.padding) == (2048, 512, 3072)
    codec = SpecgramCodec("mel", 256, 512)
    assert (codec.frame_length, codec.frame_step, codec.padding) == (1024, 256, 2304)


def without_dc(codec, waves):
    """What an exact codec gives back: the waves less the DC bin of each frame, in float64."""
    padded = np.pad(np.float64(waves), [[0, 0], [codec.padding, 0]])
    stft = spectral.wave_to_stft(padded, codec.frame_length, codec.frame_step).numpy()
    stft[..., 0] = 0.0
    back = spectral.stft_to_wave(stft, codec.frame_length, codec.frame_step)
    return back.numpy()[:, codec.padding :]


@pytest.mark.parametrize("representation", ["linear", "phase", "unwrapped_phase"])
@pytest.mark.parametrize("frames", [16, 2048])
def test_round_trip(representation, frames):
    """Long notes lose no more than short ones: float32 is not spent on whole turns."""
    codec = SpecgramCodec(representation, frames, 64, audio_length=frames * 32, sample_rate=8000)
    waves = 0.3 * np.random.default_rng(1).standard_normal((2, codec.audio_length))
    back = codec.specgrams_to_waves(codec.waves_to_specgrams(np.float32(waves))).numpy()
    tolerance = 1e-3 if representation == "unwrapped_phase" else 1e-4
    np.testing.assert_allclose(back, without_dc(codec, waves), atol=tolerance)


@pytest.mark.parametrize("frames", [16, 512])
def test_unwrapped_phase_in_float64(frames):
    """In float64 the codec is exact but for the epsilon of its logarithm."""
    codec = SpecgramCodec("unwrapped_phase", frames, 64, frames * 32, 8000)
    waves = np.random.default_rng(1).standard_normal((2, codec.audio_length))
    specgrams = codec.waves_to_specgrams(waves)
    assert specgrams.dtype == tf.float64
    back = codec.specgrams_to_waves(specgrams).numpy()
    np.testing.assert_allclose(back, without_dc(codec, waves), atol=1e-5)
    # It really is unwrapped: no step of more than half a turn, and the turns add up.
    phase = specgrams.numpy()[..., 1]
    assert np.abs(np.diff(phase, axis=1)).max() <= 1.0 + 1e-9
    assert np.abs(phase).max() > 2.0


def test_wave_representation_is_the_wave():
    codec = SpecgramCodec("wave", 4, 8, audio_length=100)
    waves = np.random.default_rng(0).standard_normal((3, 100)).astype(np.float32)
    specgrams = codec.waves_to_specgrams(waves)
    assert specgrams.shape == (3, 100, 1)
    np.testing.assert_array_equal(codec.specgrams_to_waves(specgrams), waves)


def test_a_wave_as_an_image_is_padded_on_both_sides():
    codec = SpecgramCodec("wave_image", 104, 1, audio_length=100)
    waves = np.random.default_rng(0).standard_normal((3, 100)).astype(np.float32)
    images = codec.waves_to_specgrams(waves).numpy()
    assert images.shape == (3, *codec.specgram_shape) == (3, 104, 1, 2)
    np.testing.assert_array_equal(
        images, np.pad(waves, [[0, 0], [2, 2]])[:, :, None, None] * [1, 1]
    )
    np.testing.assert_array_equal(codec.specgrams_to_waves(images), waves)
    for time, freq in ((98, 1), (103, 1), (104, 2)):
        with pytest.raises(ValueError, match="data_type=wave_image needs images of 100 samples"):
            SpecgramCodec("wave_image", time, freq, audio_length=100)


@pytest.mark.parametrize("representation", ["linear", "mel", "phase", "unwrapped_phase"])
def test_same_in_every_place(representation, tmp_path):
    """Eagerly, in tf.data, in tf.function with an unknown batch and in a SavedModel."""
    codec = SpecgramCodec(representation, 16, 64, audio_length=480, sample_rate=8000)
    waves = np.random.default_rng(0).standard_normal((4, 480)).astype(np.float32)
    eager = codec.waves_to_specgrams(waves).numpy()

    spec = tf.TensorSpec([None, 480], tf.float32)
    traced = tf.function(codec.waves_to_specgrams, input_signature=[spec])
    np.testing.assert_allclose(traced(waves), eager, atol=1e-4)

    dataset = tf.data.Dataset.from_tensor_slices(waves).batch(4).map(codec.waves_to_specgrams)
    np.testing.assert_allclose(next(iter(dataset)), eager, atol=1e-4)

    module = tf.Module()
    shape = tf.TensorSpec([None, *codec.specgram_shape], tf.float32)
    module.invert = tf.function(codec.specgrams_to_waves, input_signature=[shape])
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.invert(eager), codec.specgrams_to_waves(eager), atol=1e-5)


def test_mel_constants_stay_small_in_a_graph():
    codec = SpecgramCodec("mel", 128, 1024)
    spec = tf.TensorSpec([None, 64000], tf.float32)
    graph = tf.function(codec.waves_to_specgrams, input_signature=[spec]).get_concrete_function()
    assert graph.graph.as_graph_def().ByteSize() < 1_000_000  # the dense matrix alone is 4 MB


@given(hnp.arrays(np.float64, (1, 20, 3), elements=st.floats(-50, 50)))
@settings(deadline=None)
def test_unwrap_is_numpys(phase):
    ours = spectral.unwrap(tf.constant(phase)).numpy()
    np.testing.assert_allclose(np.exp(1j * ours), np.exp(1j * phase), atol=1e-9)
    # A step of exactly half a turn may be taken either way.
    steps = np.abs(np.diff(ours, axis=1))
    assert steps.max() <= np.pi + 1e-9


@given(hnp.arrays(np.float32, (1, 8, 4), elements=st.floats(-1, 1, width=32)))
@settings(deadline=None)
def test_instantaneous_frequency_inverts_accumulation(frequency):
    phase = np.pi * spectral.accumulate(tf.constant(frequency, tf.float64))
    back = spectral.instantaneous_frequency(phase).numpy()
    first = frequency[:, :1]
    np.testing.assert_allclose(back[:, :1], first, atol=1e-9)
    np.testing.assert_allclose(angle_difference(back[:, 1:] - frequency[:, 1:]), 0, atol=1e-9)


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: SpecgramCodec("cepstrum"), "data_type"),
        (lambda: SpecgramCodec("mel", 128, 1000), "power of two"),
        (lambda: SpecgramCodec("mel", 16, 64, audio_length=64000), "audio_length"),
        (lambda: SpecgramCodec("mel", sample_rate=0), "sample_rate"),
        (lambda: SpecgramCodec("mel").waves_to_specgrams(np.zeros((1, 7))), "64000"),
        (lambda: NormalizerConfig(data_normalizer="none"), "data_normalizer"),
        (lambda: NormalizerConfig(mag_normalizer_a=0.0), "mag_normalizer_a"),
        (lambda: NormalizerConfig(mag_normalizer_a=5e-324), "mag_normalizer_a"),
        (lambda: NormalizerConfig(p_normalizer_a=math.nan), "p_normalizer_a"),
        (lambda: NormalizerConfig(mag_normalizer_b=math.nan), "mag_normalizer_b"),
        (lambda: NormalizerConfig(p_normalizer_b=-math.inf), "p_normalizer_b"),
        (lambda: NormalizerConfig(normalizer_margin=0.0), "normalizer_margin"),
    ],
)
def test_errors_name_the_argument(build, name):
    with pytest.raises(ValueError, match=name):
        build()


# --- Normaliser ---


@pytest.mark.parametrize("kind", ["simple", "freq"])
@given(hnp.arrays(np.float32, (5, 3, 4, 2), elements=st.floats(-100, 100, width=16), unique=True))
@settings(deadline=None, max_examples=25)
def test_fitted_range_is_the_margin(kind, specgrams):
    config = NormalizerConfig(data_normalizer=f"specgrams_{kind}_normalizer")
    numbers = config.fit(specgrams)
    assert numbers.shape == ((2, 4, 2) if kind == "freq" else (2, 2))
    normalizer = Normalizer(numbers)
    normalized = normalizer.normalize(specgrams).numpy()
    axes = (0, 1) if kind == "freq" else (0, 1, 2)
    np.testing.assert_allclose(normalized.min(axis=axes), -0.8, atol=1e-3)
    np.testing.assert_allclose(normalized.max(axis=axes), 0.8, atol=1e-3)
    np.testing.assert_allclose(normalizer.denormalize(normalized), specgrams, atol=0.05)


def test_a_bin_that_never_moves_stays_finite():
    config = NormalizerConfig(data_normalizer="specgrams_freq_normalizer")
    numbers = config.fit(np.full((4, 3, 2, 2), -13.8, np.float32))
    assert np.isfinite(numbers).all()
    constant = Normalizer(numbers).normalize(np.full((1, 3, 2, 2), -13.8, np.float32))
    assert np.abs(constant.numpy()).max() <= 1.0


def test_normalizer_clips_and_inverts():
    normalizer = Normalizer(NormalizerConfig().prespecified())
    assert normalizer.normalize(np.full((1, 1, 1, 2), 1e3, np.float32)).numpy().max() == 1.0
    inside = np.array([[[[-5.0, 0.4]]]], np.float32)
    back = normalizer.denormalize(normalizer.normalize(inside))
    np.testing.assert_allclose(back, inside, atol=1e-5)
