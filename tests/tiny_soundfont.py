"""A SoundFont of sines, made here: what it holds, and so what must be heard, is known.

Source: SoundFont Technical Specification 2.04.
"""

import dataclasses
import pathlib
import struct

import numpy as np
import pytest

from gansynth_tf.data import fluidsynth

SAMPLE_RATE = 44_100
PERIOD = 100  # samples: the sample sounds at 441 Hz, 4 cents above its root key 69
NUM_PERIODS = 50
_PADDING = 46  # zeros after each sample, as the specification wants them
_PAN, _INSTRUMENT, _KEY_RANGE, _COARSE_TUNE, _SAMPLE_ID, _SAMPLE_MODES = 17, 41, 43, 51, 53, 54


@dataclasses.dataclass(frozen=True)
class Preset:
    """A program: a sine on the keys low to high, moved by semitones; pan is -500 to 500."""

    program: int
    low: int = 0
    high: int = 127
    semitones: int = 0
    pan: int = 0
    name: str = "Sine"
    bank: int = 0


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content


def _even(text: bytes) -> bytes:
    return text + b"\0" * (len(text) % 2)


def _list(kind: bytes, *chunks: bytes) -> bytes:
    return _chunk(b"LIST", kind + b"".join(chunks))


def soundfont_bytes(*presets: Preset, name: str = "Tiny", rights: str = "", comment: str = ""):
    """The file's bytes; each preset has an instrument of its own, all share one sample."""
    texts = {b"INAM": name, b"ICOP": rights, b"ICMT": comment}
    info = _list(
        b"INFO",
        _chunk(b"ifil", struct.pack("<HH", 2, 1)),
        _chunk(b"isng", b"EMU8000\0"),
        *(_chunk(key, _even(text.encode() + b"\0")) for key, text in texts.items() if text),
    )
    length = PERIOD * NUM_PERIODS
    wave = np.sin(2 * np.pi * np.arange(length) / PERIOD) * 16_000
    samples = np.concatenate([wave, np.zeros(_PADDING)]).astype("<i2")
    header = struct.Struct("<20sHHHIII")
    headers = [
        header.pack(p.name.encode(), p.program, p.bank, i, 0, 0, 0) for i, p in enumerate(presets)
    ]
    count = len(presets)
    pair = struct.Struct("<HH")
    instruments = struct.Struct("<20sH")
    zones = [
        pair.pack(_KEY_RANGE, p.low | p.high << 8)
        + struct.pack("<HhHh", _PAN, p.pan, _COARSE_TUNE, p.semitones)
        + pair.pack(_SAMPLE_MODES, 1)  # looped
        + pair.pack(_SAMPLE_ID, 0)
        for p in presets
    ]
    end = struct.pack("<HHHHH", 0, 0, 0, 0, 0)
    sample = struct.Struct("<20s5IBbHH")
    pdta = _list(
        b"pdta",
        _chunk(b"phdr", b"".join([*headers, header.pack(b"EOP", 0, 0, count, 0, 0, 0)])),
        _chunk(b"pbag", b"".join(pair.pack(i, 0) for i in range(count + 1))),
        _chunk(b"pmod", end),
        _chunk(
            b"pgen", b"".join(pair.pack(_INSTRUMENT, i) for i in range(count)) + pair.pack(0, 0)
        ),
        _chunk(
            b"inst",
            b"".join(instruments.pack(b"Sine", i) for i in range(count))
            + instruments.pack(b"EOI", count),
        ),
        _chunk(b"ibag", b"".join(pair.pack(5 * i, 0) for i in range(count + 1))),
        _chunk(b"imod", end),
        _chunk(b"igen", b"".join(zones) + pair.pack(0, 0)),
        _chunk(
            b"shdr",
            sample.pack(b"Sine", 0, length, PERIOD, length - PERIOD, SAMPLE_RATE, 69, 0, 0, 1)
            + sample.pack(b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
        ),
    )
    content = b"sfbk" + info + _list(b"sdta", _chunk(b"smpl", samples.tobytes())) + pdta
    return _chunk(b"RIFF", content)


def write_soundfont(path: pathlib.Path, *presets: Preset, **texts: str) -> pathlib.Path:
    """Writes it; returns the path."""
    path.write_bytes(soundfont_bytes(*presets, **texts))
    return path


def debian_soundfont(file: str, package: str) -> pathlib.Path:
    """The path of an installed SoundFont; skips the test where it or libfluidsynth is missing."""
    need_fluidsynth()
    path = pathlib.Path("/usr/share/sounds/sf2") / file
    if not path.exists():
        pytest.skip(f"system package missing: {package}")
    return path


def need_fluidsynth() -> None:
    """Skips the test where libfluidsynth is missing."""
    try:
        fluidsynth.version()
    except fluidsynth.FluidSynthError:
        pytest.skip(f"system package missing: {fluidsynth.DEBIAN_PACKAGE}")
