"""gansynth_generate, where a recording's timbre is to be found and played."""

from absl import flags

from gansynth_tf.cli import timbres
from gansynth_tf.cli.generate_notes import parse_pitches
from gansynth_tf.cli.progress import Progress
from gansynth_tf.wording import counted


def define(values: flags.FlagValues) -> None:
    """The flags of --match."""
    flags.DEFINE_string(
        "match",
        None,
        "Recording of one note (wav, flac, ogg, mp3, aiff): finds the timbre that is closest to it, "
        "and plays it at --pitches.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "match_pitch",
        None,
        "MIDI pitch of the recording; heard if not given.",
        lower_bound=0,
        upper_bound=127,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "match_starts",
        4,
        "Timbres from which the search for the recording's goes out.",
        lower_bound=1,
        upper_bound=64,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "match_steps",
        300,
        "Steps of the search from each of them.",
        lower_bound=1,
        upper_bound=100_000,
        flag_values=values,
    )


def write(instrument: "instrument.Instrument", values: flags.FlagValues) -> str:  # noqa: F821
    """Searches, plays and writes; returns what to say of it.

    Raises:
      UserError: names the flag, and what is wrong with the recording.
    """
    from gansynth_tf import generation, matching
    from gansynth_tf.config import UserError
    from gansynth_tf.data.decoding import RecordingError

    try:
        wave = matching.read_note(values.match, instrument)
        pitch = values.match_pitch
        if pitch is None:
            pitch = matching.hear_pitch(wave, instrument)
            print(f"Heard at MIDI pitch {pitch}.", flush=True)
        _check_pitches(instrument, [pitch], "match_pitch")
        pitches = parse_pitches(values.pitches) or [pitch]
        _check_pitches(instrument, pitches, "pitches")
        search = matching.Search(
            starts=values.match_starts, steps=values.match_steps, seed=values.seed
        )
        progress = Progress("steps")
        found = matching.match(
            instrument,
            wave,
            pitch,
            search,
            lambda step, steps, least: progress(step, steps, f"distance {least:.3f}"),
        )
    except (RecordingError, matching.MatchError) as error:
        raise UserError(f"--match={values.match}: {error}") from error
    kept = timbres.named(values, found.latent[None])
    latents, notes = generation.scale(found.latent[None], pitches)
    files = generation.write_notes(
        instrument, values.output_dir, latents, notes, None, values.format
    )
    matching.write_report(values.output_dir, found, search)
    timbres.save(values, kept)
    drawn = found.drawn_distances
    return (
        f"Distance {found.distance:.3f} (of {len(drawn)} drawn timbres: {drawn[0]:.3f} to "
        f"{drawn[-1]:.3f}). {counted(len(files), 'note')}"
    )


def _check_pitches(
    instrument: "instrument.Instrument",  # noqa: F821
    pitches: list[int],
    flag: str,
) -> None:
    from gansynth_tf.config import UserError

    try:
        instrument.vocabulary.labels(pitches)
    except ValueError as error:
        raise UserError(f"--{flag}: {error}") from error
