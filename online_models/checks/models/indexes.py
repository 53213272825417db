"""The vector indexes: one description, three implementations."""

from collections.abc import Callable, Iterator

import numpy as np

from online_models.checks.checkable import Bounded, Checkable, Pattern
from online_models.checks.vector_index import DIMS, VECTOR_INDEX_CHECKS, vectors
from online_models.index.adaptive import AdaptiveIndex
from online_models.index.exact import ExactIndex
from online_models.index.hnsw import HnswIndex
from online_models.index.interface import VectorIndex
from online_models.track import NO_ROWS, Doubles

_ROWS, _VECTORS = vectors(200, seed=7)
_ASKED = 5


def _teach(index: VectorIndex, n: int) -> None:
    """Four rows come or move, and now and then one goes."""
    places = (4 * n + np.arange(4)) % 60
    index.update_many(_ROWS[places], (1.0 + n / 50.0) * _VECTORS[places + n])
    if n % 5 == 4:
        index.remove_many(_ROWS[places[:1]])


def _ask(index: VectorIndex) -> Doubles:
    answers = np.zeros((8, 2, _ASKED))
    for place, query in enumerate(_VECTORS[:8]):
        rows, scores = index.search(query, _ASKED)
        answers[place, 0, : len(rows)], answers[place, 1, : len(rows)] = rows, scores
    return answers.ravel()


def _everything(index: VectorIndex) -> bytes:
    """All rows, and their products with each axis."""
    found = [index.search(axis, 10**6) for axis in np.eye(DIMS, dtype=np.float32)]
    return b"".join(rows.tobytes() + scores.tobytes() for rows, scores in found)


def _approach(index: VectorIndex) -> None:
    rows, scores = index.search(_VECTORS[0], 10**6)
    own = scores[rows == _ROWS[9]]
    lengths = 1.0 + float(own[0]) / float(_VECTORS[0] @ _VECTORS[0]) if len(own) else 1.0
    index.update_many(_ROWS[9:10], lengths * _VECTORS[:1])


def _closeness(index: VectorIndex) -> float:
    rows, scores = index.search(_VECTORS[0], 10**6)
    return float(scores[rows == _ROWS[9]].sum()) if (rows == _ROWS[9]).any() else -1e9


def _hostile(index: VectorIndex) -> Iterator[Doubles]:
    for size in (0.0, 1e-30, 1e15):
        index.update_many(_ROWS[:3], size * _VECTORS[:3])
        for query in (_VECTORS[0], size * _VECTORS[0]):
            for n in (1, 7, 10**6):
                yield index.search(query, n)[1].astype(np.float64)


def _empty(index: VectorIndex) -> Iterator[Doubles]:
    index.remove_many(NO_ROWS)
    assert index.update_many(NO_ROWS, np.zeros((0, DIMS), np.float32)) == 0, "nothing was put in, and something moved"
    yield index.search(_VECTORS[0], 0)[1].astype(np.float64)


def _index(
    name: str, make: Callable[[int], VectorIndex], bounded: Bounded[VectorIndex] | None = None
) -> Checkable[VectorIndex]:
    return Checkable(
        name=name,
        make=make,
        teach=_teach,
        ask=_ask,
        state=_everything,
        pattern=Pattern(teach=_approach, predict=_closeness, lessons=3),
        bounded=bounded,
        hostile=_hostile,
        empty=_empty,
        interface=VECTOR_INDEX_CHECKS,
    )


EXACT_INDEX = _index(
    "exact-index", lambda seed: ExactIndex(dims=DIMS)
)  # as many rows as it is given: the table's bound

HNSW_INDEX = _index(
    "hnsw-index",
    lambda seed: HnswIndex(dims=DIMS, seed=seed),
    Bounded(
        make=lambda: HnswIndex(dims=DIMS, capacity_max=40),
        teach=_teach,
        lessons=30,
        sizes=lambda index: {"capacity_max": (len(index), 40)},
    ),
)

ADAPTIVE_INDEX = _index("adaptive-index", lambda seed: AdaptiveIndex(dims=DIMS, exact_max=30))  # bounded by its graph
