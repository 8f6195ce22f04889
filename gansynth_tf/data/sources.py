"""From the name of a data set to its notes."""

import dataclasses
from collections.abc import Callable

from gansynth_tf.data import synth
from gansynth_tf.data.pipeline import Notes

DATASETS = ("embedded",)
MAX_INSTRUMENTS = 1000  # of a family, as the synthesiser has it
_MIDI = range(128)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which notes to train on.

    Attributes:
      dataset_name: "embedded": the synthesiser of gansynth_tf.data.synth.
      train_data_path: where a data set lies that is read from disk.
      min_pitch, max_pitch: MIDI pitches, both included.
      embedded_instruments: instruments of each of the eleven families.
      embedded_velocities: MIDI velocities of every note.
      embedded_seed: draws the instruments.
    """

    dataset_name: str = "embedded"
    train_data_path: str = ""
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
        if self.train_data_path and self.dataset_name == "embedded":
            raise ValueError(
                f"train_data_path must be left out with dataset_name=embedded, whose notes are "
                f"synthesised, not {self.train_data_path!r}."
            )
        for name in ("min_pitch", "max_pitch"):
            if getattr(self, name) not in _MIDI:
                raise ValueError(
                    f"{name} must be a MIDI pitch from 0 to 127, not {getattr(self, name)}."
                )
        if self.min_pitch > self.max_pitch:
            raise ValueError(
                f"min_pitch must be at most max_pitch, not {self.min_pitch} with "
                f"max_pitch={self.max_pitch}."
            )
        self._check_embedded()

    def _check_embedded(self) -> None:
        """What the synthesiser would refuse as well, but under names that no user gave."""
        if not 1 <= self.embedded_instruments <= MAX_INSTRUMENTS:
            raise ValueError(
                f"embedded_instruments must be from 1 to {MAX_INSTRUMENTS}, "
                f"not {self.embedded_instruments}."
            )
        velocities = self.embedded_velocities
        is_set = velocities and len(set(velocities)) == len(velocities)
        if not is_set or not all(velocity in _MIDI[1:] for velocity in velocities):
            raise ValueError(
                f"embedded_velocities must be different MIDI velocities from 1 to 127 such as "
                f"50,100, not {','.join(map(str, velocities))!r}."
            )
        if not 0 <= self.embedded_seed < 2**31:
            raise ValueError(f"embedded_seed must be in [0, 2^31), not {self.embedded_seed}.")


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


def load_notes(
    config: DataConfig,
    sample_rate: int,
    audio_length: int,
    progress: Callable[[int, int], object] | None = None,
) -> Notes:
    """All notes of the data set; ``progress(done, total)`` is told of long work."""
    arrays = synth.render_arrays(synth_config(config, sample_rate, audio_length), progress=progress)
    return Notes(arrays.audio, arrays.pitch)
