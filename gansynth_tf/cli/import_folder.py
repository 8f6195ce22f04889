"""gansynth_data import_folder: your own recordings -> notes to train on.

Reads every wav, flac, ogg, mp3 and aiff file in --audio_dir and its subfolders, and writes notes
of one length and sample rate, and manifest.csv with the fate of every file, into --output_dir.
A note's pitch comes from a table (--pitch_csv), from its file's name (name_060_100, C#4, Db3,
p060, or a MIDI number alone), or is measured; C4 is 60. A subfolder names an instrument.
"""

import dataclasses
import math
import os
import pathlib
import sys
from collections.abc import Callable

from absl import flags

from gansynth_tf.cli.command import check_data_output
from gansynth_tf.cli.progress import Progress
from gansynth_tf.wording import counted


def define(values: flags.FlagValues) -> None:
    """Every flag of the command; what they may be is checked by ``FolderConfig``."""

    def flag(define_flag: Callable, name: str, default: object, text: str) -> None:
        define_flag(name, default, text, flag_values=values)

    string, integer, real = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_float
    flag(string, "audio_dir", None, "Folder with recordings.")
    flag(string, "output_dir", None, "Folder for the notes.")
    flag(integer, "sample_rate", 16_000, "Samples a second of the notes.")
    flag(real, "length", 4.0, "Seconds of a note: longer ones are cut, shorter ones padded.")
    flag(integer, "min_pitch", 24, "Lowest MIDI pitch that is kept.")
    flag(integer, "max_pitch", 84, "Highest MIDI pitch that is kept.")
    sources = "names, csv, measured, or auto: the table's, else the name's, else measured."
    flag(string, "pitch", "auto", f"Where a note's pitch comes from: {sources}")
    columns = "file,pitch and, if you like, velocity,instrument,family,source."
    flag(string, "pitch_csv", None, f"Table with the columns {columns}")
    checked = "Drops notes that are not heard within a semitone of the pitch that they are told."
    flag(flags.DEFINE_boolean, "check_pitch", False, checked)
    flag(string, "level", "peak", "What brings notes to one level: peak, rms, or none.")
    flag(real, "fade", 0.05, "Seconds of fading out at a note's end.")
    split = "onset cuts a recording into its notes and measures each, unless --pitch says else."
    flag(string, "split", "none", f"none takes a recording for one note; {split}")
    fill = "by resampling its nearest note, at most so many semitones, also beyond its range."
    flag(integer, "fill_pitches", 0, f"Makes pitches that an instrument lacks {fill}")
    flag(string, "family", None, "Family of all notes, one of NSynth's, such as guitar.")
    flag(string, "source", None, "Source of all notes: acoustic, electronic or synthetic.")
    flag(real, "max_seconds", 600.0, "Longer recordings are dropped.")
    decoder = "auto is soundfile: tensorflow_io is slower, and loads on TensorFlow 2.16 only."
    flag(string, "decoder", "auto", f"soundfile or tensorflow_io; {decoder}")


def body(values: flags.FlagValues) -> int:
    """Imports as the flags say; returns an exit code."""
    from gansynth_tf.config import UserError
    from gansynth_tf.data import folder
    from gansynth_tf.evaluation import pitch_tracking

    _check_folders(values)
    config, table = _config(values), _table(values)
    # An octave beyond what is kept, so that a wrong octave is not kept for want of another.
    low = config.min_pitch - pitch_tracking.SEARCH_MARGIN
    high = config.max_pitch + pitch_tracking.SEARCH_MARGIN
    high = min(high, float(pitch_tracking.hz_to_midi(0.45 * config.sample_rate)))
    progress = Progress("files")
    try:
        report = folder.import_folder(
            values.audio_dir,
            values.output_dir,
            config,
            lambda wave: pitch_tracking.track_pitch(wave, config.sample_rate, low, high),
            table,
            lambda text: print(f"gansynth_data import_folder: {text}", file=sys.stderr, flush=True),
            lambda done, total, notes: progress(done, total, counted(notes, "note")),
        )
    except folder.NoNotesError as error:
        raise UserError(f"--audio_dir={values.audio_dir} gives no note: {error}.") from error
    except folder.TableMismatchError as error:
        raise UserError(f"--pitch_csv={values.pitch_csv}: {error}") from error
    print(report.summary(values.output_dir))
    return 0


def _check_folders(values: flags.FlagValues) -> None:
    from gansynth_tf.config import UserError

    for name in ("audio_dir", "output_dir"):
        if not values[name].value:
            raise UserError(f"--{name}=DIR is needed.")
    if not os.path.isdir(values.audio_dir):
        raise UserError(f"--audio_dir={values.audio_dir} must be a folder that exists.")
    check_data_output(values.output_dir)
    output = pathlib.Path(values.output_dir)
    if output.exists() and output.samefile(values.audio_dir):
        raise UserError(f"--output_dir={output} must be another folder than --audio_dir.")


def _config(values: flags.FlagValues):
    from gansynth_tf.config import UserError
    from gansynth_tf.data.decoding import check_decoder
    from gansynth_tf.data.recordings import FolderConfig

    names = {field.name for field in dataclasses.fields(FolderConfig)} - {"audio_length"}
    samples = values.length * values.sample_rate
    if not math.isfinite(samples):
        raise UserError(f"--length must be a number of seconds, not {values.length}.")
    try:
        config = FolderConfig(
            audio_length=round(samples), **{name: values[name].value for name in names}
        )
        check_decoder(config.decoder)
    except ValueError as error:
        raise UserError(f"--{error}") from error
    if config.pitch == "csv" and not values.pitch_csv:
        raise UserError("--pitch=csv needs a table: --pitch_csv=FILE.")
    return config


def _table(values: flags.FlagValues):
    from gansynth_tf.config import UserError
    from gansynth_tf.data.pitch_names import read_table

    if not values.pitch_csv:
        return ()
    try:
        return read_table(values.pitch_csv)
    except OSError as error:
        raise UserError(
            f"--pitch_csv={values.pitch_csv} cannot be read: {error.strerror}."
        ) from error
    except ValueError as error:
        raise UserError(f"--pitch_csv={error}") from error
