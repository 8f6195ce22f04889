"""Paths through the latent space: between two latents, and over the time of a piece."""

import dataclasses
import math

import numpy as np

# Of the first timbre: a hair before time 0, as in the original, whose first note would else have
# no timbre on its left.
_FIRST_TIME = -1e-4


def slerp(start: np.ndarray, end: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Spherical interpolation [len(amount), dimensions] from ``start`` to ``end`` [dimensions].

    Follows the arc between the two directions; the ends are ``start`` and ``end`` themselves.
    Parallel ends, between which the original gives NaN, are joined by a straight line.

    Source: White, "Sampling generative networks", section 2.1.
    """
    start, end = np.asarray(start), np.asarray(end)
    amount = np.asarray(amount)[:, np.newaxis]
    cosine = np.dot(start / np.linalg.norm(start), end / np.linalg.norm(end))
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    sine = np.sin(angle)
    if sine < 1e-6:
        return (1.0 - amount) * start + amount * end
    return (np.sin((1.0 - amount) * angle) * start + np.sin(amount * angle) * end) / sine


def with_norm(latents: np.ndarray, norm: float | None = None) -> np.ndarray:
    """Latents [..., dimensions], each brought to one norm; directions are kept.

    Args:
      norm: by default √dimensions, near which nearly all latents lie that a model was trained on.

    Raises:
      ValueError: a latent of zeros, which has no direction.
    """
    latents = np.asarray(latents)
    lengths = np.linalg.norm(latents, axis=-1, keepdims=True)
    if not np.all(lengths > 0.0):
        raise ValueError("a latent of zeros has no direction: it cannot be given a norm.")
    return latents * ((math.sqrt(latents.shape[-1]) if norm is None else norm) / lengths)


def slerp_fixed_norm(
    start: np.ndarray, end: np.ndarray, amount: np.ndarray, norm: float | None = None
) -> np.ndarray:
    """As ``slerp``, with every point, the ends too, at one norm (see ``with_norm``).

    Raises:
      ValueError: ends that are opposite, between which no arc is marked out, or of zeros.
    """
    start, end = with_norm(start, norm), with_norm(end, norm)
    path = slerp(start, end, amount)
    if np.linalg.norm(start + end) < 1e-6 * np.linalg.norm(start):
        raise ValueError("no arc is marked out between latents that are opposite.")
    return with_norm(path, norm)


@dataclasses.dataclass(frozen=True, eq=False)
class TimbrePath:
    """A timbre that may change over the time of a piece.

    Attributes:
      latents: [n, dimensions], n at least 1.
      times: [n] seconds, growing, at which each is reached.
      fixed_norm: whether latents, between them too, are brought to one norm (``with_norm``).
    """

    latents: np.ndarray
    times: np.ndarray
    fixed_norm: bool = False

    def __post_init__(self):
        latents, times = np.asarray(self.latents), np.asarray(self.times, np.float64)
        if latents.ndim != 2 or times.shape != latents.shape[:1] or not len(times):
            raise ValueError(
                "latents must have shape [n, dimensions] and times [n], n at least 1, not "
                f"{list(latents.shape)} and {list(times.shape)}."
            )
        if not np.all(np.diff(times) > 0.0):
            raise ValueError("times must grow.")
        object.__setattr__(self, "latents", latents)
        object.__setattr__(self, "times", times)

    def at(self, times: np.ndarray) -> np.ndarray:
        """Latents [len(times), dimensions] at these seconds, by spherical interpolation.

        Beyond the last latent the path goes on along its last arc, as the original's does, and
        likewise before the first.
        """
        times = np.asarray(times, np.float64)
        if len(self.latents) == 1:
            path = np.repeat(self.latents, len(times), axis=0)
            return with_norm(path) if self.fixed_norm else path
        arcs = np.searchsorted(self.times, times, side="left") - 1  # [len(times)]
        arcs = np.clip(arcs, 0, len(self.times) - 2)
        amounts = (times - self.times[arcs]) / (self.times[arcs + 1] - self.times[arcs])
        between = slerp_fixed_norm if self.fixed_norm else slerp
        path = np.empty((len(times), self.latents.shape[1]))
        for arc in np.unique(arcs):
            here = arcs == arc
            path[here] = between(self.latents[arc], self.latents[arc + 1], amounts[here])
        return path


def timbre_times(total_seconds: float, secs_per_instrument: float) -> np.ndarray:
    """When the timbres of a piece are reached [n], evenly from its start to its end.

    There are as many as fit, and at least one: a piece shorter than two of them has one timbre.

    Raises:
      ValueError: seconds that are not above 0, or a piece without end.
    """
    if not (0.0 < secs_per_instrument < math.inf and 0.0 <= total_seconds < math.inf):
        raise ValueError(
            f"secs_per_instrument must be above 0 and total_seconds at least 0, not "
            f"{secs_per_instrument!r} and {total_seconds!r}."
        )
    count = max(1, int(total_seconds / secs_per_instrument))
    return np.linspace(_FIRST_TIME, total_seconds, count)
