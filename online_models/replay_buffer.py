"""The last examples of a model, to be learnt again; no row holds them, so a worker that starts anew has none at first."""

import numpy as np

from online_models.track import Rows


class ReplayBuffer:
    """A ring of histories and targets, in arrays that never grow.

    >>> buffer = ReplayBuffer(size=2, history=3)
    >>> buffer.add(np.array([[5, 4]], np.int32), np.array([6], np.int32))
    >>> histories, targets = buffer.draw(2, np.random.default_rng(1))
    >>> histories.tolist(), targets.tolist()
    ([[5, 4, 0], [5, 4, 0]], [6, 6])
    """

    def __init__(self, size: int, history: int) -> None:
        self._histories, self._targets = np.zeros((size, history), np.int32), np.zeros(size, np.int32)
        self._next, self._filled = 0, 0

    def __len__(self) -> int:
        return self._filled

    def add(self, histories: Rows, targets: Rows) -> None:
        """Histories int32[b, h] with h up to this one's, 0 for nothing, and targets int32[b]; of more than fit the last stay."""
        size, width = self._histories.shape
        histories, targets = histories[-size:, :width], targets[-size:]
        places = (self._next + np.arange(len(targets))) % size
        self._histories[places] = 0
        self._histories[places, : histories.shape[1]] = histories
        self._targets[places] = targets
        self._next = (self._next + len(targets)) % size
        self._filled = min(size, self._filled + len(targets))

    def draw(self, examples: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
        """So many, each one as likely as another, and again and again if it comes so: int32[b, h], int32[b]."""
        chosen = rng.integers(0, self._filled, examples)
        return self._histories[chosen], self._targets[chosen]
