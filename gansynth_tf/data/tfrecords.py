"""TFRecords out of any stream, every checksum verified; TensorFlow's own reader takes files only.

A record is its length (8 bytes, little endian), the length's masked CRC-32C, the content, and the
content's masked CRC-32C (tensorflow/core/lib/io/record_writer.h).
"""

import functools
import struct
from typing import BinaryIO

import numpy as np

_HEADER_BYTES = 12
_REGISTER = np.dtype("<u4")
_POLYNOMIAL = np.uint32(0x82F63B78)  # CRC-32C (Castagnoli), reflected
_ROW_WORDS = 16  # of two bytes


class CorruptRecordError(ValueError):
    """A record that is cut off, or fails a checksum; the message completes "record 7 ..."."""


def read_record(stream: BinaryIO, most_bytes: int) -> bytes | None:
    """The next record's content; None at the end of the stream.

    Raises:
      CorruptRecordError: the stream is damaged, or a record is longer than `most_bytes`.
    """
    length = _read_length(stream)
    if length is None:
        return None
    if length > most_bytes:
        raise CorruptRecordError(f"has {length} bytes, {most_bytes} at most were expected")
    rest = stream.read(length + 4)
    if len(rest) < length + 4:
        raise CorruptRecordError("is cut off")
    content = rest[:length]
    if struct.unpack("<I", rest[length:])[0] != masked_crc32c(content):
        raise CorruptRecordError("fails its checksum")
    return content


def skip_record(stream: BinaryIO) -> bool:
    """Goes on to the next record, unread; False at the end of the stream."""
    length = _read_length(stream)
    if length is None:
        return False
    stream.seek(length + 4, 1)
    return True


def _read_length(stream: BinaryIO) -> int | None:
    header = stream.read(_HEADER_BYTES)
    if not header:
        return None
    if len(header) < _HEADER_BYTES:
        raise CorruptRecordError("is cut off")
    length, checksum = struct.unpack("<QI", header)
    if checksum != masked_crc32c(header[:8]):
        raise CorruptRecordError("fails its length's checksum")
    return length


# ---------------------------------------------------------------------------------------------
# CRC-32C
# ---------------------------------------------------------------------------------------------


def masked_crc32c(content: bytes) -> int:
    """CRC-32C of `content`, rotated and offset as TFRecord files store it."""
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(content: bytes) -> int:
    """CRC-32C (RFC 3720, appendix B.4).

    The register is linear over GF(2), so that rows of bytes go through registers of their own, side
    by side, which are then joined in pairs: a hundred times as fast as byte by byte.
    """
    if len(content) <= 64:
        table, register = _byte_table().tolist(), 0xFFFFFFFF
        for byte in content:
            register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
        return register ^ 0xFFFFFFFF
    row_bytes = 2 * _ROW_WORDS
    rows = 1 << (-(-len(content) // row_bytes) - 1).bit_length()
    # Zeros in front leave an empty register empty; its start value is the same as inverted bytes.
    padded = np.zeros(rows * row_bytes, np.uint8)
    start = len(padded) - len(content)
    padded[start:] = np.frombuffer(content, np.uint8)
    padded[start : start + 4] ^= 0xFF
    words = padded.view("<u2").reshape(rows, _ROW_WORDS)
    registers = np.zeros(rows, _REGISTER)
    low, high = registers.view("<u2").reshape(rows, 2).T
    for column in words.T:
        registers[:] = _word_table().take(low ^ column) ^ high
    level = 0
    while len(registers) > 1:
        registers = _apply(_shift(level), registers[::2]) ^ registers[1::2]  # [rows / 2]
        level += 1
    return int(registers[0]) ^ 0xFFFFFFFF


@functools.cache
def _byte_table() -> np.ndarray:
    """[256] a register after one byte, by its lowest byte."""
    table = np.arange(256, dtype=_REGISTER)
    for _ in range(8):
        table = table >> 1 ^ (table & 1) * _POLYNOMIAL
    return table


@functools.cache
def _word_table() -> np.ndarray:
    """[65536] a register after two bytes, by its lower half."""
    table, registers = _byte_table(), np.arange(65536, dtype=_REGISTER)
    for _ in range(2):
        registers = table[registers & 0xFF] ^ registers >> 8
    return registers


@functools.cache
def _shift(level: int) -> np.ndarray:
    """[4, 256] what 2**level rows of zeros make of a register, by each of its bytes."""
    if level:
        half = _shift(level - 1)
        return np.stack([_apply(half, row) for row in half])
    registers = np.arange(256, dtype=_REGISTER) << np.arange(0, 32, 8, dtype=_REGISTER)[:, None]
    for _ in range(_ROW_WORDS):
        registers = _word_table()[registers & 0xFFFF] ^ registers >> 16
    return registers


def _apply(shift: np.ndarray, registers: np.ndarray) -> np.ndarray:
    """[n] -> [n]."""
    numbers = np.ascontiguousarray(registers).view(np.uint8).reshape(-1, 4).T
    parts = (table.take(number) for table, number in zip(shift, numbers, strict=True))
    return functools.reduce(np.bitwise_xor, parts)
