"""Which notes of a SoundFont are asked for: settings, and the instruments of a map that meet them."""

import dataclasses
from collections.abc import Callable, Sequence

from gansynth_tf.data.schema import FAMILIES, SOURCES
from gansynth_tf.data.soundfont_file import SoundfontInfo
from gansynth_tf.data.soundfont_map import Program, general_midi_map, shipped_map

VELOCITIES = (25, 50, 75, 100, 127)  # NSynth's
SAMPLE_RATES = (8_000, 48_000)
LENGTHS = (0.1, 30.0)  # seconds
HOLD_TIME = 3.0


@dataclasses.dataclass(frozen=True)
class SoundfontConfig:
    """Which notes are rendered, and how.

    Attributes:
      sample_rate: samples a second, 8000 to 48000.
      length: seconds of every note, 0.1 to 30.
      hold_time: seconds until the key is let go, at most `length`; None becomes HOLD_TIME, or
        `length` where that is less.
      min_pitch, max_pitch: MIDI pitches, both included.
      velocities: MIDI velocities, each 1 to 127, without repeats.
      families: names out of `FAMILIES`.
      sources: names out of `SOURCES`.
      near_duplicates: whether programs that sound almost as another one are taken.
      programs: numbers; where there are any, exactly these are taken, whatever their family,
        source and note in the map.

    Raises:
      ValueError: a value is out of its range; the message begins with the name.
    """

    sample_rate: int = 16_000
    length: float = 4.0
    hold_time: float | None = None
    min_pitch: int = 24
    max_pitch: int = 84
    velocities: tuple[int, ...] = VELOCITIES
    families: tuple[str, ...] = FAMILIES
    sources: tuple[str, ...] = ("acoustic",)
    near_duplicates: bool = False
    programs: tuple[int, ...] = ()

    def __post_init__(self):
        for name in ("velocities", "families", "sources", "programs"):
            # Lists come from flags and JSON; the frozen dataclass must stay hashable.
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check("sample_rate", *SAMPLE_RATES)
        self._check("length", *LENGTHS)
        if self.hold_time is None:
            object.__setattr__(self, "hold_time", min(HOLD_TIME, self.length))
        if not 0.0 < self.hold_time <= self.length:
            raise ValueError(
                f"hold_time must be above 0 and at most length={self.length:g}, "
                f"not {self.hold_time:g}."
            )
        self._check("min_pitch", 0, 127)
        self._check("max_pitch", self.min_pitch, 127)
        self._check_set("velocities", range(1, 128))
        self._check_set("families", FAMILIES)
        self._check_set("sources", SOURCES)
        if self.programs:
            self._check_set("programs", range(128))

    def _check(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low:g} to {high:g}, not {value:g}.")

    def _check_set(self, name: str, allowed: Sequence) -> None:
        values = getattr(self, name)
        for value in values:
            if value not in allowed:
                is_range = isinstance(allowed, range)
                one_of = f"from {allowed[0]} to {allowed[-1]}" if is_range else ", ".join(allowed)
                raise ValueError(f"{name} must be out of: {one_of}; not {value!r}.")
        if not values or len(set(values)) != len(values):
            text = ",".join(map(str, values))
            raise ValueError(f"{name} must be one or more without repeats, not {text!r}.")

    @property
    def audio_length(self) -> int:
        """Samples of every note."""
        return round(self.length * self.sample_rate)


@dataclasses.dataclass(frozen=True)
class Instrument:
    """Notes of one program: each of `keys` at each of `velocities`, keys slowest.

    Attributes:
      program: its number in bank 0.
      family, source: as the map has it.
      keys, velocities: MIDI.
    """

    program: int
    family: str
    source: str
    keys: tuple[int, ...]
    velocities: tuple[int, ...]

    @property
    def label(self) -> str:
        return f"{self.family}_{self.source}_{self.program:03d}"

    @property
    def notes(self) -> list[tuple[int, int]]:
        """Key and velocity of every note, in order."""
        return [(key, velocity) for key in self.keys for velocity in self.velocities]


def choose(programs: Sequence[Program], config: SoundfontConfig) -> tuple[Instrument, ...]:
    """The instruments of a map that are asked for, in the order of their numbers.

    Raises:
      ValueError: the map lacks a program that is named, or nothing is left.
    """
    by_number = {program.number: program for program in programs}
    missing = [number for number in config.programs if number not in by_number]
    if missing:
        raise ValueError(f"programs has {missing[0]}, which the map of this SoundFont lacks.")
    instruments = []
    for number in sorted(by_number):
        program = by_number[number]
        if config.programs:
            is_chosen = number in config.programs
        else:
            is_chosen = program.family in config.families and program.source in config.sources
            is_chosen &= config.near_duplicates or not program.is_near_duplicate
        keys = tuple(k for k in program.keys if config.min_pitch <= k <= config.max_pitch)
        if is_chosen and not keys and config.programs:
            raise ValueError(
                f"programs has {number}, which has no usable key from {config.min_pitch} to "
                f"{config.max_pitch} in the map."
            )
        if is_chosen and keys:
            instruments.append(
                Instrument(number, program.family, program.source, keys, config.velocities)
            )
    if not instruments:
        raise ValueError(
            f"sources={','.join(config.sources)} and families={','.join(config.families)} leave no "
            f"program with a usable key from {config.min_pitch} to {config.max_pitch} in the map."
        )
    return tuple(instruments)


@dataclasses.dataclass(frozen=True)
class Choice:
    """What is to be rendered.

    Attributes:
      instruments: in the order of their programs.
      programs: the map that they come from.
      map_origin: "given", "shipped" or "measured".
    """

    instruments: tuple[Instrument, ...]
    programs: tuple[Program, ...]
    map_origin: str

    @property
    def num_notes(self) -> int:
        return sum(len(instrument.notes) for instrument in self.instruments)


def find_instruments(
    info: SoundfontInfo,
    config: SoundfontConfig,
    given: Sequence[Program] | None,
    measure: Callable[[Sequence[Program]], Sequence[Program]],
) -> Choice:
    """Chooses from the given map, else from the shipped one, else from one that is measured.

    Args:
      info: of the SoundFont.
      config: which notes are asked for.
      given: a user's own map.
      measure: takes programs with the keys to try, and returns them with those that can be used.

    Raises:
      ValueError: as `choose` has it, or a map names a program that the SoundFont lacks.
    """
    programs, origin = (given, "given") if given else (shipped_map(info), "shipped")
    if not programs:
        everything = general_midi_map(info, range(config.min_pitch, config.max_pitch + 1))
        asked = {instrument.program for instrument in choose(everything, config)}
        programs = measure([program for program in everything if program.number in asked])
        origin = "measured"
    instruments = choose(programs, config)
    for instrument in instruments:
        if instrument.program not in info.programs:
            raise ValueError(f"map has program {instrument.program}, which the SoundFont lacks.")
    return Choice(instruments, tuple(programs), origin)
