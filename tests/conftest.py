"""Shared fixtures: where the goldens are, and a quiet TensorFlow."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest

import gansynth_tf  # noqa: F401  before TensorFlow, for the settings that it reads when imported

LOCAL_GOLDENS = pathlib.Path(__file__).parent / "goldens"


class Goldens:
    """Reference arrays by file name: the full set where it is present, else the small one."""

    def __init__(self):
        self.full = os.environ.get("GANSYNTH_GOLDENS")

    def path(self, name: str) -> pathlib.Path:
        for folder in filter(None, (self.full, LOCAL_GOLDENS)):
            path = pathlib.Path(folder) / name
            if path.exists():
                return path
        pytest.skip(f"golden {name} needs the full set: set GANSYNTH_GOLDENS to its folder")

    def load(self, name: str):
        return np.load(self.path(name))


@pytest.fixture(scope="session")
def goldens() -> Goldens:
    return Goldens()
