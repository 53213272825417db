"""The vector indexes: hnswlib measured against exact search while its rows move, go and come."""

import numpy as np
import pytest

from online_models.index.adaptive import AdaptiveIndex
from online_models.index.exact import ExactIndex
from online_models.index.hnsw import HnswIndex
from online_models.track import Floats, Rows

DIMS = 16


def vectors(size: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=(size, DIMS)).astype(np.float32)


def filled(size: int = 1000, **settings: float) -> tuple[HnswIndex, Rows, Floats]:
    index = HnswIndex(dims=DIMS, **settings)  # type: ignore[arg-type]
    rows, values = np.arange(1, size + 1, dtype=np.int32), vectors(size)
    index.update_many(rows, values)
    return index, rows, values


def recall_of(index: HnswIndex, queries: Floats) -> float:
    return index.recall(queries, index.true_nearest(queries))


def test_recall_against_exact_search_stays_high_while_rows_move_go_and_come() -> None:
    rng = np.random.default_rng(4)
    index, rows, values = filled(1500, drift=0.0)
    exact = ExactIndex(dims=DIMS)
    exact.update_many(rows, values)
    for _ in range(3):
        gone, moved = rng.choice(rows, 300, replace=False), rng.choice(rows, 200, replace=False)
        towards = rng.normal(size=(200, DIMS)).astype(np.float32)
        for each in (index, exact):
            each.remove_many(gone)
            each.update_many(moved, towards)
    queries = vectors(100, seed=5)
    same = sum(len(np.intersect1d(index.search(query, 10)[0], exact.search(query, 10)[0])) for query in queries)

    assert len(index) == len(exact)
    assert same / 1000 > 0.97
    assert recall_of(index, queries) == pytest.approx(same / 1000)


def test_places_of_deleted_rows_are_used_again() -> None:
    index, rows, values = filled(1000)
    for n in range(3):
        index.remove_many(rows[:300] + 1000 * n)
        index.update_many(rows[:300] + 1000 * (n + 1), values[:300])

    assert index._graph.get_current_count() == 1000
    assert len(index._rows) == 1024
    assert set(index.search(values[0], 200)[0].tolist()) <= {*range(301, 1001), *range(3001, 3301)}


def test_index_grows_past_its_first_capacity() -> None:
    index, _, values = filled(2500)

    assert len(index) == 2500
    assert 2401 in index.search(5.0 * values[2400], 10)[0]


def test_vector_moves_only_past_its_drift() -> None:
    index, rows, values = filled(200, drift=0.15)
    near = index.update_many(rows, 1.1 * values)
    far = index.update_many(rows[:7], 1.2 * values[:7])

    assert (near, far) == (0, 7)


def test_drift_adds_up_over_small_steps() -> None:
    index, rows, values = filled(10, drift=0.15)
    moved = [index.update_many(rows[:1], (1.0 + step / 20) * values[:1]) for step in range(1, 8)]

    assert moved == [0, 0, 0, 1, 0, 0, 0]  # 5, 10, 15 %, then over 15 % of where it was put


def test_rows_past_capacity_max_are_refused_and_counted() -> None:
    index, rows, values = filled(100, capacity_max=60)

    assert (len(index), index.refused) == (60, 40)
    index.remove_many(rows[:10])
    index.update_many(rows[90:], values[90:])
    assert (len(index), index.refused) == (60, 40)


def test_rebuilding_keeps_every_row_and_forgets_the_deleted() -> None:
    index, rows, values = filled(600)
    index.remove_many(rows[:300])
    index = index.built(*index.stored())
    answered = {row for query in values[:60] for row in index.search(query, 100)[0].tolist()}

    assert (len(index), index._graph.get_current_count()) == (300, 300)
    assert answered <= set(rows[300:].tolist())
    assert 401 in index.search(5.0 * values[400], 10)[0]


def test_rebuilt_index_takes_new_rows() -> None:
    index, rows, values = filled(300)
    index.remove_many(rows[:100])
    index = index.built(*index.stored())
    index.update_many(rows[:100] + 5000, values[:100])

    assert len(index) == 300
    assert 5004 in index.search(5.0 * values[3], 10)[0]


def test_empty_index_may_be_rebuilt_and_measured() -> None:
    index = HnswIndex(dims=DIMS)
    index = index.built(*index.stored())

    assert recall_of(index, vectors(3)) == 1.0
    assert len(index) == 0


def test_recall_of_no_queries_is_whole() -> None:
    assert recall_of(filled(50)[0], np.zeros((0, DIMS), np.float32)) == 1.0


def test_recall_says_when_the_graph_is_to_be_built_anew() -> None:
    low, rows, _ = filled(2000, links=2, build_width=4, search_width=10)
    high = HnswIndex(dims=DIMS).built(*low.stored())

    assert recall_of(low, vectors(50, seed=6)) < low.recall_min < recall_of(high, vectors(50, seed=6))
    assert sorted(rows.tolist()) == sorted(high.stored()[0].tolist())


def test_adaptive_index_is_exact_until_it_is_built_as_a_graph_and_answers_the_same_rows_after() -> None:
    index, exact = AdaptiveIndex(dims=DIMS, exact_max=250), ExactIndex(dims=DIMS)
    rows, values = np.arange(1, 301, dtype=np.int32), vectors(300)
    for start in range(0, 300, 50):
        assert (index.is_exact, index.outgrown) == (True, False)
        for each in (index, exact):
            each.update_many(rows[start : start + 50], values[start : start + 50])

    assert (index.is_exact, index.outgrown) == (True, True)
    index = index.built(*index.stored())

    assert (index.is_exact, index.outgrown, len(index), index.moves_max < exact.moves_max) == (False, False, 300, True)
    assert exact.search(values[7], 5)[0].tolist() == index.search(values[7], 5)[0].tolist()


def test_rows_that_the_graph_does_not_reach_are_searched_exactly_and_counted() -> None:
    index, exact = HnswIndex(dims=DIMS), ExactIndex(dims=DIMS)
    rows, values = np.arange(1, 1201, dtype=np.int32), np.repeat(5.0 * vectors(30), 40, axis=0) + 0.01 * vectors(1200)
    for each in (index, exact):
        each.update_many(rows, values)
        each.remove_many(rows[:-20])
    found, scores = index.search(values[0], 20)
    expected, products = exact.search(values[0], 20)

    assert index.unreached == 1
    assert expected.tolist() == found.tolist()
    np.testing.assert_allclose(products, scores, rtol=1e-5)


def test_exact_index_fills_the_place_of_a_removed_row_with_the_last() -> None:
    index, rows, values = ExactIndex(dims=DIMS), np.arange(1, 41, dtype=np.int32), vectors(40)
    index.update_many(rows, values)
    index.remove_many(np.array([3, 40, 3, 99], np.int32))
    found, scores = index.search(values[0], 100)

    assert sorted(found.tolist()) == [row for row in rows.tolist() if row not in (3, 40)]
    np.testing.assert_allclose(values[found - 1] @ values[0], scores, rtol=1e-6)
