"""Co-listening: order, bounds, newcomers, decay."""

import numpy as np

from online_models.checks.made_up import AT_MS, by_track, catalogue, rows_of
from online_models.colistening import NEWEST_KEPT, add_pairs, score_followers, score_neighbours, session_weights
from online_models.track import COLUMN, DAY_MS, NEIGHBOUR_HALF_LIFE_DAYS, TrackTable, forward_decay


def add(table: TrackTable, *pairs: tuple[int, int, float]) -> list[int]:
    """Add (followed, follower, weight), by places in the catalogue; answers the rows that changed."""
    rows = rows_of(table, 100)
    followed, followers, weights = zip(*pairs, strict=True)
    return add_pairs(table, rows[list(followed)], rows[list(followers)], np.array(weights)).tolist()


def followers_of(table: TrackTable, track: int) -> dict[str, float]:
    row = rows_of(table, 100)[track]
    known = table.neighbours[row] > 0
    keys = [table.keys[other][2:] for other in table.neighbours[row, known]]
    return dict(zip(keys, table.neighbour_weights[row, known].tolist(), strict=True))


def test_what_follows_is_not_what_came_before() -> None:
    table = catalogue(100)
    add(table, (1, 2, 1.0))

    assert followers_of(table, 1) == {"t2": 1.0}
    assert followers_of(table, 2) == {}


def test_followers_stand_heaviest_first() -> None:
    table = catalogue(100)
    add(table, (1, 2, 1.0), (1, 3, 3.0), (1, 4, 2.0))
    add(table, (1, 2, 4.0))

    assert list(followers_of(table, 1).items()) == [("t2", 5.0), ("t3", 3.0), ("t4", 2.0)]


def test_pairs_of_one_call_are_summed() -> None:
    table = catalogue(100)
    add(table, (1, 2, 1.0), (1, 2, 0.5), (3, 2, 0.25))

    assert followers_of(table, 1) == {"t2": 1.5}
    assert followers_of(table, 3) == {"t2": 0.25}


def test_only_changed_rows_are_answered() -> None:
    table = catalogue(100)
    rows = rows_of(table, 100)

    assert add(table, (5, 6, 1.0), (5, 7, 1.0), (2, 2, 1.0)) == [rows[5]]


def test_unknown_tracks_and_a_track_after_itself_are_left_out() -> None:
    table = catalogue(100)
    rows = rows_of(table, 100)
    changed = add_pairs(
        table, np.array([0, rows[1], rows[2]], np.int32), np.array([rows[1], 0, rows[2]], np.int32), np.ones(3)
    )

    assert changed.tolist() == []
    assert not table.neighbour_weights.any()


def test_row_keeps_its_heaviest_followers_within_its_bound() -> None:
    table = catalogue(100, neighbours_max=16)
    for n in range(1, 100):
        add(table, (0, n, 1000.0 if n <= 5 else 1.0))

    assert len(followers_of(table, 0)) <= 16
    assert set(followers_of(table, 0)) >= {"t1", "t2", "t3", "t4", "t5"}


def test_newcomer_enters_a_full_row_and_rises_in_it() -> None:
    table = catalogue(100, neighbours_max=16)
    add(table, *((0, n, 10.0) for n in range(1, 17)))
    for _ in range(30):
        add(table, (0, 50, 1.0))

    assert next(iter(followers_of(table, 0).items())) == ("t50", 30.0)


def test_many_newcomers_at_once_take_the_last_places_only() -> None:
    table = catalogue(100, neighbours_max=16)
    add(table, *((0, n, 100.0 - n) for n in range(1, 17)))
    add(table, *((0, n, 1.0) for n in range(30, 60)))
    kept = list(followers_of(table, 0))

    assert kept[: 16 - NEWEST_KEPT] == [f"t{n}" for n in range(1, 17 - NEWEST_KEPT)]
    assert len(kept) == 16


def test_follower_that_gathers_weight_is_not_dropped_by_a_newcomer_of_the_same_call() -> None:
    table = catalogue(100, neighbours_max=16)
    add(table, *((0, n, 100.0 - n) for n in range(1, 17)))
    add(table, (0, 16, 50.0), (0, 40, 1.0))

    assert followers_of(table, 0)["t16"] == 134.0


def test_pair_weighs_less_the_more_plays_lie_between() -> None:
    assert session_weights(3, decay=0.5) == [1.0, 0.5, 0.25]


def test_pair_of_half_a_year_ago_weighs_half() -> None:
    table = catalogue(100)
    older_ms = AT_MS - NEIGHBOUR_HALF_LIFE_DAYS * DAY_MS
    add(table, *((0, n, float(forward_decay(at_ms, 180.0))) for n, at_ms in ((1, AT_MS), (2, older_ms))))
    rows, scores = score_followers(table, rows_of(table, 100)[:1])

    np.testing.assert_allclose(by_track(table, rows, scores)[1:3], [2 / 3, 1 / 3])


def test_newest_track_counts_most() -> None:
    table = catalogue(100)
    add(table, (0, 10, 7.0), (1, 11, 7.0), (2, 12, 7.0))
    scores = by_track(table, *score_followers(table, rows_of(table, 100)[:3], lag_decay=0.5))

    np.testing.assert_allclose(scores[10:13], [1.0, 0.5, 0.25])


def test_track_that_follows_several_adds_their_shares() -> None:
    table = catalogue(100)
    add(table, (0, 10, 3.0), (0, 11, 1.0), (1, 10, 5.0))
    scores = by_track(table, *score_followers(table, rows_of(table, 100)[:2], lag_decay=1.0))

    np.testing.assert_allclose(scores[10:12], [1.75, 0.25])


def test_what_was_heard_more_is_trusted_more_where_the_power_says_so() -> None:
    table = TrackTable(dims=4)
    often, seldom, one, two = (table.add(f"t:{name}") for name in ("often", "seldom", "one", "two"))
    add_pairs(table, np.array([often, seldom], np.int32), np.array([one, two], np.int32), np.array([9.0, 1.0]))
    recent = np.array([often, seldom], np.int32)

    shares = dict(zip(*map(np.ndarray.tolist, score_followers(table, recent, lag_decay=1.0)), strict=True))
    roots = dict(zip(*map(np.ndarray.tolist, score_followers(table, recent, lag_decay=1.0, power=0.5)), strict=True))

    assert shares == {one: 1.0, two: 1.0}
    assert roots == {one: 3.0, two: 1.0}


def neighbours_of(table: TrackTable, *heard: int, most: int = 600) -> dict[str, float]:
    rows, scores = score_neighbours(table, rows_of(table, 100)[list(heard)], np.ones(len(heard)), most=most)
    return {table.keys[row][2:]: score for row, score in zip(rows.tolist(), scores.tolist(), strict=True)}


def test_neighbours_count_what_came_before_as_what_came_after() -> None:
    table = catalogue(100)
    add(table, (1, 2, 1.0), (3, 1, 4.0), (1, 3, 1.0))

    assert neighbours_of(table, 1) == {"t2": 1.0, "t3": 5.0}


def test_neighbours_that_everybody_hears_count_less() -> None:
    table = catalogue(100)
    rows = rows_of(table, 100)
    table.counts[rows[[2, 3]], COLUMN["plays"]] = 1000.0, 10.0
    add(table, (1, 2, 2.0), (1, 3, 1.0))
    found = neighbours_of(table, 1)

    assert found["t3"] > found["t2"]


def test_neighbours_look_the_other_way_only_from_the_likeliest() -> None:
    table = catalogue(100)
    add(table, (1, 2, 5.0), (1, 3, 1.0), (3, 1, 50.0))

    assert neighbours_of(table, 1, most=1) == {"t2": 5.0}


def test_neighbours_count_each_track_by_its_weight_in_whatever_order_they_come() -> None:
    table = catalogue(100)
    add(table, (1, 5, 1.0), (2, 6, 1.0), (5, 1, 2.0), (6, 2, 2.0))
    rows = rows_of(table, 100)
    scores = by_track(table, *score_neighbours(table, rows[[2, 1]], np.array([1.0, 10.0])))

    np.testing.assert_allclose(scores[[5, 6]], [30.0, 3.0])
