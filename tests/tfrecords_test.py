"""TFRecords read from streams, against those that TensorFlow writes."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nsynth_official import records

from gansynth_tf.data.tfrecords import CorruptRecordError, crc32c, read_record, skip_record


def read_all(content: bytes, most_bytes: int = 10**6) -> list[bytes]:
    stream, found = io.BytesIO(content), []
    while (record := read_record(stream, most_bytes)) is not None:
        found.append(record)
    return found


def test_known_checksums():
    # RFC 3720, appendix B.4, and the check value of the CRC catalogues.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 96, 97, 1000, 4096, 100_001, 256_489])
def test_reads_what_tensorflow_writes(length):
    contents = [np.random.default_rng(n).bytes(length + n) for n in range(2)]
    assert read_all(records(contents)) == contents


def test_skips():
    stream = io.BytesIO(records([b"a" * 100, b"b" * 200, b"c"]))
    assert skip_record(stream)
    assert skip_record(stream)
    assert read_record(stream, 100) == b"c"
    assert not skip_record(stream)


WRITTEN = records([bytes(range(200)), b"x" * 70])


@given(st.integers(0, len(WRITTEN) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_refused(place, bit):
    damaged = bytearray(WRITTEN)
    damaged[place] ^= 1 << bit
    with pytest.raises(CorruptRecordError):
        read_all(bytes(damaged))


@given(st.integers(1, len(WRITTEN) - 1).filter(lambda end: end != 216))
def test_a_cut_is_refused(end):
    with pytest.raises(CorruptRecordError, match="is cut off"):
        read_all(WRITTEN[:end])


def test_a_long_record_is_refused_unread():
    with pytest.raises(CorruptRecordError, match="has 200 bytes, 199 at most"):
        read_all(WRITTEN, most_bytes=199)
