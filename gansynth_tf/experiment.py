"""All settings of a run: the rooms' own dataclasses, composed, and one flat table of values.

The flat table (name -> value) is what flags set, what a run folder and a checkpoint keep, and
what a run is rebuilt from. A name is the field's name in its room's dataclass, but for the few
in ``RENAMED``, which keep the original's.
"""

import dataclasses
import numbers
import typing
from collections.abc import Iterable

from gansynth_tf.cadence import MAX_PERIOD, CadenceConfig
from gansynth_tf.data import sources
from gansynth_tf.data.pipeline import PipelineConfig
from gansynth_tf.data.sources import DataConfig
from gansynth_tf.distribution import DistributionConfig
from gansynth_tf.execution import ExecutionConfig
from gansynth_tf.losses import LossConfig
from gansynth_tf.model import ModelConfig, OptimizerConfig, PitchVocabulary
from gansynth_tf.networks import NetworkConfig
from gansynth_tf.schedule import FilterSchedule, ResolutionSchedule, TrainingSchedule
from gansynth_tf.specgram import REPRESENTATIONS, SPECGRAMS, NormalizerConfig, SpecgramCodec

RENAMED = {"representation": "data_type"}
MAX_FAKE_BATCH_SIZE = 1024


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What belongs to a run as a whole.

    Attributes:
      seed: fixes everything drawn.
      fake_batch_size: notes of each sample grid.
      tensorboard: whether to write TensorBoard events beside the JSON lines.
      grace_seconds: after a SIGTERM the run ends within them, saved unless the step in hand took
        longer; 0 waits for the step, however long it takes.
    """

    seed: int = 0
    fake_batch_size: int = 16
    tensorboard: bool = True
    grace_seconds: float = 25.0

    def __post_init__(self):
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must be in [0, 2^31), not {self.seed}.")
        if not 1 <= self.fake_batch_size <= MAX_FAKE_BATCH_SIZE:
            raise ValueError(
                f"fake_batch_size must be from 1 to {MAX_FAKE_BATCH_SIZE}, "
                f"not {self.fake_batch_size}."
            )
        if not 0 <= self.grace_seconds <= MAX_PERIOD:
            raise ValueError(
                f"grace_seconds must be a number from 0 to {MAX_PERIOD:g}, "
                f"not {self.grace_seconds!r}."
            )


# Fields that follow from others and so have no value of their own.
_DERIVED = {"time", "freq", "resolutions", "filters", "num_pitches"}
ROOMS = (
    SpecgramCodec,
    NormalizerConfig,
    ResolutionSchedule,
    FilterSchedule,
    NetworkConfig,
    TrainingSchedule,
    LossConfig,
    OptimizerConfig,
    DataConfig,
    PipelineConfig,
    ExecutionConfig,
    DistributionConfig,
    CadenceConfig,
    RunConfig,
)

# What makes a run the run that it is: a resumed run keeps these.
_KEPT_ROOMS = (
    SpecgramCodec,
    NormalizerConfig,
    ResolutionSchedule,
    FilterSchedule,
    NetworkConfig,
    TrainingSchedule,
    DataConfig,
)


def _fields(room: type) -> dict[str, dataclasses.Field]:
    """Value name -> field of one room."""
    return {
        RENAMED.get(field.name, field.name): field
        for field in dataclasses.fields(room)
        if field.name not in _DERIVED
    }


def default_values() -> dict:
    """Every value's name and default."""
    return {name: field.default for room in ROOMS for name, field in _fields(room).items()}


def value_types() -> dict:
    """Every value's name and annotated type."""
    return {name: field.type for room in ROOMS for name, field in _fields(room).items()}


# Annotation -> (classes of a value, what to call it). A bool is an int to Python, not to us.
_KINDS = {
    bool: (bool, "true or false"),
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    float | None: ((numbers.Real, type(None)), "a number, or null"),
    str: (str, "a text"),
    tuple[int, ...]: ((tuple, list), "a list of whole numbers"),
    tuple[str, ...]: ((tuple, list), "a list of texts"),
}


def check_types(values: dict) -> None:
    """Refuses values that are no settings, or of another kind than their setting.

    Raises:
      ValueError: names the first of them, and what was expected.
    """
    types = value_types()
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise ValueError(f"Unknown settings: {', '.join(unknown)}.")
    for name, value in values.items():
        kind = _KINDS[types[name]][1]
        if not _is_of(value, types[name]):
            raise ValueError(f"{name} must be {kind}, not {value!r}.")


def _is_of(value: object, annotation: object) -> bool:
    classes = _KINDS[annotation][0]
    if not isinstance(value, classes) or (isinstance(value, bool) and annotation is not bool):
        return False
    if not isinstance(value, (tuple, list)):
        return True
    (entries, _) = typing.get_args(annotation)
    return all(_is_of(entry, entries) for entry in value)


def kept_names() -> frozenset[str]:
    """Values that a saved run keeps; a contradicting flag is refused.

    Where the notes lie is none of them: they may have been moved, and the checkpoint tells whether
    they are still the same.
    """
    kept = {name for room in _KEPT_ROOMS for name in _fields(room)}
    return frozenset(kept - {"train_data_path"} | {"seed"})


def contradictions(begun: dict, now: dict) -> list[str]:
    """Names of the values that a run keeps and that differ; a name that one lacks differs not."""
    names = kept_names() & set(begun) & set(now)
    return sorted(name for name in names if _plain(begun[name]) != _plain(now[name]))


def assignments(values: dict, names: Iterable[str]) -> str:
    """Some of the values, for people: "fmap_max=4, batch_size_schedule=16,8"."""
    return ", ".join(f"{name}={_shown(values[name])}" for name in names)


def _plain(value: object) -> object:
    """Lists, which files hold, as tuples, which settings are."""
    return tuple(value) if isinstance(value, list) else value


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Every setting of a run, checked."""

    values: dict
    codec: SpecgramCodec
    normalizer: NormalizerConfig
    resolutions: ResolutionSchedule
    filters: FilterSchedule
    schedule: TrainingSchedule
    losses: LossConfig
    optimizer: OptimizerConfig
    data: DataConfig
    pipeline: PipelineConfig
    execution: ExecutionConfig
    distribution: DistributionConfig
    cadence: CadenceConfig
    run: RunConfig

    @classmethod
    def from_values(cls, values: dict) -> "Experiment":
        """Builds and checks all settings from a flat table; missing names take their defaults.

        Raises:
          ValueError: an unknown name, a value of another kind, or one that its room refuses.
        """
        check_types(values)
        values = default_values() | {name: _plain(value) for name, value in values.items()}

        def build(room: type, **derived):
            own = {field.name: values[name] for name, field in _fields(room).items()}
            return room(**own, **derived)

        if values["data_type"] not in REPRESENTATIONS:
            # The codec would offer "wave" as well, on which these networks cannot train.
            raise ValueError(
                f"data_type must be one of {', '.join(SPECGRAMS)}, not {values['data_type']!r}."
            )
        resolutions = build(ResolutionSchedule)
        time, freq = resolutions.final_resolution
        filters = build(FilterSchedule)
        built = cls(
            values=values,
            codec=build(SpecgramCodec, time=time, freq=freq),
            normalizer=build(NormalizerConfig),
            resolutions=resolutions,
            filters=filters,
            schedule=build(TrainingSchedule),
            losses=build(LossConfig),
            optimizer=build(OptimizerConfig),
            data=build(DataConfig),
            pipeline=build(PipelineConfig),
            execution=build(ExecutionConfig),
            distribution=build(DistributionConfig),
            cadence=build(CadenceConfig),
            run=build(RunConfig),
        )
        # What only shows when rooms meet: checked now, before anything is written.
        codec = built.codec
        if built.data.is_embedded:
            sources.synth_config(built.data, codec.sample_rate, codec.audio_length)
        built.planned_model_config()
        if built.schedule.train_time_limit is not None and built.execution.steps_per_execution > 1:
            raise ValueError(
                f"steps_per_execution={built.execution.steps_per_execution} cannot be combined with "
                f"train_time_limit: the clock is looked at between executions only."
            )
        return built

    def planned_model_config(self) -> ModelConfig:
        """The model's settings before there are notes: every pitch once."""
        pitches = range(self.data.min_pitch, self.data.max_pitch + 1)
        return self.model_config(PitchVocabulary.from_pitches(pitches))

    def model_config(self, vocabulary: PitchVocabulary) -> ModelConfig:
        """The model's settings for a data set with this pitch vocabulary."""
        networks = NetworkConfig(
            resolutions=self.resolutions,
            filters=self.filters,
            num_pitches=len(vocabulary.pitches),
            **{name: self.values[name] for name in _fields(NetworkConfig)},
        )
        return ModelConfig(self.codec, self.normalizer, networks, vocabulary)
