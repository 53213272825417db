"""One listener: exact counters, pages of history, rows, and what restored and refreshed listeners know."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.checks.made_up import AT_MS, catalogue, listen
from online_models.checks.models.listener import known_of
from online_models.gathering import CONTEXT, context_of
from online_models.listener import Listener
from online_models.listener_rows import (
    BLOCK,
    CHOICES,
    HEAD,
    KINDS,
    LIKE,
    PAGE,
    PAGE_EVENTS,
    PLAY,
    SAVE,
    SKIP,
    UNLIKE,
    Heard,
    Profile,
    page_key,
    user_of,
)
from online_models.recollection import FINISHED, LEFT, SKIPPED

Rows = dict[bytes, bytes | None]


def heard(n: int = 0, kind: int = PLAY, track: str = "t1", *, at_ms: int | None = None, share: int = 100) -> Heard:
    return Heard(track, "a1", AT_MS + 60_000 * n if at_ms is None else at_ms, kind, 30_000, share, n)


def learnt(events: Iterable[Heard], **bounds: int) -> Listener:
    listener = Listener("ann", **bounds)
    for event in events:
        listener.learn_one(event)
    return listener


def written(listener: Listener, rows: Rows | None = None) -> Rows:
    """The changelog after the listener's changed rows, compacted."""
    rows = {} if rows is None else rows
    rows.update(listener.changed_rows())
    return {key: value for key, value in rows.items() if value is not None}


def test_counters_stay_exact_past_history_max() -> None:
    listener = learnt((heard(n, SKIP if n % 3 == 0 else PLAY) for n in range(1000)), history_max=64)

    assert listener.counts[PLAY] == 666
    assert listener.counts[SKIP] == 334
    assert listener.events == 1000


def test_what_an_event_chose_is_written_before_the_head_that_counts_it() -> None:
    rows = learnt([heard(0, BLOCK)]).changed_rows()

    assert list(rows) == [CHOICES + b"ann", HEAD + b"ann"]  # between the two a reader still knows it as pending


def test_history_drops_whole_pages_of_the_oldest() -> None:
    listener = learnt((heard(n) for n in range(257)), history_max=256)

    assert listener.base == 64
    assert [event.mark for event in listener.history] == list(range(64, 257))


def test_every_page_is_written_once() -> None:
    listener, pages = Listener("ann"), []
    for n in range(3 * PAGE_EVENTS + 5):
        listener.learn_one(heard(n))
        pages += [key for key in listener.changed_rows() if key[:1] == PAGE]

    assert pages == [page_key(page, b"ann") for page in range(3)]


def test_head_holds_only_what_fills_no_page_yet() -> None:
    listener = learnt(heard(n) for n in range(PAGE_EVENTS - 1))
    long_head = len(written(listener)[HEAD + b"ann"] or b"")
    listener.learn_one(heard(PAGE_EVENTS))
    short_head = len(written(listener)[HEAD + b"ann"] or b"")

    assert short_head < 40 < long_head


def test_dropped_pages_get_a_tombstone() -> None:
    listener, rows = Listener("ann", history_max=64), {}
    for n in range(64):
        listener.learn_one(heard(n))
        rows = written(listener, rows)
    listener.learn_one(heard(64))
    changed = listener.changed_rows()

    assert page_key(0, b"ann") in rows
    assert changed[page_key(0, b"ann")] is None
    assert page_key(1, b"ann") not in changed


def test_keys_name_their_listener() -> None:
    listener = learnt([heard(n, LIKE) for n in range(PAGE_EVENTS)])
    listener.user_id = "zoë p"

    assert {user_of(key) for key in listener.changed_rows()} == {"zoë p"}


@pytest.mark.parametrize("history_max", [32, 64, 200])
@pytest.mark.parametrize("events", [0, 1, 31, 32, 33, 65, 300])
def test_restored_listener_knows_the_same(history_max: int, events: int) -> None:
    listener = learnt((listen(n) for n in range(events)), history_max=history_max)
    listener.introduce(Profile("NZ", "25-34", ["folk"], ["a1"]))
    listener.offer("t9", "request-1")
    again = Listener.restore("ann", written(listener).get, history_max=history_max)

    assert known_of(listener) == known_of(again)


def test_events_that_are_read_from_rows_share_their_tags_with_all_others() -> None:
    table = catalogue()
    events = [Heard("t0", "a0", AT_MS + n, PLAY, 0, 100, n, table.tags_of(table.index("t:t0"))) for n in range(70)]
    rows = written(learnt(events))
    restored, follower = Listener.restore("ann", rows.get), Listener("ann")
    follower.refresh(rows.get)

    assert events[0].tags
    assert {id(event.tags) for each in (restored, follower) for event in each.history} == {id(events[0].tags)}


def test_restored_listener_writes_no_page_again() -> None:
    listener = learnt(listen(n) for n in range(100))
    again = Listener.restore("ann", written(listener).get)
    again.learn_one(listen(100))

    assert set(again.changed_rows()) == {HEAD + b"ann"}


def test_a_page_is_dropped_after_the_head_that_counts_on_it_no_more() -> None:
    listener = learnt((listen(n) for n in range(64)), history_max=64)
    listener.changed_rows()
    listener.learn_one(listen(64))

    assert list(listener.changed_rows()) == [HEAD + b"ann", page_key(0, b"ann")]


@settings(derandomize=True, deadline=None, max_examples=30)
@given(steps=st.lists(st.integers(0, 70), max_size=8), history_max=st.integers(PAGE_EVENTS, 130))
def test_follower_that_refreshes_knows_what_a_restored_one_knows(steps: list[int], history_max: int) -> None:
    listener, follower = Listener("ann", history_max=history_max), Listener("ann", history_max=history_max)
    rows: Rows = {}
    n = 0
    for events in steps:
        for _ in range(events):
            listener.learn_one(listen(n))
            n += 1
        rows = written(listener, rows)
        follower.refresh(rows.get)
        follower.refresh_choices(rows.get(CHOICES + b"ann"))
        restored = Listener.restore("ann", rows.get, history_max=history_max)

        assert known_of(listener) == known_of(restored)
        assert known_of(restored) == known_of(follower)


def test_refresh_keeps_the_bounds_when_the_history_was_cut() -> None:
    bounds = {"history_max": 64, "marks_max": 5, "likes_max": 3, "offers_max": 2}
    listener, follower = Listener("ann", **bounds), Listener("ann", **bounds)
    for n in range(65):
        listener.learn_one(heard(n))
    follower.refresh(written(listener).get)
    kept = {name: getattr(follower, name) for name in bounds}

    assert kept == bounds


def test_head_that_counts_on_a_missing_page_is_refused() -> None:
    rows = written(learnt(heard(n) for n in range(40)))
    del rows[page_key(0, b"ann")]

    with pytest.raises(ValueError, match="page 0 of the history is missing"):
        Listener.restore("ann", rows.get)


def test_row_of_a_newer_release_is_refused() -> None:
    with pytest.raises(ValueError, match="row version"):
        Listener.restore("ann", {HEAD + b"ann": b"\x09"}.get)


def test_history_shorter_than_a_page_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least a page"):
        Listener("ann", history_max=PAGE_EVENTS - 1)


def test_repeated_event_is_known_within_the_window_of_marks() -> None:
    listener = learnt((heard(n) for n in range(20)), marks_max=8)

    assert [n for n in range(20) if listener.knows(n)] == list(range(12, 20))


def test_window_of_marks_survives_the_rows() -> None:
    listener = learnt((heard(n) for n in range(100)), marks_max=50)
    again = Listener.restore("ann", written(listener).get, marks_max=50)

    assert [n for n in range(100) if again.knows(n)] == list(range(50, 100))


def test_like_stands_until_it_is_taken_back() -> None:
    listener = learnt([heard(1, LIKE), heard(2, LIKE, "t2"), heard(3, UNLIKE)])

    assert list(listener.liked) == ["t2"]


def test_oldest_like_goes_first() -> None:
    listener = learnt((heard(n, LIKE, f"t{n % 4}") for n in (0, 1, 2, 0, 3)), likes_max=3)

    assert list(listener.liked) == ["t2", "t0", "t3"]


def test_blocked_track_is_remembered_with_its_time() -> None:
    listener = learnt([heard(7, BLOCK)])

    assert listener.blocked == {"t1": AT_MS + 7 * 60_000}


def test_choices_are_written_only_where_they_changed() -> None:
    listener = learnt([heard(0, LIKE)])
    first = set(listener.changed_rows())
    listener.learn_one(heard(1))
    second = set(listener.changed_rows())

    assert first - second == {CHOICES + b"ann"}


def test_offer_is_accepted_once() -> None:
    listener = Listener("ann")
    listener.offer("t1", "request-1")

    assert [listener.accept("t1"), listener.accept("t1"), listener.accept("t2")] == [True, False, False]


def test_late_event_counts_and_does_not_turn_the_clock_back() -> None:
    listener = learnt([heard(0), heard(1, SKIP, at_ms=AT_MS - 86_400_000)])

    assert listener.counts[SKIP] == 1
    assert listener.last_ms == AT_MS
    assert listener.skips / (listener.plays - listener.skips) == pytest.approx(2.0 ** (-1 / 30))


def test_like_of_what_is_playing_is_not_heard_twice() -> None:
    listener = learnt([heard(0), heard(1, LIKE), heard(2, SAVE, "t2")])

    assert listener.heard == ["t1", "t2"]


def test_skip_is_recent_but_not_heard() -> None:
    listener = learnt([heard(0, SKIP), heard(1, PLAY, "t2")])

    assert listener.heard == ["t2"]
    assert list(listener.recent) == ["t1", "t2"]


def test_session_ends_with_a_pause_of_over_half_an_hour() -> None:
    """Of whole minutes: by all that asks whether it is a new one."""
    pause_ms = 31 * 60_000
    for late_ms, plays in ((-1, 1), (0, 0)):
        listener = learnt([heard(0)])
        begins_ms = listener.last_ms + pause_ms + late_ms
        context = dict(zip(CONTEXT, context_of(listener, begins_ms), strict=True))
        session = listener.habit_places(begins_ms)[1]
        listener.learn_one(heard(1, SKIP, at_ms=begins_ms + 30_000))

        assert (context["session_plays"], listener.session_plays, listener.session_skips) == (plays, plays + 1, 1)
        assert (session - 27) // 9 == 2 - plays  # the pause, of three


def test_last_outcomes_stand_newest_first() -> None:
    listener = learnt([heard(0, PLAY, share=95), heard(1, PLAY, share=40), heard(2, SKIP, share=3)])

    assert list(listener.endings) == [SKIPPED, LEFT, FINISHED]
    assert list(listener.outcomes) == [1, -1, -1, 0]
    assert list(listener.shares) == [3, 40, 95]


def test_each_kind_has_its_own_counter() -> None:
    listener = learnt(heard(n, kind) for kind in range(len(KINDS)) for n in range(kind))

    assert listener.counts == [0, 1, 2, 3, 4, 5, 6]
