"""The exact index: all inner products. What the others are measured against, and the better choice for small catalogues."""

from collections.abc import Sequence

import numpy as np

from online_models.track import Floats, Rows


class ExactIndex:
    """Brute force.

    >>> index = ExactIndex(dims=2)
    >>> index.update_many(np.array([7, 9], np.int32), np.array([[1, 0], [0, 1]], np.float32))
    2
    >>> index.search(np.array([0.1, 1.0], np.float32), 1)[0].tolist()
    [9]
    """

    recall_min = 1.0
    outgrown = False

    def __init__(self, *, dims: int, moves_max: int = 2000) -> None:
        self.dims, self.moves_max = dims, moves_max
        self._place: dict[int, int] = {}
        self._rows = np.zeros(16, np.int32)
        self._vectors = np.zeros((16, dims), np.float32)

    def __len__(self) -> int:
        return len(self._place)

    def update_many(self, rows: Rows, vectors: Floats) -> int:
        place_of = self._place
        places = [place_of.setdefault(row, len(place_of)) for row in rows.tolist()]
        while len(place_of) > len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
        self._rows[places], self._vectors[places] = rows, vectors
        return len(rows)

    def remove_many(self, rows: Rows) -> None:
        for row in rows.tolist():
            place = self._place.pop(row, None)
            last = len(self._place)
            if place is not None and place != last:  # the last one takes the free place
                moved = int(self._rows[last])
                self._rows[place], self._vectors[place] = moved, self._vectors[last]
                self._place[moved] = place

    def search(self, vector: Floats, n: int) -> tuple[Rows, Floats]:
        size = len(self)
        scores = self._vectors[:size] @ vector
        best = (-scores).argpartition(n)[:n] if n < size else np.arange(size)
        best = best[(-scores[best]).argsort(kind="stable")]
        return self._rows[best], scores[best]

    def true_nearest(self, queries: Floats, n: int = 10) -> list[Rows]:
        """Nothing: none is missed."""
        return []

    def recall(self, queries: Floats, nearest: Sequence[Rows]) -> float:
        """Always 1."""
        return 1.0

    def stored(self) -> tuple[Rows, Floats]:
        return self._rows[: len(self)].copy(), self._vectors[: len(self)].copy()

    def built(self, rows: Rows, vectors: Floats) -> "ExactIndex":
        fresh = ExactIndex(dims=self.dims, moves_max=self.moves_max)
        fresh.update_many(rows, vectors)
        return fresh
