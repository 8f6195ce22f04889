"""GANSynth for TensorFlow 2 and Keras 3: a progressive GAN that makes musical notes."""

__version__ = "0.1.0"
