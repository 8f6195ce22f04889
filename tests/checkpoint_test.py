"""Checkpoints come back whole, or not at all, and the one before is always there."""

import errno
import json

import numpy as np
import pytest

from gansynth_tf import checkpoint, files
from gansynth_tf.checkpoint import CheckpointError, RunState

pytestmark = pytest.mark.latest

SETTINGS = {"architecture": {"num_pitches": 61, "scale_mode": "H"}, "rate": 0.25, "name": "größe"}


def arrays(value: float = 1.0) -> dict:
    return {
        "generator/block_1/kernel": np.full((2, 3), value, np.float32),
        "iterations": np.int64(7),
        "empty": np.zeros((0, 2), np.float32),
    }


def save(folder, images: int, stage: int = 0, stage_done: bool = False, **options):
    state = RunState(stage=stage, images=images, stage_done=stage_done)
    return checkpoint.save(folder, arrays(images), state, SETTINGS, **options)


def rewrite_header(path, change):
    """Applies ``change`` to a checkpoint's header; its arrays stay."""
    with np.load(path) as file:
        content = dict(file)
    header = json.loads(content.pop("header").tobytes())
    change(header)
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, header=text, **content)
    return path


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_round_trip(tmp_path):
    folder = tmp_path / "new" / "checkpoints"
    state = RunState(stage=3, images=1234, steps=99, seconds=12.5, stage_done=True)
    path = checkpoint.save(folder, arrays(), state, SETTINGS)
    assert path.name == "ckpt_000000001234_stage_03.npz"
    loaded = checkpoint.load(path)
    assert (loaded.path, loaded.state, loaded.settings) == (path, state, SETTINGS)
    assert loaded.arrays.keys() == arrays().keys()
    for name, array in arrays().items():
        assert loaded.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.arrays[name], array)
    assert names(folder) == [path.name]


def test_the_last_two_of_a_stage_and_all_stage_ends_stay(tmp_path):
    save(tmp_path, 10)
    save(tmp_path, 20, stage_done=True)
    for images in (30, 40, 50):
        save(tmp_path, images, stage=1)
    save(tmp_path, 50, stage=1, stage_done=True)
    assert names(tmp_path) == [
        "ckpt_000000000020_stage_00.npz",
        "ckpt_000000000040.npz",
        "ckpt_000000000050.npz",
        "ckpt_000000000050_stage_01.npz",
    ]
    # At one image count, the stage's end comes after the checkpoint within it.
    assert checkpoint.load_latest(tmp_path).state == RunState(1, 50, stage_done=True)


def test_keep_counts_those_within_stages(tmp_path):
    for images in range(5):
        save(tmp_path, images, keep=3)
    assert [p.name[-7:] for p in checkpoint.list_checkpoints(tmp_path)] == [
        f"00{images}.npz" for images in (2, 3, 4)
    ]


def test_no_checkpoint(tmp_path):
    (tmp_path / "ckpt_12.npz").write_bytes(b"not ours")
    (tmp_path / ".ckpt_000000000001.npz.tmp").write_bytes(b"left by a killed process")
    assert checkpoint.list_checkpoints(tmp_path) == []
    assert checkpoint.load_latest(tmp_path) is None
    assert checkpoint.load_latest(tmp_path / "missing") is None


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip_middle(data: bytes) -> bytes:
    at = data.index(np.full(6, 20, np.float32).tobytes()) + 4
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


@pytest.mark.parametrize("damage", [truncate, flip_middle, lambda data: b""])
def test_a_damaged_one_is_named_and_the_one_before_used(tmp_path, damage):
    before, newest = save(tmp_path, 10), save(tmp_path, 20)
    newest.write_bytes(damage(newest.read_bytes()))
    warnings = []
    loaded = checkpoint.load_latest(tmp_path, warn=warnings.append)
    assert loaded.path == before
    np.testing.assert_array_equal(loaded.arrays["generator/block_1/kernel"], 10.0)
    (warning,) = warnings
    assert str(newest) in warning
    before.write_bytes(b"PK")
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load_latest(tmp_path, warn=warnings.append)
    assert before.name in str(caught.value)
    assert newest.name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(warnings) == 1  # no earlier one is used, so none is promised


def test_one_that_cannot_be_read_just_now_is_not_passed_over(tmp_path):
    """A process's memory cannot be read at its beginning, like a disk with a broken cable."""
    save(tmp_path, 1)
    unreadable = tmp_path / "ckpt_000000000002.npz"
    unreadable.symlink_to("/proc/self/mem")
    said = []
    with pytest.raises(OSError, match="Input/output error") as caught:
        checkpoint.load_latest(tmp_path, said.append)
    assert caught.value.errno == errno.EIO
    assert not isinstance(caught.value, CheckpointError)
    assert said == []


@pytest.mark.parametrize("keep", [1, 2])
def test_a_damaged_one_further_on_does_not_displace_what_is_saved(tmp_path, keep):
    good, bad, end = save(tmp_path, 10), save(tmp_path, 30), save(tmp_path, 40, stage_done=True)
    for path in (bad, end):
        path.write_bytes(b"PK")
    said = []
    written = save(tmp_path, 20, keep=keep, say=said.append)
    assert checkpoint.load_latest(tmp_path, warn=said.append).path == written
    kept = [written.name] if keep == 1 else [good.name, written.name]
    assert names(tmp_path) == sorted([*kept, f"{bad.name}.damaged", f"{end.name}.damaged"])
    assert [bad.name in said[0], end.name in said[1], len(said)] == [True, True, 2]


def test_keeping_none_keeps_what_was_just_written(tmp_path):
    save(tmp_path, 10)
    written = save(tmp_path, 20, keep=0)
    assert names(tmp_path) == [written.name]


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": -1},
        {"images": "12"},
        {"steps": 1.5},
        {"seconds": float("nan")},
        {"seconds": None},
        {"stage_done": 1},
        {"unknown": 1},
    ],
)
def test_a_state_of_wrong_types_is_refused(tmp_path, changes):
    path = rewrite_header(save(tmp_path, 10), lambda header: header["state"].update(changes))
    with pytest.raises(CheckpointError, match=f"{path.name} cannot be used.*{next(iter(changes))}"):
        checkpoint.load(path)


def test_settings_that_are_no_table_are_refused(tmp_path):
    path = rewrite_header(save(tmp_path, 10), lambda header: header.update(settings=[1]))
    with pytest.raises(CheckpointError, match=f"{path.name} cannot be used"):
        checkpoint.load(path)


@pytest.mark.parametrize("mask", [0x01, 0x08, 0xFF])
def test_whatever_byte_is_damaged_nothing_wrong_is_read(tmp_path, mask):
    path = checkpoint.save(tmp_path, {"a": np.arange(3.0)}, RunState(images=1), {"b": 1})
    good, data = checkpoint.load(path), path.read_bytes()
    refused = 0
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :])
        try:
            loaded = checkpoint.load(path)
        except CheckpointError:
            refused += 1
            continue
        except Exception as error:
            pytest.fail(f"byte {at} of {len(data)}: {error!r} in place of CheckpointError")
        assert (loaded.state, loaded.settings) == (good.state, good.settings), at
        np.testing.assert_array_equal(loaded.arrays["a"], good.arrays["a"], str(at))
    assert refused > len(data) // 2


def test_another_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 2)
    path = save(tmp_path, 1)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"format 2.*format 1") as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value)


def test_an_archive_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "ckpt_000000000001.npz"
    np.savez(path, kernel=np.zeros(2))
    with pytest.raises(CheckpointError, match=path.name):
        checkpoint.load(path)


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_folder_as_it_was(tmp_path, error):
    path = save(tmp_path, 10)
    before = path.read_bytes()

    def write(file):
        file.write(b"half a checkpo")
        raise error

    for target in (path, tmp_path / "other.npz"):
        with pytest.raises(type(error)):
            files.write_atomically(target, write)
    assert names(tmp_path) == [path.name]
    assert path.read_bytes() == before


def test_a_failed_save_keeps_the_older_ones(tmp_path, monkeypatch):
    for images in (10, 20):
        save(tmp_path, images)
    before = names(tmp_path)

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="disk full"):
        save(tmp_path, 30)
    assert names(tmp_path) == before
