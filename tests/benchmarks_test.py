"""Every benchmark runs, small, and answers bad flags with a sentence."""

import json
import subprocess
import sys

import pytest

from benchmarks.__main__ import SMALL

SMALLER = [
    *(
        (name, "--config=tiny", "--seconds=0")
        for name, *_ in SMALL
        if name not in ("codec", "synth", "music")
    ),
    ("music", "--config=tiny", "--max_pitch=71", "--minutes=0.05"),
    ("codec", "--config=tiny", "--data_type=mel", "--seconds=0"),
    ("synth", "--config=tiny", "--seconds=0.01"),
    ("step", "--config=tiny", "--seconds=0", "--stages=2", "--jit_compile"),
    ("pipeline", "--config=tiny", "--seconds=0", "--notrain_progressive"),
]


def run(name, *flags):
    command = [sys.executable, "-m", f"benchmarks.{name}", *flags]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("command", SMALLER, ids=" ".join)
def test_a_benchmark_prints_a_table_and_a_json_line(command):
    done = run(*command)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("{")]
    rows = json.loads(line)["rows"]
    assert rows
    assert all(row.keys() == rows[0].keys() for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("step", "--config=tiny", "--stages=a"), "--stages must be whole numbers from 0 to 4"),
        (("profile", "--config=tiny", "--stages=99"), "--stages must be whole numbers from 0"),
        (("generate", "--config=tiny", "--notes=0"), "--notes must be whole numbers from 1"),
        (("step", "--config=tiny", "--seconds=nan"), "--seconds"),
        (("music", "--config=tiny", "--minutes=nan"), "--minutes must be above 0"),
        (("pipeline", "--config=tiny", "--cores=0"), "--cores"),
    ],
)
def test_bad_flags_are_answered_with_a_sentence(command, message):
    done = run(*command)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
