"""What can be seen from outside: when each partition of each worker last moved, how much was taken, who was answered."""

import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from online_models.track import META
from streams.processor import LearnerMeta
from streams.runtime.follower import Follower
from streams.runtime.settings import Settings
from streams.topics import LISTENERS_CHANGELOG, PLAYLIST_REQUESTS, PLAYLISTS, TRACK_DELTAS, TRACKS_CHANGELOG

ROLES = {LISTENERS_CHANGELOG.name: "learner", TRACKS_CHANGELOG.name: "keeper", PLAYLISTS.name: "serving"}
INPUTS = {TRACK_DELTAS.name: "keeper", PLAYLIST_REQUESTS.name: "serving"}  # of the learner's, some always wait


class _Answer(msgspec.Struct):
    request_id: str
    error: str | None = None


class Watch:
    """Follows what the workers commit, as any reader of committed records sees it.

    moved, asked : monotonic seconds at which a commit was seen, and something to do, by (role, partition)
    answers : how often a request was answered; errors : answers that are none
    """

    def __init__(self, settings: Settings) -> None:
        self.partitions = range(settings.partitions)
        self.moved: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        self.asked: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        self.answers: Counter[str] = Counter()
        self.errors = 0
        self._metas: dict[int, LearnerMeta] = {}
        self._follower = Follower(settings, dict.fromkeys([*ROLES, *INPUTS], self.partitions), self._apply)

    async def start(self) -> None:
        """Begin to follow."""
        await self._follower.start()
        await self._follower.caught_up()

    async def stop(self) -> None:
        """Stop following."""
        await self._follower.stop()

    @property
    def taken(self) -> int:
        """Messages that learners have learnt, known again or refused."""
        return self.counted.total()

    @property
    def counted(self) -> Counter[str]:
        """The same by what became of them, as the learners count it themselves."""
        counted = Counter[str]()
        for meta in self._metas.values():
            counted.update(learnt=meta.events, repeated=meta.duplicates, refused=meta.dead_letters)
        return counted

    def begin(self) -> None:
        """A pause begins now at the earliest: nothing was sent before."""
        now = time.monotonic()
        for role in ROLES.values():
            for number in self.partitions:
                self.moved[role, number] = [now]
                self.asked[role, number].clear()

    def moved_since(self, role: str, at: float) -> bool:
        """Whether every partition of a role has moved after a time."""
        return all((self.moved[role, number] or [0.0])[-1] > at for number in self.partitions)

    def longest_pause(self, role: str, since: float, until: float) -> float:
        """The longest time in seconds that a partition of a role stood still with something to do, of the pauses that reach into [since, until]."""
        longest = 0.0
        for number in self.partitions:
            times = self.moved[role, number]
            first, last = max(0, bisect_right(times, since) - 1), bisect_right(times, until)
            reached = [*times[first:last], *(times[last : last + 1] or [until])]
            for before, after in pairwise(reached):
                longest = max(longest, after - self._asked_after(role, number, before, after))
        return longest

    def _asked_after(self, role: str, number: int, before: float, after: float) -> float:
        """When there was something to do in between: at once for a learner, `after` where nothing was."""
        if role not in INPUTS.values():
            return before
        times = self.asked[role, number]
        place = bisect_right(times, before)
        return min(times[place], after) if place < len(times) else after

    def _apply(self, topic: str, partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        now = time.monotonic()
        if topic in INPUTS:
            self.asked[INPUTS[topic], partition].append(now)
            return
        role = ROLES[topic]
        if topic == PLAYLISTS.name:
            for _, value in rows:
                answer = msgspec.json.decode(value or b"", type=_Answer)
                self.answers[answer.request_id] += 1
                self.errors += answer.error is not None
            self.moved[role, partition].append(now)
            return
        for key, value in rows:
            if key == META and value is not None:
                self.moved[role, partition].append(now)
                if role == "learner":
                    self._metas[partition] = msgspec.msgpack.decode(value, type=LearnerMeta)
