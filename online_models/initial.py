"""Where the vectors of an entity start: drawn by a hash of its key, the same in every process and on every machine."""

import hashlib

import numpy as np
from numpy.typing import NDArray


def _noise(size: int, deviation: float) -> NDArray[np.float32]:
    """float32[size] by splitmix64 (Steele et al. 2014): integers alone, so the same on every machine and with every numpy."""
    mixed = np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    uniform = (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53 - 0.5
    noise: NDArray[np.float32] = (uniform * (np.sqrt(12.0) * deviation)).astype(np.float32)
    return noise


_NOISE = _noise(1 << 16, 0.1 / 2.0**0.5)  # two slices added have a standard deviation of .1


def initial_vector(key: str, dims: int) -> NDArray[np.float32]:
    """A row of `TrackTable.vectors`, float32[2 * dims + 4]. A track's tower starts near its artist and tags, since it is their sum.

    The sum of two slices of a fixed table of noise, each at a place that the hash names: as good as new numbers, and ten times faster.
    """
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    first, second = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")
    width, places = 2 * dims, len(_NOISE) - 2 * dims
    first, second = first % places, second % places
    vector = np.zeros(width + 4, np.float32)
    np.add(_NOISE[first : first + width], _NOISE[second : second + width], out=vector[:width])
    vector[width + 1 :] = 1e-2  # AdaGrad's first squared gradient
    return vector
