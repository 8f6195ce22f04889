"""What is needed of libfluidsynth (2.0 or newer), by ctypes: one SoundFont, one note at a time.

The library is loaded when it is first used: nothing else needs it.
"""

import contextlib
import ctypes
import ctypes.util
import functools
import os
from types import TracebackType

import numpy as np

from gansynth_tf.files import PathLike
from gansynth_tf.quiet import errors_muted

BLOCK = 64  # samples: keys go down and up on multiples of it
DEBIAN_PACKAGE = "libfluidsynth3"
_NAMES = ("libfluidsynth.so.3", "libfluidsynth.so.2", "libfluidsynth.3.dylib")
_BANK = 0
_CHANNEL = 0
_SEVENTH_ORDER = 7
_LOG_LEVELS = range(5)
_SETTINGS = {
    "synth.reverb.active": 0,
    "synth.chorus.active": 0,
    "synth.cpu-cores": 1,
    "synth.lock-memory": 0,
    # All samples once, so that the SoundFont can go from one synthesiser to the next at no cost.
    "synth.dynamic-sample-loading": 0,
    # More than any note needs; a synthesiser with the default 256 voices takes 2 ms to make.
    "synth.polyphony": 64,
}
_GAIN = 1.0  # its default of 0.2 leaves room for chords

_POINTER, _INT, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
# Function -> result, arguments.
_SIGNATURES = {
    "fluid_version_str": (_TEXT,),
    "fluid_set_log_function": (_POINTER, _INT, _POINTER, _POINTER),
    "new_fluid_settings": (_POINTER,),
    "delete_fluid_settings": (None, _POINTER),
    "fluid_settings_setint": (_INT, _POINTER, _TEXT, _INT),
    "fluid_settings_setnum": (_INT, _POINTER, _TEXT, ctypes.c_double),
    "new_fluid_synth": (_POINTER, _POINTER),
    "delete_fluid_synth": (None, _POINTER),
    "fluid_synth_sfload": (_INT, _POINTER, _TEXT, _INT),
    "fluid_synth_get_sfont_by_id": (_POINTER, _POINTER, _INT),
    "fluid_synth_add_sfont": (_INT, _POINTER, _POINTER),
    "fluid_synth_remove_sfont": (_INT, _POINTER, _POINTER),
    "fluid_synth_program_select": (_INT, _POINTER, _INT, _INT, _INT, _INT),
    "fluid_synth_set_interp_method": (_INT, _POINTER, _INT, _INT),
    "fluid_synth_noteon": (_INT, _POINTER, _INT, _INT, _INT),
    "fluid_synth_noteoff": (_INT, _POINTER, _INT, _INT),
    "fluid_synth_write_float": (_INT, _POINTER, _INT, *2 * (_POINTER, _INT, _INT)),
}


class FluidSynthError(Exception):
    """The library is missing, or does not take what it was given."""


@functools.cache
def _library() -> ctypes.CDLL:
    library = _load()
    for name, (result, *arguments) in _SIGNATURES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise FluidSynthError(
                f"libfluidsynth has no {name}: version 2.0 or newer is needed."
            ) from None
        function.restype, function.argtypes = result, arguments
    for level in _LOG_LEVELS:  # it would write to standard error; what fails is raised
        library.fluid_set_log_function(level, None, None)
    return library


def _load() -> ctypes.CDLL:
    found = ctypes.util.find_library("fluidsynth")
    for name in (*_NAMES, *([found] if found else ())):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    raise FluidSynthError(
        f"libfluidsynth is not on this machine: install it, on Debian as the package "
        f"{DEBIAN_PACKAGE}."
    )


def version() -> str:
    """Version of libfluidsynth, such as "2.3.1".

    Raises:
      FluidSynthError: it is not on this machine, or too old.
    """
    return _library().fluid_version_str().decode()


class Synth:
    """Plays notes of one SoundFont, without reverb and chorus; to be closed, or used in a `with`.

    Every note gets a synthesiser of its own: one that has played before fades its voices in from
    where earlier ones ended, so that the first 64 samples would hang on the notes before. What is
    slow, the SoundFont with its samples, is loaded once and handed from one to the next.

    Args:
      path: the SoundFont; all its samples are held in memory.
      sample_rate: samples a second, 8000 to 96000.

    Raises:
      FluidSynthError: no library, or it cannot load the file.
    """

    def __init__(self, path: PathLike, sample_rate: int):
        self._fluid = _library()
        self._font, self._buffer = None, np.empty((2, 0), np.float32)
        self._settings = self._fluid.new_fluid_settings()
        for name, value in _SETTINGS.items():
            self._fluid.fluid_settings_setint(self._settings, name.encode(), value)
        for name, value in {"synth.sample-rate": sample_rate, "synth.gain": _GAIN}.items():
            self._fluid.fluid_settings_setnum(self._settings, name.encode(), value)
        synth = self._fluid.new_fluid_synth(self._settings)
        # libinstpatch, which libfluidsynth asks about a file that it cannot load, complains there.
        with errors_muted():
            number = self._fluid.fluid_synth_sfload(synth, os.fsencode(path), 0)
        if number >= 0:
            self._font = self._fluid.fluid_synth_get_sfont_by_id(synth, number)
            self._fluid.fluid_synth_remove_sfont(synth, self._font)  # removed, not freed
        self._fluid.delete_fluid_synth(synth)
        if self._font is None:
            self.close()
            raise FluidSynthError(f"libfluidsynth cannot load {os.fspath(path)}.")

    def render(self, program: int, key: int, velocity: int, held: int, length: int) -> np.ndarray:
        """Plays one note of bank 0; a pure function of the SoundFont and the arguments.

        Args:
          program: MIDI, 0 to 127.
          key: MIDI, 0 to 127.
          velocity: MIDI, 1 to 127.
          held: samples until the key is let go, rounded up to a multiple of `BLOCK`.
          length: samples in all.

        Returns:
          The mean of both channels, float32 [length], overwritten by the next note; silence where
          the program has no such key.

        Raises:
          FluidSynthError: bank 0 has no such program.
        """
        held, total = (-(-samples // BLOCK) * BLOCK for samples in (min(held, length), length))
        if self._buffer.shape[1] != total:
            self._buffer = np.empty((2, total), np.float32)
        fluid, (left, right) = self._fluid, self._buffer
        synth = fluid.new_fluid_synth(self._settings)
        number = fluid.fluid_synth_add_sfont(synth, self._font)
        try:
            if fluid.fluid_synth_program_select(synth, _CHANNEL, number, _BANK, program) < 0:
                raise FluidSynthError(f"The SoundFont has no program {program} in bank {_BANK}.")
            fluid.fluid_synth_set_interp_method(synth, _CHANNEL, _SEVENTH_ORDER)
            # It fails where there is nothing to sound: the note is silent then.
            fluid.fluid_synth_noteon(synth, _CHANNEL, key, velocity)
            self._write(synth, 0, held)
            fluid.fluid_synth_noteoff(synth, _CHANNEL, key)
            self._write(synth, held, total)
        finally:
            fluid.fluid_synth_remove_sfont(synth, self._font)
            fluid.delete_fluid_synth(synth)
        left += right
        left *= np.float32(0.5)
        return left[:length]

    def _write(self, synth: int, start: int, stop: int) -> None:
        """Fills samples [start, stop) of both channels."""
        targets = [(channel.ctypes.data, start, 1) for channel in self._buffer]
        self._fluid.fluid_synth_write_float(synth, stop - start, *targets[0], *targets[1])

    def close(self) -> None:
        """Frees the SoundFont."""
        if self._font is not None:
            synth = self._fluid.new_fluid_synth(self._settings)
            self._fluid.fluid_synth_add_sfont(synth, self._font)
            self._fluid.delete_fluid_synth(synth)  # with what was added to it
            self._font = None
        if self._settings is not None:
            self._fluid.delete_fluid_settings(self._settings)
            self._settings = None

    def __enter__(self) -> "Synth":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
