"""A seeded world for closed loops: listeners with hidden tastes that drift, a catalogue with new releases, and when who listens.

Fixed beforehand, so that every recommender meets the same people with the same luck; what they have heard is theirs (`lives`). Tags tell a part
of a taste, a hidden style another part, which only listening shows. Not a model of any real audience.

There are two kinds of listeners. Those of `segue.simulation.listener` draw their luck as they go: one life, for demo traffic and tests, at whatever
time it is. In a comparison it would part at the first playlist that differs; so here luck is drawn beforehand, by listener, visit and place.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_models.track import DAY_MS, Doubles
from segue.simulation.catalogue import TAGS, make_catalogue
from streams.messages import Profile, Track

BEGIN_MS = 1_750_000_000_000
DAYS = 60
SIZE = 10  # tracks of a playlist
STYLES = 8
RELEASED = 0.2  # share of the catalogue that comes out meanwhile
JOINED = 0.5  # part of the days in which listeners join, evenly
PAUSE_MS = 2 * 3_600_000  # between two visits of one listener, at least: longer than a visit takes
CHANGES, WANDERS = 0.05, 0.15  # chance that a loved tag becomes another before a visit; how far the style goes


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody listens: which listener, how many visits they had before, when it begins."""

    listener: int
    number: int
    at_ms: int


class World:
    """Functions of the seed.

    tracks : of the whole catalogue, with `released_ms`; number n has the id "t{n}", listener n "u{n}"
    attraction : float64[tracks], how well known each is; artists : int64[tracks], a number for each artist
    tags : bool[tracks, TAGS]
    visits : in the order of time; chances : float64[listeners, visits, SIZE + 1, 3], the luck of each listen
    """

    def __init__(self, seed: int, *, listeners: int = 200, visits: int = 15) -> None:
        rng = np.random.default_rng([77, seed])
        number = 10 * listeners
        catalogue = make_catalogue(seed, tracks=number, artists=max(8, number // 12))
        self.listeners, self.visits_each, self.attraction = listeners, visits, catalogue.attraction
        self.artists = np.array([int((track.artist_id or "a0")[1:]) for track in catalogue.tracks], np.int64)
        self.released_ms = _releases(rng, number)
        released = self.released_ms.tolist()
        self.tracks: list[Track] = [
            msgspec.structs.replace(track, released_ms=at_ms)
            for track, at_ms in zip(catalogue.tracks, released, strict=True)
        ]
        self.durations_ms = np.array([track.duration_ms or 0 for track in self.tracks], np.int64)
        self.tags = np.array([[tag in track.tags for tag in TAGS] for track in self.tracks], np.bool_)
        self._tags = self.tags / self.tags.sum(1, keepdims=True)
        self._draw_tracks(rng)
        self._draw_tastes(rng)
        self.chances: Doubles = rng.random((listeners, visits, SIZE + 1, 3))
        self.visits = self._schedule(rng)

    def _draw_tracks(self, rng: np.random.Generator) -> None:
        artists = int(self.artists.max()) + 1
        styles = rng.normal(size=(artists, STYLES))[self.artists] + 0.6 * rng.normal(size=(len(self.tracks), STYLES))
        self._styles = styles / np.linalg.norm(styles, axis=1, keepdims=True)
        known = np.log(self.attraction)
        self._quality = 0.4 * (known - known.mean()) / known.std() + 0.3 * rng.normal(size=len(self.tracks))
        self._affinity = 0.5 * rng.normal(size=(self.listeners, artists))

    def _draw_tastes(self, rng: np.random.Generator) -> None:
        """Of each listener at each visit: how much they like each tag, float64[listeners, visits, TAGS], and the style that they like."""
        shape = (self.listeners, self.visits_each)
        self._loved, self._leaning = np.full((*shape, len(TAGS)), -1.0), np.zeros((*shape, STYLES))
        for listener in range(self.listeners):
            loved = rng.choice(len(TAGS), 3, replace=False)
            leaning = _unit(rng.normal(size=STYLES))
            for visit in range(self.visits_each):
                others = np.setdiff1d(np.arange(len(TAGS)), loved)
                changes, place, other = rng.random() < CHANGES, int(rng.integers(3)), int(rng.choice(others))
                if changes:
                    loved[place] = other
                leaning = _unit(leaning + WANDERS * _unit(rng.normal(size=STYLES)))
                self._loved[listener, visit, loved] = 2.0, 1.5, 1.0
                self._leaning[listener, visit] = leaning

    def _schedule(self, rng: np.random.Generator) -> list[Visit]:
        visits = []
        for listener in range(self.listeners):
            joined = rng.random() * JOINED
            shares = np.sort(joined + (1.0 - joined) * rng.random(self.visits_each))
            at_ms = 0
            for number, share in enumerate(shares.tolist()):
                at_ms = max(at_ms + PAUSE_MS, BEGIN_MS + int(share * DAYS * DAY_MS))
                visits.append(Visit(listener, number, at_ms))
        return sorted(visits, key=lambda visit: (visit.at_ms, visit.listener))

    def taste(self, visit: Visit) -> Doubles:
        """How much somebody likes each track at a visit, in logits, before what they have heard: float64[tracks]."""
        listener, number = visit.listener, visit.number
        tags, style = self._loved[listener, number], self._leaning[listener, number]
        taste: Doubles = 1.2 * self._tags @ tags + 1.5 * self._styles @ style + self._quality
        taste += self._affinity[listener, self.artists]
        return taste

    def profile(self, listener: int) -> Profile:
        """What a listener tells when they join: the tag that they love most."""
        tag = TAGS[int(self._loved[listener, 0].argmax())]
        return Profile(user_id=f"u{listener}", favourite_tags=[tag])

    def release_order(self) -> list[int]:
        """Numbers of the tracks by release."""
        order: list[int] = np.argsort(self.released_ms, kind="stable").tolist()
        return order


def _releases(rng: np.random.Generator, tracks: int) -> NDArray[np.int64]:
    """A moment of release for each: before it all begins, or within the first nine tenths of the days."""
    before = BEGIN_MS - (1 + 1000 * rng.random(tracks)) * DAY_MS
    meanwhile = BEGIN_MS + 0.9 * DAYS * DAY_MS * rng.random(tracks)
    at_ms: NDArray[np.int64] = np.where(rng.random(tracks) < RELEASED, meanwhile, before).astype(np.int64)
    return at_ms


def _unit(vector: Doubles) -> Doubles:
    unit: Doubles = vector / np.linalg.norm(vector)
    return unit
