"""Popularity: everywhere, by country, and as time passes."""

import numpy as np
import pytest

from online_models.checks.made_up import AT_MS, catalogue, rows_of
from online_models.colistening import add_pairs
from online_models.popularity import Popularity
from online_models.track import COLUMN, DAY_MS, NEIGHBOUR_HALF_LIFE_DAYS, TrackTable, forward_decay


def played(table: TrackTable, track: int, times: float, at_ms: int = AT_MS, country: str | None = None) -> None:
    row = rows_of(table)[[track]]
    table.counts[row, COLUMN["popularity_14d"]] += times * forward_decay(at_ms, 14.0)
    if country is not None:
        weight = np.array([times * forward_decay(at_ms, NEIGHBOUR_HALF_LIFE_DAYS)])
        add_pairs(table, np.array([table.add("c:" + country)], np.int32), row, weight)


def names(table: TrackTable, rows: "np.ndarray[tuple[int, ...], np.dtype[np.int32]]") -> list[str]:
    return [table.keys[row][2:] for row in rows]


def test_most_played_tracks_come_first_with_their_counts() -> None:
    table = catalogue()
    for track, times in ((3, 5.0), (7, 9.0), (1, 2.0)):
        played(table, track, times)
    rows, counts = Popularity(table).top(3, AT_MS)

    assert names(table, rows) == ["t7", "t3", "t1"]
    np.testing.assert_allclose(counts, [9.0, 5.0, 2.0])


def test_plays_of_two_weeks_ago_count_half() -> None:
    table = catalogue()
    played(table, 3, 8.0, AT_MS - 14 * DAY_MS)
    played(table, 7, 5.0)
    rows, counts = Popularity(table).top(2, AT_MS)

    assert names(table, rows) == ["t7", "t3"]
    np.testing.assert_allclose(counts, [5.0, 4.0])


def test_what_is_newly_popular_is_seen_once_the_list_is_old() -> None:
    table = catalogue()
    played(table, 3, 5.0)
    popularity = Popularity(table, refresh_ms=1000)
    popularity.top(1, AT_MS)
    played(table, 7, 50.0)

    assert names(table, popularity.top(1, AT_MS + 1000)[0]) == ["t7"]


def test_unlisted_track_is_not_popular() -> None:
    table = catalogue()
    played(table, 3, 5.0)
    table.unlist_track(int(rows_of(table)[3]))

    assert "t3" not in names(table, Popularity(table).top(24, AT_MS)[0])


def test_list_is_cut_at_tops_max() -> None:
    table = catalogue()
    for track in range(24):
        played(table, track, track + 1.0)
    rows, _ = Popularity(table, tops_max=5).top(24, AT_MS)

    assert names(table, rows) == ["t23", "t22", "t21", "t20", "t19"]


def test_country_has_its_own_tracks_with_their_shares_of_its_plays() -> None:
    table = catalogue()
    for track, times, country in ((3, 3.0, "NZ"), (4, 1.0, "NZ"), (5, 100.0, "FI")):
        played(table, track, times, country=country)
    rows, shares = Popularity(table).top_of_country("NZ", 10)

    assert names(table, rows) == ["t3", "t4"]
    np.testing.assert_allclose(shares, [0.75, 0.25])


def test_country_of_which_nothing_is_known_has_no_tracks() -> None:
    table = catalogue()
    before = len(table)
    rows, shares = Popularity(table).top_of_country("XX", 10)

    assert (rows.tolist(), shares.tolist(), len(table)) == ([], [], before)


def test_no_more_are_answered_than_are_asked_for() -> None:
    table = catalogue()
    for track in range(10):
        played(table, track, 1.0 + track, country="NZ")
    popularity = Popularity(table)

    assert len(popularity.top(4, AT_MS)[0]) == len(popularity.top_of_country("NZ", 4)[0]) == 4


@pytest.mark.parametrize("days", [0, 14, 28])
def test_scores_fade_with_the_time_of_asking(days: int) -> None:
    table = catalogue()
    played(table, 3, 8.0)
    score = Popularity(table).score_many(rows_of(table)[[3]], AT_MS + days * DAY_MS)

    np.testing.assert_allclose(score, [8.0 / 2 ** (days / 14)])
