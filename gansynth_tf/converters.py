"""``portable`` functions to the files of TFLite and ONNX."""

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator

import tensorflow as tf

from gansynth_tf.convolution import standard_gradients

ONNX_OPSET = 17


class ConversionError(ValueError):
    """A converter that cannot hold a model; the message names it and the operations."""


def to_tflite(function: tf.types.experimental.PolymorphicFunction) -> bytes:
    """A function with an input signature -> a TFLite model with the signature "synthesize".

    Only TFLite's own operations are allowed: no interpreter needs more than its core.

    Raises:
      ConversionError: the operations that TFLite lacks are named.
    """
    module = tf.Module()
    module.function = function
    with standard_gradients():
        concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        with _quietly("tensorflow"):
            return converter.convert()
    except Exception as error:  # what it raises is no public class
        raise ConversionError(f"TFLite cannot hold this model: {_lacking(str(error))}.") from error


def to_onnx(function: tf.types.experimental.PolymorphicFunction) -> bytes:
    """A function with an input signature -> an ONNX model of opset 17.

    Raises:
      ConversionError: tf2onnx is not installed, or the operations that ONNX lacks are named.
    """
    try:
        import tf2onnx
    except ImportError as error:
        raise ConversionError(
            f"ONNX needs the packages of gansynth-tf[onnx]: {str(error).splitlines()[0]}."
        ) from error
    with _quietly("tf2onnx"), standard_gradients():
        model, _ = tf2onnx.convert.from_function(
            function, input_signature=function.input_signature, opset=ONNX_OPSET
        )
    foreign = sorted(
        {node.op_type for node in model.graph.node if node.domain not in ("", "ai.onnx")}
    )
    known = _known_onnx()
    foreign += sorted({node.op_type for node in model.graph.node} - known - set(foreign))
    if foreign:
        raise ConversionError(f"ONNX cannot hold this model: it lacks {', '.join(foreign)}.")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model.SerializeToString()


def _known_onnx() -> set[str]:
    import onnx

    return {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}


def _lacking(message: str) -> str:
    """The operations that the converter's message complains of, or its first line."""
    names = set(re.findall(r"'tf\.(\w+)' op is neither", message))
    names |= set(re.findall(r"^\s*tf\.(\w+)\(", message, re.MULTILINE))
    if names:
        return "it lacks " + ", ".join(sorted(names))
    return message.strip().splitlines()[0].rstrip(".")


@contextlib.contextmanager
def _quietly(name: str) -> Iterator[None]:
    """Without the converters' own reports: what fails is raised."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
