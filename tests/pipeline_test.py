"""The order of notes is a pure function, and batches are what it says."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf import networks
from gansynth_tf.data import pipeline
from gansynth_tf.data.notes import Notes
from gansynth_tf.data.pipeline import PipelineConfig
from gansynth_tf.networks import NetworkConfig, StageEncoder
from gansynth_tf.schedule import FilterSchedule, ResolutionSchedule, TrainingSchedule
from gansynth_tf.specgram import SpecgramCodec

pytestmark = pytest.mark.latest

NUM_NOTES, BATCH, LENGTH = 10, 4, 160
CODEC = SpecgramCodec("linear", 8, 32, audio_length=LENGTH, sample_rate=8000)
CONFIG = NetworkConfig(
    resolutions=ResolutionSchedule(2, 8, 2, "ALL", 3),
    filters=FilterSchedule(fmap_base=64, fmap_max=8),
    num_pitches=5,
    latent_vector_size=4,
)
STAGES = TrainingSchedule(num_resolutions=3, batch_size_schedule=(BATCH,)).stages()
LABELS = np.arange(NUM_NOTES, dtype=np.int32)


def some_notes(count: int = NUM_NOTES) -> Notes:
    rng = np.random.default_rng(0)
    return Notes.in_memory(
        rng.uniform(-0.5, 0.5, (count, LENGTH)).astype(np.float32), np.arange(count) + 40
    )


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def make_batches(
    cache="none",
    stage=STAGES[2],
    seed=1,
    first_image=0,
    by_frequency=False,
    specgram_on="host",
    **options,
):
    return pipeline.stage_batches(
        some_notes(),
        LABELS,
        StageEncoder(CODEC, CONFIG, stage.num_blocks, by_frequency),
        stage,
        PipelineConfig(cache, specgram_on=specgram_on),
        seed,
        first_image,
        **options,
    )


def batches(count: int, cache="none", **options):
    dataset = make_batches(cache, **options)
    return [
        {name: value.numpy() for name, value in batch.items()}
        for batch in itertools.islice(dataset, count)
    ]


def order(first: int, count: int, num_notes: int, seed: int) -> np.ndarray:
    return pipeline.note_order(tf.range(first, first + count, dtype=tf.int64), num_notes, seed)


@settings(max_examples=25, deadline=None)
@given(num_notes=st.integers(1, 60), epoch=st.integers(0, 1000), seed=st.integers(0, 2**31))
def test_every_epoch_has_every_note_once(num_notes, epoch, seed):
    chosen = order(epoch * num_notes, num_notes, num_notes, seed)
    assert sorted(chosen.numpy()) == list(range(num_notes))


def test_epochs_and_seeds_have_their_own_orders():
    orders = [
        tuple(order(50 * epoch, 50, 50, seed).numpy()) for epoch in (0, 1, 9) for seed in (0, 1)
    ]
    assert len(set(orders)) == 6
    assert tuple(range(50)) not in orders


@settings(max_examples=10, deadline=None)
@given(first=st.integers(0, 90))
def test_order_does_not_depend_on_where_it_starts(first):
    np.testing.assert_array_equal(order(first, 10, 7, 3), order(0, 100, 7, 3)[first : first + 10])


@pytest.mark.parametrize("cache", pipeline.CACHES)
def test_a_resumed_run_sees_the_same_notes(cache):
    whole = batches(8, cache)
    later = batches(5, cache, first_image=3 * BATCH)
    for ours, expected in zip(later, whole[3:], strict=True):
        np.testing.assert_array_equal(ours["labels"], expected["labels"])
        np.testing.assert_allclose(ours["specgrams"], expected["specgrams"], atol=1e-5)
    other = batches(8, cache, seed=2)
    assert any((a["labels"] != b["labels"]).any() for a, b in zip(whole, other, strict=True))


@pytest.mark.parametrize("cache", ["memory", "disk"])
@pytest.mark.parametrize("num_blocks", [1, 3])
def test_caches_agree_and_labels_are_the_notes(num_blocks, cache):
    stage = next(stage for stage in STAGES if stage.num_blocks == num_blocks)
    full = CODEC.waves_to_specgrams(some_notes().waves())
    expected = networks.stage_specgrams(CONFIG, full, num_blocks, False).numpy()
    seen = []
    for none, cached in zip(batches(5, stage=stage), batches(5, cache, stage=stage), strict=True):
        np.testing.assert_array_equal(none["labels"], cached["labels"])
        np.testing.assert_allclose(none["specgrams"], cached["specgrams"], atol=1e-5)
        np.testing.assert_allclose(none["specgrams"], expected[none["labels"]], atol=1e-5)
        seen.extend(none["labels"])
    assert sorted(seen) == sorted([*range(NUM_NOTES)] * 2)


@pytest.mark.parametrize("cache", pipeline.CACHES)
@pytest.mark.parametrize("by_frequency", [False, True])
def test_shapes_are_static(cache, by_frequency):
    dataset = make_batches(cache, by_frequency=by_frequency)
    shape = (8, 32) if by_frequency else (4, 16)
    assert dataset.element_spec == {
        "specgrams": tf.TensorSpec([BATCH, *shape, 2], tf.float32),
        "labels": tf.TensorSpec([BATCH], tf.int32),
    }
    assert batches(1, cache, by_frequency=by_frequency)[0]["specgrams"].shape == (BATCH, *shape, 2)


@pytest.mark.parametrize("count", [1, 32, 70])
def test_encode_all(count):
    notes = some_notes(count)
    waves = notes.waves()
    ours = pipeline.encode_all(notes, lambda batch: 2.0 * batch[:, ::4])
    np.testing.assert_array_equal(ours, 2.0 * waves[:, ::4])


def test_sample_notes():
    notes = some_notes()
    sample = pipeline.sample_notes(notes, 6, seed=0)
    assert len(sample) == len(set(sample.pitches)) == 6
    np.testing.assert_array_equal(sample.waves(), notes.waves()[sample.pitches - 40])
    np.testing.assert_array_equal(pipeline.sample_notes(notes, 6, 0).pitches, sample.pitches)
    assert (pipeline.sample_notes(notes, 6, 1).pitches != sample.pitches).any()
    assert len(pipeline.sample_notes(notes, 99, 0)) == NUM_NOTES


def test_on_the_device_the_same_specgrams_within_float_noise():
    encoder = tf.function(StageEncoder(CODEC, CONFIG, STAGES[2].num_blocks, False))
    for host, device in zip(batches(3), batches(3, specgram_on="device"), strict=True):
        np.testing.assert_array_equal(host["labels"], device["labels"])
        assert device["waves"].shape == (BATCH, LENGTH)
        np.testing.assert_allclose(encoder(device["waves"]), host["specgrams"], atol=1e-5)


@pytest.mark.parametrize("cache", ["none", "memory"])
@pytest.mark.parametrize("counts", [(1, 1), (2,), (1, 2, 1)])
def test_replicas_share_the_global_batch(cache, counts):
    """Whichever process makes which replicas' parts: side by side they are the global batch."""
    total, steps = sum(counts), 4
    firsts = np.cumsum([0, *counts[:-1]]).tolist()
    made = [
        batches(steps * count, cache, share=pipeline.Share(first, count, total))
        for first, count in zip(firsts, counts, strict=True)
    ]
    for step, whole in enumerate(batches(steps, cache)):
        parts = [
            part
            for batches_made, count in zip(made, counts, strict=True)
            for part in batches_made[step * count : (step + 1) * count]
        ]
        for name, expected in whole.items():
            joined = np.concatenate([part[name] for part in parts])
            np.testing.assert_allclose(joined, expected, atol=1e-5)


def test_a_batch_must_be_divisible():
    with pytest.raises(ValueError, match="4 cannot be divided among 3"):
        make_batches(share=pipeline.Share(0, 1, 3))


def test_the_disk_cache_is_used_again_and_holds_one_stage(tmp_path):
    told = []

    def count(done, total):
        told.append((done, total))

    make_batches("disk", cache_folder=tmp_path / "here", progress=count)
    (file,) = (tmp_path / "here").iterdir()
    assert told == [(NUM_NOTES, NUM_NOTES)]
    made = file.stat().st_mtime_ns
    make_batches("disk", cache_folder=tmp_path / "here", progress=count)
    assert told == [(NUM_NOTES, NUM_NOTES)]
    assert file.stat().st_mtime_ns == made
    make_batches("disk", stage=STAGES[4], cache_folder=tmp_path / "here", progress=count)
    (other,) = (tmp_path / "here").iterdir()
    assert other != file
    assert len(told) == 2


@pytest.mark.parametrize("left", [0, 100, 5000])
def test_a_disk_cache_that_was_cut_off_is_made_again(tmp_path, left):
    make_batches("disk", cache_folder=tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:left])
    make_batches("disk", cache_folder=tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == whole


def test_an_interrupted_disk_cache_leaves_nothing(tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_batches("disk", cache_folder=tmp_path / "here", progress=stop)
    assert not list((tmp_path / "here").iterdir())


def test_notes_need_a_pitch_each():
    with pytest.raises(ValueError, match="2 waves, and pitches for 1"):
        Notes.in_memory(np.zeros((2, 8), np.float32), np.zeros(1, int))
    with pytest.raises(ValueError, match="at least one"):
        Notes.in_memory(np.zeros((0, 8), np.float32), np.zeros(0, int))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cache": "tape"}, r"cache.*tape"),
        ({"cache_dir": "x"}, "cache_dir=x needs cache=disk"),
        ({"specgram_on": "moon"}, r"host, device.*moon"),
        ({"specgram_on": "device", "cache": "memory"}, "needs cache=none"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        PipelineConfig(**settings)
