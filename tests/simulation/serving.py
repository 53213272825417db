"""A serving worker in miniature: it follows the changelogs, answers, and is checked against what the rows that it has read say."""

from collections import defaultdict

import msgspec

from online_models.index.exact import ExactIndex
from online_models.listener_rows import CHOICES, Choices, body_of
from online_models.listeners import Audience
from online_models.track import CATALOGUE, TrackTable
from serving.radio import Radio
from serving.replica import Replica
from streams.steps import WATERMARK
from streams.topics import LISTENERS_CHANGELOG, RANKER_WEIGHTS, TRACKS_CHANGELOG
from tests.builders import request
from tests.simulation.log import Log
from tests.simulation.process import BOUNDS, DIMS, EVENTS_MAX

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
        self.followed = dict.fromkeys([*places, *((TRACKS_CHANGELOG.name, number) for number in range(keepers))], 0)
        self.listed = set[str]()
        self.blocked: defaultdict[str, set[str]] = defaultdict(set)

    def follow(self, place: tuple[str, int], limit: int) -> None:
        """Take up to `limit` rows of a partition."""
        records, self.followed[place] = self.log.read(*place, self.followed[place], limit)
        rows = [(each.key or b"", each.value) for each in records if each.key != WATERMARK]
        self.replica.apply(*place, rows)
        for key, value in rows:
            self._note(place[0], key, value)
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
            "blocked": set(slate) & self.blocked[user_id],
        }
        return [f"{surface} for {user_id} holds {what} {tracks}" for what, tracks in wrong.items() if tracks]
