"""Things happen once a period, whatever the steps in which the counter moves."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf.cadence import CadenceConfig, Every

pytestmark = pytest.mark.latest

steps = st.lists(st.integers(0, 50), max_size=60)


@settings(deadline=None)
@given(period=st.integers(1, 40), start=st.integers(0, 100), steps=steps)
def test_due_exactly_when_a_boundary_is_crossed(period, start, steps):
    every, now = Every(period, start), start
    for step in steps:
        before, now = now, now + step
        crossed = any(count % period == 0 for count in range(before + 1, now + 1))
        assert every.due(now) == crossed
        assert not every.due(now)


@settings(deadline=None)
@given(start=st.integers(0, 100), steps=steps)
def test_no_period_is_never(start, steps):
    every, now = Every(0, start), start
    for step in steps:
        now += step
        assert not every.due(now)


@settings(deadline=None)
@given(period=st.integers(1, 40), steps=steps, stop=st.integers(0, 60))
def test_a_resumed_run_keeps_the_rhythm(period, steps, stop):
    whole, resumed, now = Every(period), Every(period), 0
    for number, step in enumerate(steps):
        if number == stop:
            resumed = Every(period, now)
        now += step
        assert whole.due(now) == resumed.due(now)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_seconds", -1.0),
        ("log_seconds", float("nan")),
        ("checkpoint_minutes", -0.5),
        ("checkpoint_minutes", float("inf")),
        ("log_seconds", 1e300),
        ("checkpoint_num_images", -1),
        ("save_summaries_num_images", -1),
        ("keep_checkpoints", 0),
    ],
)
def test_errors_name_the_argument(name, value):
    with pytest.raises(ValueError, match=name):
        CadenceConfig(**{name: value})
