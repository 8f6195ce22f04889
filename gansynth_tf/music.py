"""Paths through the latent space."""

import numpy as np


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
