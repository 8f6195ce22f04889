"""gansynth_generate, where single notes are to be played."""

import numpy as np
from absl import flags

from gansynth_tf.cli import timbres
from gansynth_tf.wording import counted


def parse_pitches(entries: list[str] | None) -> list[int]:
    """--pitches as numbers.

    Raises:
      UserError: an entry is none.
    """
    from gansynth_tf.config import UserError

    try:
        return [int(entry) for entry in entries or ()]
    except ValueError:
        raise UserError(
            f"--pitches must be MIDI numbers such as 60,64,67, not {','.join(entries)!r}."
        ) from None


def write(instrument: "instrument.Instrument", values: flags.FlagValues, mode: str | None) -> str:  # noqa: F821
    """Plays and writes them; returns what to say of it.

    Raises:
      UserError: names the flag that asks for what cannot be played.
    """
    from gansynth_tf import generation

    latents, pitches = _choose(instrument, values, mode)
    kept = timbres.named(values, _different(latents))
    seed = None if values.timbres else values.seed
    files = generation.write_notes(
        instrument, values.output_dir, latents, pitches, seed, values.format
    )
    timbres.save(values, kept)
    return counted(len(files), "note")


def _choose(
    instrument: "instrument.Instrument",  # noqa: F821
    values: flags.FlagValues,
    mode: str | None,
) -> "generation.Choice":  # noqa: F821
    from gansynth_tf import generation
    from gansynth_tf.config import UserError

    count, seed = values.count, values.seed
    given = timbres.read(values, instrument.latent_size)
    pitches = _pitches(instrument, values, mode)
    most = generation.most_notes(instrument)
    if mode == "random":
        _check_memory(count, 1, most)
        return generation.random_notes(instrument, count, seed)
    if mode == "interpolate":
        if given is not None and len(given) < 2:
            raise UserError("--interpolate needs two --timbres at least, to go from and to.")
        _check_memory(count, len(pitches), most)
        ends = instrument.latents(seed, 2) if given is None else given.latents
        return generation.interpolation(ends, pitches, count, values.fixed_norm)
    if given is not None:
        _check_memory(len(given), len(pitches), most, are_given=True)
        return generation.scale(given.latents, pitches)
    _check_memory(count, len(pitches), most)
    if mode == "scale":
        return generation.scale(instrument.latents(seed, count), pitches)
    return generation.notes_of_pitches(instrument, pitches, count, seed)


def _pitches(
    instrument: "instrument.Instrument",  # noqa: F821
    values: flags.FlagValues,
    mode: str | None,
) -> list[int]:
    from gansynth_tf.config import UserError

    known = instrument.pitches
    default = known if mode == "scale" else [known[len(known) // 2]]
    pitches = parse_pitches(values.pitches) or list(default)
    try:
        instrument.vocabulary.labels(pitches)
    except ValueError as error:
        raise UserError(f"--pitches: {error}") from error
    return pitches


def _check_memory(count: int, num_pitches: int, most: int, are_given: bool = False) -> None:
    """Refuses more notes than a set can have; ``are_given``: the timbres, and not --count."""
    from gansynth_tf.config import UserError

    if count * num_pitches <= most:
        return
    asked = f"--timbres: {count}" if are_given else f"--count={count}"
    fitting = 0 if are_given else most // num_pitches
    remedy = f"--count={fitting} at most, or fewer --pitches" if fitting else "fewer --pitches"
    raise UserError(
        f"{asked} notes of each of {num_pitches} pitches are too many for one set: {remedy}."
    )


def _different(latents: np.ndarray) -> np.ndarray:
    """Latents [n, latent], each once, in the order of their first."""
    _, first = np.unique(latents, axis=0, return_index=True)
    return latents[np.sort(first)]
