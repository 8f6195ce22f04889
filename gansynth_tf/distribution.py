"""Where steps are computed: on one device, on several, or by several workers.

Batch sizes are global, and everything random is drawn for the global batch: a run may go on with
another strategy or another number of replicas.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from gansynth_tf import rendezvous
from gansynth_tf.data.pipeline import Share
from gansynth_tf.schedule import Stage

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker")
STDDEV_SCOPES = ("replica", "global")
CLUSTER_VARIABLE = "TF_CONFIG"
_EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)


class DistributionError(Exception):
    """The devices or workers asked for are not there, or cannot share the work; one sentence."""


class PeerLostError(Exception):
    """Another worker has ended: this one cannot go on, but the run can be started again."""


# What TensorFlow raises, soon or late, where a worker is gone.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)


@dataclasses.dataclass(frozen=True)
class DistributionConfig:
    """Where steps are computed.

    Attributes:
      strategy: "one_device": the first GPU, else the CPU. "mirrored": all GPUs of this machine,
        else all of TensorFlow's logical CPU devices. "multi_worker": with the other workers that
        the environment variable TF_CONFIG names. "auto": multi_worker where TF_CONFIG names
        several workers, mirrored where there are several GPUs, else one device.
      minibatch_stddev: over which notes the critic's minibatch standard deviation is taken:
        "replica", those of each replica, or "global", the whole batch.
    """

    strategy: str = "auto"
    minibatch_stddev: str = "replica"

    def __post_init__(self):
        if self.strategy not in STRATEGIES:
            raise ValueError(
                f"strategy must be one of {', '.join(STRATEGIES)}, not {self.strategy!r}."
            )
        if self.minibatch_stddev not in STDDEV_SCOPES:
            raise ValueError(
                f"minibatch_stddev must be one of {', '.join(STDDEV_SCOPES)}, "
                f"not {self.minibatch_stddev!r}."
            )


# --- Workers ---


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers that train one model together, the chief first, and which of them this is."""

    addresses: tuple[str, ...] = ("",)
    index: int = 0

    @property
    def num_workers(self) -> int:
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """Whether this worker is the one that writes."""
        return self.index == 0


def find_cluster(config: DistributionConfig) -> Cluster:
    """The workers that take part, by TF_CONFIG where the strategy asks for several.

    Raises:
      DistributionError: TF_CONFIG is missing, or does not say it.
    """
    text = os.environ.get(CLUSTER_VARIABLE, "").strip()
    if config.strategy in ("one_device", "mirrored") or (config.strategy == "auto" and not text):
        return Cluster()
    if not text:
        raise DistributionError(
            f"strategy=multi_worker needs the environment variable {CLUSTER_VARIABLE}, such as "
            f"{_EXAMPLE}."
        )
    return parse_cluster(text)


def parse_cluster(text: str) -> Cluster:
    """The text of TF_CONFIG -> the cluster.

    Raises:
      DistributionError: it is no such text.
    """
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("it is no object")
        jobs, task = content.get("cluster", {}), content.get("task", {})
        others = sorted(set(jobs) - {"chief", "worker"})
        if others:
            raise ValueError(f"it names {others[0]}, and there are only chief and worker")
        if not all(isinstance(entries, list) for entries in jobs.values()):
            raise ValueError("its workers are no list")
        addresses = [*jobs.get("chief", []), *jobs.get("worker", [])]
        if not addresses or not all(isinstance(address, str) for address in addresses):
            raise ValueError("it names no workers")
        for address in addresses:
            _, _, port = address.rpartition(":")
            if not (address.count(":") and port.isdecimal() and 0 < int(port) < 65_536):
                raise ValueError(f"{address!r} is no HOST:PORT")
        kind, index = task.get("type"), task.get("index")
        if kind not in jobs or type(index) is not int or not 0 <= index < len(jobs[kind]):
            raise ValueError("its task is none of its workers")
        if len(jobs.get("chief", [])) > 1 or len(set(addresses)) < len(addresses):
            raise ValueError("it names a worker twice")
    except (ValueError, TypeError, AttributeError) as error:
        raise DistributionError(
            f"{CLUSTER_VARIABLE} cannot be used: {str(error).rstrip('.')}; such as {_EXAMPLE} was "
            f"expected."
        ) from error
    return Cluster(tuple(addresses), index + (kind == "worker") * len(jobs.get("chief", [])))


# --- Devices ---


def make_strategy(config: DistributionConfig, cluster: Cluster) -> tf.distribute.Strategy:
    """TensorFlow's engine for what the config asks for.

    With several workers, it waits until all of them are there, and must be called before anything
    else of TensorFlow.

    Raises:
      OSError: another process listens at this worker's address.
    """
    if cluster.num_workers > 1 or config.strategy == "multi_worker":
        rendezvous.meet(cluster.addresses, cluster.index)
        # TensorFlow waits too, for a moment, and Python answers no signal then; nothing would be
        # lost by ending at once.
        with _signals_end_at_once():
            return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if config.strategy == "mirrored" or (config.strategy == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if config.strategy == "one_device":
        return tf.distribute.OneDeviceStrategy("GPU:0" if gpus else "CPU:0")
    return tf.distribute.get_strategy()


@contextlib.contextmanager
def _signals_end_at_once() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # it alone may change them
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def check_batches(strategy: tf.distribute.Strategy, stages: list[Stage]) -> None:
    """Raises:
    DistributionError: the replicas cannot share a stage's batch evenly.
    """
    count = strategy.num_replicas_in_sync
    for stage in stages:
        if stage.batch_size % count:
            raise DistributionError(
                f"batch_size_schedule has a batch of {stage.batch_size}, which {count} replicas "
                f"cannot share evenly: multiples of {count} are needed."
            )


def distribute_batches(
    strategy: tf.distribute.Strategy, make: Callable[[Share], tf.data.Dataset]
) -> Iterator:
    """An iterator for ``strategy.run``, of which each replica gets its part of every batch.

    Args:
      make: data set of the batches of a share, one replica's after the other.
    """

    def make_part(context: tf.distribute.InputContext) -> tf.data.Dataset:
        count = context.num_replicas_in_sync // context.num_input_pipelines
        share = Share(context.input_pipeline_id * count, count, context.num_replicas_in_sync)
        return make(share)

    return iter(strategy.distribute_datasets_from_function(make_part))


# --- What workers tell each other ---


def fingerprints_agree(strategy: tf.distribute.Strategy, cluster: Cluster, text: str) -> bool:
    """Whether every worker gives the same text; all of them must ask."""
    digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), ">u4").astype(np.int64)
    rows = np.zeros([cluster.num_workers, len(digest)], np.int64)
    rows[cluster.index] = digest

    @tf.function
    def total():
        return strategy.reduce("MEAN", strategy.run(lambda: tf.constant(rows)), None)

    everyones = total().numpy()
    return bool((everyones == everyones[0]).all())


@contextlib.contextmanager
def peers_needed(cluster: Cluster) -> Iterator[None]:
    """Within it, what TensorFlow raises because another worker has ended is a PeerLostError."""
    try:
        yield
    except tf.errors.OpError as error:
        lost = cluster.num_workers > 1 and "ollective" in error.message
        if not lost and not (cluster.num_workers > 1 and isinstance(error, _LOST)):
            raise
        raise PeerLostError(
            "Another worker has ended or cannot be reached; this one ends too. Start all of them "
            "again: they go on from the last checkpoint."
        ) from error


def _complain_of_others(failure: threading.ExceptHookArgs) -> None:
    if not issubclass(failure.exc_type, tf.errors.OpError):
        threading.__excepthook__(failure)


class PeerStop:
    """Has all workers stop after the same step once one of them is asked to.

    TensorFlow's pre-emption handler, which agrees on the step, and which on Google's cloud hears
    of maintenance too. What is saved, and how the process ends, is the trainer's business.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        cluster: Cluster,
        is_asked: Callable[[], bool],
        folder: str | os.PathLike,
    ):
        """``is_asked``: whether this worker is. ``folder``: no checkpoint of TensorFlow's in it."""
        self._strategy, self._cluster, self._is_time = strategy, cluster, False
        # The handler calls what TensorFlow warns of, and a thread of it complains of a lost worker,
        # which the next step tells.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        threading.excepthook = _complain_of_others
        handler = tf.distribute.experimental.PreemptionCheckpointHandler
        self._handler = handler(
            tf.distribute.cluster_resolver.TFConfigClusterResolver(),
            tf.train.CheckpointManager(tf.train.Checkpoint(), str(folder), max_to_keep=1),
            termination_config=tf.distribute.experimental.TerminationConfig(
                termination_watcher_fn=is_asked, exit_fn=self._agree, save_fn=lambda: None
            ),
        )

    def _agree(self) -> None:
        self._is_time = True

    def stop_now(self) -> bool:
        """Whether to stop now; must be asked once after every execution, by every worker."""
        self._handler.save_checkpoint_if_preempted()
        return self._is_time

    def wait(self) -> None:
        """Returns when every worker has come here."""
        fingerprints_agree(self._strategy, self._cluster, "")
