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
    likeness = np.zeros(n, np.float32)
    order = np.zeros(size, np.intp)
    for place in range(size):
        chosen = int(np.argmax(gain - strength * likeness))
        order[place] = chosen
        gain[chosen] = -np.inf
        np.maximum(likeness, unit @ unit[chosen], out=likeness)
    return order
