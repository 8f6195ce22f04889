"""What every command does: parse its flags, run, and turn bad input into one sentence.

What is slow to import (TensorFlow, and all that uses it) is imported inside the functions of the
commands, so that Ctrl-C is answered from the start.
"""

import contextlib
import difflib
import os
import pathlib
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from absl import flags

from gansynth_tf.interruption import STOPPED, Terminated, termination_raised
from gansynth_tf.quiet import errors_muted

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130
OUTPUT_CLOSED = 141  # as the shell says of a command that SIGPIPE ended

# Flags of the original that are called otherwise here: the first that a command has is meant.
_RENAMED = {
    "train_root_dir": ("run_dir", "model"),
    "ckpt_dir": ("model", "run_dir"),
    "batch_size": ("count", "batch_size_schedule"),
    "tfds_data_dir": ("train_data_path",),
}
# Flags of the original that have no counterpart, and what there is instead.
_NO_SERVERS = "there are no parameter servers"
_GONE = {
    "hparams": "every setting is a flag, such as --fmap_max=128",
    "gen_gl_consistency_loss_weight": "there is no such loss",
    "master": _NO_SERVERS,
    "ps_tasks": _NO_SERVERS,
    "task": _NO_SERVERS,
    "debug_hook": "a loss that is not finite stops the run and is named",
    "g_fn": "the networks are always those for specgrams",
    "d_fn": "the networks are always those for specgrams",
}


def run_command(
    name: str,
    description: str,
    define: Callable[[flags.FlagValues], None],
    body: Callable[[flags.FlagValues], int | None],
    arguments: list[str] | None = None,
    defaults: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Parses ``arguments`` (default: the command line) and runs ``body``; returns an exit code.

    Each of ``defaults`` (flag to value) is as if given first, where neither the command line nor
    a flagfile gives that flag.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with termination_raised():
            code = _run(name, description, define, body, arguments, defaults)
        # Now, and not when Python ends, where a closed pipe could only be complained about.
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Nobody reads on (`| head`): nothing is wrong, and nobody to tell.
        close_output()
        return OUTPUT_CLOSED
    except OSError as error:
        return _complain(name, _system_error(error), FAILED)
    except MemoryError as error:
        return _complain(name, _exhausted(error), FAILED)
    except KeyboardInterrupt:
        return _complain(name, "interrupted.", INTERRUPTED)
    except Terminated:
        return _complain(name, "terminated; nothing is lost, the same command goes on.", STOPPED)
    except Exception as error:
        if not _is_exhaustion(error):
            raise
        if "No space left" in str(error):  # TensorFlow calls that exhaustion too
            return _complain(name, "No space is left on the disk that was written to.", FAILED)
        return _complain(name, _exhausted(error), FAILED)


def _run(
    name: str,
    description: str,
    define: Callable[[flags.FlagValues], None],
    body: Callable[[flags.FlagValues], int | None],
    arguments: list[str],
    defaults: Sequence[str],
) -> int:
    # TensorFlow 2.21 speaks while it is imported, whatever TF_CPP_MIN_LOG_LEVEL is: its log does not
    # know yet how much it may say. What fails is raised, not written.
    with errors_muted():
        from gansynth_tf import config

    values = flags.FlagValues()
    flags.DEFINE_boolean("helpshort", False, "Shows the flags and ends.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Shows the flags and ends.", flag_values=values)
    define(values)
    try:
        rest = _parse(values, name, arguments, defaults)
        if values.help or values.helpshort:
            print(f"{description}\n\n{_help(values)}")
            return 0
        if rest:
            raise config.UserError(
                f"{rest[0]!r} was not expected: every argument is a --flag=value."
            )
        return body(values) or 0
    except config.UserError as error:
        return _complain(name, error, BAD_INPUT)


def _parse(
    values: flags.FlagValues, name: str, arguments: list[str], defaults: Sequence[str]
) -> list[str]:
    from gansynth_tf import config

    try:
        given = config.flag_names(arguments)
    except config.UnknownConfigError as error:
        # To a command that takes none, the nearest name would be no help.
        raise error if "config" in values else _foreign("config", name) from error
    added = [f"--{flag}={value}" for flag, value in defaults.items() if flag not in given]
    expanded = config.expand([*added, *arguments])
    # What is no flag of this command, but would pass: the one is expanded, absl knows the other.
    for foreign in ("config", "undefok"):
        if foreign in given and foreign not in values:
            raise _foreign(foreign, name)
    try:
        return values([name, *expanded])[1:]
    except flags.UnrecognizedFlagError as error:
        hint = _hint(error.flagname, [*values, "flagfile"])
        raise config.UserError(f"--{error.flagname} is no flag of {name}{hint}") from error
    except flags.Error as error:
        raise config.UserError(_refusal(values, str(error))) from error


def _refusal(values: flags.FlagValues, text: str) -> str:
    """A sentence in place of what absl says of a flag's value, which may be Python's words."""
    found = re.match(r"flag --(\w+)=(.*?): ", text, re.DOTALL)
    if not found or found[1] not in values:
        return text
    flag = values[found[1]]
    wanted = "true or false" if flag.boolean else getattr(flag.parser, "syntactic_help", "")
    return f"--{found[1]}={found[2]} is refused: it must be {wanted}." if wanted else text


def _foreign(flag: str, name: str) -> Exception:
    from gansynth_tf.config import UserError

    return UserError(f"--{flag} is no flag of {name}.")


def _hint(flag: str, known: list[str]) -> str:
    """What to give in place of a flag that there is not: the end of a sentence."""
    if flag in _GONE:
        return f": {_GONE[flag]}."
    near = [other for other in _RENAMED.get(flag, ()) if other in known]
    near = near or difflib.get_close_matches(flag, known, 1, 0.5)
    return f"; did you mean --{near[0]}?" if near else "."


def _help(values: flags.FlagValues) -> str:
    """Every flag, what it does, and its default."""
    lines = ["--flagfile=PATH", "    Reads flags from a file, one --name=value a line."]
    for name in sorted(values):
        flag = values[name]
        default = "" if flag.default is None else f" Default: {flag.default_as_str}."
        lines.append(f"--[no]{name}" if flag.boolean else f"--{name}")
        lines += textwrap.wrap(
            flag.help + default, 96, initial_indent="    ", subsequent_indent="    "
        )
    return "\n".join(lines)


def check_folder(flag: str, given: str, *inside: str, is_written: bool = False) -> None:
    """Refuses a flag whose folder is none, or cannot be made.

    Args:
      flag: its name.
      given: its value.
      inside: folders in it, which must be no files either.
      is_written: whether a folder that exists must take files.

    Raises:
      UserError: names the flag, and the file or the folder that is in the way.
    """
    from gansynth_tf import files
    from gansynth_tf.config import UserError

    folder = pathlib.Path(given)
    for path in (*reversed(folder.parents), folder, *(folder / name for name in inside)):
        if os.path.lexists(path) and not os.path.isdir(path):
            raise UserError(f"--{flag}={given} must be a folder, and {path} is a file.")
    if folder.is_dir() and not is_written:
        return
    nearest = next(path for path in (folder, *folder.parents) if path.is_dir())
    reason = files.unwritable_reason(nearest)
    if reason is not None:
        raise UserError(
            f"--{flag}={given} cannot be written: the folder {nearest} takes no files ({reason})."
        )


def check_data_output(given: str, given_map: str | None = None) -> None:
    """Refuses an --output_dir that holds what a data set must not replace.

    Raises:
      UserError: names what, and what to do.
    """
    from gansynth_tf.config import UserError
    from gansynth_tf.data.set_info import why_kept

    check_folder("output_dir", given, is_written=True)
    reason = why_kept(given, given_map)
    if reason is not None:
        raise UserError(f"--output_dir={given} holds {reason}.")


def close_output() -> None:
    """Sends all further output to nowhere, once nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError):  # an output that is no file of the system has no number
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _is_exhaustion(error: Exception) -> bool:
    """Whether this is TensorFlow's way to say that memory is used up."""
    tensorflow = sys.modules.get("tensorflow")  # who never imported it never raised it
    return tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError)


def _exhausted(error: Exception) -> str:
    reason = str(error).strip().splitlines() or ["no more could be had"]
    return (
        f"the memory does not suffice ({reason[0]}): a smaller --batch_size_schedule, --fmap_max, "
        f"--fake_batch_size or --embedded_instruments takes less."
    )


def _system_error(error: OSError) -> str:
    """As a sentence, without its number."""
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."


def _complain(name: str, error: Exception | str, code: int) -> int:
    print(f"{name}: {error}", file=sys.stderr)
    return code
