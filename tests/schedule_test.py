"""The schedule's numbers equal the original's, exactly."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansynth_tf import schedule
from gansynth_tf.schedule import FilterSchedule, ResolutionSchedule, TrainingSchedule

CASES = ("default_flags", "mel_prog_hires")
pytestmark = pytest.mark.latest


@pytest.fixture(scope="module")
def reference(goldens):
    return json.loads(goldens.path("schedule.json").read_text())


def training_schedule(flags) -> TrainingSchedule:
    return TrainingSchedule(
        num_resolutions=flags["num_resolutions"],
        stable_stage_num_images=flags["stable_stage_num_images"],
        transition_stage_num_images=flags["transition_stage_num_images"],
        total_num_images=flags["total_num_images"],
        batch_size_schedule=tuple(flags["batch_size_schedule"]),
    )


def resolution_schedule(flags) -> ResolutionSchedule:
    names = ("start_height", "start_width", "scale_base", "scale_mode", "num_resolutions")
    return ResolutionSchedule(**{name: flags[name] for name in names})


@pytest.mark.parametrize("case", CASES)
def test_resolutions_and_filters(reference, case):
    golden = reference[case]
    resolutions = resolution_schedule(golden["flags"])
    assert list(resolutions.final_resolution) == golden["final_resolutions"]
    assert list(resolutions.start_resolution) == golden["start_resolutions"]
    for block, factor in golden["scale_factor"].items():
        assert resolutions.scale_factor(int(block)) == factor
    flags = golden["flags"]
    filters = FilterSchedule(flags["fmap_base"], flags["fmap_decay"], flags["fmap_max"])
    for block, count in golden["num_filters"].items():
        assert filters.num_filters(int(block)) == count


@pytest.mark.parametrize("case", CASES)
def test_stages(reference, case):
    golden = reference[case]
    training = training_schedule(golden["flags"])
    assert training.total_num_stages == golden["total_num_stages"] == len(training.stages())
    for stage, expected in zip(training.stages(), golden["stages"], strict=True):
        assert stage.index == expected["stage_id"]
        assert stage.num_blocks == expected["num_blocks"]
        assert stage.end_image == expected["num_images"]
        assert stage.batch_size == expected["batch_size"]
        minimum = training.min_total_num_images(stage.num_blocks)
        assert minimum == expected["min_total_num_images"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("table", ["progress_num_blocks_max", "progress_per_stage"])
def test_progress(reference, case, table):
    training = training_schedule(reference[case]["flags"])
    for row in reference[case][table]:
        assert training.progress(row["image_id"], row["num_blocks"]) == row["progress"], row


def test_progress_of_a_short_schedule(reference):
    training = TrainingSchedule(
        num_resolutions=3, stable_stage_num_images=5, transition_stage_num_images=3
    )
    for row in reference["progress_stable5_transition3"]:
        assert training.progress(row["image_id"], row["num_blocks"]) == row["progress"], row


def test_blend_weights(reference):
    grid = reference["mel_prog_hires"]["alpha_grid"]
    for name in ("generator_alpha", "discriminator_alpha"):
        alpha = getattr(schedule, name)
        for progress, row in zip(grid["progress"], grid[name], strict=True):
            assert [alpha(block, progress) for block in grid["block_ids"]] == row


def test_batch_sizes(reference):
    for row in reference["batch_size_schedules"]:
        sizes = tuple(row["batch_size_schedule"])
        stages = TrainingSchedule(batch_size_schedule=sizes).stages()
        assert [stage.batch_size for stage in stages] == row["batch_sizes"]


def test_growing_time_only_keeps_the_frequencies(reference):
    resolutions = ResolutionSchedule(
        start_height=2, start_width=16, scale_mode="H", num_resolutions=5
    )
    expected = reference["final_resolutions_scale_mode_H_n5"]
    assert list(resolutions.final_resolution) == expected
    assert resolutions.resolution(1) == (2, 16)
    assert resolutions.step() == (2, 1)


@given(
    images=st.integers(0, 10_000),
    stable=st.integers(1, 500),
    transition=st.integers(1, 500),
    blocks=st.integers(1, 7),
)
def test_progress_is_monotonic_and_capped(images, stable, transition, blocks):
    training = TrainingSchedule(
        stable_stage_num_images=stable, transition_stage_num_images=transition
    )
    now, later = (training.progress(i, blocks) for i in (images, images + 1))
    assert 0 <= now <= later <= blocks - 1


@given(progress=st.floats(0, 6), blocks=st.just(7))
def test_generator_weights_sum_to_one(progress, blocks):
    total = sum(schedule.generator_alpha(block, progress) for block in range(1, blocks + 1))
    assert total == pytest.approx(1.0)


@given(limit=st.floats(1, 1e6), multiplier=st.floats(0.5, 2.0), blocks=st.integers(1, 5))
def test_wall_clock_schedule(limit, multiplier, blocks):
    training = TrainingSchedule(
        num_resolutions=blocks, train_time_limit=limit, train_time_stage_multiplier=multiplier
    )
    ends = training.stage_end_times()
    assert ends[-1] == pytest.approx(limit)
    lengths = np.diff([0.0, *ends])
    assert lengths[1:] == pytest.approx(lengths[:-1] * multiplier, rel=1e-6)
    for stage in training.stages():
        at_end = training.progress_from_time(ends[stage.index], stage.num_blocks)
        assert at_end == pytest.approx(stage.num_blocks - 1)


def test_without_progressive_growth_only_the_last_stage_trains():
    training = TrainingSchedule(num_resolutions=3, total_num_images=100, train_progressive=False)
    (stage,) = training.stages()
    assert (stage.index, stage.num_blocks, stage.end_image) == (4, 3, 100)
    assert training.progress(0, 3) == 2.0


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: ResolutionSchedule(scale_mode="W"), "scale_mode"),
        (lambda: ResolutionSchedule(start_height=0), "start_height"),
        (lambda: ResolutionSchedule(scale_base=1), "scale_base"),
        (lambda: FilterSchedule(fmap_base=64).num_filters(7), "fmap_base"),
        (lambda: FilterSchedule(fmap_decay=-1.0), "fmap_decay"),
        (lambda: TrainingSchedule(batch_size_schedule=()), "batch_size_schedule"),
        (lambda: TrainingSchedule(batch_size_schedule=(0,)), "batch_size_schedule"),
        (lambda: TrainingSchedule(num_resolutions=1, batch_size_schedule=(8, 4)), "batch_size"),
        (lambda: TrainingSchedule(train_time_limit=-1.0), "train_time_limit"),
        (lambda: TrainingSchedule(total_num_images=0), "total_num_images"),
        # What would overflow, take all memory, or leave a stage no time.
        (lambda: ResolutionSchedule(num_resolutions=5000), "num_resolutions"),
        (lambda: ResolutionSchedule(start_height=2**20), "specgrams of more than"),
        (lambda: ResolutionSchedule(scale_base=10**6), "scale_base=1000000"),
        (lambda: FilterSchedule(fmap_decay=1e300), "fmap_decay must be a number from 0 to 10"),
        (lambda: FilterSchedule(fmap_decay=2000.0), "fmap_decay must be a number from 0 to 10"),
        (lambda: FilterSchedule(fmap_decay=float("inf")), "from 0 to 10, not inf"),
        (lambda: FilterSchedule(fmap_max=10**9), "fmap_max"),
        (lambda: TrainingSchedule(batch_size_schedule=(10**8,)), "batch_size_schedule"),
        (lambda: TrainingSchedule(total_num_images=10**12), "total_num_images"),
        (lambda: TrainingSchedule(train_time_limit=1e300), "train_time_limit"),
        (
            lambda: TrainingSchedule(train_time_limit=5.0, train_time_stage_multiplier=1e300),
            "train_time_stage_multiplier",
        ),
        (
            lambda: TrainingSchedule(
                num_resolutions=10, train_time_limit=5.0, train_time_stage_multiplier=0.1
            ),
            "leave no time",
        ),
        (
            lambda: TrainingSchedule(train_time_stage_multiplier=2.0),
            "train_time_stage_multiplier=2 needs train_time_limit",
        ),
    ],
)
def test_errors_name_the_argument(build, name):
    with pytest.raises(ValueError, match=name):
        build()
