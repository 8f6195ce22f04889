"""Where the time of a training iteration goes, by kind of operation: a table and a picture.

    python -m benchmarks.profile --config=mel_if_hires --stages=4,8,12 --picture=profile.png

Sums the time that TensorFlow's profiler saw in each operation; operations may run side by side.
"""

import collections
import pathlib
import tempfile

import tensorflow as tf
from absl import flags
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import command
from benchmarks.measuring import show
from benchmarks.step import make_model, step_function
from gansynth_tf.experiment import Experiment
from gansynth_tf.files import write_atomically

CALLS = 2
# Kind -> operations, the first match counts. What a product is: Conv2D with what is fused to it.
KINDS = {
    # Of which a dense layer's products are the smallest part (gansynth_tf/convolution.py).
    "kernel gradients, dense": (
        *("Conv2DBackpropFilter", "MatMul", "FusedMatMul", "BatchMatMulV2", "Einsum"),
    ),
    "image gradients": ("Conv2DBackpropInput",),
    "convolutions": ("Conv2D", "FusedConv2D"),
    "means and sums": ("Mean", "Sum", "BiasAddGrad", "AvgPool", "AvgPoolGrad", "AddN"),
    "turning and copying": (
        ("Transpose", "Tile", "ConcatV2", "Slice", "StridedSlice", "StridedSliceGrad", "Pad")
        + ("Reshape", "ReverseV2", "Split", "Pack", "Unpack")
    ),
}
REST = "by element, and the rest"
# They hold others, which are counted themselves.
CONTAINERS = ("PartitionedCall", "StatefulPartitionedCall", "While", "If")


def _kind(operation: str) -> str:
    for prefix in ("_MklNative", "_Mkl", "_"):  # oneDNN's variant of an operation, a fused one
        operation = operation.removeprefix(prefix)
    return next((kind for kind, operations in KINDS.items() if operation in operations), REST)


def milliseconds_by_kind(trace: pathlib.Path) -> dict[str, float]:
    """Of one iteration, from what the profiler wrote below ``trace``."""
    space = xplane_pb2.XSpace()
    space.ParseFromString(next(trace.rglob("*.xplane.pb")).read_bytes())
    total = collections.Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                operation = name.rpartition(":")[2]
                # "name:Type" is an operation, but for functions, whose type is no name.
                is_operation = ":" in name and "::" not in name and operation.isidentifier()
                if is_operation and operation not in CONTAINERS:
                    total[_kind(operation)] += event.duration_ps / 1e9 / CALLS
    return {kind: total[kind] for kind in (*KINDS, REST)}


def draw(rows: list[dict], title: str) -> Figure:
    """One bar a stage, divided by kind."""
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    left = [0.0] * len(rows)
    names = [f"stage {row['stage']}, {row['size']}" for row in rows]
    for kind in (*KINDS, REST):
        shares = [100 * row[kind] / sum(row[k] for k in (*KINDS, REST)) for row in rows]
        axes.barh(names, shares, left=left, label=kind)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the time in operations")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    return figure


def run(experiment: Experiment, values: flags.FlagValues) -> None:
    """Profiles the chosen stages and shows them."""
    model = make_model(experiment)
    rows = []
    last = experiment.schedule.total_num_stages - 1
    for index in command.whole_numbers("stages", values.stages, 0, last):
        stage = experiment.schedule.stage(index)
        step = step_function(model, stage, experiment.execution)
        step()
        with tempfile.TemporaryDirectory() as folder:
            with tf.profiler.experimental.Profile(folder):
                for _ in range(CALLS):
                    step()
            time, freq = experiment.resolutions.resolution(stage.num_blocks)
            head = {"stage": index, "size": f"{time}x{freq}"}
            rows.append(head | milliseconds_by_kind(pathlib.Path(folder)))
    title = command.title("profile", experiment)
    show(f"{title}, ms", ["stage", "size", *KINDS, REST], rows)
    if values.picture:
        figure = draw(rows, title)
        write_atomically(values.picture, FigureCanvasAgg(figure).print_png)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_list("stages", ["0"], "Stages to profile.", flag_values=values)
    flags.DEFINE_string("picture", "", "PNG to write.", flag_values=values)


if __name__ == "__main__":
    command.main("benchmarks.profile", __doc__, run, _define)
