"""Everything known of one listener: exact counters, a bounded history, and what is folded from it.

The rows (`listener_rows`) hold the counters and the history only; all the rest (memories of tracks and artists, rates, the last
outcomes) is a deterministic fold over the history, so learner and serving worker, restored or living, hold the same.
"""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

import msgspec

from online_models.listener_rows import (
    BLOCK,
    CHOICES,
    HEAD,
    KINDS,
    LIKE,
    PAGE_EVENTS,
    PLAY,
    SAVE,
    SKIP,
    UNLIKE,
    VERSION,
    Choices,
    Head,
    Heard,
    Profile,
    body_of,
    events_of,
    head_of,
    page_key,
)
from online_models.track import DAY_MS, LANDMARK_MS

SESSION_GAP_MS = 30 * 60_000
OUTCOMES = 4
FAVOURITES = 200
HABITS = (27, 27, 72, 72)  # sizes of the tables of `Listener.habit_places`
FINISHED, LEFT, SKIPPED = range(3)  # how a play ended
_HOUR_MS, _MINUTE_MS, _PACE_MS = 3_600_000, 60_000, 180_000
V = TypeVar("V")


class Memory:
    """A listener's plays and skips of one track or one artist: forward-decayed sums, exact count, when last (Unix epoch, ms)."""

    __slots__ = ("count", "last_ms", "places", "plays", "skips")

    def __init__(self) -> None:
        self.plays = self.skips = 0.0
        self.count = 0
        self.last_ms = 0
        self.places: list[int] = []  # of a track: where it stands in `Listener.heard`

    def learn_one(self, at_ms: int, weight: float, skipped: bool) -> None:
        """Take a play that ended at `at_ms`, with its forward-decayed weight."""
        self.count += 1
        self.last_ms = at_ms
        self.plays += weight
        self.skips += weight * skipped

    @property
    def liking(self) -> float:
        """Plays less skips, forward-decayed: memories of one kind keep their order for ever."""
        return self.plays - 1.5 * self.skips


NOTHING = Memory()


class Listener:
    """One listener.

    history_max : events kept, a page or more; then the oldest quarter goes, whole pages
    marks_max : how many events back, within the history, a repeated event_id is known
    likes_max, offers_max : bounds of what is kept of each, the oldest goes first

    >>> ann = Listener("ann")
    >>> for n in range(40):
    ...     ann.learn_one(Heard("t1", "a1", 60_000 * n, SKIP if n % 2 else PLAY, 0, 100, n))
    >>> rows = ann.changed_rows()
    >>> again = Listener.restore("ann", rows.get)
    >>> again.counts == ann.counts, again.tracks["t1"].plays == ann.tracks["t1"].plays, len(rows)
    (True, True, 2)
    """

    def __init__(
        self,
        user_id: str,
        *,
        history_max: int = 8192,
        marks_max: int = 512,
        likes_max: int = 2000,
        offers_max: int = 64,
    ) -> None:
        if history_max < PAGE_EVENTS:
            raise ValueError(f"history_max {history_max}, expected at least a page, {PAGE_EVENTS}")
        self.user_id, self.history_max, self.likes_max, self.offers_max = user_id, history_max, likes_max, offers_max
        self.counts = [0] * len(KINDS)
        self.base = 0
        self.history: list[Heard] = []
        self.marks_max = marks_max
        self.liked: dict[str, int] = {}
        self.blocked: dict[str, int] = {}
        self.offered: dict[str, str] = {}
        self.profile: Profile | None = None
        self._pages_kept = 0  # pages below are in the changelog
        self._dropped: list[int] = []
        self._choices_changed = False
        self._forget_fold()

    def _forget_fold(self) -> None:
        self.marks: dict[int, None] = {}
        self.tracks: dict[str, Memory] = {}
        self.artists: dict[str, Memory] = {}
        self.favourites: dict[str, Memory] = {}  # tracks with the greatest `Memory.liking`, up to twice FAVOURITES
        self.heard: list[str] = []  # tracks played past the skip, liked or saved, in order
        self.recent: deque[str] = deque(maxlen=20)  # tracks played or skipped, newest last
        self.outcomes: deque[int] = deque([0] * OUTCOMES, OUTCOMES)  # 1 skipped, -1 played, newest first
        self.endings: deque[int] = deque([FINISHED] * 3, 3)  # FINISHED, LEFT or SKIPPED, newest first
        self.shares: deque[int] = deque([50] * 3, 3)  # percent heard, newest first
        self.plays = self.skips = 0.0  # forward-decayed, half-life 30 days
        self.habit_plays, self.habit_skips = [0.0] * sum(HABITS), [0.0] * sum(HABITS)  # 60 days
        self.hour_plays = self.hour_skips = 0.0  # half-life one hour, as of last_ms
        self.pace_plays = self.pace_skips = 0.0  # half-life three minutes, as of last_ms
        self.last_ms = self.session_plays = self.session_skips = 0

    @property
    def events(self) -> int:
        """All events ever, exactly."""
        return sum(self.counts)

    def knows(self, mark: int) -> bool:
        """Whether an event was seen among the last `marks_max`."""
        return mark in self.marks

    def learn_one(self, event: Heard) -> None:
        """Take one event."""
        self.counts[event.kind] += 1
        self.history.append(event)
        self._fold(event)
        if event.kind not in (PLAY, SKIP):
            self._choose(event)
        if len(self.history) > self.history_max:
            self._drop_oldest()

    def _fold(self, event: Heard) -> None:
        self.marks[event.mark] = None
        if len(self.marks) > self.marks_max:
            del self.marks[next(iter(self.marks))]
        if event.kind > SKIP:
            if event.kind in (LIKE, SAVE) and event.track_id not in self.heard[-5:]:
                self._hear(event.track_id)
            return
        track_id, artist_id, at_ms, kind, _, share, _ = event
        skipped = kind == SKIP
        days = min((at_ms - LANDMARK_MS) / DAY_MS, 30_000.0)  # in 2092 a double ends
        weight_30, weight_60, weight_90 = 2.0 ** (days / 30), 2.0 ** (days / 60), 2.0 ** (days / 90)
        start_ms = event.start_ms
        for place in self.habit_places(start_ms):
            self.habit_plays[place] += weight_60
            self.habit_skips[place] += weight_60 * skipped
        self.plays += weight_30
        memory = self._memory(self.tracks, track_id)
        memory.learn_one(at_ms, weight_90, skipped)
        self._favour(track_id, memory)
        if artist_id is not None:
            self._memory(self.artists, artist_id).learn_one(at_ms, weight_60, skipped)
        if skipped:
            self.skips += weight_30
        else:
            self._hear(track_id)
        if start_ms - self.last_ms > SESSION_GAP_MS:
            self.session_plays = self.session_skips = 0
        self.session_plays += 1
        self.session_skips += skipped
        since_ms = max(0, at_ms - self.last_ms)
        fade, pace = 2.0 ** (-since_ms / _HOUR_MS), 2.0 ** (-since_ms / _PACE_MS)
        self.hour_plays = self.hour_plays * fade + 1.0
        self.hour_skips = self.hour_skips * fade + skipped
        self.pace_plays = self.pace_plays * pace + 1.0
        self.pace_skips = self.pace_skips * pace + skipped
        self.outcomes.appendleft(1 if skipped else -1)
        self.endings.appendleft(SKIPPED if skipped else FINISHED if share >= 90 else LEFT)
        self.shares.appendleft(share)
        self.recent.append(track_id)
        self.last_ms = max(self.last_ms, at_ms)

    @staticmethod
    def _memory(memories: dict[str, Memory], key: str) -> Memory:
        memory = memories.get(key)
        if memory is None:
            memory = memories[key] = Memory()
        return memory

    def _favour(self, track_id: str, memory: Memory) -> None:
        if memory.liking <= 0.0:
            self.favourites.pop(track_id, None)
            return
        self.favourites[track_id] = memory
        if len(self.favourites) > 2 * FAVOURITES:
            best = sorted(self.favourites.items(), key=lambda entry: -entry[1].liking)
            self.favourites = dict(best[:FAVOURITES])

    def _hear(self, track_id: str) -> None:
        self._memory(self.tracks, track_id).places.append(len(self.heard))
        self.heard.append(track_id)

    def habit_places(self, start_ms: int) -> tuple[int, int, int, int]:
        """Where a play that begins now stands in the four tables of habits, each a rate of skipping.

        By how the last three plays ended; by the last two and the pause since; by the pace of the last minutes; by the hour (UTC).
        """
        since_ms = max(0, start_ms - self.last_ms)
        pause = 0 if since_ms < _MINUTE_MS else 1 if since_ms < SESSION_GAP_MS else 2
        fade = 2.0 ** (-since_ms / _PACE_MS)
        pace = 4 * min(5, int(self.pace_plays * fade * 1.5)) + min(3, int(self.pace_skips * fade * 1.5))
        first, second, third = self.endings
        return (
            first * 9 + second * 3 + third,
            27 + pause * 9 + first * 3 + second,
            54 + pause * 24 + pace,
            126 + pause * 24 + start_ms // _HOUR_MS % 24,
        )

    def _choose(self, event: Heard) -> None:
        if event.kind == LIKE:
            _keep(self.liked, event.track_id, event.at_ms, self.likes_max)
        elif event.kind == UNLIKE:
            self.liked.pop(event.track_id, None)
        elif event.kind == BLOCK:
            _keep(self.blocked, event.track_id, event.at_ms, self.likes_max)
        else:
            return
        self._choices_changed = True

    def _drop_oldest(self) -> None:
        gone = max(PAGE_EVENTS, self.history_max // 4 // PAGE_EVENTS * PAGE_EVENTS)
        first = self.base // PAGE_EVENTS
        self._dropped.extend(range(first, first + gone // PAGE_EVENTS))
        self.base += gone
        self.history = self.history[gone:]
        self._refold()

    def _refold(self) -> None:
        self._forget_fold()
        for event in self.history:
            self._fold(event)

    def offer(self, track_id: str, request_id: str) -> None:
        """Remember that exploration offered a track, until it is heard or `offers_max` others were offered."""
        _keep(self.offered, track_id, request_id, self.offers_max)
        self._choices_changed = True

    def accept(self, track_id: str) -> bool:
        """Whether exploration offered this track; it is then offered no more."""
        known = self.offered.pop(track_id, None) is not None
        self._choices_changed |= known
        return known

    def introduce(self, profile: Profile | None) -> None:
        """Take a profile."""
        self.profile = profile
        self._choices_changed = True

    # --- rows

    def changed_rows(self) -> dict[bytes, bytes | None]:
        """The changelog rows that the last events changed; forgets that they changed."""
        user, rows = self.user_id.encode(), dict[bytes, bytes | None]()
        for page in self._dropped:
            rows[page_key(page, user)] = None
        self._dropped.clear()
        full = self.events // PAGE_EVENTS
        for page in range(max(self._pages_kept, self.base // PAGE_EVENTS), full):
            start = page * PAGE_EVENTS - self.base
            rows[page_key(page, user)] = VERSION + msgspec.msgpack.encode(self.history[start : start + PAGE_EVENTS])
        self._pages_kept = full
        head = Head(self.counts, self.base, self.history[full * PAGE_EVENTS - self.base :])
        rows[HEAD + user] = VERSION + msgspec.msgpack.encode(head)
        if self._choices_changed:
            choices = Choices(self.liked, self.blocked, self.profile, self.offered)
            rows[CHOICES + user] = VERSION + msgspec.msgpack.encode(choices)
            self._choices_changed = False
        return rows

    @classmethod
    def restore(cls, user_id: str, row: Callable[[bytes], bytes | None], **bounds: int) -> "Listener":
        """A listener from its rows; `row` answers a changelog key with its value."""
        listener = cls(user_id, **bounds)
        user = user_id.encode()
        head = head_of(row(HEAD + user))
        listener.counts, listener.base = head.counts, head.base
        listener.history = list(events_of(head, 0, user, row))
        listener._pages_kept = (listener.base + len(listener.history)) // PAGE_EVENTS
        listener._refold()
        listener.refresh_choices(row(CHOICES + user))
        return listener

    def refresh(self, row: Callable[[bytes], bytes | None]) -> None:
        """Catch up with rows that a newer head describes: only the new events are folded."""
        user = self.user_id.encode()
        head = head_of(row(HEAD + user))
        if head.base != self.base or sum(head.counts) < self.events:
            bounds = {name: vars(self)[name] for name in ("history_max", "marks_max", "likes_max", "offers_max")}
            fresh = Listener.restore(self.user_id, row, **bounds)
            self.__dict__.update(fresh.__dict__)
            return
        for event in events_of(head, self.events - head.base, user, row):
            self.history.append(event)
            self._fold(event)
        self.counts = head.counts
        self._pages_kept = sum(head.counts) // PAGE_EVENTS

    def refresh_choices(self, value: bytes | None) -> None:
        """Take a choices row."""
        choices = Choices() if value is None else msgspec.msgpack.decode(body_of(value), type=Choices)
        self.liked, self.blocked, self.offered = choices.liked, choices.blocked, choices.offered
        self.profile = choices.profile


def _keep(kept: dict[str, V], key: str, value: V, most: int) -> None:
    """Put a key in, newest last; the oldest goes where there are more than `most`."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > most:
        del kept[next(iter(kept))]
