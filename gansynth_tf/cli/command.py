"""What every command does: parse its flags, run, and turn bad input into one sentence."""

import difflib
import sys
from collections.abc import Callable

from absl import flags

from gansynth_tf import config
from gansynth_tf.config import UserError

BAD_INPUT = 2
FAILED = 1


def run_command(
    name: str,
    description: str,
    define: Callable[[flags.FlagValues], None],
    body: Callable[[flags.FlagValues], int | None],
    arguments: list[str] | None = None,
) -> int:
    """Parses ``arguments`` (default: the command line) and runs ``body``; returns an exit code."""
    values = flags.FlagValues()
    flags.DEFINE_boolean("helpshort", False, "Shows the flags and ends.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Shows the flags and ends.", flag_values=values)
    define(values)
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        rest = _parse(values, name, config.expand(arguments))
        if values.help or values.helpshort:
            print(f"{name}: {description}\n{values.get_help()}")
            return 0
        if rest:
            raise UserError(f"{rest[0]!r} was not expected: every argument is a --flag=value.")
        return body(values) or 0
    except UserError as error:
        return _complain(name, error, BAD_INPUT)
    except OSError as error:
        return _complain(name, error, FAILED)
    except KeyboardInterrupt:
        return _complain(name, "interrupted.", 130)


def _parse(values, name, arguments) -> list[str]:
    try:
        return values([name, *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        near = difflib.get_close_matches(error.flagname, list(values), 1, 0.5)
        hint = f"; did you mean --{near[0]}?" if near else "."
        raise UserError(f"--{error.flagname} is no flag of {name}{hint}") from error
    except flags.Error as error:
        raise UserError(str(error)) from error


def _complain(name, error, code) -> int:
    print(f"{name}: {error}", file=sys.stderr)
    return code
