"""What a run shows: the log survives whatever happened to it, and lines tell how far it is."""

import json

import pytest
from experiments import small_experiment

from gansynth_tf import callbacks
from gansynth_tf.checkpoint import RunState
from gansynth_tf.training import Trainer

pytestmark = pytest.mark.latest


def test_the_log_loses_rows_that_were_not_saved(tmp_path):
    log = tmp_path / callbacks.LOG_FILE
    log.write_text('{"images": 8}\n{"images": 16}\n{"imag')
    callbacks.trim_log(log, 8)
    assert [json.loads(line) for line in log.read_text().splitlines()] == [{"images": 8}]


def test_no_line_of_a_log_stops_a_resume(tmp_path):
    log = tmp_path / callbacks.LOG_FILE
    bad = (b"\xff\xfe\x00", b"5", b"[1]", b'{"step": 3}', b'{"images": "8"}', b"", b"{" * 100_000)
    log.write_bytes(b'{"images": 4}\n' + b"\n".join(bad) + b'\n{"images": 8}\n')
    assert callbacks.read_log(log) == [{"images": 4}, {"images": 8}]
    callbacks.trim_log(log, 4)
    assert log.read_bytes() == b'{"images": 4}\n'


def test_no_log(tmp_path):
    assert callbacks.read_log(tmp_path / "none") == []
    callbacks.trim_log(tmp_path / "none", 4)
    assert not list(tmp_path.iterdir())


def test_progress_lines_tell_how_far_the_run_is(tmp_path):
    said = []
    Trainer(small_experiment(log_seconds=1e6), tmp_path, said.append).run()
    first, second, third = (line for line in said if "images/s" in line)
    assert "33.3% of the run" in first
    assert "66.7% of the run, fade 1.00" in second
    assert "100.0% of the run" in third
    assert "fade" not in first + third
    assert all("left in stage" in line for line in (first, second, third))


def test_time_left_in_all_lies_between_same_speed_and_operations(tmp_path):
    """Stages 1 and 2 have 32 more images, of larger specgrams."""
    seen = {}

    class Watching(Trainer):
        def _save(self):
            super()._save()
            if self.state.stage == 0:
                stage = self.experiment.schedule.stage(0)
                observers = callbacks.Observers(self.experiment, tmp_path, self.model, stage, print)
                seen["ahead"] = observers._images_ahead
                seen["text"] = observers._time_left(RunState(0, 8), 0.5)

    said = []
    Watching(small_experiment(log_seconds=1e6), tmp_path, said.append).run()
    low, high = seen["ahead"]
    assert low == 32
    assert 64 < high < 32 * 16
    expected = f"{callbacks.duration(80)} to {callbacks.duration(16 + high / 0.5)}"
    assert seen["text"] == f"16 s left in stage, about {expected} in all"
    assert "0 s left in stage, about 0 s in all" in [s for s in said if "images/s" in s][-1]


def test_speed_counts_neither_tracing_nor_samples(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock[0])
    experiment = small_experiment(log_seconds=10.0)
    said = []
    stage = experiment.schedule.stage(0)
    observers = callbacks.Observers(experiment, tmp_path, None, stage, said.append)
    observers._images_ahead = (0, 0)

    def draw(*_):
        clock[0] += 1000.0

    observers._write_samples = draw
    terms = dict.fromkeys(callbacks._SHOWN, 1.0)
    observers.stage_begins(RunState(0, 0, 0, 7.0))
    clock[0] += 500.0  # traces
    observers.step_done(RunState(0, 4, 1, 7.0), terms)
    for step in (2, 3):
        clock[0] += 2.0
        state = RunState(0, 4 * step, step, 5.0 + 2 * step)
        observers.step_done(state, terms)
        if step == 2:
            observers.samples(state, None)
    observers.samples(state, None)
    observers.close()
    rows = callbacks.read_log(tmp_path / callbacks.LOG_FILE)
    # One row before the samples, and one once the log is due.
    assert [row["images_per_second"] for row in rows] == [2.0, 2.0]
    assert all("  2 images/s  " in line for line in said[1:])


def test_of_the_first_step_alone_there_is_no_speed(tmp_path):
    experiment = small_experiment()
    said = []
    stage = experiment.schedule.stage(0)
    observers = callbacks.Observers(experiment, tmp_path, None, stage, said.append)
    observers.stage_begins(RunState())
    observers.step_done(RunState(0, 4, 1), dict.fromkeys(callbacks._SHOWN, 1.0))
    observers.close()
    (row,) = callbacks.read_log(tmp_path / callbacks.LOG_FILE)
    assert "images_per_second" not in row
    assert "images/s" not in said[-1]


def test_a_tensorboard_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / callbacks.TENSORBOARD_FOLDER).touch()
    experiment = small_experiment(tensorboard=True)
    with pytest.raises(OSError, match=r"/tensorboard cannot be written: Not a directory\.$"):
        callbacks.Observers(experiment, tmp_path, None, experiment.schedule.stage(0), print)


def test_progress_by_the_clock(tmp_path):
    experiment = small_experiment(train_time_limit=30.0)
    stage = experiment.schedule.stage(1)
    observers = callbacks.Observers(experiment, tmp_path, None, stage, print)
    assert observers._progress(RunState(1, 99, seconds=15.0)) == "50.0% of the run, fade 0.50"


def test_duration():
    texts = [callbacks.duration(seconds) for seconds in (-1, 45, 725, 12000)]
    assert texts == ["0 s", "45 s", "12 min 05 s", "3 h 20 min"]
