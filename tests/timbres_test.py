"""Files of timbres: what is written is read, and everything else is refused with a sentence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansynth_tf import timbres
from gansynth_tf.files import write_arrays
from gansynth_tf.timbres import Timbres, TimbresError

pytestmark = pytest.mark.latest

TWO = Timbres(("bell", "Ørgel 2"), np.arange(1.0, 7.0).reshape(2, 3))


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "my.npz"
    timbres.write(path, TWO)
    timbres.write(path, TWO.chosen(["Ørgel 2", "bell"]))  # replaces its own kind
    read = timbres.read(path, 3)
    assert read.names == ("Ørgel 2", "bell")
    np.testing.assert_array_equal(read.latents, TWO.latents[::-1])
    assert read.latents.dtype == np.float32
    assert [p.name for p in path.parent.iterdir()] == ["my.npz"]


def test_a_choice_keeps_its_order():
    assert TWO.chosen(["Ørgel 2"]).latents.tolist() == [[4.0, 5.0, 6.0]]
    with pytest.raises(TimbresError, match=r"no timbre 'reed': it has bell, Ørgel 2\."):
        TWO.chosen(["bell", "reed"])
    assert timbres.numbered(np.ones((2, 3))).names == ("timbre_0000", "timbre_0001")


good = {"format_version": 1, "names": ["a"], "latent_size": 3, "latents": np.ones((1, 3))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, "it has format 2; this version reads format 1"),
        ({"format_version": [1, 2]}, "none, or a damaged one"),
        ({"names": None}, "none, or a damaged one"),
        ({"latents": np.array(["x"])}, "none, or a damaged one"),
        ({"latent_size": 4}, "its latents have 3 numbers, not 4"),
        ({"latents": np.ones((2, 3))}, r"latents must have shape \[1, latent\]"),
        ({"names": [], "latents": np.ones((0, 3))}, "at least one"),
        ({"latents": np.full((1, 3), np.nan)}, "finite"),
        ({"latents": np.zeros((1, 3))}, "none all zeros"),
        ({"names": ["a,b"]}, "without commas"),
        ({"names": [""]}, "a timbre's name must be 1 to 100"),
        ({"names": ["a", "a"], "latents": np.ones((2, 3))}, "two timbres have the name 'a'"),
    ],
)
def test_a_file_that_is_none_is_refused(changes, message, tmp_path):
    path = tmp_path / "a.npz"
    arrays = {k: np.array(v) for k, v in (good | changes).items() if v is not None}
    write_arrays(path, arrays)
    before = path.read_bytes()
    with pytest.raises(TimbresError, match=message):
        timbres.read(path)
    with pytest.raises(TimbresError, match=message):
        timbres.write(path, TWO)
    assert path.read_bytes() == before


def test_another_model_s_timbres_are_refused(tmp_path):
    timbres.write(tmp_path / "a.npz", TWO)
    with pytest.raises(TimbresError, match="latents of 3 numbers; this model's have 256"):
        timbres.read(tmp_path / "a.npz", 256)


def test_other_files(tmp_path):
    with pytest.raises(TimbresError, match="there is no such file"):
        timbres.read(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.ones(3))
    for path in (tmp_path, tmp_path / "b.npy"):
        with pytest.raises(TimbresError, match="none, or a damaged one"):
            timbres.read(path)


@given(cut=st.integers(0, 2000), at=st.integers(0, 2000), byte=st.integers(0, 255))
def test_damage_is_never_a_traceback(tmp_path_factory, cut, at, byte):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.unlink(missing_ok=True)
    timbres.write(path, TWO)
    content = bytearray(path.read_bytes())
    content[at % len(content)] = byte
    path.write_bytes(content[: len(content) - cut % 3 * cut])
    try:
        read = timbres.read(path)
    except TimbresError:
        return
    assert len(read) == 2
