"""Commands. TensorFlow's start-up messages are kept out of their output."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
