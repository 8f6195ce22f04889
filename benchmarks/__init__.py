"""How fast things are, each beside the machine's own ceiling in the same run."""

import gansynth_tf.cli  # noqa: F401  before TensorFlow, for the settings that it reads when imported
