"""Flags <-> settings: the only place, with ``cli``, that knows absl.

Every value of ``experiment.default_values`` is a flag of its own name. A flagfile holds one
``--name=value`` a line, ``#`` comments, and may include another by ``--flagfile=NAME``, which is
found beside the file that names it, or a shipped one by ``--config=NAME``.
"""

import difflib
import json
import pathlib
import re
import typing
from collections.abc import Iterable, Iterator

from absl import flags

from gansynth_tf import checkpoint, experiment
from gansynth_tf.experiment import Experiment
from gansynth_tf.files import PathLike, write_atomically
from gansynth_tf.training import CHECKPOINT_FOLDER

PACKAGE = pathlib.Path(__file__).parent
SETTINGS_FILE = "config.json"
# The flagfile that holds what the others share.
BASE = "base"
# Flags that stand for what a file holds, and what their value is.
_FILE_FLAGS = {
    "config": "the name of a shipped flagfile",
    "flagfile": "the path of a flagfile",
}
# The original's names of configurations.
ORIGINAL_CONFIGS = {"mel_prog_hires": "mel_if_hires"}

_HELP = {
    "data_type": "Representation: linear, mel, phase or unwrapped_phase.",
    "audio_length": "Samples of a note.",
    "sample_rate": "Samples a second.",
    "data_normalizer": "How specgrams are brought to [-1, 1].",
    "mag_normalizer_a": "Scale of the log magnitude.",
    "mag_normalizer_b": "Offset of the log magnitude.",
    "p_normalizer_a": "Scale of the phase or instantaneous frequency.",
    "p_normalizer_b": "Offset of the phase or instantaneous frequency.",
    "normalizer_margin": "Share of [-1, 1] that a fitted range takes.",
    "normalizer_num_examples": "Notes to fit the normaliser on.",
    "start_height": "Time frames of the first block.",
    "start_width": "Frequency bins of the first block.",
    "scale_base": "How many times a block is larger than the one before.",
    "scale_mode": "ALL grows time and frequency, H time only.",
    "num_resolutions": "Number of blocks.",
    "fmap_base": "Filters of a block: min(fmap_base / 2^(block * fmap_decay), fmap_max).",
    "fmap_decay": "See fmap_base.",
    "fmap_max": "See fmap_base.",
    "latent_vector_size": "Dimensions of the latent.",
    "kernel_size": "Size of the inner convolutions.",
    "to_rgb_activation": "Output of the generator: tanh or linear.",
    "simple_arch": "Strided convolutions with ReLU in place of the paper's networks.",
    "stable_stage_num_images": "Images of a stable stage.",
    "transition_stage_num_images": "Images of a stage that fades a block in.",
    "total_num_images": "Images of the whole run.",
    "batch_size_schedule": "Global batch size by resolution, padded in front with its first.",
    "train_progressive": "Whether to grow; else the full-size networks train in one stage.",
    "train_time_limit": "Seconds of training; when given, stages follow the clock.",
    "train_time_stage_multiplier": "By the clock, each stage lasts this much longer.",
    "gradient_penalty_weight": "Weight of the gradient penalty.",
    "gradient_penalty_target": "Slope that the gradient penalty asks for.",
    "gradient_penalty_units": "What the slope is measured in: natural, or normalized specgrams.",
    "real_score_penalty_weight": "Weight of the squared score of real notes (drift).",
    "generator_ac_loss_weight": "Weight of the pitch loss of generated notes.",
    "discriminator_ac_loss_weight": "Weight of the pitch loss of real notes.",
    "generator_learning_rate": "Adam's learning rate of the generator.",
    "discriminator_learning_rate": "Adam's learning rate of the discriminator.",
    "adam_beta1": "Adam's decay of the mean gradient.",
    "adam_beta2": "Adam's decay of the mean squared gradient.",
    "ema_decay": "Decay of the generator's moving average, by step.",
    "dataset_name": "Notes to train on: embedded, folder, nsynth, nsynth/full, or auto: what lies "
    "at --train_data_path, else embedded.",
    "train_data_path": "Folder of a data set: of gansynth_data, or of TensorFlow Datasets.",
    "split": "Split of the data set, or all.",
    "split_scheme": "stored: splits as the data set has them; paper: acoustic, 24-84, 80/20.",
    "split_seed": "Shuffles the paper's split.",
    "min_pitch": "Lowest MIDI pitch.",
    "max_pitch": "Highest MIDI pitch.",
    "instrument_families": "Families to take, such as brass,string; none given: all.",
    "instrument_sources": "Sources to take: acoustic, electronic, synthetic; none given: all.",
    "velocities": "MIDI velocities to take; none given: all.",
    "with_qualities": "Qualities that notes must have, such as bright.",
    "without_qualities": "Qualities that notes must not have.",
    "without_instruments": "Instruments to leave out, such as brass_acoustic_046.",
    "embedded_instruments": "Instruments of each embedded family.",
    "embedded_velocities": "MIDI velocities of the embedded notes.",
    "embedded_seed": "Draws the embedded instruments.",
    "cache": "Encoded notes: none, or memory or disk (encoded once a stage).",
    "cache_dir": "Folder of --cache=disk; else cache in the run folder.",
    "specgram_on": "Where notes are encoded: host, or device (in the step).",
    "precision": "float32, tensorfloat32 (products on GPUs) or mixed_bfloat16.",
    "jit_compile": "Whether XLA compiles the step.",
    "steps_per_execution": "Steps between two returns to Python; Ctrl-C waits for them.",
    "strategy": "Where to train: auto, one_device, mirrored (all GPUs) or multi_worker (TF_CONFIG).",
    "minibatch_stddev": "The critic's minibatch statistic: of each replica's notes, or global.",
    "log_seconds": "Seconds between progress lines.",
    "checkpoint_num_images": "Images between checkpoints; 0: none.",
    "checkpoint_minutes": "Minutes between checkpoints; 0: none.",
    "keep_checkpoints": "Checkpoints kept within a stage.",
    "save_summaries_num_images": "Images between sample grids; 0: at stage ends only.",
    "seed": "Fixes everything drawn.",
    "fake_batch_size": "Notes of a sample grid.",
    "tensorboard": "Whether to write TensorBoard events.",
    "grace_seconds": "SIGTERM ends the run within them, unsaved if a step takes longer; 0: waits.",
}


class UserError(Exception):
    """Bad input: one sentence for the user, no traceback."""


class UnknownConfigError(UserError):
    """A ``--config`` that there is not."""


# --- Flagfiles ---


def flagfile_folder() -> pathlib.Path:
    """Where the shipped flagfiles are: inside an installed package, beside a checkout's."""
    inside = PACKAGE / "flags"
    return inside if inside.is_dir() else PACKAGE.parent / "flags"


def config_names() -> list[str]:
    """Names that ``--config`` takes."""
    return sorted(p.stem for p in flagfile_folder().glob("*.cfg") if p.stem != BASE)


def config_path(name: str) -> pathlib.Path:
    """Path of a shipped flagfile.

    Raises:
      UnknownConfigError: no such name.
    """
    if name == BASE:
        raise UnknownConfigError(
            f"--config={name} is only for including, as --flagfile={name}.cfg, in a flagfile "
            f"beside it: there are {', '.join(config_names())}."
        )
    if name not in config_names():
        near = [ORIGINAL_CONFIGS[name]] if name in ORIGINAL_CONFIGS else None
        near = near or difflib.get_close_matches(name, config_names(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UnknownConfigError(
            f"--config={name} is unknown: {hint}There are {', '.join(config_names())}."
        )
    return flagfile_folder() / f"{name}.cfg"


def expand(arguments: list[str]) -> list[str]:
    """Arguments with every ``--config`` and ``--flagfile`` replaced by what the files hold.

    Raises:
      UserError: a file cannot be read, or includes itself.
    """
    return [argument for argument in _walk(arguments) if not isinstance(argument, _Include)]


def flag_names(arguments: list[str]) -> set[str]:
    """Names of all flags that are given, in flagfiles as well, ``config`` and ``flagfile`` too."""
    walked = list(_walk(arguments))
    if "--" in walked:
        walked = walked[: walked.index("--")]
    return {_split(argument)[0] for argument in walked if argument.startswith("-")}


class _Include(str):
    """An argument that names a file of others; they come right after it."""


def _split(argument: str) -> tuple[str, bool, str]:
    """ "--name=value" -> name, whether there is a value, value."""
    name, equals, value = argument.removeprefix("-").removeprefix("-").partition("=")
    return name, bool(equals), value


def _walk(arguments: Iterable[str]) -> Iterator[str]:
    """All arguments in order, those of the files that they name right after the naming one."""
    rest = iter(arguments)
    for argument in rest:
        name, has_value, value = _split(argument)
        if argument == "--":
            yield argument
            yield from rest
        elif argument.startswith("-") and name in _FILE_FLAGS:
            if not has_value:
                value = next(rest, "")
            if not value:
                raise UserError(f"--{name} needs a value: {_FILE_FLAGS[name]}.")
            yield _Include(f"--{name}={value}")
            yield from read_flagfile(config_path(value) if name == "config" else value)
        else:
            yield argument


def read_flagfile(path: PathLike, seen: tuple[pathlib.Path, ...] = ()) -> list[str]:
    """Arguments of a flagfile, each file that it includes followed by what that one holds.

    Raises:
      UserError: it cannot be read, or includes itself.
    """
    path = pathlib.Path(path)
    if path.resolve() in seen:
        raise UserError(f"Flagfile {path} includes itself.")
    seen = (*seen, path.resolve())
    arguments = []
    for line in _flagfile_lines(path):
        name, _, value = _split(line)
        arguments.append(line)
        if name in _FILE_FLAGS:
            if not value:
                raise UserError(
                    f"Flagfile {path}: --{name}=NAME was expected, with {_FILE_FLAGS[name]}, "
                    f"not {line!r}."
                )
            included = config_path(value) if name == "config" else path.parent / value
            arguments[-1] = _Include(line)
            arguments += read_flagfile(included, seen)
    return arguments


def _flagfile_lines(path: pathlib.Path) -> list[str]:
    """Lines of a flagfile that are flags, of the form --name=value, --name or --noname."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"Flagfile {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # not UTF-8, or a NUL in the path
        raise UserError(f"Flagfile {path} cannot be read: {error}.") from error
    lines = [line.strip() for line in lines]
    lines = [line for line in lines if line and not line.startswith(("#", "//"))]
    for line in lines:
        # A name and a value in two words are one argument to absl, which knows no such flag.
        if not re.match(r"--?[^-\s=][^\s=]*(=|$)", line):
            raise UserError(f"Flagfile {path}: --name=value was expected, not {line!r}.")
    return lines


# --- Flags ---


def define_experiment_flags(values: flags.FlagValues) -> None:
    """A flag for every setting of an experiment, with its room's default."""
    defaults = experiment.default_values()
    for name, annotation in experiment.value_types().items():
        define, options = _definer(annotation)
        default = defaults[name]
        if isinstance(default, tuple):
            default = [str(entry) for entry in default]
        define(name, default, _HELP[name], flag_values=values, **options)


def _definer(annotation: object):
    if annotation is bool:
        return flags.DEFINE_boolean, {}
    if annotation is int:
        return flags.DEFINE_integer, {}
    if annotation in (float, float | None):
        return flags.DEFINE_float, {}
    if annotation is str:
        return flags.DEFINE_string, {}
    if typing.get_origin(annotation) is tuple:
        return flags.DEFINE_list, {}
    raise TypeError(f"No flag for a setting of type {annotation}.")


def given_values(values: flags.FlagValues) -> dict:
    """Settings that were given on the command line or in a flagfile, by name.

    Raises:
      UserError: an entry of a list is not a whole number.
    """
    types = experiment.value_types()
    return {
        name: _value(name, values[name].value, types[name])
        for name in types
        if values[name].present
    }


def _value(name: str, value: object, annotation: object):
    if not isinstance(value, list):
        return value
    if annotation == tuple[str, ...]:
        return tuple(value)
    try:
        return tuple(int(entry) for entry in value)
    except ValueError:
        raise UserError(
            f"--{name} must be a list of whole numbers such as 16,8, not {','.join(value)!r}."
        ) from None


def make_experiment(values: dict) -> Experiment:
    """Settings by name -> a checked experiment.

    Raises:
      UserError: a value is refused.
    """
    try:
        return Experiment.from_values(values)
    except ValueError as error:
        raise UserError(str(error)) from error


# --- Run folders ---


def resolve(given: dict, run_dir: pathlib.Path) -> dict:
    """Values for a run: defaults, then what the run folder keeps, then what was given.

    Before the first checkpoint a contradiction costs nothing: it begins another run, of which only
    what was given is known. A mixture of both would be neither.

    Raises:
      UserError: what was given contradicts what the run was trained with.
    """
    checkpointed = read_checkpointed(run_dir)
    saved = _saved_values(run_dir, checkpointed)
    names = experiment.contradictions(saved, given)
    if names and checkpointed is None:
        return experiment.default_values() | given
    if names:
        flags_given = ", ".join(f"--{experiment.assignments(given, [name])}" for name in names)
        verb, them = ("contradicts", "the flag") if len(names) == 1 else ("contradict", "the flags")
        raise UserError(
            f"{flags_given} {verb} the run in {run_dir}, which was begun with "
            f"{experiment.assignments(saved, names)}: leave {them} out, or choose another --run_dir."
        )
    return experiment.default_values() | saved | given


def _saved_values(run_dir: pathlib.Path, checkpointed: tuple[pathlib.Path, dict] | None) -> dict:
    """What a run was begun with; empty where nothing was begun.

    The checkpoint says it too: where the settings file was lost, training on with other settings
    would end in a model that is neither; and where the two disagree, one is not this run's.

    Raises:
      UserError: a file is damaged, or the settings file and the newest checkpoint disagree.
    """
    settings = read_settings(run_dir)
    if checkpointed is None:
        return settings or {}
    path, values = checkpointed
    if settings is None:
        return values
    names = experiment.contradictions(settings, values)
    if names:
        raise UserError(
            f"{run_dir / SETTINGS_FILE} has {experiment.assignments(settings, names)}, and the "
            f"newest checkpoint, {path}, {experiment.assignments(values, names)}: they are of "
            f"different runs; move away the one that is not this run's."
        )
    return settings


def read_checkpointed(run_dir: pathlib.Path) -> tuple[pathlib.Path, dict] | None:
    """The newest readable checkpoint of a run folder and the values that it was trained with.

    Raises:
      UserError: its settings are not ones of this version.
    """
    try:
        # The trainer, which reads it again, tells of damaged ones.
        newest = checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER, warn=lambda _: None)
        values = newest and newest.settings["values"]
    except checkpoint.CheckpointError as error:
        raise UserError(str(error)) from error
    except (KeyError, TypeError) as error:
        raise UserError(f"{newest.path} is damaged: it has no settings.") from error
    return newest and (newest.path, _checked(values, newest.path))


def read_settings(run_dir: pathlib.Path) -> dict | None:
    """What a run folder's settings file says, or None where there is none.

    Raises:
      UserError: the file is damaged, of another format, or holds what is no setting.
    """
    path = run_dir / SETTINGS_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, values = content["format_version"], content["values"]
    except KeyError as error:
        raise UserError(f"{path} is damaged: it has no {error}.") from error
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged: {error}.") from error
    if version != checkpoint.FORMAT_VERSION:
        raise UserError(
            f"{path} has format {version}; this version reads format {checkpoint.FORMAT_VERSION}."
        )
    return _checked(values, path)


def _checked(values: dict, path: pathlib.Path) -> dict:
    """Values read from a file, their kinds checked, lists as tuples."""
    if not isinstance(values, dict):
        raise UserError(
            f"{path} is damaged: values must be a table of settings, name to value, not {values!r}."
        )
    try:
        Experiment.from_values(values)
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}") from error
    return {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}


def write_settings(run_dir: pathlib.Path, values: dict) -> None:
    """Keeps what a run is begun with."""
    run_dir.mkdir(parents=True, exist_ok=True)
    content = {"format_version": checkpoint.FORMAT_VERSION, "values": values}
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    write_atomically(run_dir / SETTINGS_FILE, lambda file: file.write(text.encode()))


def restore_settings(run_dir: pathlib.Path, values: dict | None) -> None:
    """Puts back what ``read_settings`` gave before a run that was refused."""
    if values is not None:
        write_settings(run_dir, values)
    elif not checkpoint.list_checkpoints(run_dir / CHECKPOINT_FOLDER):
        (run_dir / SETTINGS_FILE).unlink(missing_ok=True)
