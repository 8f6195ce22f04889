"""Notes rendered from SoundFonts: pitch, level, ends, and the same bits however many render."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tiny_soundfont import (
    PERIOD,
    SAMPLE_RATE,
    Preset,
    debian_soundfont,
    need_fluidsynth,
    write_soundfont,
)

from gansynth_tf.data import fluidsynth, soundfont, soundfont_map, workers
from gansynth_tf.data.schema import Note
from gansynth_tf.data.soundfont import Dropped, render_notes
from gansynth_tf.data.soundfont_choice import Instrument, SoundfontConfig, choose
from gansynth_tf.data.soundfont_file import read_info
from gansynth_tf.evaluation import pitch_tracking

pytestmark = pytest.mark.latest

SHORT = SoundfontConfig(length=0.5, hold_time=0.3, velocities=(40, 120))
TUNING = 1200 * np.log2(SAMPLE_RATE / PERIOD / 440)  # cents


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    need_fluidsynth()
    folder = tmp_path_factory.mktemp("soundfont")
    return write_soundfont(folder / "tiny.sf2", Preset(0, 40, 80), Preset(1), Preset(2), Preset(3))


def instrument(program=0, keys=(60, 72), velocities=(40, 120)):
    return Instrument(program, "reed", "synthetic", keys, velocities)


def render(path, instruments, config=SHORT, processes=1):
    return list(render_notes(path, instruments, config, processes))


def test_notes_in_order(tiny):
    notes = render(tiny, [instrument(2), instrument(0)])
    assert [note.id for note in notes] == [
        f"reed_synthetic_{program}-{key}-{velocity}"
        for program in ("002", "000")
        for key in ("060", "072")
        for velocity in ("040", "120")
    ]
    note = notes[1]
    assert (note.pitch, note.velocity) == (60, 120)
    assert (note.instrument_family, note.instrument_source) == ("reed", "synthetic")
    assert note.instrument_label == "reed_synthetic_002"
    assert note.audio.dtype == np.float32
    assert note.audio.shape == (8_000,)


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("length", [0.1, 0.4567])
def test_any_rate_and_length(tiny, sample_rate, length):
    config = SoundfontConfig(sample_rate=sample_rate, length=length, hold_time=length)
    (note,) = render(tiny, [instrument(keys=(69,), velocities=(100,))], config)
    assert note.audio.shape == (round(length * sample_rate),)
    assert note.audio[-1] == 0.0
    assert np.abs(note.audio[-round(0.02 * sample_rate) :]).max() > 0.5  # up to the fade
    heard = pitch_tracking.track_pitch(note.audio, sample_rate, 50, 80)
    assert pitch_tracking.cents_off(heard, 69) == pytest.approx(TUNING, abs=5)


def test_one_gain_for_an_instrument(tiny):
    notes = render(tiny, [instrument()])
    peaks = [np.abs(note.audio).max() for note in notes]
    assert 20 * np.log10(max(peaks)) == pytest.approx(soundfont.PEAK_DBFS, abs=1e-4)
    with fluidsynth.Synth(tiny, soundfont.RENDER_RATE) as synth:
        raw = [np.abs(soundfont.render_wave(synth, SHORT, 0, *n)).max() for n in instrument().notes]
    np.testing.assert_allclose(np.divide(peaks, raw), max(peaks) / max(raw), rtol=1e-5)


def test_nothing_else_changes_a_note(tiny):
    """A soft note of a part of the instrument differs by its gain only."""
    whole, part = render(tiny, [instrument()])[2], render(tiny, [instrument(keys=(72,))])[0]
    assert whole.id == part.id
    scale = np.abs(part.audio).max() / np.abs(whole.audio).max()
    np.testing.assert_allclose(part.audio, scale * whole.audio, atol=1e-6)


def test_the_same_bits_however_many_processes(tiny):
    instruments = [instrument(program) for program in (0, 1, 2, 3)]
    alone = render(tiny, instruments)
    for processes in (2, 3):
        shared = render(tiny, instruments, processes=processes)
        assert [note.id for note in shared] == [note.id for note in alone]
        for a, b in zip(alone, shared, strict=True):
            np.testing.assert_array_equal(a.audio, b.audio)
            assert a.qualities == b.qualities


@pytest.mark.parametrize("processes", [1, 2])
def test_silent_notes_are_dropped(tiny, processes):
    instruments = [instrument(0, keys=(39, 40)), instrument(1, keys=(39,))]
    notes = render(tiny, instruments, processes=processes)
    assert notes[:2] == [
        Dropped(f"reed_synthetic_000-039-{velocity}", "silent") for velocity in ("040", "120")
    ]
    assert [type(note) for note in notes[2:]] == [Note] * 4
    notes = render(tiny, [instrument(0, keys=(39,))])  # nothing to take the level from
    assert [note.reason for note in notes] == ["silent"] * 2


class Overflowing:
    """A synthesiser whose soft notes are not finite."""

    def render(self, program, key, velocity, held, length):
        value = {40: np.nan, 41: np.inf}.get(velocity, 0.5)
        return np.full(length, value, np.float32)


def test_notes_that_are_not_finite_are_dropped():
    few = instrument(keys=(60,), velocities=(40, 41, 120))
    sounds = soundfont.render_instrument(Overflowing(), few, SHORT)
    fates = [soundfont.NOT_FINITE, soundfont.NOT_FINITE, soundfont.KEPT]
    assert sounds.fates.tolist() == fates
    assert np.abs(sounds.audio[2]).max() == pytest.approx(10 ** (-1 / 20), rel=0.1)
    notes = list(soundfont._as_notes(few, sounds.fates, sounds.qualities, sounds.audio))
    assert [type(note) for note in notes] == [Dropped, Dropped, Note]
    assert notes[0].reason == "samples that are not finite"


def test_qualities_are_those_that_are_heard():
    seconds = np.arange(64_000) / 16_000
    sine = np.sin(2 * np.pi * 261.6 * seconds).astype(np.float32)
    buzz = np.sign(sine)

    def true(wave):
        qualities = soundfont._qualities(wave.astype(np.float32), 60, 100, SoundfontConfig())
        return {name for name, value in zip(soundfont.QUALITIES, qualities, strict=True) if value}

    held = seconds < 3
    assert true(sine * held) == {"dark"}
    assert true(buzz * held) == set()
    assert true(np.diff(buzz, prepend=0) * held) == {"bright"}
    assert true(sine * np.exp(-3 * seconds)) == {"dark", "fast_decay"}
    assert true(sine * np.exp(-np.maximum(seconds - 3, 0))) == {"dark", "long_release"}


def test_a_program_that_is_not_there(tiny):
    with pytest.raises(fluidsynth.FluidSynthError, match="no program 9"):
        render(tiny, [instrument(9)])


def test_a_worker_that_dies_is_told(capfd):
    with (
        pytest.raises(workers.WorkerError, match="ended early, with exit code 1;"),
        workers.in_order("gansynth_tf.files", {}, [0, 1], processes=2) as streams,
    ):
        workers.read_into(next(streams), np.empty(1))
    assert "has no attribute 'work'" in capfd.readouterr().err


def test_memory_bounds_the_processes(tmp_path):
    font = tmp_path / "large.sf2"
    with open(font, "wb") as file:
        file.truncate(2**30)  # a hole
    few = [instrument()]
    assert soundfont._fitting_processes(font, few, SHORT) == 1
    font.write_bytes(b"")
    assert soundfont._fitting_processes(font, few, SHORT) == 2**31 // (4 * 4 * 8_000)


def test_workers_end_where_the_notes_are_left(tiny):
    with contextlib.closing(
        render_notes(tiny, [instrument(n) for n in range(4)], SHORT, 2)
    ) as notes:
        next(notes)
        assert len(children()) == 2
    assert not children()


def children():
    """Ids of processes that this one started."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{int(name)}/stat") as file:
                state, parent = file.read().rsplit(")", 1)[1].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                found.append(int(name))
    return found


def test_ctrl_c_ends_the_workers_without_a_word_of_theirs(tiny):
    code = """
import sys
from gansynth_tf.data.soundfont import render_notes
from gansynth_tf.data.soundfont_choice import Instrument, SoundfontConfig
instruments = [Instrument(n % 4, "reed", "synthetic", tuple(range(40, 80)), (100,)) for n in range(999)]
try:
    for note in render_notes(sys.argv[1], instruments, SoundfontConfig(), 2):
        print(note.id, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tiny)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers as well
    out, errors = process.communicate(timeout=60)
    assert out.splitlines()[-1] == "interrupted"
    assert errors == ""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a worker goes on")


# --- SoundFonts of Debian ---------------------------------------------------------------------


def heard_share(path, count, seed=0):
    """Share within 50 cents of notes drawn from the shipped map's acoustic instruments."""
    instruments = choose(soundfont_map.shipped_map(read_info(path)), SoundfontConfig())
    notes = [(i.program, *note) for i in instruments for note in i.notes]
    rng = np.random.default_rng(seed)
    drawn = [notes[n] for n in rng.permutation(len(notes))[:count]]
    with fluidsynth.Synth(path, soundfont.RENDER_RATE) as synth:
        waves = [soundfont.render_wave(synth, SoundfontConfig(), *note) for note in drawn]
    # At the SoundFont's own level: what is heard does not depend on it.
    pitches = [key for _, key, _ in drawn]
    return pitch_tracking.pitch_share(waves, pitches, 16_000).share


def test_timgm6mb_sounds_at_its_pitches():
    path = debian_soundfont("TimGM6mb.sf2", "timgm6mb-soundfont")
    assert heard_share(path, 40) >= 0.9


@pytest.mark.slow
def test_fluid_r3_sounds_at_its_pitches():
    path = debian_soundfont("FluidR3_GM.sf2", "fluid-soundfont-gm")
    assert heard_share(path, 400) >= 0.96


def test_no_aliasing():
    """What lies between the harmonics of a high sawtooth, beside a synthesiser that runs at 16 kHz."""
    path = debian_soundfont("TimGM6mb.sf2", "timgm6mb-soundfont")
    with fluidsynth.Synth(path, soundfont.RENDER_RATE) as synth:
        assert between_harmonics(soundfont.render_wave(synth, SoundfontConfig(), 81, 84, 127)) < -70
    with fluidsynth.Synth(path, 16_000) as synth:
        assert between_harmonics(synth.render(81, 84, 127, 48_000, 64_000)) > -45


def between_harmonics(wave):
    """The loudest partial of key 84 at 16 kHz that is no harmonic, in decibels of the loudest."""
    piece = wave[16_000:32_000]  # 1 Hz a bin
    spectrum = np.abs(np.fft.rfft(piece * np.blackman(len(piece))))
    fundamental = 1_000 + np.argmax(spectrum[1_000:1_100])
    bins = np.arange(len(spectrum))
    distance = np.abs((bins / fundamental + 0.5) % 1.0 - 0.5) * fundamental
    between = spectrum[(distance > 100) & (bins > 100)].max()
    return 20 * np.log10(between / spectrum.max())
