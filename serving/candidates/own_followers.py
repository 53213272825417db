"""What this listener heard around earlier times of what they heard last: habits, albums, playlists of their own.

The last plays are laid over every earlier stretch of the listener's plays, skipped ones too, which tell where in an album or playlist they
are. Where several agree the list goes on from there (`_onward`); and what stood near any of them goes with it, in whatever order (`_around`).
"""

from collections.abc import Sequence
from itertools import compress
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_models.listener_rows import SKIP, Heard
from online_models.track import DAY_MS, Doubles, Rows
from serving.candidates.channel import NOTHING, best
from serving.slate import Query

SEEDS, PLAYS_MAX = 16, 4096  # last plays; plays that are looked through
FADES, AGREE = 0.8, 1.5  # of a play against the one after it; power of what agrees
HALF_LIFE_DAYS, OLD = 60.0, 0.05  # of an earlier time, and what is left of it for ever
AHEAD, BEHIND, AROUND = 10, 6, 12  # plays from where it goes on, before there, and to both sides of an earlier time
SKIPPED = 0.2  # what a play is worth that was skipped then
RESTS, AGAIN = 16, 0.4  # last plays, and what is left of the score of what was among them
NEAR = 0.3  # of what is near an earlier time against what goes on from it
PLACES_MAX = 200  # plays that may say something

_ONWARD_AT, _AROUND_AT = np.arange(-BEHIND, AHEAD), np.setdiff1d(np.arange(-AROUND, AROUND + 1), [0])
_ONWARD = np.where(_ONWARD_AT < 0, 0.6, 1.0) * 0.8 ** np.abs(_ONWARD_AT)
_AROUND = 0.9 ** np.abs(_AROUND_AT)


def own_followers(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """By what was heard where the last plays, or some of them, were heard before."""
    listener = query.listener
    history: Sequence[Heard] = listener.history[-PLAYS_MAX:]
    if listener.events and sum(listener.counts[SKIP + 1 :]):
        history = [event for event in history if event.kind <= SKIP]
    places, lags = _earlier(history)
    if not len(places):
        return NOTHING
    age_days = (query.at_ms - np.array([history[place].at_ms for place in places.tolist()], np.float64)) / DAY_MS
    weights = np.exp2(-np.maximum(age_days, 0.0) / HALF_LIFE_DAYS) + OLD
    worth = _onward(len(history), places, lags, weights) + NEAR * _around(len(history), places, lags, weights)
    chosen = np.flatnonzero(worth)
    if len(chosen) > PLACES_MAX:
        chosen = chosen[np.argpartition(-worth[chosen], PLACES_MAX)[:PLACES_MAX]]
    scores = dict[str, float]()
    for place, value in zip(chosen.tolist(), worth[chosen].tolist(), strict=True):
        event = history[place]
        worth_here = SKIPPED * value if event.kind == SKIP else value
        scores[event.track_id] = scores.get(event.track_id, 0.0) + worth_here
    for track_id in {event.track_id for event in history[-RESTS:]} & scores.keys():
        scores[track_id] *= AGAIN
    rows = query.replica.table.indices(list(scores))
    values = np.fromiter(scores.values(), np.float64)
    return best(rows[rows > 0], values[rows > 0], limit)


def _earlier(history: Sequence[Heard]) -> tuple[Rows, Rows]:
    """The earlier times of the last plays, and how long ago each of those was: int32[m], int32[m]."""
    lags_of, end = dict[str, list[int]](), len(history)
    for lag, event in enumerate(history[: -SEEDS - 1 : -1]):
        lags_of.setdefault(event.track_id, []).append(lag)
    ids = map(attrgetter("track_id"), history)
    found = [
        (place, lag)
        for place in compress(range(end), map(lags_of.__contains__, ids))
        for lag in lags_of[history[place].track_id]
        if place + lag + 1 < end
    ]
    pairs = np.array(found, np.int32).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _onward(size: int, places: Rows, lags: Rows, weights: Doubles) -> Doubles:
    """Of each play, how much it goes on from where the last plays were heard in this order: float64[size], sum 1."""
    at = places + lags + 1
    newest = np.zeros(size)
    newest[at] = weights  # those of one place are a few plays apart: of nearly one age
    agreed = np.bincount(at, FADES**lags, size)
    there = np.flatnonzero(agreed)
    return _spread(size, there, agreed[there] ** AGREE * newest[there], _ONWARD_AT, _ONWARD)


def _around(size: int, places: Rows, lags: Rows, weights: Doubles) -> Doubles:
    """Of each play, how near it is to an earlier time of one of the last plays: float64[size], sum 1."""
    return _spread(size, places, 0.9**lags * weights, _AROUND_AT, _AROUND)


def _spread(size: int, places: NDArray[Any], weights: Doubles, offsets: NDArray[Any], fades: Doubles) -> Doubles:
    """What stands at some places, spread over those around them: float64[size], sum 1."""
    at = places[:, None] + offsets
    inside = (at >= 0) & (at < size)
    spread = np.bincount(at[inside], (weights[:, None] * fades)[inside], size).astype(np.float64)
    total: Doubles = spread / max(float(spread.sum()), 1e-12)
    return total
