"""Order says something where tracks that are near in one history are near in everybody's, the listener's own plays left out."""

import numpy as np
import pytest

from online_models.checks.made_up import catalogue, rows_of
from online_models.colistening import PAIRS_MAX, add_pairs, session_weights
from online_models.order import order_lift
from online_models.track import Rows, TrackTable

pytestmark = pytest.mark.slow

TRACKS = 40


def hear(table: TrackTable, rows: Rows) -> None:
    """Somebody heard these, oldest first, each with the weight 1."""
    for place in range(1, len(rows)):
        before = rows[:place][: -PAIRS_MAX - 1 : -1]
        weights = np.array(session_weights(PAIRS_MAX)[: len(before)])
        add_pairs(table, before, np.full(len(before), rows[place], np.int32), weights)


def lift_of(table: TrackTable, heard: Rows, *, own: float = 1.0) -> float:
    return order_lift(table, heard[::-1], np.full(len(heard), own))[0]


def test_an_order_that_all_share_says_much() -> None:
    table = catalogue(TRACKS)
    rows = rows_of(table, TRACKS)
    for start in range(20):
        hear(table, np.roll(rows, -start)[:30])

    assert lift_of(table, rows[:30]) > 5.0


@pytest.mark.parametrize("seed", range(5))
def test_any_order_says_nothing(seed: int) -> None:
    table, rng = catalogue(TRACKS), np.random.default_rng(seed)
    rows = rows_of(table, TRACKS)
    histories = [rng.permutation(rows)[:30] for _ in range(100)]
    for heard in histories:
        hear(table, heard)

    assert np.mean([lift_of(table, heard) for heard in histories]) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("tracks", "times"), [(30, 1), (10, 5), (10, 40)])
def test_what_only_this_listener_has_done_says_nothing(tracks: int, times: int) -> None:
    table = catalogue(TRACKS)
    heard = np.tile(rows_of(table, TRACKS)[:tracks], times)
    hear(table, heard)

    assert order_lift(table, heard[::-1], np.ones(len(heard))) == (1.0, 0.0)
    assert lift_of(table, heard, own=0.0) > 1.5


def test_of_what_somebody_repeats_what_others_have_done_is_left() -> None:
    table = catalogue(TRACKS)
    rows = rows_of(table, TRACKS)[:10]
    heard = np.tile(rows, 5)
    hear(table, heard)
    add_pairs(table, rows[:1], rows[1:2], np.ones(1))  # the one pair of others is at near lags 1 and far lags 11, 21, …

    lift, known = order_lift(table, heard[::-1], np.ones(len(heard)))

    assert lift > 1.0
    assert 0.0 < known < 10.0


def test_more_is_known_of_a_history_the_more_of_it_is_far_apart_and_others_have_heard() -> None:
    table = catalogue(TRACKS)
    rows = rows_of(table, TRACKS)
    for start in range(20):
        hear(table, np.roll(rows, -start)[:30])
    known = [order_lift(table, rows[:plays][::-1], np.ones(plays))[1] for plays in (2, 7, 8, 12, 30)]

    assert known[:2] == [0.0, 0.0]
    assert known[2] <= 1.0 < known[3] < known[4]
