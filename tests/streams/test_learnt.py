"""What waits to be sent to keepers: the largest changes first, all of it in time, nothing left behind by a clean stop."""

import numpy as np
import pytest

from online_models.track import TrackTable
from streams.learnt import Learnt

ROWS = 40


def learnt_of(*, rows_max: int, flushes_max: int = 1000) -> Learnt:
    table = TrackTable(dims=2)
    for number in range(ROWS):
        table.add(f"t:{number}")
    learnt = Learnt(table, rows_max=rows_max, flushes_max=flushes_max)
    learnt.fit()
    return learnt


def learn(learnt: Learnt, row: int, by: float, column: int = 0) -> None:
    learnt.table.vectors[row, column] += by
    learnt.touch(np.array([row], np.int32))


def test_the_largest_changes_go_first() -> None:
    learnt = learnt_of(rows_max=3)
    for row in range(1, ROWS):
        learn(learnt, row, row * (-1) ** row)

    rows, sums = learnt.take()

    assert sorted(rows.tolist()) == [ROWS - 3, ROWS - 2, ROWS - 1]
    assert np.abs(sums[:, 0]) == pytest.approx(rows)


def test_what_waits_grows_with_what_comes_until_it_is_large_enough() -> None:
    learnt = learnt_of(rows_max=1)
    sent = list[tuple[int, float]]()
    for by in (3.0, 2.9, 2.8, 0.0):
        learn(learnt, 1, by)
        learn(learnt, 2, 2.0)
        (row,), sums = learnt.take()
        sent.append((int(row), round(float(sums[0, 0]), 3)))

    assert sent == [(1, 3.0), (2, 4.0), (1, 5.7), (2, 4.0)]


def test_a_small_change_goes_in_time_though_larger_ones_never_end() -> None:
    learnt = learnt_of(rows_max=1, flushes_max=5)
    learn(learnt, 1, 1e-6)
    sent = list[int]()
    for flush in range(5):
        learn(learnt, 2 + flush, 1.0)
        sent += learnt.take()[0].tolist()
        assert 1 not in sent

    learn(learnt, 20, 1.0)

    assert sorted(learnt.take()[0].tolist()) == [1, 20]


def test_a_sum_of_squared_gradients_makes_no_change_large() -> None:
    learnt = learnt_of(rows_max=1)
    learn(learnt, 1, 100.0, column=2 * learnt.table.dims + 1)
    learn(learnt, 2, 0.1)

    assert learnt.take()[0].tolist() == [2]


def test_before_a_clean_stop_nothing_waits() -> None:
    learnt = learnt_of(rows_max=1)
    for row in range(1, ROWS):
        learn(learnt, row, 1.0)

    assert learnt.take(everything=True)[0].tolist() == list(range(1, ROWS))
    assert not learnt.of(np.arange(ROWS)).any()


def test_what_waits_survives_a_table_that_grows() -> None:
    learnt = learnt_of(rows_max=1)
    learn(learnt, 1, 1.0)
    learn(learnt, 2, 2.0)
    learnt.take()
    for number in range(ROWS, 40 * ROWS):
        learnt.table.add(f"t:{number}")
    learnt.fit()

    rows, sums = learnt.take()

    assert (rows.tolist(), sums[0, 0]) == ([1], pytest.approx(1.0))
