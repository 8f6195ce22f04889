"""``gansynth.json``: what an export says of itself, beside its graph."""

import dataclasses
import json
import pathlib

import tensorflow as tf

import gansynth_tf
from gansynth_tf.checkpoint import fitting
from gansynth_tf.files import write_atomically
from gansynth_tf.instrument import RunInstrument
from gansynth_tf.model import PitchVocabulary
from gansynth_tf.specgram import SpecgramCodec

FORMAT_VERSION = 1
FILE = pathlib.Path("assets.extra") / "gansynth.json"


def describe(instrument: RunInstrument) -> dict:
    """All that a player of the export may want to know, as JSON's types."""
    codec, state = instrument.codec, instrument.state
    return {
        "format_version": FORMAT_VERSION,
        "sample_rate": codec.sample_rate,
        "audio_length": codec.audio_length,
        "seconds": codec.audio_length / codec.sample_rate,
        "latent_size": instrument.latent_size,
        "pitches": list(instrument.pitches),
        "pitch_counts": list(instrument.vocabulary.counts),
        "representation": codec.representation,
        "specgram_shape": list(codec.specgram_shape),
        "stage": instrument.description,
        "provenance": {
            "checkpoint": instrument.path.name,
            "state": dataclasses.asdict(state),
            "notes": instrument.settings.get("notes"),
            "settings": _without_places(instrument.experiment.values),
            "gansynth_tf": gansynth_tf.__version__,
            "tensorflow": tf.__version__,
        },
    }


def write(instrument: RunInstrument, path: pathlib.Path) -> None:
    """Writes what ``describe`` says."""
    text = json.dumps(describe(instrument), indent=2, sort_keys=True) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def _without_places(values: dict) -> dict:
    """Settings without folders, which are somebody's own machine."""
    return {name: value for name, value in values.items() if not name.endswith(("_path", "_dir"))}


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """What is needed to play an export, read from its ``gansynth.json``."""

    codec: SpecgramCodec
    vocabulary: PitchVocabulary
    latent_size: int
    description: str


def read(folder: pathlib.Path) -> ModelCard:
    """The card of an exported SavedModel.

    Raises:
      CheckpointError: it has none, or one that is not of this format.
    """
    path = folder / FILE
    with fitting(folder):
        try:
            values = json.loads(path.read_text())
        except FileNotFoundError:
            raise ValueError(
                f"{FILE} is missing: a SavedModel written by gansynth_export was expected"
            ) from None
        if values["format_version"] != FORMAT_VERSION:
            raise ValueError(
                f"it has format {values['format_version']}; this version reads format "
                f"{FORMAT_VERSION}"
            )
        sizes = values["specgram_shape"]
        codec = SpecgramCodec(
            values["representation"],
            sizes[0],
            sizes[1],
            values["audio_length"],
            values["sample_rate"],
        )
        vocabulary = PitchVocabulary(tuple(values["pitches"]), tuple(values["pitch_counts"]))
        return ModelCard(codec, vocabulary, int(values["latent_size"]), str(values["stage"]))
