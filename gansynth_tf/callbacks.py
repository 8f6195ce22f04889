"""What a run shows: progress lines, JSON lines, TensorBoard, and samples to look at and hear."""

import contextlib
import functools
import json
import pathlib
import re
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from gansynth_tf import costs, pictures, wavfiles
from gansynth_tf.cadence import Every
from gansynth_tf.checkpoint import RunState
from gansynth_tf.experiment import Experiment
from gansynth_tf.files import naming, write_atomically
from gansynth_tf.model import GANSynth, latents_from_seed
from gansynth_tf.schedule import Stage

LOG_FILE = "log.jsonl"
SAMPLE_FOLDER = "samples"
TENSORBOARD_FOLDER = "tensorboard"
_SHOWN = {
    "wasserstein_d": "critic",
    "gradient_penalty": "penalty",
    "real_ac_loss": "pitch real",
    "fake_ac_loss": "pitch fake",
}


class Observers:
    """Everything that watches one stage of a run."""

    def __init__(
        self,
        experiment: Experiment,
        run_dir: str | pathlib.Path,
        model: GANSynth,
        stage: Stage,
        say: Callable[[str], object],
        go_on: Callable[[], object] = lambda: None,
    ):
        """``go_on`` is called before samples are written; what it raises leaves them out."""
        self.experiment, self.model, self.stage, self.say = experiment, model, stage, say
        self._go_on = go_on
        self.run_dir = pathlib.Path(run_dir)
        self.writer = None
        if experiment.run.tensorboard:
            folder = self.run_dir / TENSORBOARD_FOLDER
            with _writing_events(folder):
                self.writer = tf.summary.create_file_writer(str(folder))

    def stage_begins(self, state: RunState) -> None:
        """Says which stage begins, and drops log rows of steps that were not saved."""
        trim_log(self.run_dir / LOG_FILE, state.images)
        time_frames, bins = self.experiment.resolutions.resolution(self.stage.num_blocks)
        self.say(
            f"Stage {self.stage.index} of 0-{self.experiment.schedule.total_num_stages - 1} "
            f"({self.stage.kind}): {time_frames} frames x {bins} bins, "
            f"batch {self.stage.batch_size}."
        )
        self._began = self._state = state
        self._sums, self._count = {}, 0
        self._due = Every(self.experiment.cadence.log_seconds)
        self._started = time.monotonic()
        self._restart_clock()

    def _restart_clock(self) -> None:
        """Makes the speed count from here."""
        self._clock, self._last = time.monotonic(), self._state

    def step_done(self, state: RunState, terms: dict[str, float], is_last: bool = True) -> None:
        """Adds up the terms and, when it is time, writes a row of their means.

        ``is_last`` says whether it is the last step of its execution: between the others no time
        passes here.
        """
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        self._state = state
        if state.seconds == self._began.seconds:
            # The first execution, which traces the graph, and which the run's clock leaves out.
            self._started = time.monotonic()
            self._restart_clock()
        if is_last and self._due.due(time.monotonic() - self._started):
            self._write_row(state)

    def _write_row(self, state: RunState) -> None:
        if not self._count:
            return
        images = state.images - self._last.images
        speed = images / max(time.monotonic() - self._clock, 1e-9)
        row = {
            "images": state.images,
            "step": state.steps,
            "stage": state.stage,
            "seconds": round(state.seconds, 3),
            # Of the first execution alone, there is no speed to tell.
            **({"images_per_second": round(speed, 3)} if images else {}),
            **{name: total / self._count for name, total in self._sums.items()},
        }
        path = self.run_dir / LOG_FILE
        with naming(path), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self.writer:
            with self._events(state):
                for name, value in row.items():
                    if name not in ("images", "step"):
                        tf.summary.scalar(name, value)
        self.say(self._progress_line(state, row, speed))
        self._sums, self._count = {}, 0
        self._restart_clock()

    @contextlib.contextmanager
    def _events(self, state: RunState) -> Iterator[None]:
        """Within it, summaries go to TensorBoard's file."""
        folder = self.run_dir / TENSORBOARD_FOLDER
        with _writing_events(folder), self.writer.as_default(step=state.images):
            yield

    def _progress_line(self, state: RunState, row: dict, speed: float) -> str:
        parts = [f"stage {state.stage} {self.stage.kind}", f"{state.images:,} images"]
        parts.append(self._progress(state))
        if speed:
            parts += [f"{speed:.3g} images/s", self._time_left(state, speed)]
        parts += [f"{label} {row[name]:.3g}" for name, label in _SHOWN.items()]
        return "  ".join(parts)

    def _progress(self, state: RunState) -> str:
        """Share of the run that is done and, in a transition, the newest block's weight."""
        schedule = self.experiment.schedule
        if schedule.train_time_limit is not None:
            share = state.seconds / schedule.train_time_limit
        else:
            share = state.images / schedule.total_num_images
        text = f"{min(share, 1.0):.1%} of the run"
        if self.stage.is_transition:
            text += f", fade {schedule.fade(self.stage, state.images, state.seconds):.2f}"
        return text

    def _time_left(self, state: RunState, speed: float) -> str:
        """Of the stage and, as far as can be told before they run, of all stages."""
        schedule = self.experiment.schedule
        if schedule.train_time_limit is not None:
            stage = schedule.stage_end_times()[self.stage.index] - state.seconds
            total = schedule.train_time_limit - state.seconds
            return f"{duration(stage)} left in stage, {duration(total)} in all"
        stage = max(self.stage.end_image - state.images, 0) / speed
        low, high = (duration(stage + images / speed) for images in self._images_ahead)
        total = low if low == high else f"{low} to {high}"
        return f"{duration(stage)} left in stage, about {total} in all"

    @functools.cached_property
    def _images_ahead(self) -> tuple[float, float]:
        """Images of later stages, counted as images of this one: at least, and at most.

        What a step costs whatever its images' size makes the later stages slower by less than
        their operations say: by nothing at the least.
        """
        config, by_frequency = self.model.config, self.model.normalizer.by_frequency

        def operations(stage: Stage) -> int:
            return costs.stage_cost(
                config.networks, stage.num_blocks, stage.batch_size, by_frequency
            ).iteration_operations

        low, high, own, end = 0.0, 0.0, operations(self.stage), self.stage.end_image
        for stage in self.experiment.schedule.stages():
            images = max(stage.end_image - end, 0)
            if images:
                low, high = low + images, high + images * operations(stage) / own
                end = stage.end_image
        return low, max(low, high)

    def samples(self, state: RunState, fade: float | None) -> None:
        """Writes notes of fixed latents over the pitches: wav, and a grid of rainbowgrams.

        A row of the log comes before, so that its speed does not count the time of this.
        """
        self._write_row(self._state)
        self._write_samples(state, fade)
        self._restart_clock()

    def _write_samples(self, state: RunState, fade: float | None) -> None:
        count = self.experiment.run.fake_batch_size
        pitches = np.asarray(self.model.config.vocabulary.pitches)
        labels = np.linspace(0, len(pitches) - 1, count).round().astype(np.int32)
        latents = latents_from_seed(
            self.experiment.run.seed, count, self.model.config.networks.latent_vector_size
        )
        self._go_on()
        specgrams = self.model.sample_specgrams(latents, labels, fade)
        self._go_on()
        waves = self.model.config.codec.specgrams_to_waves(specgrams).numpy()
        self._go_on()
        folder = self.run_dir / SAMPLE_FOLDER / f"stage_{state.stage:02d}_{state.images:010d}"
        if not np.isfinite(waves).all():
            # A picture must not end a run whose weights and losses are good.
            self.say(f"No samples at {state.images:,} images: they are not finite numbers.")
            return
        names = [f"note_{i:02d}_p{pitches[label]:03d}" for i, label in enumerate(labels)]
        rate = self.experiment.codec.sample_rate
        folder.mkdir(parents=True, exist_ok=True)
        wavfiles.write_wavs(folder, names, waves, rate)
        for other in set(folder.glob("note_*.wav")) - {folder / f"{name}.wav" for name in names}:
            other.unlink()  # of the same step, before a resume with another fake_batch_size
        grid = folder / "rainbowgrams.png"
        pictures.rainbowgram_grid(
            grid,
            specgrams.numpy(),
            [f"pitch {pitches[label]}" for label in labels],
            representation=self.experiment.codec.representation,
        )
        if self.writer:
            picture = tf.io.decode_png(grid.read_bytes(), channels=3)
            gain = wavfiles.common_gain(waves)
            with self._events(state):
                tf.summary.image("rainbowgrams", picture[tf.newaxis])
                tf.summary.audio("notes", gain * waves[:8, :, np.newaxis], rate, max_outputs=8)
        self.say(f"Samples: {folder.relative_to(self.run_dir)}")

    def close(self) -> None:
        """Writes what is left and closes TensorBoard's file."""
        self._write_row(self._state)
        if self.writer:
            with _writing_events(self.run_dir / TENSORBOARD_FOLDER):
                self.writer.close()


class NoObservers:
    """In place of Observers where another worker, the chief, watches the run."""

    def __init__(self, *_):
        pass

    def stage_begins(self, state: RunState) -> None:
        """Nothing is written."""

    def step_done(self, state: RunState, terms: dict[str, float], is_last: bool = True) -> None:
        """Nothing is written."""

    def samples(self, state: RunState, fade: float | None) -> None:
        """Nothing is written."""

    def close(self) -> None:
        """Nothing is written."""


@contextlib.contextmanager
def _writing_events(folder: pathlib.Path) -> Iterator[None]:
    """Within it, what TensorFlow raises is an OSError that names the folder."""
    try:
        yield
    except tf.errors.OpError as error:
        lines = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", error.message).split("\n")
        raise OSError(f"{folder} cannot be written: {lines[0].strip().rstrip('.')}.") from error


def duration(seconds: float) -> str:
    """Seconds -> "45 s", "12 min 05 s", "3 h 20 min"."""
    seconds = max(round(seconds), 0)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def read_log(path: str | pathlib.Path) -> list[dict]:
    """Rows of a JSON lines log that have an image count; every other line is left out.

    A line may be cut off by a kill or be damaged on the disk: a log must not stop a resume.
    """
    path = pathlib.Path(path)
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    return [row for row in map(_parse_row, lines) if row is not None]


def _parse_row(line: bytes) -> dict | None:
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError):  # not UTF-8, or not JSON
        return None
    if not isinstance(row, dict) or type(row.get("images")) not in (int, float):
        return None
    return row


def trim_log(path: str | pathlib.Path, images: int) -> None:
    """Drops rows beyond ``images``: a resumed run writes them again."""
    path = pathlib.Path(path)
    if not path.exists():
        return
    rows = [row for row in read_log(path) if row["images"] <= images]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_atomically(path, lambda file: file.write(text.encode()))
