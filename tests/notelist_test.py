"""Note lists are checked and ordered; pitches outside a model's range are folded or refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansynth_tf.notelist import NoteList, PitchRangeError, playable_pitches

pytestmark = pytest.mark.latest


def notes(**changes) -> NoteList:
    values = {"starts": [0.0], "ends": [1.0], "pitches": [60], "velocities": [100], "parts": [0]}
    return NoteList(**(values | changes))


def test_notes_are_ordered_by_start_and_pitch():
    ordered = NoteList([1, 0, 0], [2, 3, 1], [60, 64, 62], [1, 2, 3], [0, 0, 0])
    assert ordered.velocities.tolist() == [3, 2, 1]
    assert ordered.ends.tolist() == [1, 3, 2]
    assert ordered.seconds == 3.0


def test_no_notes_take_no_time():
    empty = NoteList([], [], [], [], [])
    assert (len(empty), empty.seconds) == (0, 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pitches": [60, 61]}, "pitches must be one number a note"),
        ({"starts": [[0.0]]}, "starts must be one number a note"),
        ({"starts": [-0.1]}, "starts must be at least 0"),
        ({"ends": [-0.1]}, "no end before its start"),
        ({"ends": [np.inf]}, "starts must be"),
        ({"starts": [np.nan]}, "starts must be"),
        ({"pitches": [128]}, "pitches must be whole numbers from 0 to 127"),
        ({"velocities": [-1]}, "velocities must be"),
        ({"parts": [1]}, "parts must be whole numbers from 0 to 0"),
    ],
)
def test_what_is_no_note_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        notes(**changes)


@given(st.lists(st.integers(0, 127), min_size=1), st.integers(0, 110), st.integers(12, 88))
def test_folded_pitches_are_the_nearest_octaves(pitches, low, width):
    known = range(low, low + width)
    folded = playable_pitches(np.array(pitches), known)
    for pitch, other in zip(pitches, folded.tolist(), strict=True):
        assert other in known
        assert (other - pitch) % 12 == 0
        assert other == pitch if pitch in known else abs(other - pitch) >= 12
        assert not [
            k for k in known if (k - pitch) % 12 == 0 and abs(k - pitch) < abs(other - pitch)
        ]


def test_folding_across_gaps():
    assert playable_pitches([60, 61, 72], [48, 61, 72]).tolist() == [48, 61, 72]
    assert playable_pitches([60], [48, 72]).tolist() == [48]


def test_what_cannot_be_played_is_named():
    with pytest.raises(
        PitchRangeError, match=r"pitches 35, 85 are none of the model's \(36-84\)\."
    ):
        playable_pitches([60, 85, 35, 85], range(36, 85), "refuse")
    with pytest.raises(PitchRangeError, match=r"pitches 63 are none .* nor any octave of them"):
        playable_pitches([60, 63], [60, 61, 62])
    with pytest.raises(ValueError, match="out_of_range must be fold or refuse"):
        playable_pitches([60], [60], "drop")
