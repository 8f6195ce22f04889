"""The flags of gansynth_generate, and which of them go together."""

from absl import flags

from gansynth_tf.cli import generate_match, timbres

# What can be played; only one at a time. --pitches alone is notes with timbres of their own.
MODES = ("midi_file", "match", "random", "scale", "interpolate")
_BY_MODE = {  # flag: what it has a meaning for
    "pitches": (None, "scale", "interpolate", "match"),
    "match_pitch": ("match",),
    "match_starts": ("match",),
    "match_steps": ("match",),
    "count": (None, "random", "scale", "interpolate"),
    "timbres": (None, "scale", "interpolate", "midi_file"),
    "fixed_norm": ("interpolate", "midi_file"),
    "secs_per_instrument": ("midi_file",),
    "out_of_range": ("midi_file",),
    "long_notes": ("midi_file",),
    "attack": ("midi_file",),
    "release": ("midi_file",),
}


def define(values: flags.FlagValues) -> None:
    """Defines them all."""
    _define_files(values)
    _define_modes(values)
    timbres.define(values)
    timbres.define_saving(values)
    _define_piece(values)
    generate_match.define(values)


def _define_files(values: flags.FlagValues) -> None:
    from gansynth_tf.wavfiles import FORMATS

    flags.DEFINE_string(
        "model",
        None,
        "Trained model: a run folder, a checkpoint's file, an export, or a folder of the original.",
        flag_values=values,
    )
    flags.DEFINE_string("output_dir", None, "Folder for what is played.", flag_values=values)
    flags.DEFINE_enum("format", "wav", FORMATS, "wav or flac, both 16 bit.", flag_values=values)
    flags.DEFINE_integer(
        "seed", 1, "Draws the timbres.", lower_bound=0, upper_bound=2**31 - 1, flag_values=values
    )


def _define_modes(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "midi_file",
        None,
        "MIDI file to play; every track, channel and program has a timbre of its own. Drums are "
        "left out.",
        flag_values=values,
    )
    flags.DEFINE_list("pitches", None, "MIDI pitches, such as 60,64,67.", flag_values=values)
    flags.DEFINE_integer(
        "count",
        8,
        "Notes of each pitch; timbres of a --scale; notes in all if --random.",
        lower_bound=1,
        upper_bound=10_000,
        flag_values=values,
    )
    flags.DEFINE_boolean("random", False, "Play --count notes of any pitch.", flag_values=values)
    flags.DEFINE_boolean(
        "scale",
        False,
        "Play each of --count timbres over all --pitches (default: all of the model's).",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "interpolate",
        False,
        "Go from one timbre over to another in --count notes (default pitch: the middle one).",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "fixed_norm",
        False,
        "Bring the timbres of --interpolate or --midi_file to one norm, between them too.",
        flag_values=values,
    )


def _define_piece(values: flags.FlagValues) -> None:
    from gansynth_tf.mixing import EnvelopeConfig
    from gansynth_tf.notelist import OUT_OF_RANGE
    from gansynth_tf.sustain import LONG_NOTES

    flags.DEFINE_float(
        "secs_per_instrument",
        None,
        "Seconds from one timbre of a part of the --midi_file to its next; 0 keeps one. Default: "
        "6, and with --timbres 0.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "out_of_range",
        "fold",
        OUT_OF_RANGE,
        "Pitches that the model lacks: fold moves them by octaves, refuse does not play.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "long_notes",
        "extend",
        LONG_NOTES,
        "Notes held for longer than the model's: extend goes on as a sampler does, release lets "
        "them go.",
        flag_values=values,
    )
    envelope = EnvelopeConfig()
    flags.DEFINE_float(
        "attack", envelope.attack, "Seconds in which a note begins.", flag_values=values
    )
    flags.DEFINE_float(
        "release", envelope.release, "Seconds in which a note ends.", flag_values=values
    )


def mode(values: flags.FlagValues) -> str | None:
    """Which of MODES is meant; None for notes of --pitches.

    Raises:
      UserError: none, several, or one that another flag has no meaning for; names both flags.
    """
    from gansynth_tf.config import UserError

    meant = [name for name in MODES if values[name].value]
    if not (meant or values.pitches):
        raise UserError(
            "--pitches=60,64,67, --scale, --interpolate, --random, --midi_file=FILE or --match=FILE "
            "is needed: what to play."
        )
    if len(meant) > 1:
        raise UserError(f"--{meant[0]} and --{meant[1]} exclude each other: give one of them.")
    chosen = meant[0] if meant else None
    for name, modes in _BY_MODE.items():
        # A switch that is given as off asks for nothing.
        if not values[name].present or values[name].value is False or chosen in modes:
            continue
        if chosen:
            raise UserError(f"--{name} and --{chosen} exclude each other: give one of them.")
        others = " or ".join(f"--{other}" for other in modes)
        raise UserError(f"--{name} goes with {others} only, not with --pitches alone.")
    if values.timbres and values["seed"].present:
        raise UserError("--seed and --timbres exclude each other: given timbres are not drawn.")
    if values.timbres and values["count"].present and chosen in (None, "scale"):
        raise UserError("--count and --timbres exclude each other: all of the timbres are played.")
    return chosen
