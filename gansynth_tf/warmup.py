"""Requests that TensorFlow Serving sends itself before a model answers anybody.

A server's first call of a signature compiles and allocates; with these it has happened before
the model is said to be ready. The file is a TFRecord of ``tensorflow.serving.PredictionLog``,
whose few fields are defined here, so that tensorflow-serving-api is not needed.

Source: TensorFlow Serving, "SavedModel Warmup"; apis/prediction_log.proto and predict.proto.
"""

import pathlib

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

FILE = pathlib.Path("assets.extra") / "tf_serving_warmup_requests"
_PACKAGE = "gansynth_tf.serving"
_TEXT = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE


def write(folder: pathlib.Path, requests: list[tuple[str, dict[str, np.ndarray]]]) -> None:
    """Writes ``requests``, each a signature's name and its inputs, into an export's folder."""
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            writer.write(_log(signature, inputs).SerializeToString())


def read(folder: pathlib.Path) -> list[tuple[str, dict[str, np.ndarray]]]:
    """What ``write`` was given."""
    requests = []
    for record in tf.data.TFRecordDataset(str(folder / FILE)):
        request = _messages()["PredictionLog"].FromString(record.numpy()).predict_log.request
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        requests.append((request.model_spec.signature_name, inputs))
    return requests


def _log(signature: str, inputs: dict[str, np.ndarray]):
    log = _messages()["PredictionLog"]()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return log


def _messages() -> dict[str, type]:
    """The messages by name; their fields' numbers are those of TensorFlow Serving."""
    pool = descriptor_pool.Default()
    path = f"{_PACKAGE}.proto"
    try:
        file = pool.FindFileByName(path)
    except KeyError:
        pool.AddSerializedFile(_definition(path).SerializeToString())
        file = pool.FindFileByName(path)
    found = file.message_types_by_name
    return {name: message_factory.GetMessageClass(kind) for name, kind in found.items()}


def _definition(path: str) -> descriptor_pb2.FileDescriptorProto:
    tensor = tensor_pb2.TensorProto.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(name=path, package=_PACKAGE, syntax="proto3")
    file.dependency.append(tensor.file.name)
    _add(file.message_type.add(name="ModelSpec"), "signature_name", 3)
    request = file.message_type.add(name="PredictRequest")
    _add(request, "model_spec", 1, f"{_PACKAGE}.ModelSpec")
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    _add(entry, "key", 1)
    _add(entry, "value", 2, tensor.full_name)
    inputs = _add(request, "inputs", 2, f"{_PACKAGE}.PredictRequest.InputsEntry")
    inputs.label = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
    _add(file.message_type.add(name="PredictLog"), "request", 1, f"{_PACKAGE}.PredictRequest")
    log = file.message_type.add(name="PredictionLog")
    _add(log, "predict_log", 6, f"{_PACKAGE}.PredictLog")
    return file


def _add(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str | None = None
) -> descriptor_pb2.FieldDescriptorProto:
    """A field of text, or of another message."""
    field = message.field.add(name=name, number=number)
    field.label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    field.type = _TEXT if kind is None else _MESSAGE
    if kind is not None:
        field.type_name = f".{kind}"
    return field
