"""Taste: artists and tags that a listener's tracks share, and the tracks that have them."""

import numpy as np

from online_models.checks.made_up import catalogue, rows_of
from online_models.taste import taste, tracks_of_taste
from online_models.track import COLUMN, TrackMeta, TrackTable


def taste_of(table: TrackTable, tracks: list[int], weights: list[float]) -> dict[str, float]:
    parts, shares = taste(table, rows_of(table)[tracks], np.array(weights))
    return {table.keys[part]: share for part, share in zip(parts, shares.tolist(), strict=True)}


def suggested(table: TrackTable, parts: dict[str, float], n: int = 24) -> dict[str, float]:
    rows = np.array([table.index(part) for part in parts], np.int32)
    found, scores = tracks_of_taste(table, rows, np.array(list(parts.values())), n)
    return {table.keys[row][2:]: score for row, score in zip(found, scores.tolist(), strict=True)}


def test_artist_weighs_as_much_as_all_tags_together() -> None:
    assert taste_of(catalogue(), [0], [1.0]) == {"a:a0": 0.5, "g:folk": 0.25, "g:all": 0.25}


def test_what_tracks_have_in_common_weighs_most() -> None:
    weights = taste_of(catalogue(), [0, 5, 10], [1.0, 1.0, 1.0])  # one artist, three tags

    assert next(iter(weights)) == "a:a0"
    np.testing.assert_allclose(sum(weights.values()), 1.0)


def test_track_counts_by_its_weight() -> None:
    weights = taste_of(catalogue(), [0, 1], [3.0, 1.0])

    np.testing.assert_allclose(weights["a:a0"] / weights["a:a1"], 3.0)


def test_tracks_that_nobody_knows_have_no_taste() -> None:
    parts, weights = taste(catalogue(), np.zeros(3, np.int32), np.ones(3))

    assert (parts.tolist(), weights.tolist()) == ([], [])


def test_tracks_are_scored_by_all_that_they_belong_to() -> None:
    scores = suggested(catalogue(), {"a:a0": 0.5, "g:folk": 0.25})

    assert [scores[track] for track in ("t0", "t5", "t3")] == [0.75, 0.5, 0.25]
    assert list(scores)[:2] == ["t0", "t15"]  # both the artist and the tag
    assert "t1" not in scores


def test_no_more_tracks_are_answered_than_are_asked_for() -> None:
    assert len(suggested(catalogue(), {"g:all": 1.0}, n=7)) == 7


def test_unlisted_track_is_found_by_no_tag() -> None:
    table = catalogue()
    table.unlist_track(int(rows_of(table)[3]))

    assert "t3" not in suggested(table, {"g:folk": 1.0})


def test_part_with_many_tracks_gives_its_most_popular() -> None:
    table = TrackTable(dims=4)
    rows = np.array([table.list_track(TrackMeta(f"t{n}", "", tags=["folk"])) for n in range(200)], np.int32)
    table.counts[rows, COLUMN["popularity_14d"]] = np.arange(200)

    assert set(suggested(table, {"g:folk": 1.0}, n=200)) == {f"t{n}" for n in range(150, 200)}
