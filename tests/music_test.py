"""Paths through the latent space are the original's, and finite where those are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf.music import TimbrePath, slerp, slerp_fixed_norm, timbre_times, with_norm

pytestmark = pytest.mark.latest


@pytest.fixture(scope="module")
def golden(goldens):
    arrays = goldens.load("generate.npz")
    return {name: arrays[f"slerp/{name}"] for name in ("p0", "p1", "t", "out")}


@pytest.mark.parametrize("pair", [0, 1, 2, 5])
def test_equals_the_original(golden, pair):
    ours = slerp(golden["p0"][pair], golden["p1"][pair], golden["t"])
    expected = golden["out"][pair]
    assert np.abs(ours - expected).max() < 1e-6 * np.abs(expected).max()


def test_parallel_latents_are_joined_by_a_line(golden):
    start, end, amount = golden["p0"][3], golden["p1"][3], golden["t"]
    assert np.isnan(golden["out"][3]).all()
    line = start + amount[:, np.newaxis] * (end - start)
    np.testing.assert_allclose(slerp(start, end, amount), line, rtol=1e-12)
    np.testing.assert_allclose(slerp(start, start, amount), np.tile(start, (7, 1)), rtol=1e-12)


def test_antiparallel_latents_stay_finite(golden):
    # No arc is marked out between them: the original's points between are rounding noise, its
    # ends alone are meaningful.
    start, end, amount = golden["p0"][4], golden["p1"][4], golden["t"]
    ours = slerp(start, end, amount)
    assert np.isfinite(ours).all()
    for position in np.flatnonzero((amount == 0) | (amount == 1)):
        np.testing.assert_allclose(ours[position], golden["out"][4][position], rtol=1e-9)
    assert np.linalg.norm(ours[3]) <= max(np.linalg.norm(start), np.linalg.norm(end))


def random_pair(seed: int, dimensions: int):
    return np.random.default_rng(seed).standard_normal((2, dimensions))


pairs = st.builds(random_pair, st.integers(0, 10_000), st.integers(2, 64))


@settings(deadline=None)
@given(pair=pairs)
def test_ends_are_the_latents(pair):
    np.testing.assert_allclose(slerp(*pair, [0.0, 1.0]), pair, rtol=1e-12)


@settings(deadline=None)
@given(pair=pairs, amount=st.floats(0, 1))
def test_reversed_is_the_same_path(pair, amount):
    start, end = pair
    there, back = slerp(start, end, [amount]), slerp(end, start, [1.0 - amount])
    np.testing.assert_allclose(there, back, rtol=1e-6, atol=1e-7)


@settings(deadline=None)
@given(pair=pairs, amount=st.floats(0, 1), radius=st.floats(0.1, 20))
def test_latents_on_a_sphere_stay_on_it_at_an_even_pace(pair, amount, radius):
    start, end = radius * pair / np.linalg.norm(pair, axis=1, keepdims=True)
    cosine = start @ end / radius**2
    if abs(cosine) > 1 - 1e-6:
        return
    (between,) = slerp(start, end, [amount])
    assert np.linalg.norm(between) == pytest.approx(radius, rel=1e-6)
    expected = np.cos(amount * np.arccos(cosine))
    assert between @ start / radius**2 == pytest.approx(expected, abs=1e-6)


def test_dtype_and_shape():
    start, end = random_pair(0, 5).astype(np.float32)
    assert slerp(start, end, np.linspace(0, 1, 4)).shape == (4, 5)


# --- One norm ---


@settings(deadline=None)
@given(pair=pairs, amounts=st.lists(st.floats(0, 1), min_size=1), norm=st.floats(0.1, 100))
def test_a_fixed_norm_is_kept_and_the_ends_keep_their_directions(pair, amounts, norm):
    path = slerp_fixed_norm(*pair, [0.0, *amounts, 1.0], norm)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), norm, rtol=1e-6)
    directions = pair / np.linalg.norm(pair, axis=1, keepdims=True)
    np.testing.assert_allclose(path[[0, -1]] / norm, directions, atol=1e-6)


def test_the_norm_is_that_of_drawn_latents():
    assert np.linalg.norm(with_norm(np.ones((2, 3, 256))), axis=-1) == pytest.approx(16.0)


def test_what_has_no_direction_is_refused():
    with pytest.raises(ValueError, match="no direction"):
        slerp_fixed_norm(np.zeros(4), np.ones(4), [0.5])
    with pytest.raises(ValueError, match="opposite"):
        slerp_fixed_norm(-np.ones(4), 2 * np.ones(4), [0.5])


# --- Timbres over time ---


def test_timbres_over_time_are_the_original_s(goldens):
    arrays = goldens.load("generate.npz")
    path = TimbrePath(arrays["z_notes/z_instruments"], arrays["z_notes/t_instruments"])
    ours = path.at(arrays["z_notes/query_times"])
    np.testing.assert_allclose(ours, arrays["z_notes/out"], atol=1e-12)


@pytest.mark.parametrize(
    ("total", "seconds"), [("20", "2"), ("20", "6"), ("13.37", "2.5"), ("100.2", "6")]
)
def test_times_of_timbres_are_the_original_s(goldens, total, seconds):
    arrays = goldens.load("generate.npz")
    ours = timbre_times(float(total), float(seconds))
    np.testing.assert_array_equal(ours, arrays[f"instruments/total{total}_secs{seconds}/t"])


@pytest.mark.parametrize("total", [0.0, 0.5, 6.0, 11.9])
def test_a_short_piece_has_one_timbre(total):
    """The original has none for it, and fails."""
    times = timbre_times(total, 6.0)
    latents = np.arange(1.0, 4.0)[np.newaxis]
    path = TimbrePath(latents, times).at([0.0, total, 99.0])
    np.testing.assert_array_equal(path, np.repeat(latents, 3, 0))


@settings(deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(2, 6))
def test_a_path_goes_through_its_latents(seed, count):
    generator = np.random.default_rng(seed)
    latents = generator.standard_normal((count, 8))
    times = np.cumsum(generator.uniform(0.1, 3.0, count))
    np.testing.assert_allclose(TimbrePath(latents, times).at(times), latents, rtol=1e-9)
    between = generator.uniform(times[0], times[-1], 5)
    fixed = TimbrePath(latents, times, fixed_norm=True).at(between)
    np.testing.assert_allclose(np.linalg.norm(fixed, axis=1), np.sqrt(8), rtol=1e-6)


@pytest.mark.parametrize(
    ("latents", "times", "message"),
    [
        (np.ones(3), [0.0], "latents must have shape"),
        (np.ones((2, 3)), [0.0], "latents must have shape"),
        (np.ones((0, 3)), [], "latents must have shape"),
        (np.ones((2, 3)), [1.0, 1.0], "times must grow"),
        (np.ones((2, 3)), [0.0, np.nan], "times must grow"),
    ],
)
def test_a_path_that_is_none_is_refused(latents, times, message):
    with pytest.raises(ValueError, match=message):
        TimbrePath(latents, np.array(times))


@pytest.mark.parametrize(("total", "seconds"), [(1, 0), (1, -1), (1, np.nan), (np.inf, 1)])
def test_seconds_that_are_none_are_refused(total, seconds):
    with pytest.raises(ValueError, match="secs_per_instrument"):
        timbre_times(total, seconds)
