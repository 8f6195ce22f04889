"""Commands. TensorFlow's start-up messages are kept out of their output."""

import os

# Its errors too: the graph optimizer logs as such what it then does without. What stops a command
# is raised as an exception, with its text.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
