"""From the name of a data set to its notes."""

import dataclasses

from gansynth_tf.data import synth
from gansynth_tf.data.pipeline import Notes

DATASETS = ("embedded",)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which notes to train on.

    Attributes:
      dataset_name: "embedded": the synthesiser of gansynth_tf.data.synth.
      min_pitch, max_pitch: MIDI pitches, both included.
      embedded_instruments: instruments of each of the eleven families.
      embedded_velocities: MIDI velocities of every note.
      embedded_seed: draws the instruments.
    """

    dataset_name: str = "embedded"
    min_pitch: int = 24
    max_pitch: int = 84
    embedded_instruments: int = 4
    embedded_velocities: tuple[int, ...] = (50, 100)
    embedded_seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "embedded_velocities", tuple(self.embedded_velocities))
        if self.dataset_name not in DATASETS:
            raise ValueError(
                f"dataset_name must be one of {', '.join(DATASETS)}, not {self.dataset_name!r}."
            )
        if not 0 <= self.min_pitch <= self.max_pitch <= 127:
            raise ValueError(
                f"min_pitch and max_pitch must be MIDI pitches in ascending order, "
                f"not {self.min_pitch} and {self.max_pitch}."
            )
        if self.embedded_instruments < 1:
            raise ValueError(
                f"embedded_instruments must be at least 1, not {self.embedded_instruments}."
            )


def synth_config(config: DataConfig, sample_rate: int, audio_length: int) -> synth.SynthConfig:
    """The embedded synthesiser's settings.

    Raises:
      ValueError: it cannot make such notes.
    """
    return synth.SynthConfig(
        sample_rate=sample_rate,
        audio_length=audio_length,
        min_pitch=config.min_pitch,
        max_pitch=config.max_pitch,
        instruments_per_family=config.embedded_instruments,
        velocities=config.embedded_velocities,
        seed=config.embedded_seed,
    )


def load_notes(config: DataConfig, sample_rate: int, audio_length: int, progress=None) -> Notes:
    """All notes of the data set; ``progress(done, total)`` is told of long work."""
    arrays = synth.render_arrays(synth_config(config, sample_rate, audio_length), progress=progress)
    return Notes(arrays.audio, arrays.pitch)
