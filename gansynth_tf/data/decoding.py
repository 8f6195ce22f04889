"""A recording -> mono samples at a rate: wav, flac, ogg, mp3 and aiff of any rate and channels.

libsndfile (`soundfile`) decodes and soxr resamples, a block at a time. What is damaged is refused
with a reason, never half read: libsndfile itself takes a wav that was cut short for a shorter one.

TensorFlow I/O's ops can decode instead. They stay second, after what was measured with 0.37.1 on
TensorFlow 2.16.2, the only one that they load on: `decode_flac` never returns on some damaged
files, 32-bit wav comes out as noise, there is none for aiff, and flac, ogg and mp3 take 5 to 17
times as long. Its resampler is not used: it is 11 dB down at 7.5 kHz (44.1 to 16 kHz) and late by
32 samples, so that no other resampler could give the same samples.
"""

import contextlib
import os
import stat
import warnings
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from gansynth_tf.quiet import errors_muted

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
DECODERS = ("auto", "soundfile", "tensorflow_io")
QUALITY = "VHQ"
# What a recording of sound can have; a header may say anything.
MIN_RATE, MAX_RATE = 4_000, 768_000
# Of float samples: some write 16-bit steps as floats, 32,768 for full scale.
MAX_SAMPLE = 65_536.0

# libsndfile knows many more, some by so few bytes that noise passes for them.
_FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3", "AIFF")
_BLOCK_SAMPLES = 2**20  # of all channels
_MAX_GRAPH_SAMPLES = 2**26  # TensorFlow I/O decodes a whole file at once
# Without a header of its own, an mp3's length is an estimate.
_MP3_SLACK = 2 * 1_152
# Chunk sizes of a wav whose writer did not know the length: all that follows is meant.
_UNKNOWN_SIZE = 0x7FFF_0000
_MAX_CHUNKS = 1_000
_LARGEST_OGG_PAGE = 65_307

# What TensorFlow I/O decodes rightly, and what its ops give.
_OP_TYPES = {
    ("WAV", "PCM_U8"): "uint8",
    ("WAV", "PCM_16"): "int16",
    ("WAV", "PCM_24"): "int32",
    ("WAV", "FLOAT"): "float32",
    ("FLAC", "PCM_16"): "int16",
    ("FLAC", "PCM_24"): "int32",
    ("OGG", "VORBIS"): "float32",
    ("MP3", "MPEG_LAYER_III"): "float32",
}


class RecordingError(ValueError):
    """A file that is no whole recording; the message is the reason, without the file's name."""


def read_recording(
    path: str | os.PathLike, sample_rate: int, max_seconds: float, decoder: str = "auto"
) -> np.ndarray:
    """Decodes a file -> float32 [samples] at ``sample_rate``, the mean of its channels.

    Args:
      path: the file; what it holds decides how it is read, not its suffix.
      sample_rate: samples a second to return.
      max_seconds: a longer recording is refused, before memory is taken for it.
      decoder: "soundfile"; "auto" is the same (above is why); "tensorflow_io" decodes by its ops
        what they have a working one for, once soundfile has found the file whole.

    Raises:
      RecordingError: no such recording: unreadable, damaged, cut short, empty, too long, samples
        that are not finite.
    """
    if decoder not in DECODERS:
        raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, not {decoder!r}.")
    path = os.fspath(path)
    _check_whole(path)
    # Bytes: a name need not be UTF-8. What mpg123 thinks of a file would go to standard error.
    with errors_muted(), _opened(os.fsencode(path)) as file:
        _check_header(file, max_seconds)
        blocks = _blocks(file, max_seconds)
        if decoder == "tensorflow_io" and _has_op(file):
            count = sum(map(len, blocks))
            blocks = _sliced(_decode_in_graph(path, file, count))
        return _resampled(map(_mono, blocks), file.samplerate, sample_rate)


# --- libsndfile ---


@contextlib.contextmanager
def _opened(path: bytes) -> Iterator[soundfile.SoundFile]:
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except soundfile.LibsndfileError as error:
        raise RecordingError(
            f"it cannot be decoded (libsndfile: {error.error_string.rstrip('.')})"
        ) from error


def _check_header(file: soundfile.SoundFile, max_seconds: float) -> None:
    if file.format not in _FORMATS:
        raise RecordingError(f"it is of the format {file.format}, which is not read here")
    if not MIN_RATE <= file.samplerate <= MAX_RATE:
        raise RecordingError(
            f"its sample rate is {file.samplerate} Hz, not in {MIN_RATE} to {MAX_RATE}"
        )
    _check_length(file.frames, file.samplerate, max_seconds)


def _check_length(frames: int, rate: int, max_seconds: float) -> None:
    if frames > max_seconds * rate:
        raise RecordingError(
            f"it lasts {frames / rate:,.0f} s, more than max_seconds={max_seconds:g}"
        )


def _blocks(file: soundfile.SoundFile, max_seconds: float) -> Iterator[np.ndarray]:
    """Samples [n, channels] float32 until the end, which must be where the header says.

    ``SoundFile.blocks`` would do, but for an mp3 that was cut short: it makes up the rest.
    """
    frames, length = 0, max(1, _BLOCK_SAMPLES // file.channels)
    while len(block := file.read(length, dtype="float32", always_2d=True)):
        frames += len(block)
        _check_length(frames, file.samplerate, max_seconds)
        # A NaN is not at most anything.
        if not np.max(np.abs(block)) <= MAX_SAMPLE:
            raise RecordingError("it holds samples that are NaN, infinite or no sound's")
        yield block
    if not frames:
        raise RecordingError("it holds no samples")
    if frames < file.frames - (_MP3_SLACK if file.format == "MP3" else 0):
        raise RecordingError(f"it ends after {frames} of {file.frames} samples")


def _mono(block: np.ndarray) -> np.ndarray:
    """[n, channels] -> [n] float32."""
    return block.mean(axis=1, dtype=np.float64).astype(np.float32)


def _resampled(blocks: Iterator[np.ndarray], rate: int, sample_rate: int) -> np.ndarray:
    """Blocks [n] at ``rate`` -> one float32 [samples] at ``sample_rate``."""
    if rate == sample_rate:
        return np.concatenate(list(blocks))
    stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality=QUALITY)
    parts = [stream.resample_chunk(block) for block in blocks]
    parts.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.concatenate(parts)


# --- What libsndfile does not tell ---


def _check_whole(path: str) -> None:
    """Refuses what is no file, and a wav, aiff or ogg that was cut short."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RecordingError("it is no file")
            if not status.st_size:
                raise RecordingError("it is empty")
            promised = _promised_size(file)
            if promised > status.st_size:
                raise RecordingError(
                    f"it is cut short: {status.st_size} of {promised} bytes are there"
                )
            if not _has_ogg_end(file, status.st_size):
                raise RecordingError("it is cut short: the stream does not end")
    except OSError as error:
        raise RecordingError(f"it cannot be read ({error.strerror})") from error


def _open_at_once(path: str, flags: int) -> int:
    """A named pipe would wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def _promised_size(file: BinaryIO) -> int:
    """Where the samples of a wav or aiff end, as its header says; 0 where it says nothing."""
    order = {b"RIFF": "little", b"RIFX": "big", b"FORM": "big"}.get(file.read(12)[:4])
    for _ in range(_MAX_CHUNKS if order else 0):
        chunk = file.read(8)
        size = int.from_bytes(chunk[4:], order)
        if chunk[:4] in (b"data", b"SSND"):
            return 0 if size >= _UNKNOWN_SIZE else file.tell() + size
        file.seek(size + size % 2, os.SEEK_CUR)
    return 0


def _has_ogg_end(file: BinaryIO, size: int) -> bool:
    """False for an ogg file without a whole last page that is marked as the stream's last."""
    file.seek(0)
    if file.read(4) != b"OggS":
        return True
    file.seek(max(0, size - _LARGEST_OGG_PAGE))
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    header, lengths = page[:27], page[27 : 27 + page[26]] if len(page) > 26 else b""
    return len(page) > 26 and len(page) >= 27 + header[26] + sum(lengths) and bool(header[5] & 4)


# --- TensorFlow I/O ---


def check_decoder(decoder: str) -> None:
    """Raises ValueError where this decoder cannot be had here."""
    if decoder != "tensorflow_io":
        return
    try:
        with warnings.catch_warnings(action="ignore"):  # the error below says it better
            import tensorflow as tf
            import tensorflow_io as tfio

        with contextlib.suppress(tf.errors.OpError):  # it is no wav, of course
            tfio.audio.decode_wav(b"", dtype=tf.int16)
    except (ImportError, NotImplementedError) as error:
        raise ValueError(
            "decoder=tensorflow_io needs the native ops of tensorflow-io, which load on "
            "TensorFlow 2.16 only: take soundfile."
        ) from error


def _has_op(file: soundfile.SoundFile) -> bool:
    """Whether TensorFlow I/O decodes such a file, and rightly."""
    kind = "WAV" if file.format == "WAVEX" else file.format
    is_small = file.frames * file.channels <= _MAX_GRAPH_SAMPLES
    return is_small and (kind, file.subtype) in _OP_TYPES


def _decode_in_graph(path: str, file: soundfile.SoundFile, count: int) -> np.ndarray:
    """Samples [count, channels] float32 of a file that soundfile found whole."""
    import tensorflow as tf
    import tensorflow_io as tfio

    kind = "WAV" if file.format == "WAVEX" else file.format
    dtype = _OP_TYPES[kind, file.subtype]
    content = tf.io.read_file(os.fsencode(path))
    try:
        if kind == "WAV":
            samples = tfio.audio.decode_wav(content, dtype=tf.as_dtype(dtype))
        elif kind == "FLAC":
            samples = tfio.audio.decode_flac(content, dtype=tf.as_dtype(dtype))
        elif kind == "OGG":
            samples = tfio.audio.decode_vorbis(content)
        else:
            samples = tfio.audio.decode_mp3(content)
    except tf.errors.OpError as error:
        raise RecordingError(f"TensorFlow I/O cannot decode it ({error.message})") from error
    if samples.shape != (count, file.channels):
        raise RecordingError(
            f"TensorFlow I/O finds {samples.shape} samples in it, soundfile {count}"
        )
    samples = samples.numpy()
    if dtype == "float32":
        return samples
    middle = 128 if dtype == "uint8" else 0
    full_scale = 128 if dtype == "uint8" else -float(np.iinfo(dtype).min)
    return ((samples.astype(np.float64) - middle) / full_scale).astype(np.float32)


def _sliced(samples: np.ndarray) -> Iterator[np.ndarray]:
    """In the blocks that soundfile would give, since a resampler's last bits depend on them."""
    length = max(1, _BLOCK_SAMPLES // samples.shape[1])
    return (samples[start : start + length] for start in range(0, len(samples), length))
