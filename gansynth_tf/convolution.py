"""Convolution of stride 1 whose gradients are as fast as itself on a CPU.

TensorFlow's own gradients run at a fifth to three quarters of the convolution's speed there, and
a training iteration spends more than half of its products on them. Here the gradient by the image
is a convolution again, and that by the kernel a few large matrix products: for wide images in
Winograd's form, with 2.25 times fewer of them. On a GPU, and in other types than float32,
TensorFlow's own are used.

Source: Lavin and Gray, "Fast algorithms for convolutional neural networks" (F(2 x 2, 3 x 3)).
"""

import contextlib
import contextvars
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

# Where one way of the kernel's gradient overtakes another (docs/PERFORMANCE.md): from these channels
# on products in matrices pay, and from those, on images not too small, Winograd's transforms.
PRODUCTS_MIN_CHANNELS = 32
WINOGRAD_MIN_CHANNELS, WINOGRAD_MIN_CELLS = 128, 64
# Cells that are worked on at once.
WINOGRAD_CELLS, SHIFTED_CELLS = 8_192, 16_384
# Kernel = G^T (image part x gradient part) G, both parts taken of tiles of 4 x 4 cells.
_WINOGRAD_KERNEL = np.array(
    [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]], np.float32
)


_STANDARD_GRADIENTS = contextvars.ContextVar("standard_gradients", default=False)


@contextlib.contextmanager
def standard_gradients() -> Iterator[None]:
    """Within it, graphs are traced with TensorFlow's own gradients only.

    For graphs that are saved: gradients of our own would be saved beside them, each of them twice,
    and complained of when they are loaded.
    """
    token = _STANDARD_GRADIENTS.set(True)
    try:
        yield
    finally:
        _STANDARD_GRADIENTS.reset(token)


def gradients_are_standard() -> bool:
    """Whether this is within ``standard_gradients``."""
    return _STANDARD_GRADIENTS.get()


def conv2d(x: tf.Tensor, kernel: tf.Tensor, padding: tuple[int, int]) -> tf.Tensor:
    """Cross-correlation with zeros around the image, differentiable any number of times.

    Args:
      x: [batch, time, freq, inputs].
      kernel: [rows, columns, inputs, filters].
      padding: zeros on either side of (time, freq), fewer than the kernel has taps.

    Returns:
      [batch, time + 2 padding - rows + 1, freq + 2 padding - columns + 1, filters].
    """
    is_fast = x.dtype != tf.float32 or tf.config.list_logical_devices("GPU")
    if is_fast or gradients_are_standard():
        return _convolve(x, kernel, padding)

    @tf.custom_gradient
    def run(x: tf.Tensor, kernel: tf.Tensor):
        def gradient(upstream: tf.Tensor):
            return (
                _image_gradient(upstream, kernel, padding),
                kernel_gradient(x, upstream, padding),
            )

        return _convolve(x, kernel, padding), gradient

    return run(x, kernel)


def _image_gradient(upstream: tf.Tensor, kernel: tf.Tensor, padding: tuple[int, int]):
    """Gradient of ``conv2d`` by its image, linear in both arguments as the convolution is."""

    @tf.custom_gradient
    def run(upstream: tf.Tensor, kernel: tf.Tensor):
        def gradient(change: tf.Tensor):
            return conv2d(change, kernel, padding), kernel_gradient(change, upstream, padding)

        rows, columns, inputs, _ = kernel.shape
        if _keeps_size(kernel.shape[:2], padding):
            shape = tf.concat([tf.shape(upstream)[:-1], [inputs]], 0)
            return tf.nn.conv2d_transpose(upstream, kernel, shape, 1, "SAME"), gradient
        # TensorFlow's transposed convolution is slow with padding of another kind.
        turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
        outside = rows - 1 - padding[0], columns - 1 - padding[1]
        return _convolve(upstream, turned, outside), gradient

    return run(upstream, kernel)


def kernel_gradient(x: tf.Tensor, upstream: tf.Tensor, padding: tuple[int, int]) -> tf.Tensor:
    """Gradient of ``conv2d(x, kernel, padding)`` by its kernel.

    Args:
      x: [batch, time, freq, inputs].
      upstream: gradient by the output, [batch, out time, out freq, filters].

    Returns:
      [rows, columns, inputs, filters].
    """
    _, time, freq, inputs = x.shape
    _, out_time, out_freq, filters = upstream.shape
    rows, columns = time + 2 * padding[0] - out_time + 1, freq + 2 * padding[1] - out_freq + 1
    if rows == columns == 1:
        product = tf.matmul(
            tf.reshape(x, [-1, inputs]), tf.reshape(upstream, [-1, filters]), transpose_a=True
        )
        return product[tf.newaxis, tf.newaxis]
    narrow, wide = sorted([inputs, filters])
    shape = [rows, columns, inputs, filters]
    # Sizes that are known: what is cut into parts can then be compiled by XLA too.
    is_static = upstream.shape.is_fully_defined() and x.shape.is_fully_defined()
    if (
        is_static
        and narrow >= WINOGRAD_MIN_CHANNELS
        and out_time * out_freq >= WINOGRAD_MIN_CELLS
        and rows == columns == 3
        and out_time % 2 == out_freq % 2 == 0
    ):
        return _in_parts(_winograd_kernel_gradient, x, upstream, padding, shape, WINOGRAD_CELLS)
    if is_static and narrow < WINOGRAD_MIN_CHANNELS and wide >= PRODUCTS_MIN_CHANNELS:
        return _in_parts(_shifted_kernel_gradient, x, upstream, padding, shape, SHIFTED_CELLS)
    keeps_size = _keeps_size((rows, columns), padding)
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x if keeps_size else tf.pad(x, _around(padding)),
        filter_sizes=shape,
        out_backprop=upstream,
        strides=[1, 1, 1, 1],
        padding="SAME" if keeps_size else "VALID",
    )


def _in_parts(
    gradient: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    upstream: tf.Tensor,
    padding: tuple[int, int],
    shape: list[int],
    cells: int,
):
    """Sum, of ``shape``, of the gradients of a few examples at a time, of one where it has more than ``cells``.

    What each way copies then fits near the processor, and memory holds one part's copies alone.
    """
    count, time, freq, _ = upstream.shape
    examples = min(count, max(1, cells // (time * freq)))

    def part(first: int | tf.Tensor, size: int) -> tf.Tensor:
        image, slope = (
            tf.slice(images, [first, 0, 0, 0], [size, *images.shape[1:]])
            for images in (x, upstream)
        )
        return gradient(tf.pad(image, _around(padding)), slope)

    whole, rest = divmod(count, examples)
    _, total = tf.while_loop(
        lambda index, _: index < whole,
        lambda index, total: (index + 1, total + part(index * examples, examples)),
        (tf.constant(0), tf.zeros(shape)),
        parallel_iterations=1,
    )
    return total + part(whole * examples, rest) if rest else total


def _shifted_kernel_gradient(padded: tf.Tensor, upstream: tf.Tensor):
    """One product for each tap, over all cells.

    All rows lie one after the other, the gradient's padded as the image's are: the shift to a tap
    is another start, and no copy.
    """
    _, height, width, inputs = padded.shape
    _, time, freq, filters = upstream.shape
    below, beside = height - time, width - freq
    image = tf.reshape(padded, [-1, inputs])
    slope = tf.reshape(tf.pad(upstream, [[0, 0], [0, below], [0, beside], [0, 0]]), [-1, filters])
    starts = [row * width + column for row in range(below + 1) for column in range(beside + 1)]
    count = image.shape[0] - starts[-1]  # beyond lies nothing but padding
    # All taps of a span, then of the next: what is read again is still near the processor. There
    # is more than one span only where there is a single example.
    spans = max(1, time * width // SHIFTED_CELLS)
    bounds = [*range(0, spans * SHIFTED_CELLS, SHIFTED_CELLS), count]
    total = tf.zeros([len(starts), inputs, filters])
    for first, last in itertools.pairwise(bounds):
        span = slope[first:last]
        products = [
            tf.matmul(image[first + start : last + start], span, transpose_a=True)
            for start in starts
        ]
        total += tf.stack(products)
    return tf.reshape(total, [below + 1, beside + 1, inputs, filters])


def _winograd_kernel_gradient(padded: tf.Tensor, upstream: tf.Tensor):
    """Of a 3 x 3 kernel: 16 products over a quarter of the cells each, in place of 9 over all."""
    inputs, filters = padded.shape[-1], upstream.shape[-1]
    images = [x for part in _image_parts(padded, 1) for x in _image_parts(part, 2)]
    slopes = [x for part in _slope_parts(upstream, 1) for x in _slope_parts(part, 2)]
    # One by one: stacking them first would copy four images.
    products = [
        tf.matmul(
            tf.reshape(image, [-1, inputs]), tf.reshape(slope, [-1, filters]), transpose_a=True
        )
        for image, slope in zip(images, slopes, strict=True)
    ]
    products = tf.reshape(tf.stack(products), [4, 4, inputs, filters])
    return tf.einsum("ar,bc,abif->rcif", _WINOGRAD_KERNEL, _WINOGRAD_KERNEL, products)


def _even_and_odd(x: tf.Tensor, axis: int):
    pairs = [*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :]]
    return tf.unstack(tf.reshape(x, pairs), axis=axis + 1)


def _image_parts(x: tf.Tensor, axis: int):
    """Of tiles of 4 cells along ``axis``, each 2 after the one before."""
    even, odd = _even_and_odd(x, axis)
    (first, third), (second, fourth) = (_neighbours(part, axis) for part in (even, odd))
    return first - third, second + third, third - second, second - fourth


def _neighbours(x: tf.Tensor, axis: int):
    rest = [slice(None)] * axis
    return x[(*rest, slice(None, -1))], x[(*rest, slice(1, None))]


def _slope_parts(x: tf.Tensor, axis: int):
    """Of pairs of cells along ``axis``."""
    even, odd = _even_and_odd(x, axis)
    return even, even + odd, even - odd, -odd


def _keeps_size(size: tuple[int, int], padding: tuple[int, int]):
    return all(taps == 2 * zeros + 1 for taps, zeros in zip(size, padding, strict=True))


def _convolve(x: tf.Tensor, kernel: tf.Tensor, padding: tuple[int, int]):
    return tf.nn.conv2d(x, kernel, 1, _around(padding))


def _around(padding: tuple[int, int]):
    """Zeros before and after each axis of an image."""
    return [[0, 0], *([zeros, zeros] for zeros in padding), [0, 0]]
