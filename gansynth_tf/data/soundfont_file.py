"""What a SoundFont 2 file says of itself: names, rights, programs. No samples are read.

Source: SoundFont Technical Specification 2.04, sections 3 to 7.
"""

import dataclasses
import hashlib
import os
import pathlib
import struct
from collections.abc import Iterator
from typing import BinaryIO

from gansynth_tf.files import PathLike

_CHUNK = struct.Struct("<4sI")  # name, bytes that follow
_PRESET = struct.Struct("<20sHHH12x")  # name, number, bank, first zone
_MAX_TEXT = 65_536  # bytes, as the specification has it
_MELODIC_BANK = 0


class SoundfontError(ValueError):
    """A file that is no SoundFont, or not a whole one."""


@dataclasses.dataclass(frozen=True)
class SoundfontInfo:
    """A SoundFont file.

    Attributes:
      name: the SoundFont's own (INAM), not the file's.
      copyright: ICOP, "" where there is none.
      comment: ICMT, "" where there is none; licences are often here.
      num_bytes: of the file.
      sha256: of the file.
      programs: number -> name, of bank 0, by number.
    """

    name: str
    copyright: str
    comment: str
    num_bytes: int
    sha256: str
    programs: dict[int, str]


def read_info(path: PathLike) -> SoundfontInfo:
    """Reads what a SoundFont says of itself.

    Raises:
      SoundfontError: it is none, or it is truncated; the message begins with the path.
      OSError: it cannot be read.
    """
    path = pathlib.Path(path)
    with open(path, "rb") as file:
        try:
            chunks = dict(_chunks(file, 0, os.fstat(file.fileno()).st_size))
        except SoundfontError as error:
            raise SoundfontError(f"{path} {error}") from None
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        num_bytes = file.tell()
    programs = _programs(chunks.get(b"phdr", b""))
    if not programs:
        raise SoundfontError(f"{path} has no program in bank {_MELODIC_BANK}.")
    return SoundfontInfo(
        name=_text(chunks.get(b"INAM", b"")),
        copyright=_text(chunks.get(b"ICOP", b"")),
        comment=_text(chunks.get(b"ICMT", b"")),
        num_bytes=num_bytes,
        sha256=sha256,
        programs=programs,
    )


def _chunks(file: BinaryIO, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the chunks that are read, within [start, size) of the file."""
    file.seek(start)
    header = file.read(12)
    if len(header) < 12 or header[:4] != b"RIFF" or header[8:] != b"sfbk":
        raise SoundfontError("is no SoundFont 2 file: it does not begin with RIFF and sfbk.")
    end = 8 + _CHUNK.unpack(header[:8])[1]
    if end > size:
        raise SoundfontError(f"is truncated: {size:,} bytes of {end:,} are there.")
    found = set()
    for name, start, stop in _walk(file, 12, end):
        if name != b"LIST":
            continue
        kind = file.read(4)
        found.add(kind)
        if kind not in (b"INFO", b"pdta"):
            continue
        for inner, first, last in _walk(file, start + 4, stop):
            if kind == b"INFO":
                yield inner, file.read(min(last - first, _MAX_TEXT))
            elif inner == b"phdr":
                yield inner, file.read(last - first)
    missing = {b"INFO", b"sdta", b"pdta"} - found
    if missing:
        raise SoundfontError(
            f"is no whole SoundFont: its part {sorted(missing)[0].decode()} is missing."
        )


def _walk(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Chunks in [start, end): name, where the content begins and ends; the file is at its begin."""
    while start + _CHUNK.size <= end:
        file.seek(start)
        name, size = _CHUNK.unpack(file.read(_CHUNK.size))
        start += _CHUNK.size
        if start + size > end:
            raise SoundfontError(
                f"is damaged: its part {name.decode('latin-1')!r} is longer than what holds it."
            )
        yield name, start, start + size
        start += size + size % 2  # padded to even


def _programs(content: bytes) -> dict[int, str]:
    """Bank 0 of the preset headers; the last of them marks the end."""
    whole = len(content) // _PRESET.size * _PRESET.size
    headers = list(_PRESET.iter_unpack(content[:whole]))[:-1]
    programs = {number: _text(name) for name, number, bank, _ in headers if bank == _MELODIC_BANK}
    return {number: programs[number] for number in sorted(programs) if number < 128}


def _text(content: bytes) -> str:
    """Up to its first NUL; the specification says ASCII, files say otherwise."""
    content = content.split(b"\0", 1)[0]
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError:
        return content.decode("latin-1").strip()
