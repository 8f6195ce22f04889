"""The plan of a progressive training run, in plain Python.

Resolutions and filters by block, stages by image count, images to progress, progress to
blend weights. No variables and no TensorFlow: a schedule can be printed, compared and stored.

A *block* is a network resolution, counted from 1 (smallest) to ``num_resolutions`` (full size).
A *stage* is a stretch of training: stage 0 is stable on block 1, stage 1 fades block 2 in,
stage 2 is stable on block 2, and so on, ``2 * num_resolutions - 1`` stages in all.
*Progress* is a real number: ``p`` while block ``p + 1`` is stable, ``p + fraction`` while
block ``p + 2`` fades in.

Source: Karras et al., "Progressive growing of GANs", and GANSynth's appendix A.
"""

import dataclasses
import functools
import math

import numpy as np

SCALE_MODES = ("ALL", "H")

# Far above what trains, and low enough that everything computed from them stays finite: a
# mistyped value then gets a sentence instead of an overflow or a machine without memory.
MAX_RESOLUTIONS = 16
MAX_CELLS = 2**24
MAX_FILTERS = 8192
MAX_FMAP_BASE = 2**30
MAX_FMAP_DECAY = 10.0
MAX_BATCH_SIZE = 4096
MAX_IMAGES = 10**11
MAX_SECONDS = 1e9
MIN_STAGE_MULTIPLIER, MAX_STAGE_MULTIPLIER = 0.1, 10.0


def _require_integer(name: str, value: int, low: int, high: int) -> None:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not is_integer or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}.")


@dataclasses.dataclass(frozen=True)
class ResolutionSchedule:
    """Specgram size, in (time frames, frequency bins), of every block.

    Attributes:
      start_height: time frames of block 1.
      start_width: frequency bins of block 1.
      scale_base: how many times a block is larger than the one before.
      scale_mode: "ALL" grows both axes, "H" grows time only.
      num_resolutions: number of blocks.
    """

    start_height: int = 4
    start_width: int = 8
    scale_base: int = 2
    scale_mode: str = "ALL"
    num_resolutions: int = 7

    def __post_init__(self):
        for name in ("start_height", "start_width"):
            _require_integer(name, getattr(self, name), 1, MAX_CELLS)
        _require_integer("num_resolutions", self.num_resolutions, 1, MAX_RESOLUTIONS)
        _require_integer("scale_base", self.scale_base, 2, MAX_CELLS)
        if self.scale_mode not in SCALE_MODES:
            raise ValueError(
                f"scale_mode must be one of {', '.join(SCALE_MODES)}, not {self.scale_mode!r}."
            )
        if math.prod(self.final_resolution) > MAX_CELLS:
            raise ValueError(
                f"start_height={self.start_height}, start_width={self.start_width}, "
                f"scale_base={self.scale_base} and num_resolutions={self.num_resolutions} make "
                f"specgrams of more than {MAX_CELLS:,} cells, which is the most: lower one."
            )

    def scale_factor(self, block: int) -> int:
        """How many times smaller block ``block`` is than full size, along each growing axis."""
        if not 1 <= block <= self.num_resolutions:
            raise ValueError(f"block must be in [1, {self.num_resolutions}], not {block}.")
        return self.scale_base ** (self.num_resolutions - block)

    def resolution(self, block: int) -> tuple[int, int]:
        """(time, freq) of block ``block``."""
        height, width = self.final_resolution
        time_factor, freq_factor = self.shrink(block)
        return height // time_factor, width // freq_factor

    def shrink(self, block: int) -> tuple[int, int]:
        """(time, freq) factors by which block ``block`` is smaller than full size."""
        factor = self.scale_factor(block)
        return factor, factor if self.scale_mode == "ALL" else 1

    def step(self, blocks: int = 1) -> tuple[int, int]:
        """(time, freq) factors between two blocks that are ``blocks`` apart."""
        factor = self.scale_base**blocks
        return factor, factor if self.scale_mode == "ALL" else 1

    @property
    def start_resolution(self) -> tuple[int, int]:
        return self.start_height, self.start_width

    @functools.cached_property
    def final_resolution(self) -> tuple[int, int]:
        factor = self.scale_factor(1)
        return (
            self.start_height * factor,
            self.start_width * (factor if self.scale_mode == "ALL" else 1),
        )


@dataclasses.dataclass(frozen=True)
class FilterSchedule:
    """Number of filters by block: ``min(base / 2 ** (block * decay), max)``, rounded down."""

    fmap_base: int = 4096
    fmap_decay: float = 1.0
    fmap_max: int = 256

    def __post_init__(self):
        _require_integer("fmap_base", self.fmap_base, 1, MAX_FMAP_BASE)
        _require_integer("fmap_max", self.fmap_max, 1, MAX_FILTERS)
        if not 0.0 <= self.fmap_decay <= MAX_FMAP_DECAY:
            raise ValueError(
                f"fmap_decay must be a number from 0 to {MAX_FMAP_DECAY:g}, "
                f"not {self.fmap_decay!r}."
            )

    def num_filters(self, block: int) -> int:
        """Filters of block ``block`` (0 is the critic's last layer)."""
        filters = int(min(self.fmap_base / 2.0 ** (block * self.fmap_decay), self.fmap_max))
        if filters < 1:
            raise ValueError(
                f"fmap_base={self.fmap_base} and fmap_decay={self.fmap_decay:g} leave no filter "
                f"for block {block}: raise fmap_base."
            )
        return filters


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
      index: stage number from 0.
      num_blocks: blocks in use.
      end_image: image count at which the stage ends (accumulated from the run's start).
      batch_size: global batch size.
    """

    index: int
    num_blocks: int
    end_image: int
    batch_size: int

    @property
    def is_transition(self) -> bool:
        return self.index % 2 == 1

    @property
    def kind(self) -> str:
        return "transition" if self.is_transition else "stable"


@dataclasses.dataclass(frozen=True)
class TrainingSchedule:
    """How many images each stage sees, and in which batches.

    Attributes:
      num_resolutions: number of blocks.
      stable_stage_num_images, transition_stage_num_images: images of a stage of that kind.
      total_num_images: image count at which the run ends; the last stage takes what is left.
      batch_size_schedule: one global batch size per resolution; a shorter list is padded in
        front with its first entry.
      train_progressive: False trains the full-size networks only, in one stage.
      train_time_limit: seconds of training; when set, stages follow the clock, not the images.
      train_time_stage_multiplier: each stage lasts this many times as long as the one before.
    """

    num_resolutions: int = 7
    stable_stage_num_images: int = 800_000
    transition_stage_num_images: int = 800_000
    total_num_images: int = 11_000_000
    batch_size_schedule: tuple[int, ...] = (8,)
    train_progressive: bool = True
    train_time_limit: float | None = None
    train_time_stage_multiplier: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "batch_size_schedule", tuple(self.batch_size_schedule))
        _require_integer("num_resolutions", self.num_resolutions, 1, MAX_RESOLUTIONS)
        for name in (
            "stable_stage_num_images",
            "transition_stage_num_images",
            "total_num_images",
        ):
            _require_integer(name, getattr(self, name), 1, MAX_IMAGES)
        if not self.batch_size_schedule:
            raise ValueError("batch_size_schedule must name at least one batch size.")
        for size in self.batch_size_schedule:
            _require_integer("Each entry of batch_size_schedule", size, 1, MAX_BATCH_SIZE)
        if len(self.batch_size_schedule) > self.num_resolutions:
            raise ValueError(
                f"batch_size_schedule has {len(self.batch_size_schedule)} entries for "
                f"{self.num_resolutions} resolutions; at most one each is expected."
            )
        self._check_clock()

    def _check_clock(self) -> None:
        limit, multiplier = self.train_time_limit, self.train_time_stage_multiplier
        if limit is not None and not 0 < limit <= MAX_SECONDS:
            raise ValueError(
                f"train_time_limit must be a number of seconds above 0 and at most "
                f"{MAX_SECONDS:g}, not {limit!r}."
            )
        if not MIN_STAGE_MULTIPLIER <= multiplier <= MAX_STAGE_MULTIPLIER:
            raise ValueError(
                f"train_time_stage_multiplier must be a number from {MIN_STAGE_MULTIPLIER:g} to "
                f"{MAX_STAGE_MULTIPLIER:g}, not {multiplier!r}."
            )
        if limit is None:
            if multiplier != 1.0:
                raise ValueError(
                    f"train_time_stage_multiplier={multiplier:g} needs train_time_limit: without "
                    f"it, stages follow the images and not the clock."
                )
            return
        # Stages so short that their ends fall together leave no fade to compute.
        if self.train_progressive and np.any(np.diff([0.0, *self.stage_end_times()]) <= 0.0):
            raise ValueError(
                f"train_time_limit={limit:g} and train_time_stage_multiplier={multiplier:g} leave "
                f"no time for some of the {self.total_num_stages} stages: raise one."
            )

    # --- Stages ---

    @property
    def total_num_stages(self) -> int:
        return 2 * self.num_resolutions - 1

    def num_blocks(self, stage: int) -> int:
        return (stage + 1) // 2 + 1

    def batch_size(self, stage: int) -> int:
        padding = self.num_resolutions - len(self.batch_size_schedule)
        padded = (self.batch_size_schedule[0],) * padding + self.batch_size_schedule
        return padded[(stage + 1) // 2]

    def end_image(self, stage: int) -> int:
        """Image count at which ``stage`` ends."""
        if stage == self.total_num_stages - 1:
            return self.total_num_images
        stable, transition = stage // 2 + 1, (stage + 1) // 2
        images = (
            stable * self.stable_stage_num_images + transition * self.transition_stage_num_images
        )
        return min(images, self.total_num_images)

    def stage(self, index: int) -> Stage:
        if not 0 <= index < self.total_num_stages:
            raise ValueError(f"stage must be in [0, {self.total_num_stages}), not {index}.")
        return Stage(index, self.num_blocks(index), self.end_image(index), self.batch_size(index))

    def stages(self) -> tuple[Stage, ...]:
        """Every stage that trains, in order. Without progressive growth, the last one only."""
        indices = range(self.total_num_stages)
        if not self.train_progressive:
            indices = indices[-1:]
        return tuple(self.stage(index) for index in indices)

    def min_total_num_images(self, num_blocks: int) -> int:
        """Images that it takes to finish the stable stage of ``num_blocks``."""
        return (
            num_blocks * self.stable_stage_num_images
            + (num_blocks - 1) * self.transition_stage_num_images
        )

    # --- Progress ---

    def progress(self, images: int, num_blocks: int) -> float:
        """Progress after ``images`` images, never beyond ``num_blocks - 1``.

        Computed in float32 as the original does, so that blend weights agree to the last bit.
        """
        if not self.train_progressive:
            return float(num_blocks - 1)
        images = min(images, self.min_total_num_images(num_blocks) - 1)
        whole, rest = divmod(
            images, self.stable_stage_num_images + self.transition_stage_num_images
        )
        fading = np.float32(rest - self.stable_stage_num_images)
        fraction = max(np.float32(0), fading / np.float32(self.transition_stage_num_images))
        return float(np.float32(whole) + fraction)

    def stage_end_times(self) -> tuple[float, ...]:
        """Training seconds at which each stage ends; only with ``train_time_limit``."""
        if self.train_time_limit is None:
            raise ValueError("stage_end_times needs train_time_limit.")
        if not self.train_progressive:
            return (0.0,) * (self.total_num_stages - 1) + (float(self.train_time_limit),)
        lengths = np.cumprod(
            [1.0] + [self.train_time_stage_multiplier] * (self.total_num_stages - 1)
        )
        ends = np.cumsum(lengths) * (self.train_time_limit / np.sum(lengths))
        return tuple(float(end) for end in ends)

    def progress_from_time(self, seconds: float, num_blocks: int) -> float:
        """Progress after ``seconds`` of training, never beyond ``num_blocks - 1``."""
        if not self.train_progressive:
            return float(num_blocks - 1)
        ends = self.stage_end_times()
        progress = sum(
            min(max((seconds - ends[stage - 1]) / (ends[stage] - ends[stage - 1]), 0.0), 1.0)
            for stage in range(1, self.total_num_stages, 2)
        )
        return min(progress, float(num_blocks - 1))

    def fade(self, stage: Stage, images: int, seconds: float) -> float:
        """Weight of the stage's newest block after ``images`` images and ``seconds``."""
        if self.train_time_limit is None:
            progress = self.progress(images, stage.num_blocks)
        else:
            progress = self.progress_from_time(seconds, stage.num_blocks)
        return generator_alpha(stage.num_blocks, progress)

    def is_over(self, stage: Stage, images: int, seconds: float) -> bool:
        """Whether the stage has ended: by images, or by the clock where there is a limit."""
        if self.train_time_limit is None:
            return images >= stage.end_image
        return seconds >= self.stage_end_times()[stage.index]


def generator_alpha(block: int, progress: float) -> float:
    """Weight of block ``block`` in the generator's output; the weights of all blocks sum to 1."""
    return max(0.0, min(progress - (block - 2), block - progress))


def discriminator_alpha(block: int, progress: float) -> float:
    """Weight of the specgram's own features against the block above, at block ``block``."""
    return min(max(block - progress, 0.0), 1.0)
