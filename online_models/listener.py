"""Everything known of one listener: exact counters, a bounded history, and what is folded from it.

The rows (`listener_rows`) hold the counters and the history only; all the rest (memories of tracks and artists, rates, the last
outcomes) is a deterministic fold over the history, so learner and serving worker, restored or living, hold the same. A serving worker may be
ahead of the rows by events that the learner has not committed yet (`foresee`); the rows confirm them, or the listener is read anew.
"""

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
    SKIP,
    UNLIKE,
    VERSION,
    Choices,
    Heard,
    Profile,
    WrittenHead,
    body_of,
    events_of,
    head_of,
    page_key,
)
from online_models.recollection import Recollection

V = TypeVar("V")


class Listener(Recollection):
    """One listener.

    history_max : events kept, a page or more; then the oldest quarter goes, whole pages
    marks_max : how many events back, within the history, a repeated event_id is known
    likes_max, offers_max : bounds of what is kept of each, the oldest goes first

    >>> ann = Listener("ann")
    >>> for n in range(40):
    ...     heard = ann.learn_one(Heard("t1", "a1", 60_000 * n, SKIP if n % 2 else PLAY, 0, 100, n))
    >>> rows = ann.changed_rows()
    >>> again = Listener.restore("ann", rows.get)
    >>> again.counts == ann.counts, again.tracks["t1"].plays == ann.tracks["t1"].plays, len(rows)
    (True, True, 2)
    """

    __slots__ = (
        *("user_id", "history_max", "marks_max", "likes_max", "offers_max"),
        *("counts", "base", "history", "marks", "liked", "blocked", "offered", "profile"),
        *("ahead", "_pages_kept", "_tail", "_dropped", "_choices_changed"),
    )

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
        super().__init__()
        self.user_id, self.history_max, self.likes_max, self.offers_max = user_id, history_max, likes_max, offers_max
        self.counts = [0] * len(KINDS)
        self.base = 0
        self.history: list[Heard] = []
        self.marks_max = marks_max
        self.liked: dict[str, int] = {}
        self.blocked: dict[str, int] = {}
        self.offered: dict[str, str] = {}
        self.profile: Profile | None = None
        self.ahead = 0  # of the newest events, those that no row has told of yet
        self._pages_kept = 0  # pages below are in the changelog
        self._tail: list[msgspec.Raw] = []  # events after them, as they were last written
        self._dropped: list[int] = []
        self._choices_changed = False
        self.marks: dict[int, None] = {}

    @property
    def events(self) -> int:
        """All events ever, exactly."""
        return sum(self.counts)

    def knows(self, mark: int) -> bool:
        """Whether an event was seen among the last `marks_max`."""
        return mark in self.marks

    def learn_one(self, event: Heard) -> bool:
        """Take one event; answers whether its track counts as heard: played past the skip, or liked or saved some time after."""
        self.counts[event.kind] += 1
        self.history.append(event)
        heard = self.fold(event)
        if event.kind not in (PLAY, SKIP):
            self._choose(event)
        if len(self.history) > self.history_max:
            self._drop_oldest()
        return heard

    def foresee(self, event: Heard) -> None:
        """Take an event before its row comes, unless the oldest would have to go for it."""
        if len(self.history) < self.history_max:
            self.learn_one(event)
            self.ahead += 1

    def fold(self, event: Heard) -> bool:
        self.marks[event.mark] = None
        if len(self.marks) > self.marks_max:
            del self.marks[next(iter(self.marks))]
        return Recollection.fold(self, event)

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
        self.forget()
        self.marks.clear()
        for event in self.history:
            self.fold(event)

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
        full, first = self.events // PAGE_EVENTS, max(self._pages_kept, self.base // PAGE_EVENTS)
        if first > self._pages_kept:  # dropped before they were written
            self._tail.clear()
        new = self.history[first * PAGE_EVENTS - self.base + len(self._tail) :]
        tail = self._tail
        tail += [msgspec.Raw(msgspec.msgpack.encode(event)) for event in new]
        for page in range(first, full):
            rows[page_key(page, user)] = VERSION + msgspec.msgpack.encode(tail[:PAGE_EVENTS])
            del tail[:PAGE_EVENTS]
        self._pages_kept = full
        # before the head: who has read that an event was learnt has read what was chosen by it
        if self._choices_changed:
            choices = Choices(self.liked, self.blocked, self.profile, self.offered)
            rows[CHOICES + user] = VERSION + msgspec.msgpack.encode(choices)
            self._choices_changed = False
        rows[HEAD + user] = VERSION + msgspec.msgpack.encode(WrittenHead(self.counts, self.base, tail))
        rows.update(
            (page_key(page, user), None) for page in self._dropped
        )  # after the head, which counts on them no more
        self._dropped.clear()
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
        """Catch up with rows that a newer head describes: only the new events are folded, where they go on from ours.

        They do not where the person was erased and came back, or where an event was foreseen otherwise than it came: the events on the page of the
        last one that rows told of, or after it, are then others.
        """
        user = self.user_id.encode()
        head = head_of(row(HEAD + user))
        newest, known, told = list[Heard](), len(self.history), self.events - self.ahead
        start = max(0, told - 1) // PAGE_EVENTS * PAGE_EVENTS - self.base
        goes_on = head.base == self.base and sum(head.counts) >= told
        if goes_on:
            newest = list(events_of(head, start, user, row))
            goes_on = newest[: known - start] == self.history[start : start + len(newest)]
        if not goes_on:
            bounds = {name: getattr(self, name) for name in ("history_max", "marks_max", "likes_max", "offers_max")}
            fresh = Listener.restore(self.user_id, row, **bounds)
            for name in (*Recollection.__slots__, *Listener.__slots__):
                setattr(self, name, getattr(fresh, name))
            return
        chose = any(event.kind not in (PLAY, SKIP) for event in self.foreseen())
        for event in newest[known - start :]:
            self.history.append(event)
            self.fold(event)
        self._pages_kept = sum(head.counts) // PAGE_EVENTS
        self._tail.clear()
        self.counts, self.ahead = head.counts, max(0, known - start - len(newest))
        for event in self.foreseen():
            self.counts[event.kind] += 1
        # their row came before this head: what it holds already was chosen once more, and may have put out others
        if chose:
            self.refresh_choices(row(CHOICES + user))

    def refresh_choices(self, value: bytes | None) -> None:
        """Take a choices row."""
        choices = Choices() if value is None else msgspec.msgpack.decode(body_of(value), type=Choices)
        self.liked, self.blocked, self.offered = choices.liked, choices.blocked, choices.offered
        self.profile = choices.profile
        for event in self.foreseen():
            if event.kind not in (PLAY, SKIP):
                self._choose(event)

    def foreseen(self) -> list[Heard]:
        """The newest events, those that no row has told of yet."""
        return self.history[len(self.history) - self.ahead :]


def _keep(kept: dict[str, V], key: str, value: V, most: int) -> None:
    """Put a key in, newest last; the oldest goes where there are more than `most`."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > most:
        del kept[next(iter(kept))]
