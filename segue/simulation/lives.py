"""What the listeners of a world do with the playlists that they get, in one copy of it: they listen from the top, complete, skip, like, and leave.

Position bias is the leaving: most skips end a visit sooner, so what stands low is heard less. Boredom: a track that was heard lately is liked
less, one that was heard long ago a little more; an artist who just played is liked less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from online_models.track import DAY_MS, Doubles
from segue.simulation.world import SIZE, Visit, World
from streams.messages import Context, ListeningEvent

LEAVES_SKIPPED, LEAVES_COMPLETED = 0.25, 0.05
BORED, BORED_DAYS, KNOWN = 1.2, 3.0, 0.3
SAME_ARTIST, ARTISTS_BACK = 0.6, 3
LIKES = 0.15  # chance of a like after a track that is liked by a logit of 1 or more
SHOWN = Context(surface="daily-mix")  # what `segue evaluate listening` asks for
OWN = 5  # tracks that somebody comes across before each visit: they play the one they like best


@dataclass(slots=True)
class Session:
    """What became of one visit.

    events : of their own track and of the playlist; heard : numbers of the playlist's tracks that began, completed : of each, whether to its end
    lost : of each, how much likelier it was that the track which they would have liked best at this place had been completed
    expected, best : completed listens to expect of the playlist that they got, and of the one that who knows their taste would have made
    """

    events: list[ListeningEvent]
    own: int
    heard: list[int] = field(default_factory=list)
    completed: list[bool] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    expected: float = 0.0
    best: float = 0.0


class Lives:
    """One copy of a world; the only state is what each listener has heard."""

    def __init__(self, world: World) -> None:
        self.world = world
        shape = (world.listeners, len(world.tracks))
        self._weary, self._at_ms, self._known = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.bool_)

    def liking(self, visit: Visit) -> Doubles:
        """How much somebody likes each track now, in logits, float64[tracks]; -inf where it is not released."""
        since_days = (visit.at_ms - self._at_ms[visit.listener]) / DAY_MS
        weary = self._weary[visit.listener] * np.exp(-np.maximum(since_days, 0.0) / BORED_DAYS)
        liking = self.world.taste(visit) + KNOWN * self._known[visit.listener] - BORED * weary
        return np.where(self.world.released_ms <= visit.at_ms, liking, -np.inf)

    def live(self, visit: Visit, playlist: Sequence[int], request_id: str) -> Session:
        """A visit: a track of their own, then the playlist from the top until they leave or it ends."""
        liking, chances = self.liking(visit), self.world.chances[visit.listener, visit.number]
        playlist = playlist[:SIZE]
        own = self._own(visit, liking)
        best = np.argsort(-liking, kind="stable")
        best = best[best != own][:SIZE]
        told = _Teller(visit, self.world)
        session = Session(told.events, own)
        session.expected = self._expected(liking, playlist, own)
        session.best = self._expected(liking, best.tolist(), own)
        last = [own]
        self._hear(visit, told, own, float(liking[own]), chances[SIZE], None, None)
        for position, track in enumerate(playlist):
            like = self._like_now(track, liking, last)
            completed = self._hear(visit, told, track, like, chances[position], request_id, position)
            session.heard.append(track)
            session.completed.append(completed)
            session.lost.append(_chance(float(liking[best[min(position, len(best) - 1)]])) - _chance(like))
            last.append(track)
            if chances[position, 1] < (LEAVES_COMPLETED if completed else LEAVES_SKIPPED):
                break
        return session

    def _own(self, visit: Visit, liking: Doubles) -> int:
        """Of some well-known tracks, the one that they like best."""
        known = np.where(np.isfinite(liking), self.world.attraction, 0.0)
        rng = np.random.default_rng([visit.listener, visit.number, visit.at_ms])
        met = rng.choice(len(known), OWN, p=known / known.sum())
        return int(met[liking[met].argmax()])

    def _like_now(self, track: int, liking: Doubles, last: Sequence[int]) -> float:
        """How much they like a track, in logits, after those that they heard last in this visit."""
        artists = self.world.artists
        same = any(artists[track] == artists[other] for other in last[-ARTISTS_BACK:])
        return float(liking[track]) - SAME_ARTIST * same - BORED * (track in last)

    def _expected(self, liking: Doubles, playlist: Sequence[int], own: int) -> float:
        """Completed listens to expect, by the chance to get as far as each place."""
        reached, expected, last = 1.0, 0.0, [own]
        for track in playlist:
            chance = _chance(self._like_now(track, liking, last))
            expected += reached * chance
            reached *= 1.0 - chance * LEAVES_COMPLETED - (1.0 - chance) * LEAVES_SKIPPED
            last.append(track)
        return expected

    def _hear(
        self,
        visit: Visit,
        told: "_Teller",
        track: int,
        liking: float,
        luck: Doubles,
        request_id: str | None,
        position: int | None,
    ) -> bool:
        completed = bool(luck[0] < _chance(liking))
        told.tell(track, completed, completed and liking > 1.0 and luck[2] < LIKES, luck, request_id, position)
        listener = visit.listener
        since_days = max(0.0, (visit.at_ms - self._at_ms[listener, track]) / DAY_MS)
        self._weary[listener, track] = 1.0 + self._weary[listener, track] * np.exp(-since_days / BORED_DAYS)
        self._at_ms[listener, track], self._known[listener, track] = visit.at_ms, True
        return completed


class _Teller:
    """Writes the events of one visit, each where the one before ended."""

    def __init__(self, visit: Visit, world: World) -> None:
        self.visit, self.world, self.at_ms = visit, world, visit.at_ms
        self.events: list[ListeningEvent] = []

    def tell(
        self, track: int, completed: bool, liked: bool, luck: Doubles, request_id: str | None, position: int | None
    ) -> None:
        played_ms = int(self.world.durations_ms[track]) if completed else int(2_000 + 27_000 * luck[2])
        self.at_ms += 1_000 + played_ms
        for kind in ("play" if completed else "skip", *(("like",) if liked else ())):
            self.events.append(
                ListeningEvent(
                    event_id=f"u{self.visit.listener}-{self.visit.number}-{len(self.events)}",
                    at_ms=self.at_ms,
                    user_id=f"u{self.visit.listener}",
                    track_id=f"t{track}",
                    kind=kind,
                    played_ms=None if kind == "like" else played_ms,
                    request_id=request_id,
                    position=position,
                    context=None if position is None else SHOWN,
                )
            )


def _chance(liking: float) -> float:
    return float(1.0 / (1.0 + np.exp(-liking)))
