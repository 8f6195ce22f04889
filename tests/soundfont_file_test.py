"""What a SoundFont says of itself, and files that are none."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_soundfont import Preset, debian_soundfont, soundfont_bytes, write_soundfont

from gansynth_tf.data.soundfont_file import SoundfontError, read_info

pytestmark = pytest.mark.latest

CONTENT = soundfont_bytes(Preset(3, name="Three"), Preset(0, name="Zero"), rights="© me")
fuzzed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_what_it_says(tmp_path):
    presets = [Preset(3, name="Three"), Preset(0, name="Zero"), Preset(1, bank=128, name="Drums")]
    path = write_soundfont(tmp_path / "a.sf2", *presets, name="Tiny", rights="© me", comment="MIT")
    info = read_info(path)
    assert (info.name, info.copyright, info.comment) == ("Tiny", "© me", "MIT")
    assert info.programs == {0: "Zero", 3: "Three"}
    assert list(info.programs) == [0, 3]
    assert info.num_bytes == path.stat().st_size
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_text_that_is_no_utf_8(tmp_path):
    path = tmp_path / "a.sf2"
    path.write_bytes(CONTENT.replace("© me".encode(), b"\xa9 me "))
    assert read_info(path).copyright == "© me"


def test_timgm6mb():
    info = read_info(debian_soundfont("TimGM6mb.sf2", "timgm6mb-soundfont"))
    assert info.name == "TimGM6mb1.sf2"
    assert len(info.programs) == 128
    assert info.programs[56] == "SoloTrumpet"


@fuzzed
@given(st.integers(0, len(CONTENT) - 1))
def test_a_truncated_file_is_refused(tmp_path, length):
    path = tmp_path / "cut.sf2"
    path.write_bytes(CONTENT[:length])
    with pytest.raises(SoundfontError, match=r"cut\.sf2 is (truncated|no SoundFont 2 file)"):
        read_info(path)


@fuzzed
@given(st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(0, 255)), max_size=8))
def test_a_damaged_file_is_read_or_refused(tmp_path, changes):
    content = bytearray(CONTENT)
    for position, value in changes:
        content[position] = value
    path = tmp_path / "damaged.sf2"
    path.write_bytes(content)
    try:
        info = read_info(path)
    except SoundfontError:
        return
    assert info.programs
    assert all(0 <= number < 128 for number in info.programs)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no SoundFont 2 file"),
        (b"RIFF\x04\0\0\0WAVE", "is no SoundFont 2 file"),
        (b"RIFF\xff\xff\xff\x7fsfbk", "is truncated: 12 bytes of 2,147,483,655"),
        (b"RIFF\x04\0\0\0sfbk", "its part INFO is missing"),
        (b"RIFF\x10\0\0\0sfbkLIST\xff\0\0\0INFO", "its part 'LIST' is longer than"),
        (soundfont_bytes(Preset(0, bank=1)), "has no program in bank 0"),
    ],
)
def test_refusals(tmp_path, content, message):
    path = tmp_path / "bad.sf2"
    path.write_bytes(content)
    with pytest.raises(SoundfontError, match=message) as refused:
        read_info(path)
    assert str(refused.value).startswith(str(path))
