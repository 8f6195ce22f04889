"""SFZ instruments, heard as a sampler plays them: every key at its pitch, and as long as held."""

import numpy as np
import pysfizz
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sines import Sines

from gansynth_tf import files, sfz
from gansynth_tf.evaluation.pitch_tracking import track_pitch
from gansynth_tf.wavfiles import read_wav

RATE = Sines.sample_rate


@given(pitches=st.sets(st.integers(0, 127), min_size=1), step=st.integers(1, sfz.MAX_STEP))
def test_every_key_has_one_sample_near_by(pitches, step):
    found = sfz.regions(pitches, step)
    keys = [key for region in found for key in range(region.low, region.high + 1)]
    assert keys == list(range(min(pitches), max(pitches) + 1))
    assert {region.center for region in found} <= pitches
    widest = max(np.diff(sorted(pitches)), default=0) + step
    for region in found:
        assert region.low <= region.center <= region.high
        assert max(region.center - region.low, region.high - region.center) <= widest
    if widest - step <= 1:  # no pitch is missing
        assert max(abs(key - r.center) for r in found for key in (r.low, r.high)) <= step // 2


def test_a_step_of_1_has_a_sample_a_pitch():
    assert sfz.regions([61, 60], 1) == [(60, 60, 60), (61, 61, 61)]
    with pytest.raises(ValueError, match="sfz_step must be from 1 to 24, not 0"):
        sfz.regions([60], 0)


def rendered(path, pitch, velocity=127, held=1.0, seconds=2.0) -> np.ndarray:
    """What sfizz plays [samples]."""
    synth = pysfizz.Synth(sample_rate=48_000, block_size=256)
    assert synth.load_sfz_file(path)
    left, right = synth.render_note(pitch, velocity, held, seconds)
    np.testing.assert_array_equal(left, right)
    return left


def peak(wave, start, end):
    return np.abs(wave[int(start * 48_000) : int(end * 48_000)]).max()


def test_a_sampler_plays_every_key_at_its_pitch(tmp_path):
    path = sfz.write_sfz(Sines(range(36, 85)), np.ones(3), tmp_path, "my bell", step=6)
    assert path == tmp_path / "my bell.sfz"
    assert len(list(tmp_path.glob("*.wav"))) == 8
    for pitch in (36, 41, 45, 60, 63, 84):
        heard = track_pitch(rendered(path, pitch), 48_000, pitch - 13, pitch + 13)
        assert heard == pytest.approx(pitch, abs=0.1)
    synth = pysfizz.Synth()
    synth.load_sfz_file(path)
    assert synth.playable_keys == list(range(36, 85))


def test_a_held_note_goes_on_and_ends_when_let_go(tmp_path):
    path = sfz.write_sfz(Sines([60]), np.ones(3), tmp_path, "a")
    wave = rendered(path, 60, held=10.0, seconds=12.0)
    level = peak(wave, 0, 1)
    for second in range(10):
        assert peak(wave, second, second + 1) == pytest.approx(level, rel=0.03)
    assert peak(wave, 10.5, 12) < 0.01 * level
    assert track_pitch(wave[6 * 48_000 : 10 * 48_000], 48_000, 47, 73) == pytest.approx(60, abs=0.1)
    for velocity in (1, 32, 64):
        softer = rendered(path, 60, velocity)
        assert peak(softer, 0, 1) / level == pytest.approx(velocity / 127, rel=0.05)


class Plucked(Sines):
    """Sounds that die away."""

    def synthesize(self, latents, pitches):
        time = np.arange(self.audio_length) / self.sample_rate
        return super().synthesize(latents, pitches) * np.exp(-time / self.seconds)


@pytest.mark.parametrize(("seconds", "is_looped"), [(0.5, False), (10.0, True)])
def test_a_sound_that_dies_away_is_not_looped(tmp_path, seconds, is_looped):
    plucked = Plucked([60])
    plucked.seconds = seconds
    path = sfz.write_sfz(plucked, np.ones(3), tmp_path, "a")
    wave = rendered(path, 60, held=8.0, seconds=8.0)
    assert (peak(wave, 6, 7) > 0.1 * peak(wave, 0, 1)) == is_looped
    assert ("loop_start" in path.read_text()) == is_looped
    if is_looped:  # without a step where it is repeated
        levels = [peak(wave, t, t + 0.1) for t in np.arange(2.0, 8.0, 0.1)]
        assert max(levels) < 1.05 * min(levels)


def test_an_earlier_instrument_is_replaced_and_nothing_else(tmp_path):
    for name in ("a", "ab"):
        sfz.write_sfz(Sines(range(60, 64)), np.ones(3), tmp_path, name)
    (tmp_path / "a_p9.wav").write_text("mine")
    sfz.write_sfz(Sines(range(62, 66)), np.ones(3), tmp_path, "a")
    names = {path.name for path in tmp_path.iterdir()}
    ours = {"a.sfz", *(f"a_p0{n}.wav" for n in range(62, 66))}
    theirs = {"ab.sfz", *(f"ab_p0{n}.wav" for n in range(60, 64))}
    assert names == ours | theirs | {"a_p9.wav"}
    wave, rate = read_wav(tmp_path / "a_p062.wav")
    assert rate == RATE
    assert np.abs(wave).max() == pytest.approx(10 ** (-1 / 20), abs=0.01)


def test_what_fails_leaves_the_earlier_instrument(tmp_path, monkeypatch):
    sfz.write_sfz(Sines([60]), np.ones(3), tmp_path, "a")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(sfz, "write_atomically", fail)
    with pytest.raises(OSError, match="disk full"):
        sfz.write_sfz(Sines([61]), np.ones(3), tmp_path, "a")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert files.size_of(tmp_path) == sum(map(len, before.values()))
