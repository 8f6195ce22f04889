"""Recordings of every kind, whole and broken, by both decoders."""

import os
import struct
import sys

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gansynth_tf.data import decoding
from gansynth_tf.data.decoding import RecordingError, read_recording

pytestmark = pytest.mark.latest
# Suffix and libsndfile's format and subtype.
KINDS = {
    "u8": ("WAV", "PCM_U8"),
    "s16": ("WAV", "PCM_16"),
    "s24": ("WAVEX", "PCM_24"),
    "s32": ("WAV", "PCM_32"),
    "float": ("WAV", "FLOAT"),
    "double": ("WAV", "DOUBLE"),
    "flac16": ("FLAC", "PCM_16"),
    "flac24": ("FLAC", "PCM_24"),
    "vorbis": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "aiff float": ("AIFF", "FLOAT"),
}


def tone(rate, channels=1, seconds=0.5):
    """[samples, channels] float64, another tone in each channel."""
    t = np.arange(round(rate * seconds)) / rate
    return np.stack([0.4 * np.sin(2 * np.pi * 330 * (1 + c) * t) for c in range(channels)], axis=1)


def write(path, samples, rate, kind):
    file_format, subtype = KINDS[kind]
    soundfile.write(path, samples, rate, format=file_format, subtype=subtype)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """A whole file of every kind: path by kind, 44.1 kHz, two channels."""
    folder = tmp_path_factory.mktemp("recordings")
    for kind in KINDS:
        write(folder / kind, tone(44_100, 2), 44_100, kind)
    return {kind: folder / kind for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(recordings, kind):
    wave = read_recording(recordings[kind], 16_000, 10)
    assert wave.dtype == np.float32
    wanted = soxr.resample(tone(44_100, 2).mean(axis=1), 44_100, 16_000, "VHQ")
    assert wave.shape == wanted.shape
    tolerance = {"u8": 8e-3, "vorbis": 0.02, "mp3": 0.02}.get(kind, 1e-4)
    assert np.max(np.abs(wave - wanted)[200:-200]) < tolerance


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 6])
def test_any_rate_and_channels(tmp_path, rate, channels):
    write(tmp_path / "a.wav", tone(rate, channels), rate, "float")
    wave = read_recording(tmp_path / "a.wav", 16_000, 10)
    assert abs(len(wave) - 8_000) <= 1
    wanted = tone(16_000, channels).mean(axis=1)[: len(wave)]
    # What is above half the rate is left out: of 6 channels, all but 330 to 1980 Hz is below.
    assert np.max(np.abs(wave[: len(wanted)] - wanted)[200:-200]) < 1e-3


def test_tensorflow_io_gives_the_same(recordings):
    try:
        decoding.check_decoder("tensorflow_io")
    except ValueError:
        pytest.skip("tensorflow-io's native ops do not load here")
    for kind, path in recordings.items():
        ours = read_recording(path, 16_000, 10, "soundfile")
        theirs = read_recording(path, 16_000, 10, "tensorflow_io")
        assert theirs.shape == ours.shape, kind
        assert np.max(np.abs(theirs - ours)) < 1e-5, kind
        assert np.array_equal(read_recording(path, 16_000, 10, "auto"), ours), kind


def test_a_decoder_that_cannot_be_had(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)
    with pytest.raises(ValueError, match=r"needs the native ops .* TensorFlow 2.16 only"):
        decoding.check_decoder("tensorflow_io")
    decoding.check_decoder("auto")


def test_blocks_do_not_show(tmp_path, monkeypatch):
    write(tmp_path / "a.flac", tone(44_100, 2), 44_100, "flac16")
    whole = read_recording(tmp_path / "a.flac", 16_000, 10)
    monkeypatch.setattr(decoding, "_BLOCK_SAMPLES", 2_000)
    assert np.max(np.abs(read_recording(tmp_path / "a.flac", 16_000, 10) - whole)) < 1e-6


@pytest.mark.parametrize("share", [0.3, 0.8])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_short_is_refused(recordings, tmp_path, kind, share):
    content = recordings[kind].read_bytes()
    (tmp_path / "cut").write_bytes(content[: int(share * len(content))])
    with pytest.raises(RecordingError, match=r"cut short|cannot be decoded|ends after"):
        read_recording(tmp_path / "cut", 16_000, 10)


def patched(recordings, tmp_path, kind, changes):
    content = bytearray(recordings[kind].read_bytes())
    for position, value in changes.items():
        content[position : position + len(value)] = value
    (tmp_path / "patched").write_bytes(content)
    return tmp_path / "patched"


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("s16", {24: struct.pack("<I", 0)}, "cannot be decoded"),  # 0 Hz
        ("s16", {24: struct.pack("<I", 3)}, "sample rate is 3 Hz"),
        ("s16", {24: struct.pack("<I", 2**31 - 1)}, "sample rate is 2147483647 Hz"),
        ("s16", {22: struct.pack("<H", 0)}, "cannot be decoded"),  # no channel
        ("s16", {40: struct.pack("<I", 300_000_000)}, r"cut short: \d+ of 300000044 bytes"),
        ("s16", {40: struct.pack("<I", 0)}, "no samples"),
        (
            "flac16",
            {21: b"\xff" * 5},
            "lasts 1,558,265 s, more than max_seconds=10",
        ),  # 2^36 - 1 samples
        ("flac16", {21: b"\xf0" + struct.pack(">I", 300_000)}, "cannot be decoded|ends after"),
        ("flac16", {18: b"\0\0\0"}, "cannot be decoded"),  # 0 Hz
    ],
)
def test_absurd_headers(recordings, tmp_path, kind, changes, reason):
    with pytest.raises(RecordingError, match=reason):
        read_recording(patched(recordings, tmp_path, kind, changes), 16_000, 10)


def test_a_stream_of_unknown_length_is_read(recordings, tmp_path):
    """What programs write into a pipe: they cannot go back and fill in the sizes."""
    path = patched(recordings, tmp_path, "s16", {4: b"\xff" * 4, 40: b"\xff" * 4})
    assert np.array_equal(
        read_recording(path, 16_000, 10), read_recording(recordings["s16"], 16_000, 10)
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_sound(tmp_path, value):
    samples = tone(16_000)
    samples[100] = value
    write(tmp_path / "a.wav", samples, 16_000, "float")
    with pytest.raises(RecordingError, match="NaN, infinite"):
        read_recording(tmp_path / "a.wav", 16_000, 10)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("no sound" * 100)
    (tmp_path / "broken_link.wav").symlink_to("nowhere.wav")
    reasons = {
        "pipe.wav": "no file",
        "empty.wav": "empty",
        "text.wav": "cannot be decoded",
        "broken_link.wav": "No such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(RecordingError, match=reason):
            read_recording(tmp_path / name, 16_000, 10)


def test_too_long(tmp_path):
    write(tmp_path / "a.wav", tone(8_000, seconds=3), 8_000, "s16")
    assert len(read_recording(tmp_path / "a.wav", 16_000, 3)) == 48_000
    with pytest.raises(RecordingError, match="lasts 3 s, more than max_seconds=2"):
        read_recording(tmp_path / "a.wav", 16_000, 2)


def test_a_name_that_is_not_utf8(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"\xff\xfe.wav")
    write(path, tone(16_000), 16_000, "s16")
    assert len(read_recording(os.fsdecode(path), 16_000, 10)) == 8_000


def test_nothing_is_said_on_standard_error(recordings, tmp_path, capfd):
    content = recordings["mp3"].read_bytes()
    (tmp_path / "cut.mp3").write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordingError):
        read_recording(tmp_path / "cut.mp3", 16_000, 10)
    assert capfd.readouterr().err == ""


DAMAGE = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    kept=st.floats(0, 1),
    damage=DAMAGE,
    head=st.binary(max_size=64),
)
@example(kind="flac16", kept=0.5, damage=[], head=b"")
@example(kind="s16", kept=1.0, damage=[(0.0, b"RF64")], head=b"")
def test_damaged_files_are_read_or_refused(recordings, tmp_path_factory, kind, kept, damage, head):
    """Whatever is done to a file: samples of a bounded length that are finite, or a reason."""
    content = bytearray(recordings[kind].read_bytes())
    for place, value in damage:
        start = int(place * len(content))
        content[start : start + len(value)] = value
    content[: len(head)] = head
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[: int(kept * len(content))])
    reason = wave = None
    try:
        wave = read_recording(path, 16_000, 2)
    except RecordingError as error:
        reason = str(error)
    if wave is None:
        assert reason
        assert "\n" not in reason
    else:
        assert 0 < len(wave) <= 32_001
        assert np.isfinite(wave).all()


@settings(max_examples=100, deadline=None)
@given(
    content=st.binary(max_size=3_000),
    magic=st.sampled_from(
        [
            b"",
            b"RIFF\0\0\0\0WAVEfmt ",
            b"fLaC",
            b"OggS",
            b"ID3",
            b"\xff\xfb\x90",
            b"FORM\0\0\0\0AIFF",
        ]
    ),
)
def test_noise_is_no_recording(tmp_path_factory, content, magic):
    path = tmp_path_factory.getbasetemp() / "noise.wav"
    path.write_bytes(magic + content)
    with pytest.raises(RecordingError):
        read_recording(path, 16_000, 10)
