"""Order says something where tracks that are near in one history are near in everybody's, the listener's own plays left out."""

import numpy as np
import pytest

from online_models.checks.made_up import catalogue, rows_of
from online_models.colistening import add_pairs, session_weights
from online_models.order import order_lift
from online_models.track import Rows, TrackTable

TRACKS, NEAR = 40, 6


def hear(table: TrackTable, rows: Rows) -> None:
    """Somebody heard these, oldest first, each with the weight 1."""
    for place in range(1, len(rows)):
        before = rows[:place][: -NEAR - 1 : -1]
        weights = np.array(session_weights(NEAR)[: len(before)])
        add_pairs(table, before, np.full(len(before), rows[place], np.int32), weights)


def lift_of(table: TrackTable, heard: Rows, *, own: float = 1.0) -> float:
    return order_lift(table, heard[::-1], np.full(len(heard), own))


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


def test_what_only_this_listener_has_done_says_nothing() -> None:
    table = catalogue(TRACKS)
    rows = rows_of(table, TRACKS)
    hear(table, rows[:30])

    assert lift_of(table, rows[:30]) == pytest.approx(1.0)
    assert lift_of(table, rows[:30], own=0.0) > 5.0
