"""What a serving worker knows before the learners have committed it: the same as afterwards."""

from collections.abc import Sequence

import pytest

from online_models.checks.models.listener import known_of
from online_models.listener import Listener
from serving.pending import PendingEvent, PendingEvents
from serving.radio import Radio
from serving.replica import Replica
from streams.messages import ListeningEvent, encode
from streams.steps import Record, Step
from streams.topics import LISTENERS_CHANGELOG, TRACKS_CHANGELOG
from tests.builders import NOW_MS, event, keeper, learner, record, replica_of, request, track

TRACKS = [track(f"t{n}", f"a{n % 3}") for n in range(6)]


def pending(records: Sequence[Record]) -> list[PendingEvent]:
    return [PendingEvent(each.offset, each.key, each.value, NOW_MS) for each in records]


class Pair:
    """A learner, and a serving worker that reads the same events ahead of it."""

    def __init__(self) -> None:
        lists = keeper(*TRACKS)
        self.learner = learner(replica=replica_of(lists))
        self.replica = Replica()
        rows = [lists.table.encode_row(b"i", row) for row in lists.table.listed_rows().tolist()]
        self.replica.apply(TRACKS_CHANGELOG.name, 0, rows)
        self.replica.pending.begin(0, 0, 0)
        self.read = list[Record]()
        self.learnt = 0

    def hear(self, *events: ListeningEvent) -> None:
        """The serving worker reads events."""
        records = [record(each, len(self.read) + place) for place, each in enumerate(events)]
        self.read += records
        self.replica.pending.take(0, pending(records))

    def learn(self, count: int) -> Step:
        """The learner takes the next events."""
        step = self.learner.step(self.read[self.learnt : self.learnt + count], NOW_MS)
        self.learnt += count
        return step

    def commit(self, step: Step, *, marked: bool = True) -> None:
        """The serving worker reads what the learner wrote; not yet how far that goes, where it is not `marked`."""
        self.replica.apply(LISTENERS_CHANGELOG.name, 0, list(step.rows.items()))
        if marked:
            self.replica.learnt(0, self.learnt)

    def known(self, user_id: str = "ann") -> dict[str, object]:
        return known_of(self.replica.listener(user_id))

    def expected(self, user_id: str = "ann") -> dict[str, object]:
        return known_of(self.learner.listeners.get(user_id))


def plays(first: int, count: int, user_id: str = "ann") -> list[ListeningEvent]:
    kinds = ["play", "skip", "play", "like", "block", "unlike"]
    return [
        event(
            user_id, f"t{n % 6}", kinds[n % 5 if n % 7 else 5], at_ms=NOW_MS - 100_000_000 + 60_000 * n, played_ms=9000
        )
        for n in range(first, first + count)
    ]


def one_ahead() -> Pair:
    """Two of ann's plays are committed, a third is foreseen."""
    pair = Pair()
    pair.hear(*plays(0, 2))
    pair.commit(pair.learn(2))
    pair.hear(*plays(2, 1))
    assert pair.known()["ahead"] == 1
    return pair


@pytest.mark.parametrize("behind", [1, 3, 40])
def test_a_listener_is_known_before_their_rows_as_the_learner_knows_them_after(behind: int) -> None:
    pair = Pair()
    for first in range(0, 100, 5):
        pair.hear(*plays(first, 5))
        seen = pair.known()
        if len(pair.read) > behind:
            pair.commit(pair.learn(len(pair.read) - pair.learnt - behind))
            assert pair.known() == seen | {"ahead": behind}

    pair.commit(pair.learn(len(pair.read) - pair.learnt))

    assert pair.known() == pair.expected()
    assert len(pair.replica.pending) == 0


def test_rows_that_confirm_what_was_foreseen_are_not_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    pair.hear(*plays(0, 3))
    pair.commit(pair.learn(2))
    pair.known()
    monkeypatch.setattr(Listener, "restore", None)
    for first in range(3, 60, 3):
        pair.hear(*plays(first, 3))
        pair.known()
        pair.commit(pair.learn(3))

    assert pair.known()["ahead"] == 1


def test_between_the_rows_of_a_commit_and_its_mark_nothing_counts_twice() -> None:
    pair = Pair()
    pair.hear(*plays(0, 40))
    step = pair.learn(40)
    pair.commit(step, marked=False)

    assert pair.known() == pair.expected()


def test_what_comes_again_is_foreseen_once() -> None:
    pair = Pair()
    pair.hear(*plays(0, 3), *plays(0, 3))

    assert pair.replica.listener("ann").events == 3


def test_an_event_that_the_learner_will_refuse_is_not_foreseen() -> None:
    pair = Pair()
    late, others = event(at_ms=NOW_MS + 7_200_000), event("bob")
    pair.hear(late)
    broken = [PendingEvent(1, b"ann", b"{", NOW_MS), PendingEvent(2, b"ann", encode(others), NOW_MS)]
    pair.replica.pending.take(0, broken)

    assert pair.replica.listener("ann").events == 0


def test_what_was_foreseen_otherwise_than_it_came_gives_way_to_the_rows() -> None:
    pair = Pair()
    pair.commit(pair.learn(0))
    pair.hear(*plays(0, 4))
    pair.commit(pair.learn(2))
    pair.replica.apply(TRACKS_CHANGELOG.name, 0, [(b"it:t2", None)])  # the learner has not read this
    pair.known()
    pair.commit(pair.learn(2))

    assert pair.known() == pair.expected()


def test_what_was_foreseen_and_never_came_is_forgotten() -> None:
    pair = one_ahead()

    pair.replica.learnt(0, 3)  # the rows say that it was read, and hold nothing of it

    assert pair.known() == pair.expected()


def test_what_came_to_nothing_does_not_hide_behind_what_is_still_to_come() -> None:
    pair = one_ahead()
    pair.hear(*plays(3, 1))
    pair.replica.learnt(0, 3)

    assert [each.track_id for each in pair.replica.listener("ann").history] == ["t0", "t1", "t3"]


def test_whoever_is_erased_is_forgotten_with_what_was_foreseen() -> None:
    pair = one_ahead()
    gone = pair.learner.listeners.erase("ann")
    pair.replica.apply(LISTENERS_CHANGELOG.name, 0, [(key, None) for key in gone])

    assert pair.replica.listener("ann").events == 1  # what comes after is a stranger's


def test_a_backlog_is_not_foreseen() -> None:
    pair = Pair()
    pair.hear(*plays(0, 5))
    pair.commit(pair.learn(2))
    pair.known()
    pair.hear(*plays(5, 600))
    assert pair.replica.listener("ann").events == 5

    pair.commit(pair.learn(500))

    assert pair.known()["ahead"] == 103


def test_a_history_that_is_full_waits_for_its_rows() -> None:
    pair = Pair()
    pair.replica.listeners._bounds["history_max"] = 32
    pair.learner.listeners._bounds["history_max"] = 32
    for first in range(0, 60, 6):
        pair.hear(*plays(first, 6))
        assert len(pair.replica.listener("ann").history) <= 32
        pair.commit(pair.learn(6))

        assert pair.known() == pair.expected()


def test_more_than_is_held_is_told_of_only_once_the_rows_have_come_so_far() -> None:
    held = PendingEvents(events_max=3)
    held.begin(0, 0, 0)
    held.take(0, pending([record(event(at_ms=n), n) for n in range(5)]))
    assert held.of(b"ann") == []

    held.learnt(0, 1)
    assert held.of(b"ann") == []

    held.learnt(0, 2)
    assert [each.offset for each in held.of(b"ann")] == [2, 3, 4]


def test_pending_events_are_bounded_by_their_bytes() -> None:
    held = PendingEvents(bytes_max=10_000)
    held.begin(0, 0, 0)
    held.take(0, [PendingEvent(n, b"ann", bytes(900), 0) for n in range(100)])

    assert len(held) == 11


def test_what_is_read_again_is_held_once() -> None:
    held, records = PendingEvents(), [record(event(at_ms=n), n) for n in range(9)]
    held.begin(0, 5, 5)
    held.take(0, pending(records[5:9]))
    held.take(0, pending(records[3:9]))

    assert [each.offset for each in held.of(b"ann")] == [5, 6, 7, 8]


def test_one_event_that_is_too_large_takes_no_others_place() -> None:
    held = PendingEvents(bytes_max=10_000)
    held.begin(0, 0, 0)
    held.take(0, [PendingEvent(0, b"ann", b"{}", 0), PendingEvent(1, b"ann", bytes(20_000_000), 0)])
    held.take(0, [PendingEvent(2, bytes(20_000_000), b"{}", 0)])

    assert ([each.value for each in held.of(b"ann")], len(held)) == ([b"{}"], 3)


def test_what_was_taken_or_learnt_is_reached_and_what_is_not_read_here_is_not_waited_for() -> None:
    pending = PendingEvents()
    pending.begin(0, 7, 7)
    reached = [pending.reaches(0, 6), pending.reaches(0, 7)]
    pending.take(0, [PendingEvent(7, b"ann", b"{}", 0)])
    reached += [pending.reaches(0, 7), pending.reaches(0, 8)]
    pending.learnt(0, 9)

    assert [*reached, pending.reaches(0, 8), pending.reaches(1, 0)] == [True, False, True, False, True, True]


def test_events_of_a_partition_that_was_let_go_are_left_out() -> None:
    held = PendingEvents()
    held.begin(0, 0, 0)
    held.keep_only([1])
    held.take(0, [PendingEvent(0, b"ann", b"{}", 0)])

    assert (len(held), held.learnt(0, 1)) == (0, [])


def test_a_playlist_reflects_what_no_learner_has_committed() -> None:
    pair = Pair()
    radio = Radio(pair.replica)
    pair.hear(event("ann", "t1", "block"))

    answer = radio.recommend(request("ann", surface="discover-weekly", size=6), NOW_MS, lambda: 0.0)

    assert answer.seen_events == 1
    assert "t1" not in [slot.track_id for slot in answer.tracks]
    assert len(answer.tracks) == 5
