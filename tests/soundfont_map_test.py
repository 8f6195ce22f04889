"""Maps of SoundFonts, and which notes are chosen from them."""

import dataclasses
import importlib.resources
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_soundfont import debian_soundfont

from gansynth_tf.data import soundfont_map
from gansynth_tf.data.schema import FAMILIES, SOURCES
from gansynth_tf.data.soundfont_choice import SoundfontConfig, choose, find_instruments
from gansynth_tf.data.soundfont_file import SoundfontInfo, read_info
from gansynth_tf.data.soundfont_map import MapError, Program, format_map, parse_map

pytestmark = pytest.mark.latest

FLUID_R3 = SoundfontInfo("Fluid R3 GM", "", "", 148_398_306, "", dict.fromkeys(range(128), "?"))
HEADER = ",".join(soundfont_map.COLUMNS)


def test_a_key_is_held_for_three_seconds_or_a_shorter_note():
    assert SoundfontConfig().hold_time == 3.0
    assert SoundfontConfig(length=2.0).hold_time == 2.0
    assert SoundfontConfig(length=9.0).hold_time == 3.0
    assert SoundfontConfig(length=9.0, hold_time=4.0).hold_time == 4.0


def num_notes(**options):
    config = SoundfontConfig(**options)
    instruments = choose(soundfont_map.shipped_map(FLUID_R3), config)
    return sum(len(instrument.notes) for instrument in instruments)


# --- Maps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gm_map_fr3.csv", "gm_map_tim.csv"])
def test_shipped_maps_are_written_as_they_are_read(name):
    folder = importlib.resources.files("gansynth_tf.data") / "maps"
    text = (folder / name).read_text(encoding="utf-8")
    programs = parse_map(text)
    assert len(programs) == 111
    assert format_map(programs) == text


def test_a_known_soundfont_is_told_by_what_it_says_of_itself(tmp_path):
    path = debian_soundfont("TimGM6mb.sf2", "timgm6mb-soundfont")
    (tmp_path / "other_name.sf2").symlink_to(path)
    info = read_info(tmp_path / "other_name.sf2")
    by_number = {program.number: program for program in soundfont_map.shipped_map(info)}
    assert by_number[9].keys == tuple(range(77, 85))  # of FluidR3: from 54 on
    assert soundfont_map.shipped_map(dataclasses.replace(info, num_bytes=1)) is None
    assert soundfont_map.shipped_map(dataclasses.replace(info, name="TimGM6mb")) is None


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])).map(str.strip)
map_rows = st.builds(
    Program,
    number=st.integers(0, 127),
    name=names,
    family=st.sampled_from(FAMILIES),
    source=st.sampled_from(SOURCES),
    keys=st.sets(st.integers(0, 127)).map(lambda keys: tuple(sorted(keys))),
    median_abs_cents=st.integers(0, 50).map(float),
    note=names,
)


@given(st.lists(map_rows, min_size=1, unique_by=lambda program: program.number))
def test_a_map_is_read_as_it_was_written(programs):
    assert parse_map(format_map(programs)) == tuple(programs)


@given(st.text(st.sampled_from('0123456789-, "\n\0abcé')))
def test_any_text_is_a_map_or_is_refused(text):
    with pytest.raises(MapError):
        parse_map(text)
    try:
        programs = parse_map(f"{HEADER}\n0,Piano,keyboard,acoustic,{text}")
    except MapError:
        return
    assert programs[0].family == "keyboard"
    assert all(0 <= key < 128 for key in programs[0].keys)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("128,Piano,keyboard,acoustic,24-84,61,1,", "line 2: program must be an integer from 0 to"),
        ("x,Piano,keyboard,acoustic,24-84,61,1,", "program must be an integer from 0 to 127, not 'x'"),
        ("0,Piano,piano,acoustic,24-84,61,1,", "family must be one of bass, .*, not 'piano'"),
        ("0,Piano,keyboard,real,24-84,61,1,", "source must be one of .*, not 'real'"),
        ("0,Piano,keyboard,acoustic,84-24,61,1,", "usable_range must be ranges of keys"),
        ("0,Piano,keyboard,acoustic,24-30 30-40,,1,", "usable_range must be ranges of keys"),
        ("0,Piano,keyboard,acoustic,24-128,,1,", "a key of usable_range must be .* not '128'"),
        ("0,Piano,keyboard,acoustic,24-84,60,1,", "n_keys is 60, but .* has 61 keys"),
        ("0,Piano,keyboard,acoustic,24-84,61,near,", "median_abs_cents must be a number"),
        ("0,Piano,keyboard", "source must be one of"),
        ("0,A,bass,acoustic,24-24,1,1,\n0,B,bass,acoustic,24-24,1,1,", "line 3: program 0 comes twice"),
        ("", "has no program"),
    ],
)  # fmt: skip
def test_refusals_of_maps(row, message):
    with pytest.raises(MapError, match=message):
        parse_map(f"{HEADER}\n{row}")


def test_a_map_without_its_columns():
    with pytest.raises(MapError, match="its first line must name the columns program, gm_name"):
        parse_map("program,keys\n0,24-84")


def test_a_map_that_is_no_text(tmp_path):
    (tmp_path / "map.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MapError, match="UTF-8"):
        soundfont_map.read_map(tmp_path / "map.csv")


# --- Choice -----------------------------------------------------------------------------------


def test_the_notes_of_fluid_r3():
    assert num_notes() == 16_970
    assert num_notes(near_duplicates=True) == 5 * 3_638
    assert num_notes(velocities=(100,)) == 3_394
    assert num_notes(min_pitch=60, max_pitch=60, velocities=(100,)) == 57  # 43 ends at 57
    assert num_notes(families=("brass",), velocities=(1, 2)) == 2 * (5 * 61 + 49)
    assert num_notes(programs=(1,), velocities=(100,)) == 61  # a near-duplicate, but named
    assert num_notes(programs=(38, 0), velocities=(100,)) == 2 * 61  # synthetic, but named


def test_order_and_labels():
    piano, bass = choose(
        soundfont_map.shipped_map(FLUID_R3),
        SoundfontConfig(programs=(38, 0), velocities=(127, 25), min_pitch=84),
    )
    assert (piano.label, bass.label) == ("keyboard_acoustic_000", "bass_synthetic_038")
    assert piano.notes == [(84, 127), (84, 25)]


def unheard(programs):
    raise AssertionError("a map is there: nothing is to be measured")


def test_a_given_map_goes_before_the_shipped_one():
    given = [Program(5, "Mine", "bass", "acoustic", (30, 40))]
    choice = find_instruments(FLUID_R3, SoundfontConfig(), given, unheard)
    assert (choice.map_origin, choice.programs) == ("given", tuple(given))
    assert [instrument.keys for instrument in choice.instruments] == [(30, 40)]
    assert choice.num_notes == 10
    choice = find_instruments(FLUID_R3, SoundfontConfig(), None, unheard)
    assert (choice.map_origin, choice.num_notes) == ("shipped", 16_970)


def test_only_what_is_asked_for_is_measured():
    info = dataclasses.replace(FLUID_R3, name="Another", programs={0: "P", 1: "Q", 4: "E", 47: "T"})
    heard = []

    def measure(programs):
        heard.extend(programs)
        return [dataclasses.replace(program, keys=program.keys[1:]) for program in programs]

    config = SoundfontConfig(min_pitch=30, max_pitch=33)
    choice = find_instruments(info, config, None, measure)
    assert [(program.number, program.name) for program in heard] == [(0, "P"), (1, "Q")]
    assert {program.keys for program in heard} == {(30, 31, 32, 33)}
    assert all(math.isnan(program.median_abs_cents) for program in heard)
    assert choice.map_origin == "measured"
    assert [instrument.keys for instrument in choice.instruments] == [(31, 32, 33)] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 4_000}, "sample_rate must be from 8000 to 48000, not 4000"),
        ({"length": math.nan}, "length must be from 0.1 to 30, not nan"),
        ({"hold_time": 4.5}, "hold_time must be above 0 and at most length=4, not 4.5"),
        ({"hold_time": 0.0}, "hold_time must be above 0"),
        ({"min_pitch": -1}, "min_pitch must be from 0 to 127, not -1"),
        ({"min_pitch": 60, "max_pitch": 59}, "max_pitch must be from 60 to 127, not 59"),
        ({"velocities": ()}, "velocities must be one or more without repeats, not ''"),
        ({"velocities": (25, 25)}, "velocities must be one or more without repeats, not '25,25'"),
        ({"velocities": (0,)}, "velocities must be out of: from 1 to 127; not 0"),
        ({"families": ("piano",)}, "families must be out of: bass, .*; not 'piano'"),
        ({"sources": ("real",)}, "sources must be out of: acoustic, .*; not 'real'"),
        ({"programs": (128,)}, "programs must be out of: from 0 to 127; not 128"),
        ({"programs": (47,)}, "programs has 47, which the map of this SoundFont lacks"),
        ({"programs": (31,)}, "programs has 31, which has no usable key from 24 to 84"),
        (
            {"families": ("synth_lead",)},
            "sources=acoustic and families=synth_lead leave no program",
        ),
    ],
)
def test_refusals_of_choices(options, message):
    with pytest.raises(ValueError, match=message):
        num_notes(**options)


def test_a_map_of_another_soundfont():
    info = dataclasses.replace(FLUID_R3, programs={0: "Piano"})
    given = [Program(5, "Mine", "bass", "acoustic", (30,))]
    with pytest.raises(ValueError, match="map has program 5, which the SoundFont lacks"):
        find_instruments(info, SoundfontConfig(), given, unheard)
