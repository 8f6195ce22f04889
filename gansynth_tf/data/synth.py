"""Embedded notes: a NumPy synthesiser of the eleven NSynth families, in NSynth's feature schema.

No download, no TensorFlow: a `SynthConfig` names a finite set of notes, and every note is a pure
function of (seed, family, instrument, pitch, velocity, sample_rate, audio_length). Rendering it
twice, alone, in another order or in another process gives the same bits on one machine. The sound
models are in `voices.py`, the schema in `schema.py`; this module holds the order and the rendering
of whole sets.
"""

import dataclasses
import subprocess
import threading
import warnings
from collections.abc import Callable, Iterator

import numpy as np

from gansynth_tf.data import voices, workers
from gansynth_tf.data.schema import FAMILIES, QUALITIES, SOURCES, Note, note_id

# Every note comes out of a synthesiser, whatever it imitates; nothing here claims to be acoustic.
SOURCE = "synthetic"

# Below this many samples in all, starting workers takes longer than rendering.
_WORTH_WORKERS = 200 * 64000


# ---------------------------------------------------------------------------------------------
# Settings
# ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class SynthConfig:
    """Which notes there are: families x instruments x pitches x velocities.

    Attributes:
      sample_rate: samples per second, 8000 to 48000.
      audio_length: samples of every note, at least 64. The note is held for 3/4 of it.
      min_pitch: lowest MIDI pitch, 0 to 127.
      max_pitch: highest MIDI pitch, inclusive; its fundamental must lie below 0.95 of Nyquist.
      instruments_per_family: how many instruments each family has, 1 to 1000.
      velocities: MIDI velocities, each 1 to 127, without repeats.
      families: names out of `FAMILIES`, without repeats.
      seed: non-negative; another seed draws other instruments.

    Raises:
      ValueError: an argument is out of its range; the message names it.
    """

    sample_rate: int = 16000
    audio_length: int = 64000
    min_pitch: int = 24
    max_pitch: int = 84
    instruments_per_family: int = 4
    velocities: tuple[int, ...] = (25, 50, 75, 100, 127)
    families: tuple[str, ...] = FAMILIES
    seed: int = 0

    def __post_init__(self):
        # Lists come from flags and JSON; the frozen dataclass must stay hashable.
        object.__setattr__(self, "velocities", tuple(self.velocities))
        object.__setattr__(self, "families", tuple(self.families))
        _check_integer("sample_rate", self.sample_rate, 8000, 48000)
        _check_integer("audio_length", self.audio_length, voices.MIN_LENGTH, None)
        _check_integer("min_pitch", self.min_pitch, 0, 127)
        _check_integer("max_pitch", self.max_pitch, self.min_pitch, 127)
        highest = voices.pitch_to_frequency(self.max_pitch)
        limit = voices.highest_partial(self.sample_rate)
        if highest > limit:
            raise ValueError(
                f"max_pitch is {self.max_pitch} ({highest:.0f} Hz), expected a fundamental of at "
                f"most {limit:.0f} Hz, 0.95 of the Nyquist frequency at {self.sample_rate} Hz"
            )
        _check_integer("instruments_per_family", self.instruments_per_family, 1, 1000)
        for velocity in self.velocities:
            _check_integer("velocities", velocity, 1, 127)
        _check_set("velocities", self.velocities)
        for family in self.families:
            if family not in FAMILIES:
                raise ValueError(f"families has {family!r}, expected names out of {FAMILIES}")
        _check_set("families", self.families)
        _check_integer("seed", self.seed, 0, None)

    @property
    def num_pitches(self) -> int:
        return self.max_pitch - self.min_pitch + 1

    @property
    def num_notes(self) -> int:
        """How many notes the set has."""
        return (
            len(self.families)
            * self.instruments_per_family
            * self.num_pitches
            * len(self.velocities)
        )


def _check_integer(name: str, value: object, low: int, high: int | None) -> None:
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_integer or value < low or (high is not None and value > high):
        expected = f"an integer from {low} to {high}" if high is not None else f"at least {low}"
        raise ValueError(f"{name} is {value!r}, expected {expected}")


def _check_set(name: str, values: tuple) -> None:
    if not values or len(set(values)) != len(values):
        raise ValueError(f"{name} is {values!r}, expected at least one value and no repeats")


# ---------------------------------------------------------------------------------------------
# Notes
# ---------------------------------------------------------------------------------------------


def render_note(
    config: SynthConfig, family: str, instrument: int, pitch: int, velocity: int
) -> Note:
    """Renders one note.

    Args:
      config: gives seed, sample rate, length and the ranges.
      family: one of `config.families`.
      instrument: its number in the family, 0 to `instruments_per_family` - 1.
      pitch: `min_pitch` to `max_pitch`.
      velocity: 1 to 127; need not be one of `config.velocities`.

    Returns:
      The note; its audio is float32 [audio_length].

    Raises:
      ValueError: an argument lies outside of the config.
    """
    if family not in config.families:
        raise ValueError(f"family is {family!r}, expected one of {config.families}")
    _check_integer("instrument", instrument, 0, config.instruments_per_family - 1)
    _check_integer("pitch", pitch, config.min_pitch, config.max_pitch)
    _check_integer("velocity", velocity, 1, 127)
    # NumPy integers would make the drawn numbers no other, but ids and JSON want Python's.
    instrument, pitch, velocity = int(instrument), int(pitch), int(velocity)

    family_key = FAMILIES.index(family)
    tone = voices.Tone(
        frequency=voices.pitch_to_frequency(pitch),
        velocity=velocity,
        sample_rate=config.sample_rate,
        length=config.audio_length,
    )
    sound = voices.render(
        family,
        instrument,
        tone,
        instrument_draws=_generator(config.seed, family_key, instrument),
        note_draws=_generator(config.seed, family_key, instrument, pitch, velocity),
    )
    label = _label(family, instrument)
    return Note(
        id=note_id(label, pitch, velocity),
        audio=sound.audio,
        pitch=pitch,
        velocity=velocity,
        instrument_label=label,
        instrument_family=family,
        instrument_source=SOURCE,
        qualities=_qualities(sound, tone),
    )


def note_at(config: SynthConfig, index: int) -> Note:
    """The note at `index` in [0, num_notes): family slowest, then instrument, pitch, velocity.

    Raises:
      ValueError: `index` is out of range.
    """
    return render_note(config, *_key_at(config, index))


def iterate_notes(config: SynthConfig) -> Iterator[Note]:
    """All notes in the order of `note_at`, rendered one at a time."""
    for index in range(config.num_notes):
        yield note_at(config, index)


def _key_at(config: SynthConfig, index: int) -> tuple[str, int, int, int]:
    _check_integer("index", index, 0, config.num_notes - 1)
    family, instrument, pitch, velocity = np.unravel_index(
        index,
        (
            len(config.families),
            config.instruments_per_family,
            config.num_pitches,
            len(config.velocities),
        ),
    )
    return (
        config.families[family],
        int(instrument),
        config.min_pitch + int(pitch),
        config.velocities[velocity],
    )


def _label(family: str, instrument: int) -> str:
    return f"{family}_{SOURCE}_{instrument:03d}"


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _qualities(sound: voices.Sound, tone: voices.Tone) -> dict[str, bool]:
    brightness = voices.brightness(sound.audio, tone)
    onset, note_off, tail = voices.levels(sound.audio, tone)
    true = {
        "bright": brightness > 3.0,
        "dark": brightness < 1.25,
        "distortion": sound.distortion,
        "fast_decay": note_off < 0.1 * onset,
        "long_release": note_off > 0.05 * onset and tail > 0.1 * note_off,
        "nonlinear_env": sound.nonlinear_env,
        "percussive": sound.percussive,
    }
    # No voice is multiphonic, reverberant or synced to a tempo: those stay false.
    return {quality: bool(true.get(quality, False)) for quality in QUALITIES}


def _as_row(qualities: dict[str, bool]) -> list[bool]:
    return [qualities[quality] for quality in QUALITIES]


# ---------------------------------------------------------------------------------------------
# Whole sets
# ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class NoteArrays:
    """All notes of a config in the order of `note_at`, column by column.

    Attributes:
      audio: float32 [n, audio_length].
      pitch: int32 [n], MIDI.
      velocity: int32 [n], MIDI.
      family: int32 [n], index into `FAMILIES`.
      instrument: int32 [n], number in the family, as `render_note` takes it.
      source: int32 [n], index into `SOURCES`.
      id: str [n].
      qualities: bool [n, 10], columns as `QUALITIES`.
    """

    audio: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    family: np.ndarray
    instrument: np.ndarray
    source: np.ndarray
    id: np.ndarray
    qualities: np.ndarray


def render_arrays(
    config: SynthConfig,
    processes: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> NoteArrays:
    """Renders the whole set; the result does not depend on the number of processes.

    Workers (`workers.py`) import neither the caller's main module nor TensorFlow.

    Args:
      config: the set.
      processes: how many processes render; 0 takes one per CPU core. Small sets are rendered
        here, since starting a worker takes about as long.
      progress: called with (notes done, notes in all), from any thread but one call at a time.
        What it raises ends the rendering and is raised here.

    Returns:
      NoteArrays of `config.num_notes` notes; audio float32 [n, audio_length].

    Raises:
      ValueError: `processes` is negative.
    """
    _check_integer("processes", processes, 0, None)
    total = config.num_notes
    if processes == 0:
        processes = workers.default_processes()
        if total * config.audio_length < _WORTH_WORKERS:
            processes = 1
    processes = min(processes, total)

    audio = np.zeros((total, config.audio_length), np.float32)
    qualities = np.zeros((total, len(QUALITIES)), bool)
    missing = set(range(total))
    lock = threading.Lock()

    def mark(index: int) -> None:
        with lock:
            missing.remove(index)
            if progress is not None:
                progress(total - len(missing), total)

    if processes > 1:
        _render_in_workers(config, processes, audio, qualities, mark)
    # Without workers, or where one failed, what is missing is rendered here: same bits.
    for index in sorted(missing):
        note = note_at(config, index)
        audio[index] = note.audio
        qualities[index] = _as_row(note.qualities)
        mark(index)

    keys = [_key_at(config, index) for index in range(total)]
    return NoteArrays(
        audio=audio,
        pitch=np.array([pitch for _, _, pitch, _ in keys], np.int32),
        velocity=np.array([velocity for *_, velocity in keys], np.int32),
        family=np.array([FAMILIES.index(family) for family, *_ in keys], np.int32),
        instrument=np.array([instrument for _, instrument, _, _ in keys], np.int32),
        source=np.full(total, SOURCES.index(SOURCE), np.int32),
        id=np.array([note_id(_label(f, i), p, v) for f, i, p, v in keys], np.str_),
        qualities=qualities,
    )


def _render_in_workers(
    config: SynthConfig,
    processes: int,
    audio: np.ndarray,  # [n, audio_length], written
    qualities: np.ndarray,  # [n, 10], written
    mark: Callable[[int], None],
) -> None:
    stop, raised = threading.Event(), []

    def tell(index: int) -> None:
        try:
            mark(index)
        except BaseException as error:  # it belongs to the caller's thread
            raised.append(error)
            stop.set()

    def serve(worker: int) -> None:
        workers.block_interrupts()
        # Interleaved, because families differ in cost and follow one another.
        indices = range(worker, len(audio), processes)
        try:
            with _new_worker() as process:
                order = {"config": dataclasses.asdict(config), "indices": list(indices)}
                workers.send_order(process, order)
                for index in indices:
                    if stop.is_set():
                        process.kill()
                        return
                    workers.read_into(process.stdout, audio[index])
                    workers.read_into(process.stdout, qualities[index])
                    tell(index)
        except (OSError, EOFError) as error:
            warnings.warn(
                f"A rendering worker failed ({error!r}); its notes are rendered in this process.",
                RuntimeWarning,
                stacklevel=2,
            )

    # Waited for in place of Thread.join: Python 3.11 takes a thread whose join was interrupted for
    # ended, and would leave while it still hands a worker its order.
    ended = [threading.Event() for _ in range(processes)]

    def serve_and_tell(worker: int) -> None:
        try:
            serve(worker)
        finally:
            ended[worker].set()

    threads = [threading.Thread(target=serve_and_tell, args=(n,)) for n in range(processes)]
    try:
        for thread in threads:
            thread.start()
        for event in ended:
            event.wait()
    finally:
        # Of no effect after a whole run; after an exception here, such as Ctrl-C, it ends the
        # workers, which would otherwise keep the interpreter from leaving.
        stop.set()
        for thread, event in zip(threads, ended, strict=True):
            if thread.ident is not None:
                event.wait()
    if raised:
        raise raised[0]


def _new_worker() -> subprocess.Popen:
    return workers.start_worker("gansynth_tf.data.synth")


def work() -> None:
    """A worker's main: every note's audio and qualities, in the order of its indices."""
    workers.serve(_answer)


def _answer(order: dict) -> Iterator[bytes]:
    config = SynthConfig(**order["config"])
    for index in order["indices"]:
        note = note_at(config, index)
        yield note.audio.tobytes()
        yield bytes(_as_row(note.qualities))
