"""Features: the same numbers for learning and serving, and what some of them say."""

from typing import get_args

import numpy as np
import pytest

from online_models.checks.made_up import AT_MS, catalogue, listen, rows_of
from online_models.features import FEATURES, features, features_of
from online_models.gathering import (
    CONTEXT,
    MEMORY,
    SURFACES,
    TRACK,
    context_of,
    memories_of,
    memory_of,
    offer_of,
    tracks_of,
)
from online_models.listener import Listener
from online_models.listener_rows import LIKE, PLAY, SKIP, Heard, Profile
from online_models.recollection import PLAY_TALLIED
from online_models.track import COLUMN, Doubles, TrackMeta, TrackTable, forward_decay
from streams.messages import Surface

DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000


def listener_of(*events: Heard) -> Listener:
    listener = Listener("ann")
    for event in events:
        listener.learn_one(event)
    return listener


def counted(table: TrackTable) -> TrackTable:
    """With plays, skips and likes of every entity."""
    drawn = np.random.default_rng(3).integers(1, 50, len(table))
    for name, amount in (("plays_90d", 2.0), ("skips_90d", 1.0)):
        table.counts[: len(table), COLUMN[name]] = amount * drawn * forward_decay(AT_MS, 90.0)
    table.counts[: len(table), COLUMN["likes"]] = drawn // 5
    table.counts[0] = 0.0
    return table


def column(name: str, x: Doubles) -> list[float]:
    return x[:, FEATURES.index(name)].tolist()


@pytest.mark.parametrize("late_s", [0, 17, 59])
def test_no_feature_tells_how_long_a_play_lasts_that_follows_at_once(late_s: int) -> None:
    """Where ends are known to the minute (decision 0033): the last play's real one is `late_s` after it."""
    listener = listener_of(*(listen(n) for n in range(50)))
    minute = (listener.last_ms // HOUR_MS + 1) * HOUR_MS  # an hour begins
    listener.learn_one(Heard("t1", "a1", minute, PLAY, 200_000, 100, 99))
    seen = set[tuple[float, ...]]()
    for seconds in (1, 3, 29, 31, 45, 61, 200, 719):
        end_ms = minute + (late_s + seconds) * 1000
        event = Heard("t2", "a2", end_ms // MINUTE_MS * MINUTE_MS, PLAY, seconds * 1000, 100, 100)
        memory = memory_of(listener, listener.begun(event.start_ms), "t2", "a2", ())
        seen.add((*context_of(listener, event.start_ms), *memory))

    assert len(seen) == 1


@pytest.mark.parametrize("hour", [None, 0, 23])
def test_learning_and_serving_compute_the_very_same_numbers(hour: int | None) -> None:
    table, listener = counted(catalogue()), Listener("ann")
    listener.introduce(Profile(favourite_tags=["jazz"]))
    contexts, memories, rows, times, served, surface = [], [], [], [], [], "radio"
    for n in range(200):
        event = listen(n)
        row = table.index("t:" + event.track_id)
        contexts.append(context_of(listener, event.start_ms, hour, offer_of(0, surface)))
        memories.append(
            memory_of(listener, listener.begun(event.start_ms), event.track_id, event.artist_id, event.tags)
        )
        rows.append(row)
        times.append(contexts[-1][0])
        served.append(features_of(listener, table, np.array([row], np.int32), event.start_ms, hour, surface=surface)[0])
        listener.learn_one(event)
    tracks = tracks_of(table, np.array(rows, np.int32), np.array(times, np.float64))
    learnt = features(np.array(contexts, np.float64), np.array(memories, np.float64), tracks)

    assert np.array_equal(learnt, np.array(served))
    assert learnt[:, [FEATURES.index(name) for name in ("tag_effect", "named_tag")]].any(0).all()


def test_a_candidate_has_the_same_features_alone_and_among_others() -> None:
    table, listener = counted(catalogue()), listener_of(*(listen(n) for n in range(50)))
    rows = rows_of(table)
    together = features_of(listener, table, rows, AT_MS + DAY_MS)
    alone = np.concatenate([features_of(listener, table, rows[[n]], AT_MS + DAY_MS) for n in range(len(rows))])

    assert np.array_equal(together, alone)


def test_the_memories_of_many_tracks_are_those_of_each() -> None:
    table, listener = catalogue(), listener_of(*(listen(n) for n in range(60)))
    for bare in (
        TrackMeta("bare", "Blue"),
        TrackMeta("untagged", "Red", "a1"),
        TrackMeta("gone", "Grey", "a2", tags=["jazz"]),
    ):
        table.list_track(bare)
    table.unlist_track(table.index("t:gone"))
    listener.introduce(Profile(favourite_tags=["jazz", "unheard"]))
    assert len(listener.tallies) > 20
    for track_id in ("t1", "bare", "elsewhere"):
        listener.learn_one(Heard(track_id, None, AT_MS + DAY_MS, LIKE, 0, 100, len(listener.history)))
    rows = np.array([*range(len(table)), 3, 3], np.int32)[table.is_track[[*range(len(table)), 3, 3]]]
    metas = [table.meta.get(row) for row in rows.tolist()]
    artists = [table.keys[artist][2:] or None for artist in table.parts[rows, 1].tolist()]
    each = [
        memory_of(listener, listener.begun(AT_MS + 2 * DAY_MS), table.keys[row][2:], artist, table.tags_of(row))
        for row, artist in zip(rows.tolist(), artists, strict=True)
    ]

    assert np.array_equal(np.array(each, np.float64), memories_of(listener, table, rows, AT_MS + 2 * DAY_MS))
    assert None in metas
    assert {None, "a1"} <= set(artists)


def test_restored_listener_has_the_same_features() -> None:
    table, listener = counted(catalogue()), listener_of(*(listen(n) for n in range(100)))
    again = Listener.restore("ann", listener.changed_rows().get)
    later_ms = AT_MS + 20 * DAY_MS

    assert np.array_equal(
        features_of(listener, table, rows_of(table), later_ms), features_of(again, table, rows_of(table), later_ms)
    )


def test_every_name_has_its_number() -> None:
    listener = Listener("ann")

    assert len(context_of(listener, AT_MS)) == len(CONTEXT)
    assert len(memory_of(listener, listener.begun(AT_MS), "t1", None)) == len(MEMORY)
    assert tracks_of(catalogue(1), np.array([1], np.int32), AT_MS).shape == (1, len(TRACK))
    assert len(set(FEATURES)) == len(FEATURES)


def test_unlisted_track_is_scored_by_its_own_memory() -> None:
    table = catalogue(1)
    row = table.add("t:elsewhere")
    listener = listener_of(Heard("elsewhere", None, AT_MS, PLAY, 1000, 100, 1))
    x = features_of(listener, table, np.array([row], np.int32), AT_MS + 1000)

    assert column("new_track", x) == [0.0]
    assert column("new_artist", x) == [1.0]


def test_asking_leaves_listener_and_table_as_they_were() -> None:
    table, listener = catalogue(), listener_of(listen(0))
    before = (len(table), len(listener.tracks), len(listener.artists))
    features_of(listener, table, rows_of(table), AT_MS)

    assert before == (len(table), len(listener.tracks), len(listener.artists))


def test_track_that_was_skipped_has_a_higher_rate_than_one_that_was_played() -> None:
    table = catalogue()
    listener = listener_of(
        *(Heard(f"t{n % 2}", f"a{n % 2}", AT_MS + 240_000 * n, SKIP if n % 2 else PLAY, 1000, 50, n) for n in range(20))
    )
    played, skipped = column("listener_track_rate", features_of(listener, table, rows_of(table)[:2], AT_MS + DAY_MS))

    assert played < 0.0 < skipped


def test_gap_is_counted_from_the_end_of_the_last_play() -> None:
    table, listener = catalogue(), listener_of(Heard("t0", "a0", AT_MS, PLAY, 180_000, 100, 1))
    gaps_ms = (0, 59_999, 60_000, 31 * 60_000)
    x = np.concatenate([features_of(listener, table, rows_of(table)[:1], AT_MS + gap_ms) for gap_ms in gaps_ms])

    np.testing.assert_allclose(column("gap", x), np.log1p([0, 0, 1, 31]) / 4)
    assert column("new_session", x) == [0.0, 0.0, 0.0, 1.0]


def test_a_year_away_says_no_more_than_three_days() -> None:
    table, listener = catalogue(), listener_of(listen(0))
    row = rows_of(table)[:1]
    gaps = [column("gap", features_of(listener, table, row, AT_MS + days * DAY_MS))[0] for days in (2, 4, 365)]

    assert gaps[0] < gaps[1] == gaps[2]


def test_surfaces_are_those_of_the_messages() -> None:
    assert set(SURFACES) == set(get_args(Surface))


def test_hour_of_the_request_wins_over_utc() -> None:
    table, listener = catalogue(), Listener("ann")
    row, midnight_ms = rows_of(table)[:1], AT_MS // DAY_MS * DAY_MS
    x = np.concatenate(
        [
            features_of(listener, table, row, midnight_ms),
            features_of(listener, table, row, midnight_ms + 6 * 3_600_000),
            features_of(listener, table, row, midnight_ms, 6),
        ]
    )

    np.testing.assert_allclose(column("sin_hour", x), [0.0, 1.0, 1.0], atol=1e-12)


def test_liked_track_says_so() -> None:
    table, listener = catalogue(), listener_of(Heard("t1", "a1", AT_MS, LIKE, 0, 100, 1))

    assert column("liked", features_of(listener, table, rows_of(table)[:3], AT_MS)) == [0.0, 1.0, 0.0]


def test_tags_of_a_skipped_track_tell_of_a_track_that_was_never_heard() -> None:
    table = catalogue()
    skipped = (
        Heard("t0", "a0", AT_MS + 240_000 * n, SKIP, 1000, 1, n, table.tags_of(rows_of(table)[0])) for n in range(9)
    )
    effects = column("tag_effect", features_of(listener_of(*skipped), table, rows_of(table), AT_MS + DAY_MS))

    assert [effect > effects[1] > 0.0 for effect in effects] == [n % 3 == 0 for n in range(len(effects))]


def test_a_tag_that_the_catalogue_repeats_says_no_more_than_once() -> None:
    once, twice = TrackTable(dims=4), TrackTable(dims=4)
    once.list_track(TrackMeta("t1", "Blue", tags=["jazz", "folk"]))
    twice.list_track(TrackMeta("t1", "Blue", tags=["jazz", "jazz", "folk"]))
    seen = []
    for table in (once, twice):
        row, listener = table.indices(["t1"]), Listener("ann")
        listener.introduce(Profile(favourite_tags=["jazz"]))
        named = features_of(listener, table, row, AT_MS)
        for n in range(9):
            listener.learn_one(Heard("t1", None, AT_MS + n, SKIP, 1000, 1, n, table.tags_of(int(row[0]))))
        seen.append((named.tolist(), features_of(listener, table, row, AT_MS + DAY_MS).tolist()))

    assert seen[0] == seen[1]
    assert once.parts[row].tolist() == twice.parts[row].tolist()  # nor in a tower


def test_a_named_tag_says_less_the_more_of_it_was_heard() -> None:
    table, listener = catalogue(), Listener("ann")
    listener.introduce(Profile(favourite_tags=["jazz"]))
    named = []
    for n in (0, 3, 6):
        named.append(column("named_tag", features_of(listener, table, rows_of(table)[:2], AT_MS)))
        for mark in range(n, n + 3):
            listener.learn_one(Heard("t1", "a1", AT_MS + mark, PLAY, 1000, 100, mark, ("jazz", "all")))

    assert named[0] == [0.0, 0.5]
    assert 0.5 > named[1][1] > named[2][1] > 0.0


def test_event_that_comes_years_late_has_finite_features() -> None:
    table = catalogue()
    row = rows_of(table)[:1]
    listener = listener_of(*(Heard("t0", "a0", AT_MS + n, SKIP, 0, 0, n) for n in range(50)))
    table.counts[row, COLUMN["plays_90d"]] = table.counts[row, COLUMN["skips_90d"]] = 50 * forward_decay(AT_MS, 90.0)
    for years in (1, 5, 20, 53):
        x = features_of(listener, table, row, AT_MS - years * 365 * DAY_MS)

        assert np.isfinite(x).all()
        assert np.abs(x).max() < 1000.0


HABITS = ("situation_pair", "situation_track", "situation_return")


def test_a_habit_speaks_only_in_the_situation_that_it_is_of() -> None:
    table, listener, at_ms = catalogue(), Listener("ann"), AT_MS
    for n in range(8):  # t1 is skipped right after t0 was heard out, and played after a pause
        at_ms += 3_600_000
        for track_id, kind, after_ms in (("t0", PLAY, 0), ("t1", SKIP, 0), ("t2", PLAY, 0), ("t1", PLAY, 600_000)):
            at_ms += after_ms + 180_000
            listener.learn_one(Heard(track_id, None, at_ms, kind, 180_000, 100 * (kind == PLAY), n))
    after_t1 = features_of(listener, table, rows_of(table)[:4], at_ms)
    listener.learn_one(Heard("t0", None, at_ms + 180_000, PLAY, 180_000, 100, 99))
    after_t0 = features_of(listener, table, rows_of(table)[:4], at_ms + 180_000)

    assert column("situation_pair", after_t0)[1] > 1.0
    assert column("situation_pair", after_t1)[1] == 0.0
    assert column("situation_track", after_t0)[1] > 1.0 > column("situation_track", after_t0)[2]
    assert [column(name, after_t0)[3] for name in ("situation_pair", "situation_track")] == [0.0, 0.0]  # never heard


def test_every_play_is_tallied_once_in_each_kind_of_situation() -> None:
    table, listener = catalogue(), Listener("ann")
    before = features_of(listener, table, rows_of(table), AT_MS)
    for n in range(200):
        listener.learn_one(listen(n))
    plays, skips = (listener.counts[kind] for kind in (PLAY, SKIP))

    assert not any(any(column(name, before)) for name in HABITS)
    assert sum(listener.tallies.values()) == len(HABITS) * ((plays + skips) * PLAY_TALLIED + skips)
