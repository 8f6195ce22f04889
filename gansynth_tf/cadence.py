"""When a run logs, saves and draws samples. Plain Python."""

import dataclasses

MAX_PERIOD = 1e9  # in seconds, three decades


@dataclasses.dataclass(frozen=True)
class CadenceConfig:
    """How often things happen during training, besides at every stage's end.

    Attributes:
      log_seconds: between progress lines (and log rows).
      checkpoint_num_images: images between checkpoints; 0 counts none.
      checkpoint_minutes: minutes between checkpoints; 0 counts none.
      keep_checkpoints: checkpoints kept within a stage.
      save_summaries_num_images: images between sample grids; 0 draws them at stage ends only.
    """

    log_seconds: float = 10.0
    checkpoint_num_images: int = 0
    checkpoint_minutes: float = 10.0
    keep_checkpoints: int = 2
    save_summaries_num_images: int = 10_000

    def __post_init__(self):
        for name in ("log_seconds", "checkpoint_minutes"):
            if not 0 <= getattr(self, name) <= MAX_PERIOD:
                raise ValueError(
                    f"{name} must be a number from 0 to {MAX_PERIOD:g}, "
                    f"not {getattr(self, name)!r}."
                )
        for name in ("checkpoint_num_images", "save_summaries_num_images"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)}.")
        if self.keep_checkpoints < 1:
            raise ValueError(f"keep_checkpoints must be at least 1, not {self.keep_checkpoints}.")


class Every:
    """Tells when ``period`` has gone by on a counter that only grows; 0 is never."""

    def __init__(self, period: float, start: float = 0.0):
        self.period, self.last = period, start

    def due(self, now: float) -> bool:
        """True once for each whole period; late calls do not pile up."""
        if not self.period or now // self.period <= self.last // self.period:
            return False
        self.last = now
        return True
