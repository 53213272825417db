"""What a listener's plays add up to: memories of tracks and artists, habits, pace, the last outcomes; a deterministic fold over events.

Sums are forward-decayed (`track`), so that they need no touch while nothing happens.
"""

from array import array
from collections import deque

import msgspec

from online_models.listener_rows import LIKE, SAVE, SKIP, Heard
from online_models.tag_effects import TagEffects
from online_models.track import DAY_MS, LANDMARK_MS

SESSION_GAP_MS = 30 * 60_000  # a longer pause, of whole minutes, begins a new session
OUTCOMES = 4
FAVOURITES = 200
HABITS = (27, 27, 72, 72)  # sizes of the tables of `Recollection.habit_places`
_NO_HABITS = bytes(8 * sum(HABITS))
PLAY_TALLIED = 1 << 24  # a tally is so many times the plays, and the skips among them
_ONCE = (PLAY_TALLIED, PLAY_TALLIED + 1)  # most situations come once: they share these
_PAIR, _TRACK, _RETURN = 0, 1 << 52, 2 << 52  # what the keys of situations begin with
_MOMENT, _LAST = 1 << 48, 1 << 24  # of nine; more than the tracks of a history
_BACK = tuple(min(7, bits * 2 // 3) for bits in range(65))  # by the bits of how many plays ago a track was played
FINISHED, LEFT, SKIPPED = range(3)  # how a play ended
SWIFT = (0.5, 0.25, 0.08)  # how much of each rate by plays the newest play is
RATE = 0.35  # of skipping, before anything is known
HOUR_MS, PACE_MS = 3_600_000, 180_000  # half-lives of the hour's sums, and of the pace's
_MINUTE_MS = 60_000
_FINISHING, _LENGTH, _ORDER = 0.15, 0.2, 0.15
_TRACK_SWIFT, _ARTIST_SWIFT, _SURPRISE = 0.4, 0.2, 0.25


class Memory(msgspec.Struct, gc=False):
    """A listener's plays and skips of one track or one artist.

    plays, skips : forward-decayed; count : exact; last_ms : when last, Unix epoch
    swift : its rate of skipping by plays, the newest weigh most
    pull, doubt : sums of how much more it was skipped than the moment led to expect, and of the variance of that, forward-decayed
    number : of the listener's play that was its last; ending : how that ended, 0 where there was none; before : the track before that
    place : among the listener's tracks, or artists, in the order in which they came, from 1
    """

    plays: float = 0.0
    skips: float = 0.0
    pull: float = 0.0
    doubt: float = 0.0
    swift: float = RATE
    count: int = 0
    last_ms: int = 0
    number: int = 0
    ending: int = LEFT
    before: str = ""
    place: int = 0

    def learn_one(self, event: Heard, ending: int, weight: float, expected: float, swift: float, number: int) -> None:
        """Take a play, with its forward-decayed weight, the chance of a skip that the moment led to expect, and its number."""
        self.count += 1
        self.last_ms, self.ending, self.number = event.at_ms, ending, number
        self.plays += weight
        self.doubt += weight * expected * (1.0 - expected)
        if ending == SKIPPED:
            self.skips += weight
            self.pull += weight * (1.0 - expected)
            self.swift += swift * (1.0 - self.swift)
        else:
            self.pull -= weight * expected
            self.swift -= swift * self.swift

    @property
    def liking(self) -> float:
        """Plays less skips, forward-decayed: memories of one kind keep their order for ever."""
        return self.plays - 1.5 * self.skips


NOTHING = Memory()


def whole_minutes_ms(since_ms: int) -> int:
    """As many whole minutes, towards 0: where ends are known to the minute, a finer pause would tell how long the next play lasts (decision 0033).

    >>> whole_minutes_ms(119_999), whole_minutes_ms(-5), whole_minutes_ms(-60_001)
    (60000, 0, -60000)
    """
    return since_ms // _MINUTE_MS * _MINUTE_MS if since_ms > 0 else -(-since_ms // _MINUTE_MS) * _MINUTE_MS


class Recollection:
    """The fold; read its fields, feed it by `fold`. Bounded by the history that its owner folds.

    >>> mind = Recollection()
    >>> for n in range(3):
    ...     heard = mind.fold(Heard("t1", "a1", 60_000 * n, SKIP, 0, 10, n))
    >>> mind.tracks["t1"].count, list(mind.outcomes), heard
    (3, [1, 1, 1, 0], False)
    """

    __slots__ = (
        *("tracks", "artists", "tag_effects", "favourites", "heard", "heard_at_ms", "recent"),
        *("outcomes", "endings", "shares", "heard_s", "last_track", "last_artists", "tallies", "surprise"),
        *("plays", "skips", "habit_plays", "habit_skips", "hour_plays", "hour_skips", "pace_plays", "pace_skips"),
        *("swift", "finishing", "ordered", "length_s", "skip_run", "play_run", "number", "pause_ms"),
        *("last_ms", "session_plays", "session_skips", "_places"),
    )

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Back to nothing."""
        self.tracks: dict[str, Memory] = {}
        self.artists: dict[str, Memory] = {}
        self.tag_effects = TagEffects()
        self.favourites: dict[str, Memory] = {}  # tracks with the greatest `Memory.liking`, up to twice FAVOURITES
        self.heard: list[str] = []  # tracks played past the skip, liked or saved, in order
        self.heard_at_ms = array("d")  # when each of those was
        self.recent: deque[str] = deque(maxlen=20)  # tracks played or skipped, newest last
        # of the last plays, newest first: 1 skipped, -1 played; FINISHED, LEFT or SKIPPED; percent heard; seconds heard; artists
        self.outcomes, self.endings, self.shares = (0,) * OUTCOMES, (FINISHED,) * 3, (50,) * 3
        self.heard_s: tuple[float, float] = (0.0, 0.0)
        self.last_track = NOTHING
        self.last_artists: tuple[str | None, str | None] = (None, None)
        self.tallies: dict[int, int] = {}  # plays and skips by situation (`situations`), exact: PLAY_TALLIED
        self.surprise = 0.0  # swift mean of how much more was skipped than the swift rates of the tracks led to expect
        self.plays = self.skips = 0.0  # forward-decayed, half-life 30 days
        self.habit_plays, self.habit_skips = array("d", _NO_HABITS), array("d", _NO_HABITS)  # 60 days
        self.hour_plays = self.hour_skips = 0.0  # half-life one hour, as of last_ms
        self.pace_plays = self.pace_skips = 0.0  # half-life three minutes, as of last_ms
        self.swift = RATE, RATE, RATE  # rates of skipping by plays, the newest weigh most
        # the same of being heard out, of coming in a known order, of seconds heard
        self.finishing, self.ordered, self.length_s = 0.5, 0.3, 10.0
        self.skip_run = self.play_run = 0  # skips, or plays, without one of the other
        self.number = 0  # of the next play or skip
        self.pause_ms = 0  # before the last play
        self.last_ms = self.session_plays = self.session_skips = 0
        self._places: tuple[int, tuple[int, int, int, int]] | None = None  # the last answer of `habit_places`

    def fold(self, event: Heard) -> bool:
        """Take one event; answers whether its track was added to `heard`."""
        if event.kind > SKIP:
            chosen = event.kind in (LIKE, SAVE) and event.track_id not in self.heard[-5:]
            if chosen:
                self._memory(self.tracks, event.track_id)
                self._hear(event.track_id, event.at_ms)
            return chosen
        track_id, at_ms, share, skipped = event.track_id, event.at_ms, event.share, event.kind == SKIP
        days = min((at_ms - LANDMARK_MS) / DAY_MS, 30_000.0)  # in 2092 a double ends
        weight_30, weight_60, weight_90 = 2.0 ** (days / 30), 2.0 ** (days / 60), 2.0 ** (days / 90)
        start_ms = event.start_ms
        habit_plays, habit_skips = self.habit_plays, self.habit_skips
        for place in self.habit_places(start_ms):
            habit_plays[place] += weight_60
            if skipped:
                habit_skips[place] += weight_60
        self.plays += weight_30
        self.skips += weight_30 * skipped
        ending = SKIPPED if skipped else FINISHED if share >= 90 else LEFT
        self._remember(event, ending, weight_90, weight_60, start_ms)
        if not skipped:
            self._hear(track_id, at_ms)
        pause_ms = max(0, whole_minutes_ms(start_ms - self.last_ms))
        if pause_ms > SESSION_GAP_MS:
            self.session_plays = self.session_skips = 0
        self.session_plays += 1
        self.session_skips += skipped
        since_ms = max(0, at_ms - self.last_ms)
        fade, pace = 2.0 ** (-since_ms / HOUR_MS), 2.0 ** (-since_ms / PACE_MS)
        self.hour_plays = self.hour_plays * fade + 1.0
        self.hour_skips = self.hour_skips * fade + skipped
        self.pace_plays = self.pace_plays * pace + 1.0
        self.pace_skips = self.pace_skips * pace + skipped
        first, second, third, _ = self.outcomes
        self.outcomes = 1 if skipped else -1, first, second, third
        first, second, _ = self.endings
        self.endings = ending, first, second
        first, second, _ = self.shares
        self.shares = share, first, second
        self.recent.append(track_id)
        self.pause_ms = pause_ms
        self.last_ms = max(self.last_ms, at_ms)
        self._places = None
        return not skipped

    @property
    def expected(self) -> float:
        """The chance of a skip by the last outcomes alone."""
        first, second, third = self.swift
        return min(0.95, max(0.05, (first + second + third) / 3.0))

    def _remember(self, event: Heard, ending: int, weight_90: float, weight_60: float, start_ms: int) -> None:
        """What a play says of its track and artist, and of how somebody listens now."""
        skipped, expected = ending == SKIPPED, self.expected
        track = self._memory(self.tracks, event.track_id)
        artist = NOTHING if event.artist_id is None else self._memory(self.artists, event.artist_id)
        tallies, once = self.tallies, _ONCE[skipped]
        for key in self.situations(self.begun(start_ms), track, artist):
            tallies[key] = tallies[key] + once if key in tallies else once
        self.surprise += _SURPRISE * (skipped - track.swift - self.surprise)
        last = self.recent[-1] if self.recent else ""
        self.ordered += _ORDER * ((track.before == last != "") - self.ordered)
        track.learn_one(event, ending, weight_90, expected, _TRACK_SWIFT, self.number)
        track.before = last
        self._favour(event.track_id, track)
        if artist is not NOTHING:
            artist.learn_one(event, ending, weight_60, expected, _ARTIST_SWIFT, self.number)
        if event.tags:
            self.tag_effects.learn_one(event.tags, skipped, expected)
        (first, second, third), (swift_1, swift_2, swift_3) = self.swift, SWIFT
        self.swift = (
            first + swift_1 * (skipped - first),
            second + swift_2 * (skipped - second),
            third + swift_3 * (skipped - third),
        )
        self.finishing += _FINISHING * ((ending == FINISHED) - self.finishing)
        seconds = event.played_ms / 1000.0
        self.length_s += _LENGTH * (seconds - self.length_s)
        self.heard_s = seconds, self.heard_s[0]
        self.skip_run, self.play_run = (self.skip_run + 1, 0) if skipped else (0, self.play_run + 1)
        self.last_track, self.last_artists = track, (event.artist_id, self.last_artists[0])
        self.number += 1

    @staticmethod
    def _memory(memories: dict[str, Memory], key: str) -> Memory:
        memory = memories.get(key)
        if memory is None:
            memory = memories[key] = Memory(place=len(memories) + 1)
        return memory

    def _favour(self, track_id: str, memory: Memory) -> None:
        if memory.liking <= 0.0:
            self.favourites.pop(track_id, None)
            return
        self.favourites[track_id] = memory
        if len(self.favourites) > 2 * FAVOURITES:
            best = sorted(self.favourites.items(), key=lambda entry: -entry[1].liking)
            self.favourites = dict(best[:FAVOURITES])

    def _hear(self, track_id: str, at_ms: int) -> None:
        self.heard.append(track_id)
        self.heard_at_ms.append(at_ms)

    def habit_places(self, start_ms: int) -> tuple[int, int, int, int]:
        """Where a play that begins now stands in the four tables of habits, each a rate of skipping.

        By how the last three plays ended; by the last two and the pause since; by the pace of the last minutes; by the hour (UTC).
        """
        if self._places is not None and self._places[0] == start_ms:
            return self._places[1]
        whole_ms = whole_minutes_ms(start_ms - self.last_ms)
        since_ms = max(0, whole_ms)
        pause = 0 if since_ms < _MINUTE_MS else 1 if since_ms <= SESSION_GAP_MS else 2
        fade = 2.0 ** (-since_ms / PACE_MS)
        pace = 4 * min(5, int(self.pace_plays * fade * 1.5)) + min(3, int(self.pace_skips * fade * 1.5))
        first, second, third = self.endings
        places = (
            first * 9 + second * 3 + third,
            27 + pause * 9 + first * 3 + second,
            54 + pause * 24 + pace,
            126 + pause * 24 + (self.last_ms + whole_ms) // HOUR_MS % 24,
        )
        self._places = start_ms, places
        return places

    def begun(self, start_ms: int) -> tuple[int, int, int]:
        """What the keys of `situations` have in common for all tracks that may begin now.

        Moments are nine, by the pause and by how the last track ended.
        """
        moment = (self.habit_places(start_ms)[1] - HABITS[0]) // 3 * _MOMENT
        return _PAIR + self.endings[0] * _MOMENT + self.last_track.place * _LAST, _TRACK + moment, _RETURN + moment

    def situations(self, begun: tuple[int, int, int], track: Memory, artist: Memory) -> tuple[int, int, int]:
        """The keys under which a play that begins now is tallied; nothing is under the first two of a track that was never heard.

        By the last track, how it ended and this one; by the moment and this one; by the moment, how this one ended and how many plays ago.
        """
        pair, moment, back = begun
        if track.count:
            back += 2 + 8 * track.ending + _BACK[(self.number - track.number).bit_length()]
        elif artist.count:
            back += 1
        return pair + track.place, moment + track.place, back
