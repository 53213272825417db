"""Who makes playlists in the scenario `listening`: Segue by its real processors and stages, parts of it, and what takes no model.

Each is told of releases, of who joins, and of what was heard, and of nothing else; what was heard within `SPARED_MS` is not played again by any.
Peers are in `listening_peers`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from online_models.track import Doubles
from segue.evaluation.cluster import LocalCluster
from segue.simulation.catalogue import TAGS
from segue.simulation.lives import Lives, Session
from segue.simulation.world import SIZE, Visit
from streams.messages import Experiment, PlaylistRequest, Profile, Surface, Track, encode
from streams.topics import EXPERIMENTS

SURFACE: Surface = "daily-mix"
SPARED_MS = 3 * 3_600_000
SKIPS = 1.0  # a skip takes away what so many plays give


class Strategy(Protocol):
    """Makes playlists from what it was told."""

    def release(self, tracks: Sequence[Track]) -> None: ...

    def introduce(self, profile: Profile) -> None: ...

    def recommend(self, visit: Visit, request_id: str) -> list[int]: ...

    def learn(self, visit: Visit, session: Session) -> None: ...


def number_of(track_id: str) -> int:
    """Of a track: the world's "t7" is 7."""
    return int(track_id[1:])


def first(scores: Doubles, most: int) -> list[int]:
    """The numbers of the greatest scores, best first; those of -inf are left out."""
    order = np.argsort(-scores, kind="stable")[:most]
    numbers: list[int] = order[np.isfinite(scores[order])].tolist()
    return numbers


class Segue:
    """The whole chain; a session is learnt, and its vectors handed over, before the next begins.

    settings : of the surface that are changed, as an experiment changes them
    """

    def __init__(
        self, seed: int, settings: dict[str, float | str | bool] | None = None, *, flush_every: int = 2
    ) -> None:
        self.cluster = LocalCluster(seed=seed, flush_every=flush_every)
        if settings:
            experiment = Experiment("all", "all", arms={"on": 1.0}, settings={"on": settings})
            self.cluster.replica.apply(EXPERIMENTS.name, 0, [(b"all", encode(experiment))])

    def release(self, tracks: Sequence[Track]) -> None:
        self.cluster.list_tracks(tracks)

    def introduce(self, profile: Profile) -> None:
        self.cluster.introduce(profile)

    def recommend(self, visit: Visit, request_id: str) -> list[int]:
        request = PlaylistRequest(request_id, f"u{visit.listener}", SURFACE, SIZE)
        playlist = self.cluster.radio.recommend(request, visit.at_ms, _no_time)
        self.cluster.show(playlist)
        return [number_of(slot.track_id) for slot in playlist.tracks]

    def learn(self, visit: Visit, session: Session) -> None:
        self.cluster.learn(session.events)


class TwoTower(Segue):
    """Segue's two-tower model alone: the tracks nearest to the listener, and nothing explored."""

    def recommend(self, visit: Visit, request_id: str) -> list[int]:
        request = PlaylistRequest(request_id, f"u{visit.listener}", SURFACE, SIZE)
        query, _ = self.cluster.radio.ranked(request, visit.at_ms)
        replica = self.cluster.replica
        keys, tracks, since_ms = replica.table.keys, query.listener.tracks, visit.at_ms - SPARED_MS
        near = [keys[row][2:] for row in replica.search(query.vector, 5 * SIZE)[0].tolist()]
        allowed = [track for track in near if track not in tracks or tracks[track].last_ms <= since_ms]
        return [number_of(track) for track in allowed[:SIZE]]


class Listed(ABC):
    """What a strategy without a model keeps: which tracks are out, who heard what when, and how popular each is.

    released : bool[tracks]; heard_ms : float64[listeners, tracks], when each last heard each
    counts : float64[tracks], completed listens less skips, of all time
    """

    def __init__(self, listeners: int, tracks: int) -> None:
        self.released = np.zeros(tracks, np.bool_)
        self.heard_ms: Doubles = np.full((listeners, tracks), -np.inf)
        self.counts: Doubles = np.zeros(tracks)

    def release(self, tracks: Sequence[Track]) -> None:
        self.released[[number_of(track.track_id) for track in tracks]] = True

    @abstractmethod
    def introduce(self, profile: Profile) -> None:
        """Somebody joins."""

    def recommend(self, visit: Visit, request_id: str) -> list[int]:
        return self.list_by(self.score(visit), visit, SIZE)

    def list_by(self, scores: Doubles, visit: Visit, most: int) -> list[int]:
        """The tracks of the greatest scores, best first, of those that may be played."""
        spared = self.heard_ms[visit.listener] > visit.at_ms - SPARED_MS
        return first(np.where(self.released & ~spared, scores, -np.inf), most)

    @abstractmethod
    def score(self, visit: Visit) -> Doubles:
        """Of every track for who visits, float64[tracks]."""

    def learn(self, visit: Visit, session: Session) -> None:
        for event in session.events:
            track = number_of(event.track_id)
            self.heard_ms[visit.listener, track] = event.at_ms
            if event.kind in ("play", "skip"):
                self.counts[track] += 1.0 if event.kind == "play" else -SKIPS
                self.learn_one(visit, track, event.kind == "play")

    @abstractmethod
    def learn_one(self, visit: Visit, track: int, completed: bool) -> None:
        """What became of one track, beside what is counted."""


class Popularity(Listed):
    """Completed listens less skips, of all time."""

    def introduce(self, profile: Profile) -> None: ...

    def score(self, visit: Visit) -> Doubles:
        return self.counts

    def learn_one(self, visit: Visit, track: int, completed: bool) -> None: ...


class Content(Listed):
    """A listener's rate of completing by tag, that of the tag they named above all at first; tracks of the same tags in the order of popularity.

    tags : bool[tracks, TAGS]
    """

    def __init__(self, listeners: int, tags: NDArray[np.bool_]) -> None:
        super().__init__(listeners, len(tags))
        self._tags = tags / np.maximum(tags.sum(1, keepdims=True), 1.0)
        self._completed, self._all = np.ones((listeners, len(TAGS))), np.full((listeners, len(TAGS)), 2.0)

    def introduce(self, profile: Profile) -> None:
        listener = int(profile.user_id[1:])
        for tag in profile.favourite_tags:
            self._completed[listener, TAGS.index(tag)] += 3.0
            self._all[listener, TAGS.index(tag)] += 3.0

    def score(self, visit: Visit) -> Doubles:
        rates = self._completed[visit.listener] / self._all[visit.listener]
        scores: Doubles = self._tags @ rates + 1e-3 * np.tanh(self.counts)
        return scores

    def learn_one(self, visit: Visit, track: int, completed: bool) -> None:
        self._completed[visit.listener] += self._tags[track] * completed
        self._all[visit.listener] += self._tags[track]


class Oracle:
    """Knows what everybody likes now, as nobody does."""

    def __init__(self, lives: Lives) -> None:
        self.lives = lives

    def release(self, tracks: Sequence[Track]) -> None: ...

    def introduce(self, profile: Profile) -> None: ...

    def recommend(self, visit: Visit, request_id: str) -> list[int]:
        return first(self.lives.liking(visit), SIZE)

    def learn(self, visit: Visit, session: Session) -> None: ...


def _no_time() -> float:
    return 0.0
