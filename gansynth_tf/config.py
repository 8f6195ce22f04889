"""Flags <-> settings: the only place, with ``cli``, that knows absl.

Every value of ``experiment.default_values`` is a flag of its own name. A flagfile holds one
``--name=value`` a line, ``#`` comments, and may include another by ``--flagfile=NAME``, which is
found beside the file that names it.
"""

import difflib
import json
import pathlib
import typing

from absl import flags

from gansynth_tf import checkpoint, experiment
from gansynth_tf.experiment import Experiment
from gansynth_tf.files import write_atomically

PACKAGE = pathlib.Path(__file__).parent
SETTINGS_FILE = "config.json"

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
    "dataset_name": "Notes to train on: embedded.",
    "min_pitch": "Lowest MIDI pitch.",
    "max_pitch": "Highest MIDI pitch.",
    "embedded_instruments": "Instruments of each embedded family.",
    "embedded_velocities": "MIDI velocities of the embedded notes.",
    "embedded_seed": "Draws the embedded instruments.",
    "cache": "Encoded notes: none, or memory (encoded once a stage).",
    "log_seconds": "Seconds between progress lines.",
    "checkpoint_num_images": "Images between checkpoints; 0: none.",
    "checkpoint_minutes": "Minutes between checkpoints; 0: none.",
    "keep_checkpoints": "Checkpoints kept within a stage.",
    "save_summaries_num_images": "Images between sample grids; 0: at stage ends only.",
    "seed": "Fixes everything drawn.",
    "fake_batch_size": "Notes of a sample grid.",
    "tensorboard": "Whether to write TensorBoard events.",
}


class UserError(Exception):
    """Bad input: one sentence for the user, no traceback."""


# --- Flagfiles ---


def flagfile_folder() -> pathlib.Path:
    """Where the shipped flagfiles are: inside an installed package, beside a checkout's."""
    inside = PACKAGE / "flags"
    return inside if inside.is_dir() else PACKAGE.parent / "flags"


def config_names() -> list[str]:
    """Names that ``--config`` takes."""
    return sorted(p.stem for p in flagfile_folder().glob("*.cfg") if p.stem != "base")


def config_path(name: str) -> pathlib.Path:
    """Path of a shipped flagfile.

    Raises:
      UserError: no such name.
    """
    if name not in config_names():
        near = difflib.get_close_matches(name, config_names(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"--config={name} is unknown: {hint}There are {', '.join(config_names())}.")
    return flagfile_folder() / f"{name}.cfg"


def expand(arguments: list[str]) -> list[str]:
    """Arguments with every ``--config`` and ``--flagfile`` replaced by what the files hold."""
    expanded, rest = [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*expanded, argument, *rest]
        name, has_value, value = argument.lstrip("-").partition("=")
        if not argument.startswith("-") or name not in ("config", "flagfile"):
            expanded.append(argument)
            continue
        if not has_value:
            if not rest:
                raise UserError(f"--{name} needs a value.")
            value = rest.pop(0)
        path = config_path(value) if name == "config" else pathlib.Path(value)
        expanded += read_flagfile(path)
    return expanded


def read_flagfile(path: pathlib.Path, seen: tuple[pathlib.Path, ...] = ()) -> list[str]:
    """Arguments of a flagfile, those of the files that it includes among them.

    Raises:
      UserError: it cannot be read, or includes itself.
    """
    path = path.resolve()
    if path in seen:
        raise UserError(f"Flagfile {path} includes itself.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Flagfile {path} cannot be read: {error}.") from error
    arguments = []
    for line in map(str.strip, lines):
        if not line or line.startswith(("#", "//")):
            continue
        if not line.startswith("-"):
            raise UserError(f"Flagfile {path}: --name=value was expected, not {line!r}.")
        name, _, value = line.lstrip("-").partition("=")
        if name == "flagfile":
            arguments += read_flagfile(path.parent / value, (*seen, path))
        else:
            arguments.append(line)
    return arguments


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


def _definer(annotation):
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
    names = experiment.default_values()
    return {name: _value(name, values[name].value) for name in names if values[name].present}


def _value(name, value):
    if not isinstance(value, list):
        return value
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

    Raises:
      UserError: what was given contradicts what the run was begun with.
    """
    saved = read_settings(run_dir)
    if saved is None:
        return experiment.default_values() | given
    for name in sorted(experiment.kept_names() & set(given)):
        if name in saved and saved[name] != given[name]:
            raise UserError(
                f"--{name}={_shown(given[name])} contradicts the run in {run_dir}, which was "
                f"begun with {name}={_shown(saved[name])}: leave the flag out, or choose another "
                f"--run_dir."
            )
    return experiment.default_values() | saved | given


def read_settings(run_dir: pathlib.Path) -> dict | None:
    """What a run folder was begun with, or None where nothing was begun.

    Raises:
      UserError: its file is damaged or of another format.
    """
    path = run_dir / SETTINGS_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, values = content["format_version"], content["values"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {error}.") from error
    if version != checkpoint.FORMAT_VERSION:
        raise UserError(
            f"{path} has format {version}; this version reads format {checkpoint.FORMAT_VERSION}."
        )
    return {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}


def write_settings(run_dir: pathlib.Path, values: dict) -> None:
    """Keeps what a run is begun with."""
    run_dir.mkdir(parents=True, exist_ok=True)
    content = {"format_version": checkpoint.FORMAT_VERSION, "values": values}
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    write_atomically(run_dir / SETTINGS_FILE, lambda file: file.write(text.encode()))


def _shown(value) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
