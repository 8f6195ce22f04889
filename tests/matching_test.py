"""From a recording to a timbre: the distance's algebra, and timbres of the model's own notes."""

import json

import numpy as np
import pytest
from experiments import small_experiment
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf import export, loading, matching, timbres, wavfiles
from gansynth_tf.cli import generate
from gansynth_tf.matching import Search
from gansynth_tf.training import Trainer


def noise(seed, count=2, length=900):
    return np.random.default_rng(seed).standard_normal((count, length)).astype(np.float32)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100.0))
def test_distances_are_those_of_a_metric_blind_to_loudness(seed, gain):
    first, second, third = noise(seed), noise(seed + 1), noise(seed + 2)
    there = matching.spectral_distance(first, second).numpy()
    assert there.shape == (2,)
    assert (there > 0.01).all()
    np.testing.assert_allclose(matching.spectral_distance(second, first), there, rtol=1e-5)
    np.testing.assert_allclose(matching.spectral_distance(gain * first, first), 0.0, atol=1e-4)
    around = matching.spectral_distance(first, third) + matching.spectral_distance(third, second)
    assert (there <= around.numpy() + 1e-5).all()


def test_phases_do_not_count_and_pitches_do():
    time = np.arange(8000) / 8000
    sine, cosine, other = (
        np.sin(2 * np.pi * hertz * time + phase).astype(np.float32)[np.newaxis]
        for hertz, phase in ((440, 0.0), (440, 1.5), (523, 0.0))
    )
    near = matching.spectral_distance(sine, cosine).numpy()
    assert near < 0.1 * matching.spectral_distance(sine, other).numpy()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    Trainer(small_experiment(total_num_images=24), folder, lambda _: None).run()
    return loading.load(folder)


SEARCH = Search(drawn=8, starts=2, steps=150)


def test_the_timbre_of_an_own_note_is_found(run):
    (wave,) = run.synthesize(run.latents(99, 1), [61])
    steps = []
    found = matching.match(run, 0.3 * wave, 61, SEARCH, lambda *step: steps.append(step))
    assert found.distance < 0.1 * np.median(found.drawn_distances)
    assert found.drawn_distances.shape == (8,)
    assert (np.diff(found.drawn_distances) >= 0).all()
    (note,) = run.synthesize(found.latent[np.newaxis], [61])
    distance = matching.spectral_distance(note[np.newaxis], wave[np.newaxis]).numpy()
    np.testing.assert_allclose(distance, found.distance, rtol=1e-2, atol=1e-3)
    assert [step[:2] for step in steps] == [(n, 150) for n in range(1, 151)]
    assert (np.diff([step[2] for step in steps]) <= 0).all()


def test_it_is_searched_through_an_export_too(run, tmp_path):
    saved = loading.load(export.export_saved_model(run, tmp_path))
    (wave,) = run.synthesize(run.latents(99, 1), [61])
    found = matching.match(saved, wave, 61, Search(drawn=4, starts=1, steps=40))
    assert found.distance < 0.9 * found.drawn_distances[0]


def test_the_command_finds_a_recordings_timbre_and_plays_it(run, tmp_path, capsys):
    waves = run.synthesize(run.latents(99, 1), [61])
    quiet = np.zeros((1, 500), np.float32)
    wavfiles.write_wavs(
        tmp_path, ["take.wav"], np.concatenate([quiet, waves, quiet], axis=1), run.sample_rate
    )
    flags = [f"--model={run.path}", f"--output_dir={tmp_path / 'out'}", "--match_steps=40"]
    flags += [f"--match={tmp_path / 'take.wav'}", "--match_starts=1"]
    kept = tmp_path / "mine.npz"
    found = ["--match_pitch=61", "--pitches=60,62", f"--save_timbres={kept}"]
    assert generate.main([*flags, *found]) == 0
    assert "Distance" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / matching.REPORT).read_text())
    assert report["distance"] < report["drawn_distances"][0]
    np.testing.assert_allclose(timbres.read(kept).latents, [report["latent"]], rtol=1e-6)
    names = sorted(path.name for path in (tmp_path / "out").glob("*.wav"))
    assert names == ["note_0000_p060.wav", "note_0001_p062.wav"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--match_pitch=60"], "--match={file}: it is silent."),
        ([], "no clear pitch is heard in it"),
        (["--match_pitch=20"], "--match_pitch: "),
        (["--match_pitch=60", "--pitches=20"], "--pitches: "),
        (["--match_pitch=60", "--count=3"], "--count and --match exclude each other"),
        (["--match_pitch=60", "--timbres=x.npz"], "--timbres and --match exclude each other"),
    ],
)
def test_the_command_refuses_with_a_sentence(run, tmp_path, capsys, flags, message):
    file = tmp_path / "silence.wav"
    wavfiles.write_wavs(tmp_path, [file.name], np.zeros((1, 900), np.float32), run.sample_rate)
    given = [f"--model={run.path}", f"--output_dir={tmp_path / 'out'}", f"--match={file}"]
    assert generate.main([*given, *flags]) == 2
    assert message.format(file=file) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wave", "pitch", "message"),
    [
        (np.zeros(900), 60, "silent"),
        (np.full(900, np.nan), 60, "finite"),
        (np.ones((2, 900)), 60, "samples"),
        (np.ones(900), 20, "20"),
    ],
)
def test_what_cannot_be_matched_is_refused(run, wave, pitch, message):
    with pytest.raises(ValueError, match=message):
        matching.match(run, wave, pitch, SEARCH)


def test_a_search_has_no_more_starts_than_latents():
    with pytest.raises(ValueError, match="starts must be from 1 to drawn=2"):
        Search(drawn=2, starts=3)
