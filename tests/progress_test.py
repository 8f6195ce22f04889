"""Lines of long work."""

import pytest

from gansynth_tf.cli.progress import Progress

pytestmark = pytest.mark.latest


@pytest.fixture
def told(capsys):
    """Makes calls of (second, done, total, *text) -> the lines that they print."""

    def tell(calls, *arguments):
        now = 103.0
        progress = Progress(*arguments, clock=lambda: now)
        for second, *call in calls:
            now = 103.0 + second
            progress(*call)
        return capsys.readouterr().out.splitlines()

    return tell


def test_a_line_every_few_seconds(told):
    lines = told([(second, second, 200, "7 notes") for second in range(12)], "files")
    assert lines == [
        "7 notes; 5 of 200 files, 1 files/s, 3 min 15 s left",
        "7 notes; 10 of 200 files, 1 files/s, 3 min 10 s left",
    ]


def test_work_that_is_gone_on_with_is_not_counted_as_fast(told):
    lines = told([(1, 50e9, 100e9), (10, 51e9, 100e9)], "MB", 1e6)
    assert lines == ["51,000 of 100,000 MB, 100 MB/s, 8 min 10 s left"]


def test_a_new_pass_has_a_rate_of_its_own(told):
    lines = told([(4, 100, 100), (4, 0, 100), (9, 5, 100)], "files")
    assert lines == ["5 of 100 files, 1 files/s, 1 min 35 s left"]


def test_the_first_of_many_tell_no_rate(told):
    assert told([(9, 1, 1000), (10, 2, 1000)], "notes") == ["1 of 1,000 notes", "2 of 1,000 notes"]
