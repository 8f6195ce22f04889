"""`make bench`: every benchmark, small."""

import subprocess
import sys

SMALL = (
    ("synth", "--config=mel_if_hires", "--seconds=0.2"),
    ("step", "--config=tiny", "--seconds=0.5"),
    ("distribute", "--config=tiny", "--seconds=0.5"),
    ("scaling", "--config=mel_if_hires"),
    ("codec", "--config=mel_if_hires", "--seconds=0.5"),
    ("pipeline", "--config=tiny", "--seconds=0.5"),
    ("storage", "--config=tiny", "--seconds=0.2"),
    ("generate", "--config=tiny", "--seconds=0.5", "--notes=1,8"),
    ("export", "--config=tiny", "--seconds=0.5", "--notes=1,8"),
    ("music", "--config=tiny", "--max_pitch=71", "--minutes=0.1"),
)

if __name__ == "__main__":
    for name, *flags in SMALL:
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *flags])
        if done.returncode:
            sys.exit(done.returncode)
