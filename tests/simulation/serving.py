"""A serving worker in miniature: it follows changelogs and events, answers, and is checked against what the rows that it has read say."""

import contextlib
from collections import defaultdict

import msgspec

from online_models.hearing import heard_of, mark_of
from online_models.index.exact import ExactIndex
from online_models.listener import Listener
from online_models.listener_rows import CHOICES, Choices, body_of
from online_models.listeners import Audience
from online_models.track import CATALOGUE, TrackTable
from serving.pending import PendingEvent
from serving.radio import Radio
from serving.replica import Replica
from streams.messages import MessageError, event_of
from streams.partitioning import partition_of
from streams.steps import WATERMARK, Record
from streams.topics import LISTENERS_CHANGELOG, LISTENING_EVENTS, RANKER_WEIGHTS, TRACKS_CHANGELOG
from tests.builders import request
from tests.simulation.log import Log
from tests.simulation.process import BOUNDS, DIMS, EVENTS_MAX, NOW_MS
from tests.simulation.workload import LEARNERS

SURFACES = ("next-up", "daily-mix", "discover-weekly", "radio")
LATE_MS = (0.0, 0.0, 120.0, 200.0)  # of a deadline of 250: every level of the ladder answers


class Serving:
    """One worker.

    listed, blocked : what the rows said, read apart from the replica
    """

    def __init__(self, log: Log, learners: int, keepers: int) -> None:
        self.log, self.asked = log, 0
        index, listeners = ExactIndex(dims=DIMS + 1), Audience(events_max=EVENTS_MAX, **BOUNDS)
        self.replica = Replica(TrackTable(dims=DIMS), index=index, listeners=listeners, refresh_ticks=1)
        self.radio = Radio(self.replica)
        places = [(topic.name, number) for topic in (LISTENERS_CHANGELOG, RANKER_WEIGHTS) for number in range(learners)]
        places += [(LISTENING_EVENTS.name, number) for number in range(learners)]
        self.followed = dict.fromkeys([*places, *((TRACKS_CHANGELOG.name, number) for number in range(keepers))], 0)
        for number in range(learners):
            self.replica.pending.begin(number, 0, 0)
        self.watermarks = dict.fromkeys(range(learners), 0)  # of events, by the rows that were read
        self.listed = set[str]()
        self.blocked: defaultdict[str, set[str]] = defaultdict(set)

    def follow(self, place: tuple[str, int], limit: int) -> None:
        """Take up to `limit` rows, or events, of a partition."""
        records, self.followed[place] = self.log.read(*place, self.followed[place], limit)
        if place[0] == LISTENING_EVENTS.name:
            events = [PendingEvent(each.offset, each.key, each.value, NOW_MS) for each in records]
            self.replica.pending.take(place[1], events)
            return
        rows = [(each.key or b"", each.value) for each in records if each.key != WATERMARK]
        self.replica.apply(*place, rows)
        for key, value in rows:
            self._note(place[0], key, value)
        marks = [each.value or b"" for each in records if each.key == WATERMARK]
        if marks and place[0] == LISTENERS_CHANGELOG.name:
            seen = msgspec.msgpack.decode(marks[-1], type=dict[str, int])
            self.watermarks[place[1]] = seen.get(LISTENING_EVENTS.name, 0)
            self.replica.learnt(place[1], self.watermarks[place[1]])
        self.replica.tick()

    def _note(self, topic: str, key: bytes, value: bytes | None) -> None:
        name = key[1:].decode()
        if topic == TRACKS_CHANGELOG.name and key[:1] == CATALOGUE:
            (self.listed.discard if value is None else self.listed.add)(name[2:])
        elif topic == LISTENERS_CHANGELOG.name and key[:1] == CHOICES:
            choices = Choices() if value is None else msgspec.msgpack.decode(body_of(value), type=Choices)
            self.blocked[name] = set(choices.blocked)

    def follow_all(self) -> None:
        """Read everything."""
        for place in self.followed:
            self.follow(place, 1 << 60)

    def unforeseen(self, user_id: str) -> list[str]:
        """Where a listener is not as their rows and what is pending after them say, read anew."""
        here, anew = self.replica.listener(user_id), self._anew(user_id)
        if anew is None or _told(here) == _told(anew):
            return []
        return [f"{user_id} is {_told(here)}, not {_told(anew)} as rows and pending events say"]

    def _anew(self, user_id: str) -> Listener | None:
        """A listener by their rows and by what is pending after them in the log; None where that is a backlog."""
        listeners = self.replica.listeners.partitions.get(partition_of(user_id.encode(), LEARNERS))
        anew = Listener.restore(user_id, {}.get if listeners is None else listeners.rows.get, **BOUNDS)
        waiting = self._waiting(user_id)
        if len(waiting) > anew.marks_max // 2:
            return None
        for pending in waiting:
            with contextlib.suppress(MessageError):
                told = event_of(pending.key, pending.value, NOW_MS)
                if not anew.knows(mark_of(told.event_id)):
                    anew.foresee(heard_of(told, mark_of(told.event_id), self.replica.table, 0)[0])
        return anew

    def _waiting(self, user_id: str) -> list[Record]:
        """What was read of a listener in the log, and their rows have not seen."""
        number = partition_of(user_id.encode(), LEARNERS)
        end = self.followed[LISTENING_EVENTS.name, number]
        read = self.log.read(LISTENING_EVENTS.name, number, self.watermarks[number], 1 << 60)[0]
        return [each for each in read if each.offset < end and each.key == user_id.encode()]

    def _surely_blocked(self, user_id: str) -> set[str]:
        """By choices and pending events, apart from what the replica makes of them; nothing where one may have put out another."""
        waiting, blocked = self._waiting(user_id), set(self.blocked[user_id])
        pending = set[str]()
        for each in waiting:
            with contextlib.suppress(MessageError):
                told = event_of(each.key, each.value, NOW_MS)
                pending |= {told.track_id} if told.kind == "block" else set()
        if len(blocked | pending) > BOUNDS["likes_max"]:
            return set()
        return blocked if len(waiting) > BOUNDS["marks_max"] // 2 else blocked | pending

    def ask(self, user_id: str, at_ms: int) -> list[str]:
        """What is wrong with an answer."""
        self.asked += 1
        surface, late_ms = SURFACES[self.asked % 4], LATE_MS[self.asked // 4 % 4]
        asked = request(user_id, request_id=f"{user_id}-{self.asked}", surface=surface, size=6)
        answer = self.radio.recommend(asked, at_ms, lambda: late_ms)
        slate = [slot.track_id for slot in answer.tracks]
        wrong = {
            "repeated": {each for each in slate if slate.count(each) > 1},
            "unknown or removed": set(slate) - self.listed,
            "blocked": set(slate) & self._surely_blocked(user_id),
        }
        return [f"{surface} for {user_id} holds {what} {tracks}" for what, tracks in wrong.items() if tracks]


def _told(listener: Listener) -> tuple[object, ...]:
    """What does not depend on the catalogue, which may have changed since an event was foreseen."""
    history = [(each.track_id, each.kind, each.at_ms, each.mark) for each in listener.history]
    return listener.counts, history, listener.heard, list(listener.marks), list(listener.liked), list(listener.blocked)
