"""How steps are executed: in which precision, compiled or not, and how many at once.

None of this changes what is computed but for rounding: a run may go on with other settings.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator

import tensorflow as tf

from gansynth_tf.model import GANSynth

# Precision -> type of the images inside the networks.
IMAGE_TYPES = {
    "float32": "float32",
    "tensorfloat32": "float32",
    "mixed_bfloat16": "bfloat16",
}
MAX_STEPS_PER_EXECUTION = 100
_CPU_INFO = pathlib.Path("/proc/cpuinfo")  # Linux only
_BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # the last as ARM names them


@dataclasses.dataclass(frozen=True)
class ExecutionConfig:
    """How steps are executed.

    Attributes:
      precision: "float32"; "tensorfloat32", whose products round their factors to 10 bits on GPUs
        that can, and are as float32 elsewhere; or "mixed_bfloat16", whose images between the
        networks' layers are bfloat16. Weights, the latent's and the output heads, statistics,
        losses, the slope's norm, optimizers and the moving average stay float32.
      jit_compile: whether XLA compiles the step, the draws aside.
      steps_per_execution: steps between two returns to Python. What is done between steps
        (checkpoints, samples, an answer to Ctrl-C) waits for it.
    """

    precision: str = "float32"
    jit_compile: bool = False
    steps_per_execution: int = 1

    def __post_init__(self):
        if self.precision not in IMAGE_TYPES:
            raise ValueError(
                f"precision must be one of {', '.join(IMAGE_TYPES)}, not {self.precision!r}."
            )
        if not 1 <= self.steps_per_execution <= MAX_STEPS_PER_EXECUTION:
            raise ValueError(
                f"steps_per_execution must be from 1 to {MAX_STEPS_PER_EXECUTION}, "
                f"not {self.steps_per_execution}."
            )

    @property
    def image_type(self) -> str:
        """Type of the images inside the networks."""
        return IMAGE_TYPES[self.precision]

    def set_up(self) -> None:
        """Tells TensorFlow whether products may be TensorFloat-32; on GPUs it would else do so."""
        tf.config.experimental.enable_tensor_float_32_execution(self.precision == "tensorfloat32")

    def warning(self) -> str | None:
        """What to tell whoever asks for a precision that this machine can only imitate."""
        if self.image_type != "bfloat16" or tf.config.list_logical_devices("GPU"):
            return None
        words = set(_CPU_INFO.read_text().split()) if _CPU_INFO.exists() else set()
        if not words or words & set(_BFLOAT16_INSTRUCTIONS):
            return None
        return (
            f"precision={self.precision}: this processor has no bfloat16 instructions and imitates "
            "them; expect steps to take many times as long as with precision=float32."
        )


def replicas_meet(strategy: tf.distribute.Strategy) -> bool:
    """Whether replicas meet in the midst of a step: even a single one then runs as if they did."""
    mirrors = tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy
    return isinstance(strategy, mirrors)


class StepFunction:
    """Training steps as one graph: (iterator of batches, first step, fades [n]) -> terms [n, m].

    One array of all loss terms, so that an execution costs one transfer to the host; their names
    are in ``terms`` after the first call.
    """

    def __init__(self, model: GANSynth, strategy: tf.distribute.Strategy, config: ExecutionConfig):
        self.terms: tuple[str, ...] = ()
        self._run = tf.function(self._steps, reduce_retracing=True)
        update = tf.function(model.update, jit_compile=True) if config.jit_compile else None
        self._train_step = functools.partial(_step_with, model, update)
        self._strategy = strategy
        # A function of its own, which TensorFlow optimises alike in a loop and outside of one: else
        # steps that are taken together would be rounded otherwise than one by one. Replicas that
        # meet in the midst of the step cannot do so from within such a function.
        self._replica_step = self._step_terms
        if not replicas_meet(strategy):
            self._replica_step = tf.function(self._step_terms)

    def __call__(self, batches: Iterator, first_step: int, fades: list[float]) -> tf.Tensor:
        return self._run(batches, tf.constant(first_step, tf.int64), tf.constant(fades, tf.float32))

    def _steps(self, batches: Iterator, first_step: tf.Tensor, fades: tf.Tensor):
        if fades.shape[0] == 1:
            return self._step(next(batches), first_step, fades[0])[tf.newaxis]
        rows = tf.TensorArray(tf.float32, tf.shape(fades)[0])
        for index in tf.range(tf.shape(fades)[0]):
            step = first_step + tf.cast(index, tf.int64)
            rows = rows.write(index, self._step(next(batches), step, fades[index]))
        return rows.stack()

    def _step(self, batch: dict[str, tf.Tensor], step: tf.Tensor, fade: tf.Tensor):
        terms = self._strategy.run(self._replica_step, ({**batch, "step": step, "fade": fade},))
        return self._strategy.reduce("SUM", terms, None)

    def _step_terms(self, data: dict[str, tf.Tensor]):
        """This replica's part of every loss term, as one array [m]."""
        terms = self._train_step(data)
        self.terms = tuple(terms)
        return tf.stack(list(terms.values()))


def _step_with(model: GANSynth, update: Callable | None, data: dict[str, tf.Tensor]):
    """A step of which nothing is done before its batch is there.

    A batch that cannot be read would else leave a model whose generator alone has been updated.
    """
    with tf.control_dependencies(tf.nest.flatten(data)):
        return model.train_step(data, update)
