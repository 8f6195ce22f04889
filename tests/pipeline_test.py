"""The order of notes is a pure function, and batches are what it says."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf import networks
from gansynth_tf.data import pipeline
from gansynth_tf.data.pipeline import Notes, PipelineConfig
from gansynth_tf.networks import NetworkConfig
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
    return Notes(rng.uniform(-0.5, 0.5, (count, LENGTH)).astype(np.float32), np.arange(count) + 40)


def batches(count: int, cache="none", stage=STAGES[2], seed=1, first_image=0, by_frequency=False):
    dataset = pipeline.stage_batches(
        some_notes(),
        LABELS,
        CODEC,
        CONFIG,
        by_frequency,
        stage,
        PipelineConfig(cache),
        seed,
        first_image,
    )
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


@pytest.mark.parametrize("num_blocks", [1, 3])
def test_caches_agree_and_labels_are_the_notes(num_blocks):
    stage = next(stage for stage in STAGES if stage.num_blocks == num_blocks)
    full = CODEC.waves_to_specgrams(some_notes().waves)
    expected = networks.stage_specgrams(CONFIG, full, num_blocks, False).numpy()
    seen = []
    for none, memory in zip(batches(5, stage=stage), batches(5, "memory", stage), strict=True):
        np.testing.assert_array_equal(none["labels"], memory["labels"])
        np.testing.assert_allclose(none["specgrams"], memory["specgrams"], atol=1e-5)
        np.testing.assert_allclose(none["specgrams"], expected[none["labels"]], atol=1e-5)
        seen.extend(none["labels"])
    assert sorted(seen) == sorted([*range(NUM_NOTES)] * 2)


@pytest.mark.parametrize("cache", pipeline.CACHES)
@pytest.mark.parametrize("by_frequency", [False, True])
def test_shapes_are_static(cache, by_frequency):
    dataset = pipeline.stage_batches(
        some_notes(), LABELS, CODEC, CONFIG, by_frequency, STAGES[2], PipelineConfig(cache), 0, 0
    )
    shape = (8, 32) if by_frequency else (4, 16)
    assert dataset.element_spec == {
        "specgrams": tf.TensorSpec([BATCH, *shape, 2], tf.float32),
        "labels": tf.TensorSpec([BATCH], tf.int32),
    }
    assert batches(1, cache, by_frequency=by_frequency)[0]["specgrams"].shape == (BATCH, *shape, 2)


@pytest.mark.parametrize("count", [1, 32, 70])
def test_encode_all(count):
    waves = some_notes(count).waves
    ours = pipeline.encode_all(waves, lambda batch: 2.0 * batch[:, ::4])
    np.testing.assert_array_equal(ours, 2.0 * waves[:, ::4])


def test_sample_notes():
    notes = some_notes()
    sample = pipeline.sample_notes(notes, 6, seed=0)
    assert len(sample) == len(set(sample.pitches)) == 6
    np.testing.assert_array_equal(sample.waves, notes.waves[sample.pitches - 40])
    np.testing.assert_array_equal(pipeline.sample_notes(notes, 6, 0).pitches, sample.pitches)
    assert (pipeline.sample_notes(notes, 6, 1).pitches != sample.pitches).any()
    assert len(pipeline.sample_notes(notes, 99, 0)) == NUM_NOTES


@pytest.mark.parametrize(("waves", "pitches"), [(0, 0), (2, 1)])
def test_notes_need_a_pitch_each(waves, pitches):
    with pytest.raises(ValueError, match="pitch for each"):
        Notes(np.zeros((waves, 8), np.float32), np.zeros(pitches, int))


def test_an_unknown_cache_is_named():
    with pytest.raises(ValueError, match=r"cache.*disk"):
        PipelineConfig("disk")
