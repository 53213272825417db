"""The approximate index: hnswlib (Malkov & Yashunin 2016), kept while its vectors move.

An update costs several times an insert, so a vector is moved only once it has drifted by `drift` of its length. Deleted places are used again.
Recall against exact search is measured on what is asked (`true_nearest`, `recall`); who finds it below `recall_min` builds the graph anew (`built`).
Where the graph leads to fewer rows than are asked for (equal vectors, most of them deleted), all products are taken: counted in `unreached`.
"""

from collections.abc import Sequence

import hnswlib
import numpy as np

from online_models.track import NO_ROWS, Floats, Rows


class HnswIndex:
    """hnswlib behind the interface.

    drift : share of its own length that a vector may move before its place in the graph does
    capacity_max : rows at most; what comes after is not put in, and is counted in `refused`
    links, build_width, search_width : hnswlib's M, ef_construction and ef
    moves_max : vectors to move before others may run; each takes about a millisecond

    >>> index = HnswIndex(dims=2)
    >>> index.update_many(np.array([7, 9], np.int32), np.array([[1, 0], [0, 1]], np.float32))
    2
    >>> index.search(np.array([0.1, 1.0], np.float32), 1)[0].tolist()
    [9]
    """

    outgrown = False

    def __init__(
        self,
        *,
        dims: int,
        drift: float = 0.15,
        capacity_max: int = 2_000_000,
        links: int = 16,
        build_width: int = 100,
        search_width: int = 200,
        recall_min: float = 0.9,
        moves_max: int = 8,
        seed: int = 0,
    ) -> None:
        self.dims, self.drift, self.capacity_max, self.recall_min = dims, drift, capacity_max, recall_min
        self.moves_max = moves_max
        self._links, self._build_width, self._search_width, self._seed = links, build_width, search_width, seed
        self.refused = self.unreached = 0
        self._stored: dict[int, int] = {}  # row -> place in _vectors
        self._vectors = np.zeros((1024, dims), np.float32)  # as they stand in the graph
        self._rows = np.zeros(1024, np.int32)
        self._free: list[int] = []
        self._graph = self._new_graph(1024)

    def _new_graph(self, capacity: int) -> hnswlib.Index:
        graph = hnswlib.Index(space="ip", dim=self.dims)
        graph.init_index(
            capacity,
            M=self._links,
            ef_construction=self._build_width,
            random_seed=self._seed,
            allow_replace_deleted=True,
        )
        graph.set_ef(self._search_width)
        graph.set_num_threads(1)
        return graph

    def __len__(self) -> int:
        return len(self._stored)

    def update_many(self, rows: Rows, vectors: Floats) -> int:
        places = np.array([self._stored.get(row, -1) for row in rows.tolist()], np.int64)
        before = self._vectors[places]
        moved = np.linalg.norm(vectors - before, axis=1) > self.drift * np.linalg.norm(before, axis=1)
        chosen = np.flatnonzero(moved | (places < 0))
        for place in chosen.tolist():
            self._put(int(rows[place]), vectors[place])
        return len(chosen)

    def _put(self, row: int, vector: Floats) -> None:
        place = self._stored.get(row)
        if place is None:
            if len(self._stored) >= self.capacity_max:
                self.refused += 1
                return
            place = self._free.pop() if self._free else len(self._stored)
            if place == len(self._rows):
                self._grow()
            self._stored[row] = place
            self._rows[place] = row
            if place < self._graph.get_current_count():
                self._graph.unmark_deleted(place)
        self._vectors[place] = vector
        self._graph.add_items(vector[None, :], [place])

    def _grow(self) -> None:
        capacity = 2 * len(self._rows)
        self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
        self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._graph.resize_index(capacity)

    def remove_many(self, rows: Rows) -> None:
        for row in rows.tolist():
            place = self._stored.pop(row, None)
            if place is not None:
                self._graph.mark_deleted(place)
                self._rows[place] = 0
                self._free.append(place)

    def search(self, vector: Floats, n: int) -> tuple[Rows, Floats]:
        n = min(n, len(self), self._search_width)
        if n == 0:
            return NO_ROWS, np.zeros(0, np.float32)
        try:
            places, distances = self._graph.knn_query(vector[None, :], k=n)
        except RuntimeError:  # hnswlib raises where it reaches fewer than n; an answer must not depend on that
            self.unreached += 1
            return self._search_all(vector, n)
        return self._rows[places[0].astype(np.int64)], (1.0 - distances[0]).astype(np.float32)

    def _search_all(self, vector: Floats, n: int) -> tuple[Rows, Floats]:
        places = np.fromiter(self._stored.values(), np.int64, len(self))
        scores = self._vectors[places] @ vector
        best = np.argpartition(-scores, n - 1)[:n]
        best = best[np.argsort(-scores[best], kind="stable")]
        return self._rows[places[best]], scores[best]

    def true_nearest(self, queries: Floats, n: int = 10) -> list[Rows]:
        vectors, rows = self._vectors, self._rows.copy()  # growing makes others
        size = min(len(rows), len(vectors))
        free = rows[:size] == 0
        n = min(n, size - int(np.count_nonzero(free)))
        nearest = list[Rows]()
        for query in queries if n else ():
            scores = np.where(free, -np.inf, vectors[:size] @ query)
            nearest.append(rows[(-scores).argpartition(n - 1)[:n]])
        return nearest

    def recall(self, queries: Floats, nearest: Sequence[Rows]) -> float:
        if not nearest:
            return 1.0
        found = [np.isin(each, self.search(query, len(each))[0]) for query, each in zip(queries, nearest, strict=True)]
        return float(np.concatenate(found).mean())

    def stored(self) -> tuple[Rows, Floats]:
        """Copies of the rows, and of their vectors as they stand in the graph: int32[n], float32[n, dims]."""
        places = np.fromiter(self._stored.values(), np.int64, len(self))
        return self._rows[places], self._vectors[places]

    def built(self, rows: Rows, vectors: Floats) -> "HnswIndex":
        """A fresh index like this one, of these rows."""
        fresh = HnswIndex(
            dims=self.dims,
            drift=self.drift,
            capacity_max=self.capacity_max,
            links=self._links,
            build_width=self._build_width,
            search_width=self._search_width,
            recall_min=self.recall_min,
            moves_max=self.moves_max,
            seed=self._seed,
        )
        fresh._fill(rows, vectors)
        return fresh

    def _fill(self, rows: Rows, vectors: Floats) -> None:
        size = len(rows)
        capacity = max(1024, 1 << int(np.ceil(np.log2(max(size, 1)))))
        self._stored = {row: place for place, row in enumerate(rows.tolist())}
        self._rows, self._vectors = np.zeros(capacity, np.int32), np.zeros((capacity, self.dims), np.float32)
        self._rows[:size], self._vectors[:size] = rows, vectors
        self._graph = self._new_graph(capacity)
        if size:
            self._graph.add_items(vectors, np.arange(size))
