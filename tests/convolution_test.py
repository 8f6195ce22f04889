"""gansynth_tf.convolution against TensorFlow's own gradients, of first and of second order."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf import convolution

# (image, kernel, padding, matrix products of the kernel's gradient): one of each way of computing
# it, and their limits. No product: TensorFlow's own.
CASES = {
    "winograd": ((2, 8, 16, 128), (3, 3, 128, 130), (1, 1), 16),
    "winograd, one at a time": ((3, 36, 256, 128), (3, 3, 128, 128), (1, 1), 16),
    "winograd, no padding": ((1, 10, 12, 128), (3, 3, 128, 128), (0, 0), 16),
    "wide and odd": ((1, 9, 8, 128), (3, 3, 128, 128), (1, 1), 0),
    "wide and small": ((2, 2, 4, 128), (3, 3, 128, 128), (1, 1), 0),
    "wide, 2 x 2": ((1, 8, 8, 128), (2, 2, 128, 256), (1, 1), 0),
    "medium": ((3, 4, 6, 32), (3, 3, 32, 20), (1, 1), 9),
    "medium, in two spans": ((2, 72, 512, 2), (3, 3, 2, 32), (1, 1), 18),
    "medium, a few at a time": ((5, 96, 128, 2), (3, 3, 2, 32), (1, 1), 9),
    "medium, 2 x 3": ((2, 4, 6, 8), (2, 3, 8, 32), (1, 1), 6),
    "medium, 5 x 5": ((2, 5, 6, 33), (5, 5, 33, 4), (2, 2), 25),
    "narrow": ((2, 4, 6, 3), (3, 3, 3, 2), (1, 1), 0),
    "narrow, 2 x 2": ((2, 4, 6, 3), (2, 2, 3, 8), (1, 1), 0),
    "one tap": ((2, 4, 6, 2), (1, 1, 2, 32), (0, 0), 1),
    "one tap, wide": ((2, 8, 8, 128), (1, 1, 128, 128), (0, 0), 1),
}


def _normal(seed, shape):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def _plain(x, kernel, padding):
    return tf.nn.conv2d(x, kernel, 1, [[0, 0], *([p, p] for p in padding), [0, 0]])


def _derivatives(convolve, x, kernel, padding):
    """Gradients of a penalty on the slope, as the critic's, and the slope itself."""
    with tf.GradientTape() as outer:
        outer.watch([x, kernel])
        with tf.GradientTape() as inner:
            inner.watch(x)
            score = tf.reduce_sum(tf.square(convolve(x, kernel, padding)))
        slope = inner.gradient(score, x)
        penalty = tf.reduce_sum(tf.square(slope)) + score
    return slope, *outer.gradient(penalty, [x, kernel])


def _assert_as_plain(x, kernel, padding):
    ours = _derivatives(convolution.conv2d, x, kernel, padding)
    own = _derivatives(_plain, x, kernel, padding)
    for actual, expected in zip(ours, own, strict=True):
        scale = float(tf.reduce_max(tf.abs(expected)))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * scale)


@pytest.mark.latest
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_tensorflows(case):
    image, taps, padding, _ = CASES[case]
    _assert_as_plain(_normal(0, image), 0.1 * _normal(1, taps), padding)


@pytest.mark.latest
@settings(max_examples=20, deadline=None)
@given(
    image=st.tuples(*(st.integers(low, high) for low, high in ((1, 3), (3, 9), (3, 9), (1, 40)))),
    taps=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 40)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_gradients_are_tensorflows_whatever_the_sizes(image, taps, padding):
    rows, columns, filters = taps
    padding = min(padding[0], rows - 1), min(padding[1], columns - 1)
    kernel = _normal(1, (rows, columns, image[-1], filters))
    _assert_as_plain(_normal(0, image), kernel, padding)


@pytest.mark.latest
@pytest.mark.parametrize("case", CASES)
def test_the_kernels_gradient_does_what_the_case_says(case):
    """Each way is taken: by the operations of its graph."""
    image, taps, padding, products = CASES[case]
    x, upstream = _normal(0, image), _plain(_normal(0, image), _normal(1, taps), padding)
    graph = tf.function(convolution.kernel_gradient).get_concrete_function(x, upstream, padding)
    nodes = graph.graph.as_graph_def()
    kinds = [node.op for f in [nodes, *nodes.library.function] for node in _nodes(f)]
    assert kinds.count("MatMul") == products
    assert kinds.count("Conv2DBackpropFilter") == (products == 0)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("batch", [None, 1])
def test_xla_computes_the_same(case, batch):
    image, taps, padding, _ = CASES[case]
    x = _normal(0, (batch or image[0], *image[1:]))
    upstream = tf.ones_like(_plain(x, _normal(1, taps), padding)) + x[:, :1, :1, :1]
    compiled = tf.function(convolution.kernel_gradient, jit_compile=True)(x, upstream, padding)
    expected = convolution.kernel_gradient(x, upstream, padding)
    scale = float(tf.reduce_max(tf.abs(expected)))
    np.testing.assert_allclose(compiled, expected, rtol=0, atol=1e-5 * scale)


def test_a_batch_of_unknown_size_is_left_to_tensorflow():
    image, taps, padding, _ = CASES["winograd"]
    x, upstream = _normal(0, image), _plain(_normal(0, image), _normal(1, taps), padding)
    specs = [tf.TensorSpec([None, *tensor.shape[1:]]) for tensor in (x, upstream)]
    unknown = tf.function(lambda *t: convolution.kernel_gradient(*t, padding), specs)
    expected = convolution.kernel_gradient(x, upstream, padding)
    np.testing.assert_allclose(unknown(x, upstream), expected, rtol=1e-3, atol=1e-3)


def _nodes(graph):
    return graph.node if hasattr(graph, "node") else graph.node_def


@pytest.mark.latest
def test_bfloat16_is_left_to_tensorflow():
    x, kernel = (tf.cast(_normal(0, s), tf.bfloat16) for s in ((1, 4, 4, 2), (3, 3, 2, 2)))
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        y = convolution.conv2d(x, kernel, (1, 1))
    assert y.dtype == tape.gradient(y, kernel).dtype == tf.bfloat16
