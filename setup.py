"""How gansynth-tf is packaged: names, ranges, commands and the files that travel in the wheel."""

import ast
import pathlib

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).resolve().parent


def read_version() -> str:
    """Returns `__version__` of the package without importing it."""
    tree = ast.parse((ROOT / "gansynth_tf" / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__version__":
            return ast.literal_eval(node.value)
    raise ValueError("gansynth_tf/__init__.py sets no __version__")


def read_readme() -> str:
    """Returns the text shown on the package's page."""
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.exists() else ""


INSTALL_REQUIRES = [
    # Networks, losses, training, tf.data. 2.16.2 is the oldest that is tested; 2.22 is not out.
    # Python 3.13 needs 2.20 or newer, which pip finds by itself.
    "tensorflow>=2.16.2,<2.22",
    # Layers and models. TensorFlow only asks for "some Keras 3": this is what is tested.
    "keras>=3.13.2,<4",
    # The format of data sets: what is written, and what says where NSynth's files lie. TensorFlow
    # 2.16 also needs tensorflow-metadata<1.18 beside it; newer TensorFlow needs a newer one, and a
    # requirement cannot depend on another's version: constraints/full.txt holds that pin.
    "tensorflow-datasets>=4.9.9,<5",
    # Audio ops. 0.37.1 is its last release: no wheel above Python 3.12, and its native ops
    # load on TensorFlow 2.16 only.
    'tensorflow-io>=0.37.1,<0.38; python_version < "3.13"',
    # Embedded notes, file formats, everything outside a graph. TensorFlow 2.16 needs numpy 1.
    "numpy>=1.26,<3",
    # Wav files and filters.
    "scipy>=1.11",
    # MIDI files. pretty_midi reads by it too, but drops what a note list needs: which track's note
    # ends, the pedal across tracks, notes that nothing ends.
    "mido>=1.3.2,<2",
    # Flags and flagfiles of every command.
    "absl-py>=1.4",
    # Scalars, audio and pictures of a run; TensorFlow 2.21 no longer brings it.
    "tensorboard>=2.16",
    # Loss curves and rainbowgrams.
    "matplotlib>=3.8",
    # The independent pitch tracker, and onsets in long recordings.
    "librosa>=0.10.2,<0.12",
    # Recordings: decoded by libsndfile, which comes in the wheel and knows mp3 since 1.1. librosa
    # brings it, and soxr.
    "soundfile>=0.12.1,<1",
    # Resampling: recordings, SoundFonts (rendered at 48 kHz), stored notes at another rate.
    "soxr>=0.3.7,<2",
]

EXTRAS_REQUIRE = {
    # TFDS's own builder of NSynth, for a cluster; `gansynth_data prepare_nsynth` needs none of it.
    # Beam 2.77 asks for older pyarrow, pillow and python-dateutil than constraints/full.txt holds,
    # and for an older protobuf than TensorFlow 2.20 and newer resolve to; it leaves out
    # google-crc32c, without which it reads no TFRecord, and TFDS importlib_resources.
    "beam": ["apache-beam>=2.77,<3", "google-crc32c>=1.5", "importlib_resources>=6"],
    # `gansynth_export --onnx`. onnx 1.19 asks for a newer ml_dtypes than TensorFlow 2.16 allows,
    # and pip does not see it: constraints/full.txt holds 1.18.
    "onnx": ["tf2onnx>=1.17,<2", "onnx>=1.17"],
    # Everything that the Makefile, the tests and a release use.
    "dev": [
        "build>=1.2",
        "hypothesis>=6.100",
        # Plays what `gansynth_export --onnx` writes, which takes the extra of that name.
        "onnxruntime>=1.18",
        "tf2onnx>=1.17,<2",
        "onnx>=1.17",
        # TFDS imports it while it writes a data set, without asking for it.
        "importlib_resources>=6",
        "packaging>=24",
        # Plays SFZ instruments, to hear whether ours sound at their pitches.
        "pysfizz>=0.1.3,<0.2",
        "pytest>=8.3",
        "ruff>=0.17,<0.18",
    ],
}

setup(
    name="gansynth-tf",
    version=read_version(),
    description="GANSynth in TensorFlow 2 and Keras 3: progressive GANs that make musical notes",
    long_description=read_readme(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["audio synthesis", "gan", "gansynth", "keras", "music", "nsynth", "tensorflow"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio :: Sound Synthesis",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    python_requires=">=3.11,<3.14",
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    # flags/ lies at the top for its readers; in a wheel it is the folder gansynth_tf/flags.
    packages=[*find_packages(include=["gansynth_tf", "gansynth_tf.*"]), "gansynth_tf.flags"],
    package_dir={"gansynth_tf.flags": "flags"},
    package_data={
        "gansynth_tf": ["py.typed"],
        "gansynth_tf.flags": ["*.cfg"],
        "gansynth_tf.data": ["maps/*.csv"],
    },
    include_package_data=False,
    entry_points={
        "console_scripts": [
            "gansynth_train=gansynth_tf.cli.train:run",
            "gansynth_supervise=gansynth_tf.cli.supervise:run",
            "gansynth_data=gansynth_tf.cli.data:run",
            "gansynth_generate=gansynth_tf.cli.generate:run",
            "gansynth_export=gansynth_tf.cli.export:run",
            "gansynth_import=gansynth_tf.cli.import_model:run",
            "gansynth_quickstart=gansynth_tf.cli.quickstart:run",
        ],
    },
    zip_safe=False,
)
