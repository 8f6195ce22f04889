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


def test_progress_by_the_clock(tmp_path):
    experiment = small_experiment(train_time_limit=30.0)
    stage = experiment.schedule.stage(1)
    observers = callbacks.Observers(experiment, tmp_path, None, stage, print)
    assert observers._progress(RunState(1, 99, seconds=15.0)) == "50.0% of the run, fade 0.50"


def test_duration():
    texts = [callbacks.duration(seconds) for seconds in (-1, 45, 725, 12000)]
    assert texts == ["0 s", "45 s", "12 min 05 s", "3 h 20 min"]
