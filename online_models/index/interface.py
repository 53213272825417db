"""What every vector index can do."""

from typing import Protocol

from online_models.track import Floats, Rows


class VectorIndex(Protocol):
    """Rows with a vector each, searched by inner product."""

    def __len__(self) -> int:
        """Rows that a search may answer."""

    def update_many(self, rows: Rows, vectors: Floats) -> int:
        """Put rows in, or move them: int32[n], float32[n, dims]. Answers how many were moved enough to matter."""

    def remove_many(self, rows: Rows) -> None:
        """Take rows out; unknown ones are left alone."""

    def search(self, vector: Floats, n: int) -> tuple[Rows, Floats]:
        """The n rows with the greatest inner product, best first, and those: int32[m], float32[m], m <= n."""
