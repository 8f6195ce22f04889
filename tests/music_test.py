"""Paths through the latent space are the original's, and finite where those are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf.music import slerp

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
