"""The index that grows with the catalogue: exact while that is fast, a graph beyond.

A dot product with 20,000 vectors costs less than a graph's search with its upkeep, and a moved vector costs nothing; with a million it is the
other way round.
"""

from collections.abc import Sequence

from online_models.index.exact import ExactIndex
from online_models.index.hnsw import HnswIndex
from online_models.track import Floats, Rows


class AdaptiveIndex:
    """Exact up to `exact_max` rows; then it says that it has outgrown itself, and whoever owns it lets it be `built` anew, as a graph.

    A graph of many rows takes seconds to build, so that is not done in passing.

    >>> import numpy as np
    >>> index = AdaptiveIndex(dims=2, exact_max=1)
    >>> index.update_many(np.array([7, 9], np.int32), np.ones((2, 2), np.float32)), index.outgrown
    (2, True)
    >>> graph = index.built(*index.stored())
    >>> graph.is_exact, graph.outgrown, sorted(graph.search(np.ones(2, np.float32), 5)[0].tolist())
    (False, False, [7, 9])
    """

    def __init__(self, *, dims: int, exact_max: int = 20_000) -> None:
        self.dims, self.exact_max = dims, exact_max
        self._index: ExactIndex | HnswIndex = ExactIndex(dims=dims)

    @property
    def is_exact(self) -> bool:
        """Whether every search is exact."""
        return isinstance(self._index, ExactIndex)

    @property
    def moves_max(self) -> int:
        return self._index.moves_max

    @property
    def recall_min(self) -> float:
        return self._index.recall_min

    @property
    def outgrown(self) -> bool:
        return self.is_exact and len(self) > self.exact_max

    def __len__(self) -> int:
        return len(self._index)

    def update_many(self, rows: Rows, vectors: Floats) -> int:
        return self._index.update_many(rows, vectors)

    def remove_many(self, rows: Rows) -> None:
        self._index.remove_many(rows)

    def search(self, vector: Floats, n: int) -> tuple[Rows, Floats]:
        return self._index.search(vector, n)

    def true_nearest(self, queries: Floats, n: int = 10) -> list[Rows]:
        return self._index.true_nearest(queries, n)

    def recall(self, queries: Floats, nearest: Sequence[Rows]) -> float:
        return self._index.recall(queries, nearest)

    def stored(self) -> tuple[Rows, Floats]:
        return self._index.stored()

    def built(self, rows: Rows, vectors: Floats) -> "AdaptiveIndex":
        fresh = AdaptiveIndex(dims=self.dims, exact_max=self.exact_max)
        kind = HnswIndex(dims=self.dims) if len(rows) > self.exact_max else self._index
        fresh._index = kind.built(rows, vectors)
        return fresh
