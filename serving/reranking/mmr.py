"""Maximal marginal relevance (Carbonell & Goldstein 1998): each next track is good, and unlike those before it."""

import numpy as np
from numpy.typing import NDArray

from online_models.track import Doubles, Floats


def mmr(utility: Doubles, vectors: Floats, strength: float, size: int) -> NDArray[np.intp]:
    """The order of the first `size` places.

    utility : float64[n], best first; vectors : float32[n, dims]; strength : 0 keeps the order, 1 looks at likeness alone

    >>> mmr(np.array([1.0, 0.9, 0.5]), np.array([[1, 0], [1, 0], [0, 1]], np.float32), 0.5, 3).tolist()
    [0, 2, 1]
    """
    n = len(utility)
    size = min(size, n)
    if strength <= 0.0 or n < 2:
        return np.arange(size)
    spread = max(float(utility[0] - utility[-1]), 1e-9)
    gain = (1.0 - strength) * (utility - utility[-1]) / spread
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.maximum(norms, 1e-9)).astype(np.float32)
    after = gain - strength * (unit @ unit.T)  # of each, once the one of a row is in the list
    order, score = [0] * size, gain
    for place in range(size):
        order[place] = chosen = int(score.argmax())
        np.minimum(score, after[chosen], out=score)
        score[chosen] = -np.inf
    return np.array(order, np.intp)
