"""GANSynth for TensorFlow 2 and Keras 3: a progressive GAN that makes musical notes."""

import os

__version__ = "0.1.0"

# TensorFlow reads this when it is first imported. It leaves oneDNN's convolutions off on CPUs
# without AVX-512 VNNI, though they halve the time of a training step there too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
