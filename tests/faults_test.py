"""What a training run does when its disk, its folder, its losses or its clock fail it.

Each with the real thing: a small disk that is full, a folder that is mounted read-only or
taken away, while a run goes on. docs/OPERATIONS.md has the table. Whole runs are slow tests; what
they are made of is tried on such disks by fast ones.
"""

import ast
import contextlib
import gc
import io
import pathlib
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from experiments import small_flags
from hypothesis import given, settings
from hypothesis import strategies as st

from gansynth_tf import callbacks, checkpoint, files, pictures, wavfiles
from gansynth_tf.checkpoint import RunState
from gansynth_tf.cli.train import main
from gansynth_tf.training import CHECKPOINT_FOLDER

pytestmark = pytest.mark.latest
COMPAT = pathlib.Path(__file__).parent / "compat"
PACKAGE = pathlib.Path(__file__).parents[1] / "gansynth_tf"
# One stage, and something to write after each of its four steps.
ONE_STAGE = {
    "train_progressive": False,
    "total_num_images": 16,
    "checkpoint_num_images": 4,
    "keep_checkpoints": 9,
}


class Listener(io.StringIO):
    """Output that does something, once, when a line with ``marker`` is written to it."""

    def __init__(self, marker: str = "", act=None):
        super().__init__()
        self._marker, self._act = marker, act

    def write(self, text: str) -> int:
        if self._act and self._marker in text:
            act, self._act = self._act, None
            act()
        return super().write(text)


def train(run_dir, marker: str = "", act=None, **changes) -> tuple[int, str]:
    """Runs the command, and ``act()`` when it says ``marker``; its exit code and last words."""
    output, errors = Listener(marker, act), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = main([*small_flags(**ONE_STAGE | changes), f"--run_dir={run_dir}"])
    assert act is None or output._act is None, f"{marker!r} was never said"
    return code, errors.getvalue()


def checkpoints(run_dir) -> dict[str, bytes]:
    paths = checkpoint.list_checkpoints(run_dir / CHECKPOINT_FOLDER)
    return {path.name: path.read_bytes() for path in paths}


def final_arrays(run_dir) -> dict[str, np.ndarray]:
    saved = checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER)
    assert (saved.state.images, saved.state.stage_done) == (16, True)
    return saved.arrays


def assert_ends_as(undisturbed, run_dir, **changes):
    """The same command again: nothing was lost but time."""
    assert train(run_dir, **changes) == (0, "")
    arrays = final_arrays(run_dir)
    for name, array in final_arrays(undisturbed).items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("undisturbed")
    assert train(run_dir) == (0, "")
    return run_dir


def mount(*arguments):
    if shutil.which("mount") is None:
        pytest.skip("needs mount, which only Unix has")
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs root to mount file systems: {done.stderr.strip()}")


# --- A full disk ---


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: pathlib.Path) -> None:
    """Leaves no byte free, those behind the ends of files that may grow included."""
    for path in [disk / "ballast", *disk.glob("run/*.jsonl")]:
        with contextlib.suppress(OSError), open(path, "ab", buffering=0) as file:
            for size in (2**16, 2**10, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)


def test_a_checkpoint_on_a_full_disk_leaves_the_others(disk, capfd):
    run_dir, arrays = disk / "run", {"a": np.arange(1000.0)}
    for images in (4, 8):
        checkpoint.save(run_dir, arrays, RunState(images=images), {})
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    fill(disk)
    with pytest.raises(OSError, match="No space left") as caught:
        checkpoint.save(run_dir, arrays, RunState(images=12), {})
    assert caught.value.filename == str(run_dir / "ckpt_000000000012.npz")
    del caught
    gc.collect()
    assert capfd.readouterr().err == ""  # nor does an archive that cannot be ended complain
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before
    (disk / "ballast").unlink()
    path = checkpoint.save(run_dir, arrays, RunState(images=12), {})
    assert checkpoint.load_latest(run_dir).path == path


def test_a_picture_or_wave_on_a_full_disk_is_named(disk):
    fill(disk)
    specgrams = np.zeros([1, 16, 64, 2], np.float32)
    for path, write in (
        (disk / "a.wav", lambda path: wavfiles.write_wav(path, np.zeros(10_000), 8000)),
        (disk / "a.png", lambda path: pictures.rainbowgram_grid(path, specgrams, ["a"])),
    ):
        with pytest.raises(OSError, match="No space left") as caught:
            write(path)
        assert caught.value.filename == str(path)
    assert [path.name for path in disk.iterdir()] == ["ballast"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("marker", "changes", "kept"),
    [
        pytest.param("Saved ckpt_000000000004", {"log_seconds": 1e-6}, 1, id="log row"),
        pytest.param(" 8 images", {"save_summaries_num_images": 8}, 1, id="samples"),
        pytest.param("Saved ckpt_000000000008", {}, 2, id="checkpoint"),
        pytest.param(" notes of", {"cache": "disk"}, 0, id="cache"),
        pytest.param("Saved ckpt_000000000004", {"tensorboard": True}, 1, id="tensorboard"),
    ],
)
def test_a_full_disk(undisturbed, disk, marker, changes, kept):
    run_dir = disk / "run"
    code, error = train(run_dir, marker, lambda: fill(disk), **changes)
    assert code == 1, error
    (line,) = error.splitlines()
    assert line.startswith(f"gansynth_train: {run_dir}"), line
    assert "No space left on device" in line
    saved = checkpoints(run_dir)
    assert len(saved) == kept
    (disk / "ballast").unlink()
    if "cache" in changes:  # whose notes are encoded many at a time, which rounds otherwise
        assert train(run_dir, **changes) == (0, "")
    else:
        assert_ends_as(undisturbed, run_dir, **changes)
    assert checkpoints(run_dir).items() >= saved.items()


@pytest.mark.slow
def test_a_disk_that_is_full_from_the_start(undisturbed, disk):
    fill(disk)
    run_dir = disk / "run"
    code, error = train(run_dir)
    assert (code, checkpoints(run_dir)) == (1, {})
    assert error == f"gansynth_train: {run_dir / 'config.json'}: No space left on device.\n"
    (disk / "ballast").unlink()
    assert_ends_as(undisturbed, run_dir)


def test_a_mapped_file_takes_its_room_at_once(disk):
    """Else the first write to what the disk does not have would end the process (SIGBUS)."""
    path = disk / "mapped"
    with open(path, "wb") as file:
        file.truncate(2**20)
    files.reserve(path)
    assert path.stat().st_blocks * 512 >= 2**20
    with open(path, "r+b") as file:
        file.truncate(2**25)
    with pytest.raises(OSError, match="No space left"):
        files.reserve(path)


# --- A folder that is read-only, or gone ---


@pytest.mark.slow
def test_a_folder_that_becomes_read_only(undisturbed, tmp_path):
    run_dir = tmp_path / "run"

    def protect():
        mount("--bind", run_dir, run_dir)
        mount("-o", "remount,bind,ro", run_dir)

    try:
        code, error = train(run_dir, "Saved ckpt_000000000004", protect)
        saved = checkpoints(run_dir)
        again, refused = train(run_dir)
    finally:
        subprocess.run(["umount", run_dir], capture_output=True)
    (line,) = error.splitlines()
    assert (code, len(saved)) == (1, 1)
    assert line.startswith(f"gansynth_train: {run_dir}")
    assert "Read-only file system" in line
    assert again == 2
    assert f"--run_dir={run_dir} cannot be written" in refused
    assert_ends_as(undisturbed, run_dir)
    assert checkpoints(run_dir).items() >= saved.items()


def test_a_folder_that_is_deleted_stays_so(tmp_path):
    run_dir = tmp_path / "run"
    code, error = train(run_dir, "Saved ckpt_000000000004", lambda: shutil.rmtree(run_dir))
    assert code == 1
    assert error.startswith(f"gansynth_train: {run_dir} was moved or deleted")
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_folder_that_is_moved_goes_on_in_its_new_place(undisturbed, tmp_path):
    run_dir, other = tmp_path / "run", tmp_path / "other"

    def move():
        run_dir.rename(other)
        run_dir.mkdir()  # a new one in its place is not written to either

    code, error = train(run_dir, "Saved ckpt_000000000004", move)
    assert code == 1
    assert "was moved or deleted" in error
    assert list(run_dir.iterdir()) == []
    assert_ends_as(undisturbed, other)


# --- Losses and notes that are not numbers ---


@pytest.mark.slow
def test_a_learning_rate_that_explodes(tmp_path):
    """It stops at what is not finite, keeps what is, and goes on once it is given a lower one."""
    rate = {"generator_learning_rate": 1.0, "discriminator_learning_rate": 1.0}
    exploding = {"total_num_images": 80, "keep_checkpoints": 20, "to_rgb_activation": "linear"}
    wild = exploding | rate | {"adam_beta1": 0.9, "adam_beta2": 0.0}
    code, error = train(tmp_path, **wild)
    (line,) = error.splitlines()
    assert code == 1
    assert "lower --generator_learning_rate and --discriminator_learning_rate" in line
    saved = checkpoints(tmp_path)
    assert f"the last checkpoint, {max(saved)}, is untouched" in line
    assert train(tmp_path, **wild) == (code, error)  # it is the same step again
    assert checkpoints(tmp_path) == saved
    # The last one may be too far gone already: back to the first.
    for path in checkpoint.list_checkpoints(tmp_path / CHECKPOINT_FOLDER)[1:]:
        path.unlink()
    saved = checkpoints(tmp_path)
    tame = exploding | {"generator_learning_rate": 1e-4, "discriminator_learning_rate": 1e-4}
    assert train(tmp_path, **tame, adam_beta1=0.0, adam_beta2=0.99) == (0, "")
    assert checkpoints(tmp_path).items() >= saved.items()


# --- Damaged checkpoints ---


def damage(data: bytes, at: int, mask: int) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["header", "arrays", "table of contents"])
def test_whatever_byte_of_the_newest_checkpoint_flips_the_run_ends_alike(
    undisturbed, tmp_path, part
):
    run_dir = shutil.copytree(undisturbed, tmp_path / "run")
    newest = checkpoint.list_checkpoints(run_dir / CHECKPOINT_FOLDER)[-1]
    data = newest.read_bytes()
    contents = data.index(b"PK\x01\x02")
    places = {"header": (0, 4), "arrays": (100, contents), "table of contents": (contents, 4)}
    at = random.Random(part).randrange(*places[part]) if part == "arrays" else places[part][0]
    newest.write_bytes(damage(data, at, 0x10))
    output = Listener()
    with contextlib.redirect_stdout(output):
        assert main([*small_flags(**ONE_STAGE), f"--run_dir={run_dir}"]) == 0
    assert f"{newest} is damaged" in output.getvalue()
    assert "an earlier one is used" in output.getvalue()
    assert_ends_as(undisturbed, run_dir)


@settings(max_examples=50, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255), cut=st.booleans())
def test_nothing_wrong_is_read_from_a_real_checkpoint(tmp_path_factory, place, mask, cut):
    """One byte of it is another, or all from there on is missing."""
    (path,) = checkpoint.list_checkpoints(COMPAT / "run_format_1" / CHECKPOINT_FOLDER)
    good, data = checkpoint.load(path), path.read_bytes()
    at = int(place * len(data))
    copy = tmp_path_factory.mktemp("damaged") / "copy.npz"
    copy.write_bytes(data[:at] if cut else damage(data, at, mask))
    try:
        read = checkpoint.load(copy)
    except checkpoint.CheckpointError:
        return
    assert not cut
    assert (read.state, read.settings) == (good.state, good.settings)
    for name, array in good.arrays.items():
        np.testing.assert_array_equal(read.arrays[name], array, err_msg=name)


# --- A clock that jumps ---


@pytest.mark.slow
def test_the_time_of_day_decides_nothing(undisturbed, tmp_path, monkeypatch):
    """Set back by a day, and by ever more, at each look at it."""
    true, looks = time.time, []

    def jumping():
        looks.append(1)
        return true() - 86_400 * len(looks)

    monkeypatch.setattr(time, "time", jumping)
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * jumping()))
    assert train(tmp_path, log_seconds=1e-6) == (0, "")
    monkeypatch.undo()
    assert_ends_as(undisturbed, tmp_path)
    rows = callbacks.read_log(tmp_path / callbacks.LOG_FILE)
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert all(row.get("images_per_second", 1.0) > 0 for row in rows)


# Which of the clocks, and of the times that files carry, a module may look at.
TIME_OF_DAY = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "strftime"}
FILE_TIMES = {"st_mtime", "st_mtime_ns", "st_ctime", "st_atime", "getmtime", "getctime"}
MAY = {"quickstart.py": {"st_mtime"}}  # to tell when a run began and ended


def test_no_module_asks_for_the_time_of_day():
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        names = {
            f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
        }
        clocks = {name for name in names if name.startswith(("time.", "datetime."))}
        asked = {name for name in clocks if name.split(".")[-1] in TIME_OF_DAY}
        asked |= {name.split(".")[-1] for name in names} & FILE_TIMES
        assert asked <= MAY.get(path.name, set()), f"{path}: {asked}"
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime")
            for alias in node.names
        }
        assert not imported, f"{path} hides which clock it uses: {imported}"


# --- No room for temporary files ---


@pytest.mark.slow
def test_without_a_folder_for_temporary_files(tmp_path):
    """Neither training nor its pictures need one."""
    nowhere = str(tmp_path / "none")
    environment = {"TMPDIR": nowhere, "HOME": nowhere, "XDG_CACHE_HOME": nowhere, "PATH": "/bin"}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from gansynth_tf.cli.train import run; run()",
            *small_flags(**ONE_STAGE),
            f"--run_dir={tmp_path / 'run'}",
        ],
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": str(PACKAGE.parent)},
    )
    assert done.returncode == 0, done.stderr
    assert len(checkpoints(tmp_path / "run")) == 4
