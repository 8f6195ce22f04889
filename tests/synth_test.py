"""The embedded synthesiser: schema, determinism, levels, tuning, timbre, and its two engines."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf.data import schema, synth, voices

ROOT = Path(__file__).parents[1]
SHORT = synth.SynthConfig(sample_rate=8000, audio_length=8192, min_pitch=48, max_pitch=72)
TINY = synth.SynthConfig(
    sample_rate=8000,
    audio_length=2048,
    min_pitch=60,
    max_pitch=61,
    instruments_per_family=2,
    velocities=(25, 127),
)


def heard_pitch_error(note, config, low, high):
    """Cents off the nominal pitch, median over sounding frames of librosa.yin."""
    heard = librosa.yin(
        note.audio,
        fmin=librosa.midi_to_hz(low - 2),
        fmax=librosa.midi_to_hz(high + 2),
        sr=config.sample_rate,
    )
    level = librosa.feature.rms(y=note.audio)[0]
    sounding = heard[level > 0.05 * level.max()]
    return float(np.median(1200 * np.log2(sounding / librosa.midi_to_hz(note.pitch))))


# ---------------------------------------------------------------------------------------------
# Schema and order
# ---------------------------------------------------------------------------------------------


def test_note_has_the_nsynth_features():
    note = synth.render_note(SHORT, "guitar", 3, 60, 100)
    assert note.id == "guitar_synthetic_003-060-100"
    assert note.instrument_label == "guitar_synthetic_003"
    assert (note.instrument_family, note.instrument_source) == ("guitar", "synthetic")
    assert (note.pitch, note.velocity) == (60, 100)
    assert note.audio.shape == (8192,)
    assert note.audio.dtype == np.float32
    assert tuple(note.qualities) == schema.QUALITIES
    assert all(isinstance(value, bool) for value in note.qualities.values())


def test_labels_are_those_of_nsynth():
    assert len(schema.FAMILIES) == 11
    assert len(schema.QUALITIES) == 10
    assert schema.FAMILIES.index("mallet") == 5
    assert schema.FAMILIES.index("vocal") == 10
    assert schema.SOURCES.index("synthetic") == 2


def test_order_is_family_instrument_pitch_velocity():
    assert TINY.num_notes == 11 * 2 * 2 * 2
    keys = [
        (note.instrument_label, note.pitch, note.velocity) for note in synth.iterate_notes(TINY)
    ]
    expected = [
        (f"{family}_synthetic_{instrument:03d}", pitch, velocity)
        for family, instrument, pitch, velocity in itertools.product(
            schema.FAMILIES, (0, 1), (60, 61), (25, 127)
        )
    ]
    assert keys == expected
    last = synth.note_at(TINY, TINY.num_notes - 1)
    assert (last.instrument_label, last.pitch, last.velocity) == keys[-1]


def test_importing_loads_no_tensorflow():
    code = "import sys; import gansynth_tf.data.synth; print('tensorflow' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


# ---------------------------------------------------------------------------------------------
# Determinism
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", schema.FAMILIES)
def test_a_note_is_a_function_of_its_key(family):
    first = synth.render_note(SHORT, family, 1, 55, 75)
    synth.render_note(SHORT, family, 0, 71, 25)
    again = synth.render_note(SHORT, family, 1, 55, 75)
    # The set around a note must not matter either.
    other_set = dataclasses.replace(
        SHORT, min_pitch=50, max_pitch=60, families=(family,), velocities=(75,)
    )
    elsewhere = synth.render_note(other_set, family, 1, 55, 75)
    np.testing.assert_array_equal(first.audio, again.audio)
    np.testing.assert_array_equal(first.audio, elsewhere.audio)
    other_seed = synth.render_note(dataclasses.replace(SHORT, seed=1), family, 1, 55, 75)
    assert not np.array_equal(first.audio, other_seed.audio)


@pytest.mark.parametrize("processes", [1, 3])
def test_arrays_hold_the_notes_whatever_the_processes(processes):
    seen = []
    arrays = synth.render_arrays(
        TINY, processes=processes, progress=lambda done, total: seen.append((done, total))
    )
    for row, note in enumerate(synth.iterate_notes(TINY)):
        np.testing.assert_array_equal(arrays.audio[row], note.audio)
        assert arrays.id[row] == note.id
        assert (arrays.pitch[row], arrays.velocity[row]) == (note.pitch, note.velocity)
        assert schema.FAMILIES[arrays.family[row]] == note.instrument_family
        assert schema.SOURCES[arrays.source[row]] == note.instrument_source
        assert f"_{arrays.instrument[row]:03d}" == note.instrument_label[-4:]
        assert arrays.qualities[row].tolist() == list(note.qualities.values())
    assert seen == [(count, TINY.num_notes) for count in range(1, TINY.num_notes + 1)]
    assert arrays.audio.dtype == np.float32
    assert arrays.qualities.shape == (TINY.num_notes, 10)
    for column in ("pitch", "velocity", "family", "instrument", "source"):
        assert getattr(arrays, column).dtype == np.int32


def test_arrays_survive_failing_workers(monkeypatch):
    config = dataclasses.replace(TINY, families=("organ",))
    expected = synth.render_arrays(config, processes=1)

    def refuse():
        raise OSError("no more processes")

    monkeypatch.setattr(synth, "_new_worker", refuse)
    with pytest.warns(RuntimeWarning, match="no more processes"):
        arrays = synth.render_arrays(config, processes=2)
    np.testing.assert_array_equal(arrays.audio, expected.audio)


def test_workers_do_not_run_the_callers_script_again(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from gansynth_tf.data import synth\n"
        "config = synth.SynthConfig(8000, 1024, 60, 61, families=('flute',))\n"
        "print(len(synth.render_arrays(config, processes=2).id))\n"
    )
    result = subprocess.run(
        [sys.executable, script],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "40\n"
    assert result.stderr == ""


@pytest.mark.parametrize("processes", [1, 2])
def test_what_progress_raises_ends_the_rendering(processes):
    calls = []

    def progress(done, total):
        calls.append(done)
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        synth.render_arrays(TINY, processes=processes, progress=progress)
    assert len(calls) <= 2 * processes


INTERRUPTED = """
import signal, sys
from gansynth_tf.data import synth
signal.signal(signal.SIGINT, {handler})
told = []
def progress(done, total):
    if not told:
        print("rendering", flush=True)
    told.append(done)
config = synth.SynthConfig(8000, 4096, 40, 90, instruments_per_family=40)
arrays = synth.render_arrays(config, processes=2, progress=progress)
print(len(told))
"""


@pytest.mark.parametrize(
    ("handler", "code", "tracebacks"),
    [
        ("signal.default_int_handler", -signal.SIGINT, 1),
        ("lambda *_: sys.exit(7)", 7, 0),
    ],
)
def test_ctrl_c_ends_workers_without_a_word_of_theirs(handler, code, tracebacks):
    """A terminal sends SIGINT to the whole group of processes."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(handler=handler)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "rendering\n"
    os.killpg(process.pid, signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert rest == ""
    assert errors.count("Traceback") == tracebacks
    assert "worker failed" not in errors


# ---------------------------------------------------------------------------------------------
# Levels and arguments
# ---------------------------------------------------------------------------------------------


def assert_clean(audio, length):
    assert audio.shape == (length,)
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()
    peak = np.abs(audio).max()
    assert 0.15 < peak <= 0.95
    assert abs(audio.mean(dtype=np.float64)) < 1e-3 * peak
    assert audio[-1] == 0


@pytest.mark.parametrize("family", schema.FAMILIES)
def test_no_clipping_no_dc_silent_tail(family):
    for instrument, pitch, velocity in itertools.product(range(4), (48, 60, 72), (25, 127)):
        audio = synth.render_note(SHORT, family, instrument, pitch, velocity).audio
        assert_clean(audio, 8192)
        assert np.abs(audio[-8:]).max() < 0.01 * np.abs(audio).max()


@st.composite
def configs(draw):
    sample_rate = draw(st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000]))
    limit = 12 * np.log2(0.95 * sample_rate / 2 / 440) + 69
    low = draw(st.integers(0, min(127, int(limit))))
    high = draw(st.integers(low, min(127, int(limit))))
    return synth.SynthConfig(
        sample_rate=sample_rate,
        audio_length=draw(st.integers(voices.MIN_LENGTH, 20000)),
        min_pitch=low,
        max_pitch=high,
        instruments_per_family=draw(st.integers(1, 6)),
        velocities=tuple(draw(st.sets(st.integers(1, 127), min_size=1, max_size=3))),
        families=tuple(draw(st.sets(st.sampled_from(schema.FAMILIES), min_size=1))),
        seed=draw(st.integers(0, 2**40)),
    )


@settings(max_examples=150, deadline=None)
@given(config=configs(), where=st.floats(0, 1))
def test_any_config_gives_clean_audio(config, where):
    note = synth.note_at(config, int(where * (config.num_notes - 1)))
    assert_clean(note.audio, config.audio_length)
    assert config.min_pitch <= note.pitch <= config.max_pitch


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("sample_rate", 4000),
        ("sample_rate", 16000.0),
        ("audio_length", 10),
        ("min_pitch", -1),
        ("max_pitch", 128),
        ("max_pitch", 20),
        ("instruments_per_family", 0),
        ("velocities", ()),
        ("velocities", (0,)),
        ("velocities", (50, 50)),
        ("families", ("theremin",)),
        ("families", ()),
        ("seed", -1),
    ],
)
def test_errors_name_the_argument(argument, value):
    with pytest.raises(ValueError, match=rf"{argument}.*expected") as error:
        synth.SynthConfig(**{argument: value})
    shown = value[0] if value in (("theremin",), (0,)) else value
    assert repr(shown) in str(error.value)


def test_pitches_beyond_nyquist_are_refused():
    with pytest.raises(ValueError, match=r"max_pitch is 107 .*3800 Hz"):
        synth.SynthConfig(sample_rate=8000, max_pitch=107)
    assert synth.SynthConfig(sample_rate=8000, max_pitch=106).max_pitch == 106


def test_notes_outside_of_the_config_are_refused():
    for argument, key in {
        "family": ("kazoo", 0, 60, 75),
        "instrument": ("organ", 4, 60, 75),
        "pitch": ("organ", 0, 47, 75),
        "velocity": ("organ", 0, 60, 128),
    }.items():
        with pytest.raises(ValueError, match=f"^{argument} is .*expected"):
            synth.render_note(SHORT, *key)
    with pytest.raises(ValueError, match="index is"):
        synth.note_at(SHORT, SHORT.num_notes)
    with pytest.raises(ValueError, match="processes is -1"):
        synth.render_arrays(TINY, processes=-1)


# ---------------------------------------------------------------------------------------------
# What is heard
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", schema.FAMILIES)
def test_pitch_is_heard_in_short_notes(family):
    for instrument, pitch in itertools.product(range(4), (48, 53, 60, 66, 72)):
        note = synth.render_note(SHORT, family, instrument, pitch, (25, 127)[instrument % 2])
        assert abs(heard_pitch_error(note, SHORT, 48, 72)) < 30, note.id


@pytest.mark.parametrize("family", schema.FAMILIES)
def test_pitch_is_heard_in_long_notes(family):
    config = synth.SynthConfig()
    for instrument, pitch in enumerate((36, 50, 65, 84)):
        note = synth.render_note(config, family, instrument, pitch, 100)
        assert abs(heard_pitch_error(note, config, 36, 84)) < 30, note.id


@pytest.mark.slow
@pytest.mark.parametrize("family", schema.FAMILIES)
def test_pitch_is_heard_in_every_note_of_the_default_set(family):
    config = synth.SynthConfig()
    for instrument, pitch in itertools.product(range(4), range(24, 85)):
        note = synth.render_note(config, family, instrument, pitch, (50, 100)[pitch % 2])
        assert abs(heard_pitch_error(note, config, 24, 84)) < 50, note.id


def log_mel(audio):
    mel = librosa.feature.melspectrogram(
        y=audio / np.sqrt(np.mean(audio**2)), sr=8000, n_fft=1024, n_mels=64
    )
    return np.log(mel + 1e-3)


def test_families_differ_more_than_their_instruments():
    sounds = np.array(
        [
            [log_mel(synth.render_note(SHORT, family, i, 60, 75).audio) for i in range(4)]
            for family in schema.FAMILIES
        ]
    )  # [families, instruments, mels, frames]
    flat = sounds.reshape(44, -1)
    distance = np.abs(flat[:, None] - flat[None]).mean(axis=-1)  # [44, 44]
    family = np.arange(44) // 4
    same = family[:, None] == family[None]
    within = distance[same & ~np.eye(44, dtype=bool)].mean()
    between = distance[~same].mean()
    assert within > 0.05  # instruments are not copies of one another
    assert between > 1.3 * within


@pytest.mark.parametrize("family", schema.FAMILIES)
def test_velocity_raises_the_level(family):
    levels = [
        np.sqrt(np.mean(synth.render_note(SHORT, family, 0, 60, velocity).audio ** 2))
        for velocity in (25, 75, 127)
    ]
    assert levels[0] < 0.8 * levels[1]
    assert levels[1] < 0.9 * levels[2]


def test_velocity_brightens_struck_and_blown_notes():
    for family in ("guitar", "brass", "reed", "vocal", "mallet"):
        soft, loud = (
            log_mel(synth.render_note(SHORT, family, 0, 48, velocity).audio)[40:].mean()
            for velocity in (25, 127)
        )
        assert loud > soft, family


def test_qualities_follow_the_sound():
    config = synth.SynthConfig(audio_length=32000)
    xylophone = synth.render_note(config, "mallet", 1, 72, 100).qualities
    assert xylophone["fast_decay"]
    assert xylophone["percussive"]
    assert xylophone["dark"]
    organ = synth.render_note(config, "organ", 0, 60, 100).qualities
    assert not (organ["fast_decay"])
    assert not (organ["long_release"])
    assert not (organ["percussive"])
    assert synth.render_note(config, "guitar", 2, 60, 100).qualities["distortion"]
    assert synth.render_note(config, "brass", 0, 36, 127).qualities["bright"]


# ---------------------------------------------------------------------------------------------
# Engines
# ---------------------------------------------------------------------------------------------


def test_damped_partials_are_the_sum_they_claim_to_be():
    tone = voices.Tone(frequency=100.0, velocity=100, sample_rate=16000, length=5001)
    frequencies = np.array([100.0, 234.5, 7000.0, 7700.0])
    amplitudes, decays = np.array([1.0, 0.5, 0.2, 9.0]), np.array([0.2, 0.1, 0.05, 1.0])
    phases = np.array([0.0, 1.0, 2.0, 3.0])
    t = np.arange(5001)[:, None] / 16000
    waves = amplitudes * np.exp(-t / decays) * np.sin(2 * np.pi * frequencies * t + phases)
    heard = voices.damped_partials(tone, frequencies, amplitudes, decays, phases)
    # The last partial lies above 0.95 of Nyquist and must be missing.
    np.testing.assert_allclose(heard, waves[:, :3].sum(axis=1), atol=2e-5)


def test_periods_are_read_at_the_tones_pitch():
    tone = voices.Tone(frequency=441.3, velocity=100, sample_rate=16000, length=20000)
    spectra = np.array([[1.0, 0.0, 0.0], [1.0, 0.5, 0.2]])
    phases = np.array([0.3, 1.0, -2.0])
    deviation = 0.02 * np.sin(2 * np.pi * 5 * tone.times) - 0.01
    blend = np.linspace(0, 1, len(tone.times))
    heard = voices.read_periods(tone, voices.single_periods(spectra, phases), deviation, blend)
    at = np.arange(20000) / 16000
    turns = 441.3 * at + np.interp(at, tone.times, deviation)
    amplitudes = spectra[0] + np.interp(at, tone.times, blend)[:, None] * (spectra[1] - spectra[0])
    waves = amplitudes * np.cos(2 * np.pi * np.arange(1, 4) * turns[:, None] + phases)
    np.testing.assert_allclose(heard, waves.sum(axis=1), atol=3e-4)


def test_string_decays_are_those_of_a_karplus_strong_loop():
    period, sustain, damping = 100, 1.5, 0.3
    rate = voices.STRING_RATE
    gain = np.exp(-period / (sustain * rate))
    # The loop itself, sample by sample, started with one harmonic in the string.
    for harmonic in (1, 5, 12):
        y = np.zeros(20 * period + 2)
        y[: period + 2] = np.sin(2 * np.pi * harmonic * np.arange(period + 2) / period)
        for n in range(period + 2, len(y)):
            middle, sides = y[n - period], y[n - period - 1] + y[n - period + 1]
            y[n] = gain * ((1 - damping) * middle + damping / 2 * sides)
        energy = (y[-16 * period :].reshape(16, period) ** 2).sum(axis=1)
        measured = -2 * 15 * period / rate / np.log(energy[-1] / energy[0])
        fundamental = rate / period
        expected = voices.string_decays(
            np.array([harmonic * fundamental]), fundamental, sustain, damping
        )
        np.testing.assert_allclose(measured, expected[0], rtol=0.02)


@pytest.mark.parametrize("ratio", [1, 2])
def test_fm_neither_aliases_nor_adds_dc(ratio):
    rate, length = 16000, 16000
    for frequency in (200.0, 1000.0, 3000.0):
        tone = voices.Tone(frequency=frequency, velocity=127, sample_rate=rate, length=length)
        still = np.zeros_like(tone.times)
        audio = voices.modulated(tone, ratio, still + 1.6, still)
        power = np.abs(np.fft.rfft(audio)) ** 2  # 1 Hz per bin: harmonics fall on bins
        # Sidebands that fold at Nyquist come back on multiples of the fundamental too, so it is
        # the last tenth of the band that must stay empty.
        assert power[0] < 1e-6 * power.sum()
        assert power[int(0.95 * rate / 2) :].sum() < 1e-3 * power.sum()
