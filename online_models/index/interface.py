"""What every vector index can do."""

from collections.abc import Sequence
from typing import Protocol, Self

from online_models.track import Floats, Rows


class VectorIndex(Protocol):
    """Rows with a vector each, searched by inner product.

    moves_max : vectors to move before others may run
    recall_min : the recall below which it is to be built anew
    outgrown : whether it is to be built anew as another kind; until then it goes on as it is
    """

    @property
    def moves_max(self) -> int: ...

    @property
    def recall_min(self) -> float: ...

    @property
    def outgrown(self) -> bool: ...

    def __len__(self) -> int:
        """Rows that a search may answer."""

    def update_many(self, rows: Rows, vectors: Floats) -> int:
        """Put rows in, or move them: int32[n], float32[n, dims]. Answers how many were moved enough to matter."""

    def remove_many(self, rows: Rows) -> None:
        """Take rows out; unknown ones are left alone."""

    def search(self, vector: Floats, n: int) -> tuple[Rows, Floats]:
        """The n rows with the greatest inner product, best first, and those: int32[m], float32[m], m <= n."""

    def true_nearest(self, queries: Floats, n: int = 10) -> list[Rows]:
        """By going through all vectors: at most n rows of each of float32[q, dims]. It may run in another thread while these are searched and moved."""

    def recall(self, queries: Floats, nearest: Sequence[Rows]) -> float:
        """The share of the true nearest of queries that searches for as many find; 1 where there are none."""

    def stored(self) -> tuple[Rows, Floats]:
        """Copies of the rows and vectors that a search goes through: int32[n], float32[n, dims]."""

    def built(self, rows: Rows, vectors: Floats) -> Self:
        """A fresh index of the same kind, of these rows; touches nothing of this one, so it may run in another thread."""
