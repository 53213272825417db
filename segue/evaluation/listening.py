"""The closed loop: a strategy drives its own copy of a world, and what came of it is written down by visit and by listen."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from online_models.track import Doubles
from segue.evaluation.listening_strategies import Strategy
from segue.simulation.lives import Lives
from segue.simulation.world import BEGIN_MS, World

BUCKETS = ("0", "1-4", "5-19", "20+")
_EDGES = np.array([1, 5, 20])


@dataclass(slots=True)
class Loop:
    """What one strategy's listeners did in one world.

    listeners, completed, heard, expected, best : of each visit: whose, the playlist's tracks that were completed and begun, and see `Session`
    finished, lost, plays, impressions, new : of each of the playlists' tracks that began: whether it was completed, see `Session`, how many the
        listener had heard when they asked, how many visits of anybody had heard the track then, and whether it came out since the beginning
    recommended : numbers of all tracks that were in a playlist
    """

    listeners: list[int] = field(default_factory=list)
    completed: list[int] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    expected: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    finished: list[bool] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    plays: list[int] = field(default_factory=list)
    impressions: list[int] = field(default_factory=list)
    new: list[bool] = field(default_factory=list)
    recommended: set[int] = field(default_factory=set)


def live_through(world: World, lives: Lives, strategy: Strategy, told: Callable[[int], None]) -> Loop:
    """All visits, one after the other as they begin; each is learnt before the next.

    told : how many visits are done
    """
    loop, waiting = Loop(), world.release_order()[::-1]
    impressions, plays = np.zeros(len(world.tracks), np.int64), np.zeros(world.listeners, np.int64)
    for number, visit in enumerate(world.visits):
        out = []
        while waiting and world.released_ms[waiting[-1]] <= visit.at_ms:
            out.append(world.tracks[waiting.pop()])
        if out:
            strategy.release(out)
        if not visit.number:
            strategy.introduce(world.profile(visit.listener))
        request_id = f"u{visit.listener}-{visit.number}"
        playlist = strategy.recommend(visit, request_id)
        session = lives.live(visit, playlist, request_id)
        strategy.learn(visit, session)
        loop.listeners.append(visit.listener)
        loop.completed.append(sum(session.completed))
        loop.heard.append(len(session.heard))
        loop.expected.append(session.expected)
        loop.best.append(session.best)
        loop.recommended.update(playlist)
        loop.lost += session.lost
        for track, completed in zip(session.heard, session.completed, strict=True):
            loop.finished.append(completed)
            loop.plays.append(int(plays[visit.listener]))
            loop.impressions.append(int(impressions[track]))
            loop.new.append(bool(world.released_ms[track] > BEGIN_MS))
        impressions[[session.own, *session.heard]] += 1
        plays[visit.listener] += 1 + len(session.heard)
        told(number + 1)
    return loop


def by_bucket(counts: NDArray[np.int64], values: Doubles) -> tuple[NDArray[np.int64], Doubles]:
    """Listens in each of BUCKETS, int64[4], and the mean of their values, float64[4], nan of nothing."""
    places = np.searchsorted(_EDGES, counts, side="right")
    all_of = np.bincount(places, minlength=len(BUCKETS))
    with np.errstate(invalid="ignore"):
        means: Doubles = np.bincount(places, values, len(BUCKETS)) / all_of
    return all_of, means
