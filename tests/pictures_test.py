"""Pictures: the right bin is bright, the right hue, and the file is a whole PNG."""

import colorsys
import math

import numpy as np
import PIL.Image
import pytest

from gansynth_tf import pictures

FREQ, TIME = 64, 16
RATE = 8000


def blank(time=TIME, freq=FREQ):
    """Silence: [time, freq, 2] at the log of 1e-6."""
    specgram = np.zeros((time, freq, 2), np.float32)
    specgram[..., 0] = math.log(1e-6)
    return specgram


def note_specgram(bin_number):
    """Log magnitude and instantaneous frequency of a sine in the middle of a bin, no DC."""
    length, hop = 2 * FREQ, FREQ // 2
    wave = np.sin(2.0 * np.pi * bin_number / length * np.arange(hop * (TIME - 1) + length))
    frames = np.lib.stride_tricks.sliding_window_view(wave, length)[::hop]
    stft = np.fft.rfft(frames * np.hanning(length + 1)[:-1])[:, 1:]
    phase = np.angle(stft) / np.pi
    frequency = np.diff(phase, axis=0, prepend=phase[:1])
    return np.stack([np.log(np.abs(stft) + 1e-6), (frequency + 1.0) % 2.0 - 1.0], axis=-1)


def brightness(image):
    return image.astype(int).sum(axis=-1)


def hue(pixel):
    return colorsys.rgb_to_hsv(*(pixel / 255.0))[0]


def circular(a, b):
    """Distance of two hues, at most 0.5."""
    return abs((a - b + 0.5) % 1.0 - 0.5)


def read_png(path):
    with PIL.Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


# --- Rainbowgrams ---


@pytest.mark.parametrize("bin_number", [1, 10, 40, 63])
def test_brightest_row_is_the_tones_bin_counted_from_below(bin_number):
    image = pictures.rainbowgram(note_specgram(bin_number))
    assert image.shape == (FREQ, TIME, 3)
    assert image.dtype == np.uint8
    row = brightness(image).sum(axis=1).argmax()
    # Bin 0 of the specgram is the first above DC; the last row is the lowest bin.
    assert FREQ - 1 - row == bin_number - 1


def test_time_goes_to_the_right():
    specgram = blank()
    specgram[3, 20, 0] = 0.0
    image = brightness(pictures.rainbowgram(specgram))
    assert np.unravel_index(image.argmax(), image.shape) == (FREQ - 1 - 20, 3)


def test_hue_tells_instantaneous_frequency_but_not_its_whole_turns():
    specgram = blank(time=4)
    specgram[:, 5, 0] = 0.0
    specgram[:, 5, 1] = (0.5, -0.5, 1.0, -1.0)
    up, down, half, minus_half = pictures.rainbowgram(specgram)[FREQ - 1 - 5]
    assert circular(hue(up), hue(down)) > 0.3
    assert circular(hue(up), hue(half)) > 0.1
    np.testing.assert_array_equal(half, minus_half)
    specgram[..., 1] += 4.0
    again = pictures.rainbowgram(specgram)[FREQ - 1 - 5]
    np.testing.assert_array_equal(again, [up, down, half, minus_half])


def test_hue_does_not_change_lightness_much():
    angles = np.linspace(-1.0, 1.0, 181)
    colors = pictures.color_circle(np.ones(181), angles) / 255.0
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert luminance.max() / luminance.min() < 1.4


def test_brightness_is_relative_to_the_notes_own_maximum():
    specgram = note_specgram(10)
    louder = specgram + [3.0, 0.0]
    np.testing.assert_array_equal(pictures.rainbowgram(specgram), pictures.rainbowgram(louder))
    fixed = pictures.rainbowgram(specgram, log_top=specgram[..., 0].max() + 3.0)
    assert brightness(fixed).max() < brightness(pictures.rainbowgram(specgram)).max()


@pytest.mark.parametrize(("representation", "units"), [("linear", 20.0), ("mel", 10.0)])
def test_range_is_in_decibels(representation, units):
    specgram = blank(time=3)
    decibels = np.array([0.0, -70.0, -81.0])
    specgram[:, 7, 0] = decibels / units * math.log(10.0)
    row = brightness(pictures.rainbowgram(specgram, representation=representation))[FREQ - 1 - 7]
    assert row[0] > row[1] > row[2] == 0


def test_bins_that_are_not_finite_are_black():
    specgram = note_specgram(10)
    specgram[2, 9, 0] = np.nan
    specgram[3, 9, 1] = np.inf
    row = brightness(pictures.rainbowgram(specgram))[FREQ - 10]
    assert (row == 0).nonzero()[0].tolist() == [2, 3]
    assert (pictures.rainbowgram(np.full((4, 8, 2), np.nan)) == 0).all()


@pytest.mark.parametrize("shape", [(4, 8), (4, 8, 3), (1, 4, 8, 2)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"specgram must have shape \[time, freq, 2\]"):
        pictures.rainbowgram(np.zeros(shape))


def test_range_must_be_positive():
    with pytest.raises(ValueError, match="decibels must be above 0"):
        pictures.rainbowgram(blank(), decibels=0.0)


# --- Sizes ---


@pytest.mark.parametrize("shape", [(512, 2, 3), (3, 700, 3), (1, 1, 3)])
def test_enlarging_repeats_pixels_exactly(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    large = pictures.enlarge(image, 256, 256)
    assert min(large.shape[:2]) >= 256
    rows, columns = (large.shape[i] // shape[i] for i in range(2))
    np.testing.assert_array_equal(large[::rows, ::columns], image)
    np.testing.assert_array_equal(large[rows - 1 :: rows, columns - 1 :: columns], image)


def test_reducing_keeps_the_loudest_bin_with_its_own_angle():
    specgram = blank(freq=10)
    specgram[:, 6] = (1.0, 0.25)
    specgram[:, 9] = (0.5, -0.75)
    small = pictures.keep_loudest(specgram, 4)  # groups of three: 0-2, 3-5, 6-8, 9
    assert small.shape == (TIME, 4, 2)
    np.testing.assert_array_equal(small[0, 2:], [(1.0, 0.25), (0.5, -0.75)])
    assert pictures.keep_loudest(specgram, 10) is specgram


# --- Files ---


def test_png_of_one_specgram_shows_every_bin(tmp_path):
    specgram = blank(time=2, freq=512)
    specgram[1, 100, 0] = 0.0
    path = tmp_path / "one.png"
    pictures.rainbowgram_png(path, specgram)
    image = brightness(read_png(path))
    gap = pictures.GRID_GAP
    inner = image[gap:-gap, gap:-gap]
    assert inner.shape == (512, 512)
    assert set(inner.argmax(axis=1).nonzero()[0]) == {512 - 1 - 100}
    assert (inner[512 - 1 - 100, 256:] > 0).all()
    assert (inner[512 - 1 - 100, :256] == 0).all()


def test_title_takes_room_of_its_own_and_is_plain_text(tmp_path):
    without, with_title = tmp_path / "a.png", tmp_path / "b.png"
    specgram = note_specgram(10)
    pictures.rainbowgram_png(without, specgram)
    pictures.rainbowgram_png(with_title, specgram, "50 % of $x_")
    without, with_title = read_png(without), read_png(with_title)
    assert with_title.shape[0] > without.shape[0]
    head = with_title[: pictures.GRID_TITLE]
    assert (head < 128).any()
    size = without.shape[0] - 2 * pictures.GRID_GAP
    np.testing.assert_array_equal(
        with_title[pictures.GRID_TITLE :][:size], without[pictures.GRID_GAP :][:size]
    )


def test_grid_has_a_cell_a_note_in_reading_order(tmp_path):
    path = tmp_path / "grid.png"
    specgrams = np.stack([blank() for _ in range(5)])
    for number in range(5):
        specgrams[number, :, 4 * number, 0] = 0.0
    pictures.rainbowgram_grid(path, specgrams, list("abcde"), columns=3)
    image = brightness(read_png(path))
    cell = pictures.GRID_CELL
    width = pictures.GRID_GAP + cell
    height = pictures.GRID_TITLE + cell
    assert image.shape == (2 * height + pictures.GRID_GAP, 3 * width + pictures.GRID_GAP)
    for number in range(5):
        row, column = divmod(number, 3)
        top = row * height + pictures.GRID_TITLE
        left = column * width + pictures.GRID_GAP
        lit = image[top : top + cell, left + 5].nonzero()[0]
        scale = cell // FREQ
        assert set(lit // scale) == {FREQ - 1 - 4 * number}
    empty = image[height + pictures.GRID_TITLE :, 2 * width + pictures.GRID_GAP :]
    assert (empty == 3 * 255).all()


@pytest.mark.parametrize(
    ("shape", "changes", "message"),
    [
        ((0, 4, 8, 2), {}, "at least one note"),
        ((4, 8, 2), {}, "specgrams must have shape"),
        ((2, 4, 8, 2), {"titles": ["a"]}, "titles must be 2, one per note, not 1"),
        ((2, 4, 8, 2), {"columns": 0}, "columns must be at least 1"),
    ],
)
def test_bad_grids_are_refused_and_leave_no_file(tmp_path, shape, changes, message):
    with pytest.raises(ValueError, match=message):
        pictures.rainbowgram_grid(tmp_path / "grid.png", np.zeros(shape), **changes)
    assert not list(tmp_path.iterdir())


def test_written_pixels_are_read_back(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (7, 5, 3), np.uint8)
    pictures.write_png(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), image)
    pictures.write_png(tmp_path / "b.png", image[..., 0])
    np.testing.assert_array_equal(read_png(tmp_path / "b.png")[..., 2], image[..., 0])


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8)])
def test_what_is_no_picture_is_refused(tmp_path, image):
    with pytest.raises(ValueError, match="image must be uint8"):
        pictures.write_png(tmp_path / "a.png", image)
    assert not list(tmp_path.iterdir())


def test_failing_writer_keeps_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    pictures.write_png(path, np.zeros((2, 2, 3), np.uint8))
    before = path.read_bytes()

    def fail_half_way(temporary, *_, **__):
        temporary.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pictures.matplotlib.image, "imsave", fail_half_way)
    with pytest.raises(OSError, match="disk full"):
        pictures.write_png(path, np.ones((2, 2, 3), np.uint8))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --- Curves ---


def log_rows(count=200):
    rng = np.random.default_rng(3)
    return [
        {
            "images": 8 * i,
            "stage": i // 50,
            "seconds": 0.1 * i,
            "images_per_second": 500.0 / 2 ** (i // 50),
            "wasserstein_g": rng.normal(),
            "wasserstein_d": -5.0 + rng.normal(),
            "gradient_penalty": rng.uniform(),
            "real_score_penalty": rng.uniform(),
            "fake_ac_loss": math.exp(-i / 50) * rng.uniform(0.5, 1.5),
            "real_ac_loss": math.exp(-i / 20) * rng.uniform(0.5, 1.5),
        }
        for i in range(count)
    ]


def colored(path):
    """Number of strongly coloured pixels: those of the curves, the axes being grey."""
    image = read_png(path).astype(int)
    return int((np.ptp(image, axis=-1) > 100).sum())


def test_curves_are_drawn(tmp_path):
    rows = log_rows()
    pictures.loss_curves(tmp_path / "all.png", rows)
    pictures.loss_curves(tmp_path / "none.png", [])
    for row in rows:
        del row["wasserstein_g"], row["fake_ac_loss"]
    pictures.loss_curves(tmp_path / "fewer.png", rows)
    counts = [colored(tmp_path / f"{name}.png") for name in ("none", "fewer", "all")]
    assert counts[0] == 0 < counts[1] < counts[2]


def test_stage_changes_are_marked():
    rows = log_rows()
    assert pictures._stage_changes(rows) == [(400.0, "1"), (800.0, "2"), (1200.0, "3")]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "rows",
    [
        [],
        log_rows(1),
        log_rows(3),
        [{"images": 8}],
        [{"stage": 1, "wasserstein_d": 1.0}],
        [{"images": 8, "wasserstein_d": math.nan, "real_ac_loss": None, "stage": None}],
        [{"images": 8 * i, "real_ac_loss": v} for i, v in enumerate([0.0, -1.0, math.inf, 2.0])],
        [*log_rows(20), *log_rows(30)],
    ],
    ids=["none", "one", "three", "no terms", "no images", "nan", "not positive", "resumed"],
)
def test_curves_of_odd_logs(tmp_path, rows):
    pictures.loss_curves(tmp_path / "curves.png", rows)
    assert read_png(tmp_path / "curves.png").shape[1] == 1100
    assert len(list(tmp_path.iterdir())) == 1


def test_running_mean_leaves_gaps_out():
    values = np.array([1.0, np.nan, 3.0, 5.0, np.nan, np.nan, np.nan])
    mean = pictures.running_mean(values, 3)
    np.testing.assert_allclose(mean, [1.0, 2.0, 4.0, 4.0, 5.0, np.nan, np.nan])
