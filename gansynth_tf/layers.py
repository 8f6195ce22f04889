"""Layers of a progressive GAN: scaling, normalisation, equalised convolution and dense.

Every image is ``[batch, time, freq, channels]``. Layers create their variables when they are
constructed, from a seed and their name alone, so that a model's first weights do not depend on
the order or the device in which it is built.

Variables are float32. A layer computes in the type of the image that it is given, float32 or
bfloat16: who calls the layers chooses by a cast.

Source: Karras et al., "Progressive growing of GANs", section 4 and appendix A.
"""

import math
import zlib

import keras
import numpy as np
import tensorflow as tf

from gansynth_tf.convolution import conv2d, gradients_are_standard

HE_GAIN = 2.0**0.5
LEAKY_SLOPE = 0.2

# --- Pure functions ---


def pixel_norm(x: tf.Tensor, epsilon: float = 1e-8) -> tf.Tensor:
    """[..., channels] -> the same with a root mean square over channels of 1.

    The mean square is computed in float32.
    """
    square = tf.square(tf.cast(x, tf.float32))
    inverse = 1.0 / tf.sqrt(tf.reduce_mean(square, axis=-1, keepdims=True) + epsilon)
    return x * tf.cast(inverse, x.dtype)


def box_upscale(x: tf.Tensor, factors: tuple[int, int]) -> tf.Tensor:
    """[batch, time, freq, channels] -> each cell repeated (time, freq) ``factors`` times."""
    time_factor, freq_factor = factors
    if factors == (1, 1):
        return x
    _, time, freq, channels = x.shape
    x = tf.reshape(x, [-1, time, 1, freq, 1, channels])
    x = tf.tile(x, [1, 1, time_factor, 1, freq_factor, 1])
    return tf.reshape(x, [-1, time * time_factor, freq * freq_factor, channels])


def box_downscale(x: tf.Tensor, factors: tuple[int, int]) -> tf.Tensor:
    """[batch, time, freq, channels] -> the mean of each (time, freq) ``factors`` cells."""
    if factors == (1, 1):
        return x
    return tf.nn.avg_pool2d(x, factors, factors, "VALID")


def minibatch_stddev(
    x: tf.Tensor, groups: int = 1, epsilon: float = 1e-6, across_replicas: bool = False
) -> tf.Tensor:
    """[batch, time, freq, channels] -> [batch, time, freq, channels + 1].

    The new channel is one number: the standard deviation over the batch, averaged over all
    features. With ``groups``, the batch holds that many batches one after the other, each with
    its own number. ``across_replicas`` takes it over the global batch.
    """
    _, time, freq, channels = x.shape
    grouped = tf.reshape(x, [groups, -1, time, freq, channels])
    # tf.nn.moments holds the mean constant when it differentiates: nothing to a gradient, but the
    # gradient penalty differentiates twice, and the original's weights were trained that way.
    variance = global_variance(grouped) if across_replicas else tf.nn.moments(grouped, axes=[1])[1]
    # [groups, time, freq, channels]
    stddev = tf.reduce_mean(tf.sqrt(variance + epsilon), axis=[1, 2, 3])  # [groups]
    extra = tf.repeat(stddev, tf.shape(grouped)[1])  # [batch]
    extra = tf.broadcast_to(tf.reshape(extra, [-1, 1, 1, 1]), [tf.shape(x)[0], time, freq, 1])
    return tf.concat([x, extra], axis=-1)


def global_variance(x: tf.Tensor) -> tf.Tensor:
    """[groups, batch, ...] -> [groups, ...], over the batches of all replicas, each as large.

    As with tf.nn.moments, the mean is held constant when it is differentiated.
    """
    replicas = tf.distribute.get_replica_context()
    mean = replicas.all_reduce("MEAN", tf.reduce_mean(x, axis=1, keepdims=True))
    squares = tf.math.squared_difference(x, tf.stop_gradient(mean))
    # Differentiable, and its gradient as well: both are sums over replicas.
    return replicas.all_reduce("MEAN", tf.reduce_mean(squares, axis=1))


def leaky_relu(x: tf.Tensor) -> tf.Tensor:
    """max(x, 0.2 x)."""
    return tf.nn.leaky_relu(x, LEAKY_SLOPE) if gradients_are_standard() else _lean_leaky_relu(x)


@tf.custom_gradient
def _lean_leaky_relu(x: tf.Tensor):
    y = tf.nn.leaky_relu(x, LEAKY_SLOPE)

    @tf.custom_gradient
    def gradient(upstream: tf.Tensor):
        # y has the sign of x: to keep it alone, which the next layer needs anyway, saves an image
        # a layer, and lets TensorFlow compute it in the convolution that gives x.
        change = tf.raw_ops.LeakyReluGrad(gradients=upstream, features=y, alpha=LEAKY_SLOPE)
        # Linear, and its own transpose. By y it has no slope, for which TensorFlow would keep an
        # image of zeros from one step to the next.
        return change, gradient

    return y, gradient


def initial_normal(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float32, a pure function of its arguments on every machine."""
    generator = np.random.Generator(np.random.Philox(key=[seed, zlib.crc32(name.encode())]))
    return generator.standard_normal(shape, dtype=np.float32)


# --- Layers with variables ---


class _Weighted(keras.layers.Layer):
    """A kernel and a bias of known shape, created at once."""

    def __init__(self, kernel_shape: tuple[int, ...], init_scale: float, seed: int, name: str):
        # Keras would cast the image to the variables' type.
        super().__init__(name=name.replace("/", "_"), autocast=False)
        self.kernel = self.add_weight(shape=kernel_shape, initializer="zeros", name="kernel")
        self.kernel.assign(init_scale * initial_normal(seed, name, kernel_shape))
        self.bias = self.add_weight(shape=self._bias_shape(), initializer="zeros", name="bias")
        self.built = True

    def _bias_shape(self):
        return (self.kernel.shape[-1],)

    def _weights_for(self, x: tf.Tensor, scale: float | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """The kernel, scaled, and the bias, both in the type of ``x``."""
        kernel = self.kernel if scale is None else scale * self.kernel
        return tf.cast(kernel, x.dtype), tf.cast(self.bias, x.dtype)


class EqualizedConv2D(_Weighted):
    """[batch, time, freq, inputs] -> [batch, time, freq, filters], stride 1, zero padding.

    Weights are stored with unit variance and scaled by gain / sqrt(fan-in) when used, so that
    Adam moves all layers at one rate.
    """

    def __init__(
        self, inputs: int, filters: int, kernel_size: int, gain: float, seed: int, name: str
    ):
        super().__init__((kernel_size, kernel_size, inputs, filters), 1.0, seed, name)
        self.scale = gain / math.sqrt(kernel_size * kernel_size * inputs)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        # The original scales the product; scaling the far smaller kernel saves a pass over the
        # image and lets TensorFlow fuse the bias into the convolution.
        kernel, bias = self._weights_for(x, self.scale)
        return conv2d(x, kernel, (self.kernel.shape[0] // 2,) * 2) + bias


class UpscaleConv2D(EqualizedConv2D):
    """Box upscaling by ``factors``, then the equalised convolution, without the large image.

    [batch, time, freq, inputs] -> [batch, time * factor, freq * factor, filters].

    Under a kernel lie only few different cells of an upscaled image: taps that see the same cell
    are added up first. What is left is one convolution of the small image whose filters are those
    of every position within a cell: for 3 x 3 taps and factors of 2, 16 products in place of 36.
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        kernel_size: int,
        factors: tuple[int, int],
        gain: float,
        seed: int,
        name: str,
    ):
        super().__init__(inputs, filters, kernel_size, gain, seed, name)
        self.factors = factors

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if not can_fuse(self.kernel.shape[0], self.factors):
            return super().call(box_upscale(x, self.factors))
        _, time, freq, _ = x.shape
        time_factor, freq_factor = self.factors
        size, filters = self.kernel.shape[0], self.kernel.shape[-1]
        time_taps, freq_taps = (shared_taps(size, factor) for factor in self.factors)
        kernel = tf.einsum("pad,qbe,deio->abipqo", time_taps, freq_taps, self.scale * self.kernel)
        kernel = tf.reshape(kernel, [*kernel.shape[:3], time_factor * freq_factor * filters])
        kernel = tf.cast(kernel, x.dtype)
        bias = tf.tile(tf.cast(self.bias, x.dtype), [time_factor * freq_factor])
        # A convolution of 2 taps has one output more than the image has cells: that between
        # every two cells, and those beyond its first and its last.
        x = conv2d(x, kernel, tuple(map(self._padding, self.factors))) + bias
        _, rows, columns, _ = x.shape
        x = tf.reshape(x, [-1, rows, columns, time_factor, freq_factor, filters])
        x = tf.transpose(x, [0, 1, 3, 2, 4, 5])
        x = tf.reshape(x, [-1, rows * time_factor, columns * freq_factor, filters])
        top, left = time_factor // 2, freq_factor // 2
        return x[:, top : top + time * time_factor, left : left + freq * freq_factor]

    def _padding(self, factor: int):
        return 1 if factor > 1 else self.kernel.shape[0] // 2


def can_fuse(size: int, factors: tuple[int, int]) -> bool:
    """Whether ``size`` taps see at most two cells of an image upscaled by ``factors``."""
    return all(factor == 1 or size // 2 <= factor // 2 for factor in factors)


def shared_taps(size: int, factor: int) -> np.ndarray:
    """Which taps of a kernel see the same cell of an image that is upscaled by ``factor``.

    Returns:
      [factor, cells, size] float32 of zeros and ones. An upscaled position lies ``factor // 2``
      before the border between two cells, or up to ``factor`` after that; its taps see the two
      cells at that border. Without upscaling each tap sees a cell of its own.
    """
    if factor == 1:
        return np.eye(size, dtype=np.float32)[np.newaxis]
    positions = np.arange(factor)[:, np.newaxis] - factor // 2  # from the border
    seen = (positions + np.arange(size) - size // 2) // factor + 1  # [factor, size]: 0 or 1
    return np.stack([seen == 0, seen == 1], axis=1).astype(np.float32)


class EqualizedDense(_Weighted):
    """[batch, inputs] -> [batch, units], scaled as the convolution is."""

    def __init__(self, inputs: int, units: int, gain: float, seed: int, name: str):
        super().__init__((inputs, units), 1.0, seed, name)
        self.scale = gain / math.sqrt(inputs)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.matmul(x, self.scale * self.kernel) + self.bias


class LatentToImage(_Weighted):
    """[batch, inputs] -> [batch, time, freq, filters].

    The original convolves (VALID) the latent padded to twice the size with a kernel of
    [time, freq]; each output cell then sees one tap of the kernel, in reversed order. The kernel
    keeps that order, so that the original's weights fit.
    """

    def __init__(
        self,
        inputs: int,
        image_shape: tuple[int, int],
        filters: int,
        gain: float,
        seed: int,
        name: str,
    ):
        super().__init__((*image_shape, inputs, filters), 1.0, seed, name)
        self.scale = gain / math.sqrt(math.prod(image_shape) * inputs)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        time, freq, inputs, filters = self.kernel.shape
        # One small product a cell: the kernel keeps its order, and the image is turned instead.
        kernel = tf.reshape(self.scale * self.kernel, [time * freq, inputs, filters])
        cells = tf.matmul(x[tf.newaxis], kernel)  # [time * freq, batch, filters]
        image = tf.reshape(tf.transpose(cells, [1, 0, 2]), [-1, time, freq, filters])
        return tf.reverse(image, [1, 2]) + self.bias


class ImageToVector(_Weighted):
    """[batch, time, freq, inputs] -> [batch, filters]: a VALID convolution over the image."""

    def __init__(
        self,
        inputs: int,
        image_shape: tuple[int, int],
        filters: int,
        gain: float,
        seed: int,
        name: str,
    ):
        super().__init__((*image_shape, inputs, filters), 1.0, seed, name)
        self.scale = gain / math.sqrt(math.prod(image_shape) * inputs)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        fan_in = math.prod(self.kernel.shape[:-1])
        kernel = tf.reshape(self.scale * self.kernel, [fan_in, -1])
        return tf.matmul(tf.reshape(x, [-1, fan_in]), kernel) + self.bias


class PlainConv2D(_Weighted):
    """[batch, time, freq, inputs] -> [batch, time / s, freq / s, filters], He initialisation."""

    def __init__(
        self,
        inputs: int,
        filters: int,
        kernel_size: int,
        strides: int | tuple[int, int],
        seed: int,
        name: str,
    ):
        fan_in = kernel_size * kernel_size * inputs
        super().__init__(
            (kernel_size, kernel_size, inputs, filters), np.sqrt(2.0 / fan_in), seed, name
        )
        self.strides = strides

    def call(self, x: tf.Tensor) -> tf.Tensor:
        kernel, bias = self._weights_for(x)
        return tf.nn.conv2d(x, kernel, self.strides, "SAME") + bias


class PlainConv2DTranspose(_Weighted):
    """[batch, time, freq, inputs] -> [batch, time * s, freq * s, filters], He initialisation.

    The kernel is [kernel, kernel, filters, inputs], TensorFlow's order.
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        kernel_size: int,
        strides: int | tuple[int, int],
        seed: int,
        name: str,
    ):
        # TensorFlow 1 takes the fan-in of a transposed kernel from its third axis.
        fan_in = kernel_size * kernel_size * filters
        super().__init__(
            (kernel_size, kernel_size, filters, inputs), np.sqrt(2.0 / fan_in), seed, name
        )
        self.strides = strides

    def _bias_shape(self):
        return (self.kernel.shape[2],)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        _, time, freq, _ = x.shape
        filters = self.kernel.shape[2]
        shape = [tf.shape(x)[0], time * self.strides[0], freq * self.strides[1], filters]
        kernel, bias = self._weights_for(x)
        x = tf.nn.conv2d_transpose(x, kernel, shape, self.strides, "SAME") + bias
        return tf.ensure_shape(x, [None, *shape[1:]])


class PlainDense(_Weighted):
    """[batch, inputs] -> [batch, units], He initialisation."""

    def __init__(self, inputs: int, units: int, seed: int, name: str):
        super().__init__((inputs, units), np.sqrt(2.0 / inputs), seed, name)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.matmul(x, tf.convert_to_tensor(self.kernel)) + self.bias
