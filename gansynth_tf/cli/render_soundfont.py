"""gansynth_data render_soundfont: a SoundFont's instruments -> notes to train on."""

import contextlib
import pathlib
from collections.abc import Sequence

from absl import flags

from gansynth_tf.cli.command import check_data_output
from gansynth_tf.cli.progress import Progress
from gansynth_tf.wording import counted


def define(values: flags.FlagValues) -> None:
    """The flags."""
    from gansynth_tf.data.schema import SOURCES
    from gansynth_tf.data.soundfont_choice import HOLD_TIME, SoundfontConfig

    flags.DEFINE_string("soundfont", None, "The SoundFont: a .sf2 file.", flag_values=values)
    flags.DEFINE_string("output_dir", None, "Folder for the notes.", flag_values=values)
    flags.DEFINE_string(
        "map",
        None,
        "CSV file with family, source and usable keys of each program, as soundfont_map.csv beside "
        "the notes. Default: the shipped one of FluidR3 or TimGM6mb; of others it is measured.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "processes", 0, "Rendering processes; 0: one a core.", lower_bound=0, flag_values=values
    )
    config, define = SoundfontConfig(), {"flag_values": values}
    flags.DEFINE_list("families", list(config.families), "Families of instruments.", **define)
    flags.DEFINE_list("sources", list(config.sources), f"Out of {', '.join(SOURCES)}.", **define)
    flags.DEFINE_list(
        "programs", [], "MIDI programs: exactly these, whatever their family and source.", **define
    )
    flags.DEFINE_boolean(
        "near_duplicates", False, "Take programs that sound almost as another one.", **define
    )
    velocities = [str(velocity) for velocity in config.velocities]
    flags.DEFINE_list("velocities", velocities, "MIDI velocities of each key.", **define)
    flags.DEFINE_integer("min_pitch", config.min_pitch, "Lowest MIDI pitch.", **define)
    flags.DEFINE_integer("max_pitch", config.max_pitch, "Highest MIDI pitch, included.", **define)
    flags.DEFINE_integer("sample_rate", config.sample_rate, "Samples a second.", **define)
    flags.DEFINE_float("length", config.length, "Seconds of each note.", **define)
    flags.DEFINE_float(
        "hold_time",
        None,
        f"Seconds until the key is let go; left out: {HOLD_TIME:g}, or a shorter note's --length.",
        **define,
    )


def body(values: flags.FlagValues) -> int:
    """Runs the command; returns its exit code."""
    from gansynth_tf.config import UserError
    from gansynth_tf.data import fluidsynth, soundfont_choice, soundfont_file, soundfont_map

    _check_paths(values)
    path, processes = pathlib.Path(values.soundfont), values.processes
    try:
        config = soundfont_choice.SoundfontConfig(**_settings(values))
        info = soundfont_file.read_info(path)
        fluidsynth.Synth(path, 48_000).close()  # what it cannot load is said before the long work
        given = soundfont_map.read_map(values.map) if values.map else None
        choice = soundfont_choice.find_instruments(
            info, config, given, lambda programs: _measure(path, programs, processes)
        )
    except soundfont_file.SoundfontError as error:
        raise UserError(f"--soundfont={error}") from error
    except soundfont_map.MapError as error:
        raise UserError(f"--map={values.map}: {error}") from error
    except fluidsynth.FluidSynthError as error:
        raise UserError(str(error)) from error
    except ValueError as error:
        raise UserError(f"--{error}") from error
    print(
        f"{info.name}: {counted(len(choice.instruments), 'instrument')}, "
        f"{counted(choice.num_notes, 'note')} of {config.length:g} s at {config.sample_rate} Hz.",
        flush=True,
    )
    from gansynth_tf.data import soundfont_writer  # TensorFlow, which takes seconds

    progress = Progress("notes")
    try:
        dropped = soundfont_writer.write_soundfont_notes(
            values.output_dir,
            path,
            info,
            choice,
            config,
            processes,
            lambda done: progress(done, choice.num_notes),
            values.map or None,
        )
    except soundfont_writer.SilenceError as error:
        raise UserError(f"--soundfont={path}: {error}") from error
    for note in dropped:
        print(f"Dropped {note.id}: {note.reason}.")
    print(f"{counted(choice.num_notes - len(dropped), 'note')} in {values.output_dir}.")
    return 0


def _check_paths(values: flags.FlagValues) -> None:
    from gansynth_tf.config import UserError

    for name, kind in (("soundfont", "FILE.sf2"), ("output_dir", "DIR")):
        if not values[name].value:
            raise UserError(f"--{name}={kind} is needed.")
    for name in ("soundfont", "map"):
        path = values[name].value
        if path and not pathlib.Path(path).is_file():
            raise UserError(f"--{name}={path} must be a file, and there is none.")
    check_data_output(values.output_dir, values.map)


def _settings(values: flags.FlagValues) -> dict[str, object]:
    """The fields of SoundfontConfig."""
    from gansynth_tf.config import UserError

    if values.programs and (values["families"].present or values["sources"].present):
        raise UserError("--programs goes without --families and --sources: it names the programs.")
    settings = {name: values[name].value for name in ("families", "sources", "near_duplicates")}
    for name in ("velocities", "programs"):
        try:
            settings[name] = [int(entry) for entry in values[name].value]
        except ValueError:
            raise UserError(
                f"--{name} must be integers such as 25,127, not {','.join(values[name].value)!r}."
            ) from None
    for name in ("min_pitch", "max_pitch", "sample_rate", "length", "hold_time"):
        settings[name] = values[name].value
    return settings


def _measure(path: pathlib.Path, programs: Sequence, processes: int) -> list:
    """Programs with the keys that sound at their pitch."""
    from gansynth_tf.evaluation.soundfont_range import measure_ranges

    print(
        f"No map of this SoundFont is known: listening to {counted(len(programs), 'program')}. Families and "
        f"sources are those of General MIDI; where it does not follow that, correct the map that "
        f"will lie beside the notes, and give it as --map.",
        flush=True,
    )
    progress, measured = Progress("programs"), []
    with contextlib.closing(measure_ranges(path, programs, processes)) as found:
        for program in found:
            measured.append(program)
            progress(len(measured), len(programs))
    return measured
