"""A piece's files: the sound is the one played, and the pictures show its notes where they are."""

import matplotlib.image
import numpy as np
import pytest
from sines import Sines

from gansynth_tf import piece, piece_pictures, wavfiles
from gansynth_tf.evaluation.pitch_tracking import midi_to_hz
from gansynth_tf.notelist import NoteList
from gansynth_tf.performance import choose_timbres, perform

pytestmark = pytest.mark.latest

RATE = Sines.sample_rate
LEFT, RIGHT = 66, 1182  # pixels of the axes' sides
# A low soft note, silence, a high loud one of another part.
NOTES = NoteList([0, 3], [2, 5], [60, 84], [40, 127], [0, 1], ("Piano $x$", "_b\x07"))


@pytest.fixture
def sines():
    return Sines()


def written(sines, folder, notes=NOTES, **more):
    return piece.write_piece(sines, notes, choose_timbres(sines, notes), folder, "my", **more)


def contents(folder) -> dict:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_sound_and_its_pictures(sines, tmp_path):
    path, seconds = written(sines, tmp_path)
    assert path == tmp_path / "my_played.wav"
    assert contents(tmp_path).keys() == {path.name, "my_piano_roll.png", "my_rainbowgram.png"}
    wave, rate = wavfiles.read_wav(path)
    assert seconds == len(wave) / rate == pytest.approx(5.3, abs=1e-3)
    expected = perform(sines, NOTES, choose_timbres(sines, NOTES))
    np.testing.assert_allclose(wave, expected, atol=1e-4)


def columns(path, seconds, start, end) -> np.ndarray:
    """Pixels [rows, columns, 3] of a picture between two times."""
    image = matplotlib.image.imread(path)[..., :3]
    begin, stop = (int(LEFT + (RIGHT - LEFT) * time / seconds) for time in (start, end))
    return image[60:440, begin:stop]


def test_the_piano_roll_shows_each_note_in_its_part_s_colour(sines, tmp_path):
    _, seconds = written(sines, tmp_path)
    rows = {}
    for start, end in ((0.2, 1.8), (2.2, 2.8), (3.2, 4.8)):
        pixels = columns(tmp_path / "my_piano_roll.png", seconds, start, end)
        is_bar = np.ptp(pixels, axis=-1) > 0.1  # grid and ground are grey
        rows[start] = np.flatnonzero(is_bar.all(axis=1)), pixels[is_bar]
    low, soft = rows[0.2]
    assert not len(rows[2.2][1])
    high, loud = rows[3.2]
    assert low.min() > high.max() + 100  # pixels from top: the higher note is above
    assert (soft[:, 2] > soft[:, 0]).all()  # blue
    assert (loud[:, 0] > loud[:, 2]).all()  # orange
    assert soft.min() > loud.min() + 0.2  # paler


def test_the_rainbowgram_shows_each_note_and_is_black_between(sines, tmp_path):
    _, seconds = written(sines, tmp_path)
    path = tmp_path / "my_rainbowgram.png"
    assert not columns(path, seconds, 2.5, 2.8).any()
    for pitch, start, end in ((60, 0.2, 1.8), (84, 3.2, 4.8)):
        brightness = columns(path, seconds, start, end).sum(axis=(1, 2))
        row = (380 - np.argmax(brightness)) / 380  # from the bottom, 8 kHz at the top
        assert row == pytest.approx(midi_to_hz(pitch) / 8000, abs=0.03)


def test_frames_of_a_long_wave_are_few_and_right():
    time = np.arange(40 * RATE) / RATE
    wave = np.sin(2 * np.pi * 1000.0 * time).astype(np.float32)
    wave[20 * RATE :] = 0.0
    frames = piece_pictures.frames_over_time(wave, RATE, 100)
    assert frames.shape == (100, 1024, 2)
    sounding, silent = frames[1:49], frames[51:]
    assert (sounding[..., 0].argmax(axis=1) == 1000 * 2048 / RATE - 1).all()  # DC is left out
    assert sounding[..., 0].max(axis=1) == pytest.approx(0.0, abs=1e-3)
    steps = sounding[:, 127, 1]
    expected = (2 * 1000.0 * 512 / RATE + 1) % 2 - 1
    np.testing.assert_allclose((steps - expected + 1) % 2 - 1, 0.0, atol=1e-3)
    assert silent[..., 0].max() < np.log(1e-5)


@pytest.mark.parametrize("wave", [np.zeros(0), np.zeros(5), 1e-7 * np.ones(RATE)])
def test_what_is_silent_is_black(tmp_path, wave):
    piece_pictures.rainbowgram(tmp_path / "a.png", wave.astype(np.float32), RATE)
    assert not columns(tmp_path / "a.png", 1.0, 0.1, 0.9).any()


def test_a_piano_roll_of_many_parts_or_of_no_notes(tmp_path):
    none = NoteList([], [], [], [], [], ())
    piece_pictures.piano_roll(tmp_path / "a.png", none)
    many = NoteList(*[np.arange(20)] * 2, *[np.arange(20) + 50] * 2, np.arange(20), ("p",) * 20)
    piece_pictures.piano_roll(tmp_path / "b.png", many)
    assert all(content.startswith(b"\x89PNG") for content in contents(tmp_path).values())


@pytest.mark.parametrize("name", ["write_audio", "piano_roll", "rainbowgram"])
def test_what_fails_leaves_the_earlier_files(sines, tmp_path, monkeypatch, name):
    written(sines, tmp_path)
    before = contents(tmp_path)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(wavfiles if name == "write_audio" else piece_pictures, name, fail)
    with pytest.raises(OSError, match="disk full"):
        written(sines, tmp_path, NOTES.with_pitches(np.array([61, 62])))
    assert contents(tmp_path) == before


def test_a_folder_in_the_way_is_named_before_anything_is_played(sines, tmp_path):
    (tmp_path / "my_piano_roll.png").mkdir()
    with pytest.raises(IsADirectoryError, match="my_piano_roll"):
        written(sines, tmp_path)
    assert not sines.synthesized


def test_latents_of_shared_paths_come_once(sines):
    notes = NoteList([0, 1, 2], [1, 2, 3], [60] * 3, [9] * 3, [0, 1, 2], ("a", "b", "c"))
    latents = np.eye(3)[:2]
    np.testing.assert_array_equal(piece.latents_of(choose_timbres(sines, notes, latents)), latents)
