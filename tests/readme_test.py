"""What the README shows is so."""

import pathlib
import re
import subprocess
import sys

from experiments import small_flags
from songs import note, song

from gansynth_tf.cli import train

ROOT = pathlib.Path(__file__).parents[1]


def test_the_first_code_block_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train.main([*small_flags(total_num_images=8, max_pitch=67), "--run_dir=runs/tiny"]) == 0
    song(note(60, 0, 1) + note(64, 0.5, 1)).save("song.mid")
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    names = {}
    exec(code, names)
    assert names["notes"].waves.shape == (3, names["model"].audio_length)
    assert names["piece"].ndim == 1
    assert 0 < abs(names["piece"]).max() <= 1


def test_importing_the_package_is_light():
    code = (
        "import gansynth_tf, sys; print(sorted({'tensorflow', 'numpy', 'keras'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr
