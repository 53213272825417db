"""The suite of vector indexes: each check takes a maker of new ones, of DIMS dimensions."""

from collections.abc import Callable

import numpy as np

from online_models.index.interface import VectorIndex
from online_models.track import Floats, Rows

DIMS = 8
SIZE = 300
RECALL_MIN = 0.95


def vectors(size: int = SIZE, seed: int = 1) -> tuple[Rows, Floats]:
    """Rows 1 to size and a vector each, float32[size, DIMS]."""
    drawn = np.random.default_rng(seed).normal(size=(size, DIMS)).astype(np.float32)
    return np.arange(1, size + 1, dtype=np.int32), drawn


def filled(make: Callable[[], VectorIndex]) -> tuple[VectorIndex, Rows, Floats]:
    """An index that holds `vectors()`, and those."""
    index, (rows, values) = make(), vectors()
    index.update_many(rows, values)
    return index, rows, values


def check_the_nearest_come_best_first(make: Callable[[], VectorIndex]) -> None:
    index, _, values = filled(make)
    scores = index.search(values[0], 50)[1]

    assert len(scores) == 50, f"asked for 50, answered {len(scores)}"
    assert (np.diff(scores) <= 0).all(), "a worse one stands before a better one"


def check_scores_are_inner_products(make: Callable[[], VectorIndex]) -> None:
    index, _, values = filled(make)
    rows, scores = index.search(values[3], 20)
    products = values[rows - 1] @ values[3]

    assert np.allclose(products, scores, rtol=1e-4, atol=1e-4), "a score is not the inner product"


def check_it_finds_what_exact_search_finds(make: Callable[[], VectorIndex]) -> None:
    index, rows, values = filled(make)
    found = 0
    for query in vectors(40, seed=2)[1]:
        best = rows[np.argsort(-(values @ query))[:10]]
        found += len(np.intersect1d(index.search(query, 10)[0], best))

    assert found / 400 >= RECALL_MIN, f"found {found} of the true 400, expected a share of {RECALL_MIN}"


def check_no_more_are_answered_than_there_are(make: Callable[[], VectorIndex]) -> None:
    index, (rows, values) = make(), vectors(5)

    assert len(index.search(values[0], 3)[0]) == 0, "an empty index answers"
    index.update_many(rows, values)
    assert sorted(index.search(values[0], 1000)[0].tolist()) == [1, 2, 3, 4, 5], "asked for more than there are"


def check_removed_rows_are_never_answered(make: Callable[[], VectorIndex]) -> None:
    index, rows, values = filled(make)
    index.remove_many(rows[::2])
    answered = {row for query in values[:40] for row in index.search(query, 60)[0].tolist()}

    assert len(index) == SIZE // 2, f"holds {len(index)}, expected {SIZE // 2}"
    assert not answered & set(rows[::2].tolist()), "a removed row was answered"


def check_unknown_rows_are_removed_without_harm(make: Callable[[], VectorIndex]) -> None:
    index, _, values = filled(make)
    before = index.search(values[0], 10)[0].tolist()
    index.remove_many(np.array([10_000, 20_000], np.int32))

    assert len(index) == SIZE, "something was removed"
    assert before == index.search(values[0], 10)[0].tolist(), "other rows are answered"


def check_what_comes_back_is_found_again(make: Callable[[], VectorIndex]) -> None:
    index, rows, values = filled(make)
    for _ in range(3):
        index.remove_many(rows[:100])
        index.update_many(rows[:100], values[:100])
    answered = sum(row in index.search(5.0 * values[row - 1], 60)[0] for row in rows[:100].tolist())

    assert len(index) == SIZE, f"holds {len(index)}, expected {SIZE}"
    assert answered >= 95, f"of 100 rows that came back, {answered} are found by their own vector"


def check_a_moved_row_is_found_at_its_new_place_only(make: Callable[[], VectorIndex]) -> None:
    index, rows, _ = filled(make)
    far = np.zeros((1, DIMS), np.float32)
    far[0, 0] = 100.0
    moved = index.update_many(rows[:1], far)

    assert moved == 1, "the move was not counted"
    assert index.search(far[0], 1)[0].tolist() == [1], "it is not at its new place"
    assert 1 not in index.search(-far[0], 60)[0], "it is still at its old place"
    assert len(index) == SIZE, "a row stands twice"


def check_equal_vectors_are_all_answered(make: Callable[[], VectorIndex]) -> None:
    index = make()
    rows, values = vectors(20 * 60)
    index.update_many(rows, np.repeat(values[:20], 60, axis=0))
    for query in vectors(10, seed=3)[1]:
        answered = index.search(query, 100)[0].tolist()

        assert len(set(answered)) == 100, f"asked for 100 of {len(index)}, answered {len(set(answered))}"


def check_few_are_found_after_many_were_removed(make: Callable[[], VectorIndex]) -> None:
    index = make()
    rows, values = vectors(1200)
    values = 0.01 * values + np.repeat(vectors(30, seed=4)[1], 40, axis=0)
    index.update_many(rows, values)
    index.remove_many(rows[:-20])

    assert sorted(index.search(values[0], 20)[0].tolist()) == rows[-20:].tolist(), "some that are left are not found"


VECTOR_INDEX_CHECKS = (
    check_the_nearest_come_best_first,
    check_scores_are_inner_products,
    check_it_finds_what_exact_search_finds,
    check_no_more_are_answered_than_there_are,
    check_removed_rows_are_never_answered,
    check_unknown_rows_are_removed_without_harm,
    check_what_comes_back_is_found_again,
    check_a_moved_row_is_found_at_its_new_place_only,
    check_equal_vectors_are_all_answered,
    check_few_are_found_after_many_were_removed,
)
