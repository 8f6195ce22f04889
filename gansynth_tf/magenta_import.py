"""The original's run folders: read to be played, or imported to go on training.

The original (magenta/models/gansynth) keeps its flags in ``experiment.json``, what its normaliser
was fitted to in ``assets/``, and the weights of each stage in ``stage_NNNNN/`` as checkpoints of
TensorFlow 1. They are read as arrays; nothing of TensorFlow 1 is run.
"""

import contextlib
import json
import math
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from gansynth_tf import checkpoint
from gansynth_tf.checkpoint import Checkpoint, CheckpointError, RunState
from gansynth_tf.experiment import Experiment, check_types
from gansynth_tf.files import remove_temporaries
from gansynth_tf.magenta_names import (
    MOVING_AVERAGE,
    discriminator_variables,
    generator_variables,
)
from gansynth_tf.model import GANSynth, PitchVocabulary
from gansynth_tf.schedule import Stage, TrainingSchedule
from gansynth_tf.specgram import WAVE_IMAGE
from gansynth_tf.training import CHECKPOINT_FOLDER
from gansynth_tf.variables import (
    assign_arrays,
    first_non_finite,
    model_arrays,
    network_arrays,
)

FLAGS_FILE = "experiment.json"
ASSETS_FOLDER = "assets"
DATA_TYPES = ("linear", "mel", "phase", "wave")
# All its data sets have these pitches; how many notes of each, its folders do not say.
PITCHES = tuple(range(24, 85))

# What the original takes where its flags are silent, by names that are also ours.
_DEFAULTS = {
    "data_type": "mel",
    "audio_length": 64_000,
    "sample_rate": 16_000,
    "data_normalizer": "specgrams_prespecified_normalizer",
    "mag_normalizer_a": 0.0661371661726,
    "mag_normalizer_b": 0.113718730221,
    "p_normalizer_a": 0.8,
    "p_normalizer_b": 0.0,
    "normalizer_margin": 0.8,
    "normalizer_num_examples": 1000,
    "gradient_penalty_target": 1.0,
    "gradient_penalty_weight": 10.0,
    "real_score_penalty_weight": 0.001,
    "generator_ac_loss_weight": 1.0,
    "discriminator_ac_loss_weight": 1.0,
    "generator_learning_rate": 0.0004,
    "discriminator_learning_rate": 0.0004,
    "adam_beta1": 0.0,
    "adam_beta2": 0.99,
    "batch_size_schedule": [16, 8],
    "stable_stage_num_images": 32,
    "transition_stage_num_images": 32,
    "total_num_images": 320,
    "train_progressive": True,
    "train_time_limit": None,
    "train_time_stage_multiplier": 1.0,
    "latent_vector_size": 256,
    "kernel_size": 3,
    "start_height": 4,
    "start_width": 8,
    "scale_mode": "ALL",
    "scale_base": 2,
    "num_resolutions": 7,
    "simple_arch": False,
    "to_rgb_activation": "tanh",
    "fmap_base": 512,
    "fmap_decay": 1.0,
    "fmap_max": 128,
}
_NETWORKS = "specgram"  # the only ones it has
_WAVE_MARGIN = 768  # samples of silence before and after a wave that is an image
_UNNORMALIZED = "none"
_IDENTITY = {
    "data_normalizer": "specgrams_prespecified_normalizer",
    "mag_normalizer_a": 1.0,
    "mag_normalizer_b": 0.0,
    "p_normalizer_a": 1.0,
    "p_normalizer_b": 0.0,
}
_STAGE = re.compile(r"stage_(\d+)$")
_IMAGES, _SECONDS = "global_step", "Variable"
_OPTIMIZERS, _POWER = "progressive_gan_train_ops", "beta2_power"


def is_original(folder: str | pathlib.Path) -> bool:
    """Whether a folder is one of the original's, as far as its names show."""
    folder = pathlib.Path(folder)
    return (folder / FLAGS_FILE).is_file() or bool(_stage_folders(folder))


def read_checkpoint(folder: str | pathlib.Path) -> Checkpoint:
    """The last checkpoint of an original's folder, as one of ours: what playing needs.

    Blocks that its stage does not use yet have their first weights.

    Raises:
      CheckpointError: names what is missing, damaged, or of no configuration known here.
    """
    original = _Original(folder)
    return original.checkpoint(network_arrays(original.model()))


def import_run(
    folder: str | pathlib.Path,
    run_dir: str | pathlib.Path,
    total_num_images: int | None = None,
    say: Callable[[str], object] = print,
) -> pathlib.Path:
    """Writes a run folder from which training goes on: weights, averages, moments, image count.

    Args:
      folder: of the original.
      run_dir: made if needed.
      total_num_images: when the run shall end, in place of what the original's flags say.
      say: is told what cannot be taken over.

    Returns:
      The checkpoint that was written.

    Raises:
      FileExistsError: ``run_dir`` is not empty.
      ValueError: ``total_num_images`` is not above the images that it was trained on.
      CheckpointError: as ``read_checkpoint``, or it cannot be trained on here.
      OSError: ``run_dir`` cannot be written.
    """
    run_dir = pathlib.Path(run_dir)
    _refuse_used(run_dir)
    changes = {} if total_num_images is None else {"total_num_images": total_num_images}
    original = _Original(folder, changes)
    if total_num_images is not None and total_num_images <= original.state.images:
        raise ValueError(
            f"total_num_images={total_num_images} must be above the {original.state.images} images "
            f"that the model was trained on."
        )
    original.refuse_other_training(say)
    model = original.model()
    model.begin_stage(original.stage)
    original.restore_moments(model, say)
    saved = original.checkpoint(model_arrays(model))
    with checkpoint.held(run_dir):
        _refuse_used(run_dir)
        written = run_dir / CHECKPOINT_FOLDER
        remove_temporaries(written, checkpoint.TEMPORARY)
        path = checkpoint.save(written, saved.arrays, saved.state, saved.settings)
    if original.is_finished:
        say(
            f"The run is at its end, {saved.state.images:,} images: to go on, import it with a "
            f"total_num_images above that."
        )
    return path


class _Original:
    """An original's folder: its flags, and its last stage's checkpoint."""

    def __init__(self, folder: str | pathlib.Path, changes: Mapping = MappingProxyType({})):
        """``changes``: values in place of the flags'."""
        self.folder = pathlib.Path(folder)
        self.flags = _read_flags(self.folder)
        with checkpoint.fitting(self.folder / FLAGS_FILE):
            self.values = _values(self.flags) | changes
            self.experiment = Experiment.from_values(self.values)
            # Of their notes only the pitches are known.
            self.vocabulary = PitchVocabulary(PITCHES, (1,) * len(PITCHES))
            self.config = self.experiment.model_config(self.vocabulary)
        index, self.tensors = _last_checkpoint(self.folder)
        with checkpoint.fitting(self.tensors.path):
            self.stage = self.experiment.schedule.stage(index)
            self.state = self._state()

    def _state(self) -> RunState:
        schedule, scalars = self.experiment.schedule, self.tensors.take([_IMAGES, _SECONDS])
        images = int(scalars[_IMAGES])
        seconds = float(scalars.get(_SECONDS, 0.0))
        return RunState(self.stage.index, images, _steps(schedule, self.stage, images), seconds)

    @property
    def is_finished(self) -> bool:
        schedule, state = self.experiment.schedule, self.state
        is_last = self.stage.index == schedule.total_num_stages - 1
        return is_last and schedule.is_over(self.stage, state.images, state.seconds)

    def refuse_other_training(self, say: Callable[[str], object]) -> None:
        """Refuses what can be played here but not trained; tells of what is left out."""
        if self.flags.get("data_normalizer") == _UNNORMALIZED:
            raise CheckpointError(
                f"{self.folder / FLAGS_FILE} has data_normalizer={_UNNORMALIZED}: such a model can "
                f"be played, but not trained on, for the critic here clips specgrams to [-1, 1]."
            )
        if self.flags.get("gen_gl_consistency_loss_weight"):
            say("The consistency loss (gen_gl_consistency_loss_weight) is left out from now on.")

    def model(self) -> GANSynth:
        """The networks with the original's weights."""
        numbers = _normalizer_numbers(self.folder, self.experiment)
        losses, optimizer = self.experiment.losses, self.experiment.optimizer
        model = GANSynth(self.config, losses, optimizer, numbers)
        blocks = self.stage.num_blocks
        averages = generator_variables(model.ema_generator, blocks)
        variables = generator_variables(model.generator, blocks)
        variables |= discriminator_variables(model.discriminator, blocks)
        variables |= {name + MOVING_AVERAGE: average for name, average in averages.items()}
        with checkpoint.fitting(self.tensors.path):
            _assign_finite(variables, self.tensors.take(variables))
        return model

    def restore_moments(self, model: GANSynth, say: Callable[[str], object]) -> None:
        """Gives the optimizers of the stage the original's moments, or, if one is missing, none."""
        blocks, slots = self.stage.num_blocks, {}
        for kind, optimizer, trained, known in (
            (
                "generator_train",
                model.generator_optimizer,
                model.generator_variables,
                generator_variables(model.generator, blocks),
            ),
            (
                "discriminator_train",
                model.discriminator_optimizer,
                model.discriminator_variables,
                discriminator_variables(model.discriminator, blocks),
            ),
        ):
            by_id = {id(variable): name for name, variable in known.items()}
            names = [f"{_OPTIMIZERS}/{by_id[id(variable)]}" for variable in trained]
            for slot, suffix in (("momentum", "/Adam"), ("velocity", "/Adam_1")):
                own = [v for v in optimizer.variables if v.path.endswith(slot)]
                slots |= {n + suffix: v for n, v in zip(names, own, strict=True)}
            slots[f"{_OPTIMIZERS}/{kind}/{_POWER}"] = optimizer.iterations
        arrays = self.tensors.take(slots)
        beta2 = self.experiment.optimizer.adam_beta2
        for name in [name for name in arrays if name.endswith(_POWER)]:
            arrays[name] = _updates(arrays[name], beta2)
        try:
            _assign_finite(slots, arrays)
        except ValueError as error:
            say(f"The optimizers begin anew, as at the start of a stage: {error}.")

    def checkpoint(self, arrays: dict[str, np.ndarray]) -> Checkpoint:
        """As one of ours, whose notes are yet to be known."""
        settings = {
            "values": self.values,
            "pitches": list(self.vocabulary.pitches),
            "counts": list(self.vocabulary.counts),
            "notes": None,
        }
        return Checkpoint(self.tensors.path, arrays, self.state, settings)


def _assign_finite(variables: dict, arrays: dict) -> None:
    bad = first_non_finite({n: array for n, array in arrays.items() if array.dtype.kind == "f"})
    if bad is not None:
        raise ValueError(f"array {bad} holds NaN or infinity")
    assign_arrays(variables, arrays)


def _steps(schedule: TrainingSchedule, stage: Stage, images: int) -> int:
    """About as many iterations as the images took; the original does not count them."""
    steps, before = 0, 0
    for earlier in schedule.stages():
        end = min(earlier.end_image, images) if earlier.index < stage.index else images
        steps += math.ceil((end - before) / earlier.batch_size)
        before = end
    return steps


def _updates(power: np.ndarray, beta2: float) -> np.ndarray:
    """Updates that an Adam has made whose next one would divide by 1 - ``power``.

    float32 has no smaller powers than some thousand updates give: from there on nothing changes.
    """
    if not beta2:
        return np.array(0, np.int32)
    power = np.clip(power, np.finfo(np.float32).tiny, beta2)
    return np.round(np.log(power) / np.log(beta2) - 1).astype(np.int32)


# --- Files ---


class _Tensors:
    """A checkpoint of TensorFlow 1: ``path`` is what its files' names begin with."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        with self._reading():
            self._reader = tf.train.load_checkpoint(str(path))

    def take(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """The arrays of those names that are there."""
        with self._reading():
            there = [name for name in names if self._reader.has_tensor(name)]
            return {name: np.asarray(self._reader.get_tensor(name)) for name in there}

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (tf.errors.OpError, RuntimeError, ValueError, LookupError) as error:
            reason = getattr(error, "message", None) or str(error)
            raise CheckpointError(f"{self.path} is damaged: {' '.join(reason.split())}") from error


def _last_checkpoint(folder: pathlib.Path) -> tuple[int, _Tensors]:
    """Number of the last stage that has a checkpoint, and its newest one."""
    for index, stage in reversed(_stage_folders(folder)):
        found = _newest(stage)
        if found is not None:
            return index, _Tensors(found)
    raise CheckpointError(
        f"{folder} holds no checkpoint of the original: a folder such as stage_00012 was expected, "
        f"with model.ckpt-NUMBER.index in it."
    )


def _stage_folders(folder: pathlib.Path) -> list[tuple[int, pathlib.Path]]:
    """(stage, its folder), ascending."""
    if not folder.is_dir():
        return []
    matches = [(_STAGE.match(path.name), path) for path in folder.iterdir() if path.is_dir()]
    return sorted((int(match[1]), path) for match, path in matches if match)


def _newest(stage: pathlib.Path) -> pathlib.Path | None:
    """What the names of a stage's newest checkpoint begin with.

    The file that names it may hold the folder's path on another machine.
    """
    there = {path.stem: path.with_suffix("") for path in stage.glob("model.ckpt-*.index")}
    state = None
    with contextlib.suppress(UnicodeDecodeError):  # what else can be wrong with it makes it None
        state = tf.train.get_checkpoint_state(str(stage))
    named = state and pathlib.PurePath(state.model_checkpoint_path).name
    if named in there:
        return there[named]
    return max(
        there.values(), key=lambda path: path.name.rpartition("-")[2].zfill(20), default=None
    )


def _read_flags(folder: pathlib.Path) -> dict:
    path = folder / FLAGS_FILE
    if not path.is_file():
        raise CheckpointError(f"{path} is missing, which says what the model is.")
    with checkpoint.reading(path):
        flags = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(flags, dict):
            raise ValueError("a table of flags was expected")
    return flags


def _values(flags: dict) -> dict:
    """The original's flags -> our values of what they say; the rest is nobody's yet.

    Raises:
      ValueError: names the flag.
    """
    for name in ("g_fn", "d_fn"):
        if flags.get(name, _NETWORKS) != _NETWORKS:
            raise ValueError(f"{name} must be {_NETWORKS}, not {flags[name]!r}.")
    values = {name: flags.get(name, default) for name, default in _DEFAULTS.items()}
    if values["data_type"] not in DATA_TYPES:
        raise ValueError(
            f"data_type must be one of {', '.join(DATA_TYPES)}, not {values['data_type']!r}."
        )
    if values["data_normalizer"] == _UNNORMALIZED:
        values |= _IDENTITY
    check_types(values)
    if values["data_type"] == "wave":
        height = values["start_height"] * values["scale_base"] ** (values["num_resolutions"] - 1)
        values |= {"data_type": WAVE_IMAGE, "audio_length": height - 2 * _WAVE_MARGIN}
    # What the original does not look at is refused here.
    values["batch_size_schedule"] = values["batch_size_schedule"][: values["num_resolutions"]]
    if values["train_time_limit"] is None:
        values["train_time_stage_multiplier"] = 1.0
    return values


def _normalizer_numbers(folder: pathlib.Path, experiment: Experiment) -> np.ndarray:
    """The normaliser's scale and offset, as ``NormalizerConfig.fit`` gives them."""
    normalizer = experiment.normalizer
    if not normalizer.is_fitted:
        return normalizer.prespecified()
    path = folder / ASSETS_FOLDER / f"{normalizer.data_normalizer}.npz"
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing, which holds the numbers of the fitted normaliser."
        )
    with checkpoint.reading(path), np.load(path, allow_pickle=False) as file:
        numbers = file["normalizer"]
    expected = (experiment.codec.freq, 4) if normalizer.by_frequency else (4,)
    with checkpoint.fitting(path):
        if numbers.shape != expected or numbers.dtype.kind != "f":
            raise ValueError(
                f"array normalizer is {numbers.dtype} {list(numbers.shape)}, but numbers "
                f"{list(expected)} were expected"
            )
        scales, offsets = numbers[..., ::2], numbers[..., 1::2]  # [channels] or [freq, channels]
        if not (np.isfinite(numbers).all() and scales.all()):
            raise ValueError("array normalizer must hold finite numbers, and scales that are not 0")
    return np.stack([scales, offsets])


def _refuse_used(run_dir: pathlib.Path) -> None:
    """Refuses a folder with more in it than an import that was cut off may leave."""
    written = run_dir / CHECKPOINT_FOLDER
    entries = set(run_dir.iterdir()) if run_dir.is_dir() else set()
    entries -= {run_dir / checkpoint.LOCK_FILE, written}
    if written.is_dir():
        entries |= set(written.iterdir()) - set(written.glob(f".{checkpoint.TEMPORARY}"))
    if entries:
        raise FileExistsError(f"{run_dir} is not empty: a new folder was expected.")
