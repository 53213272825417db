"""A log as a stream of likes, and what a method's guesses of them are worth: hit rates, with intervals over listeners."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from segue.errors import InputError
from segue.evaluation.metrics import resampled
from segue.importers import source_of
from streams.messages import ListeningEvent, Track

LISTED = 50  # places of a list
SAMPLES = 1000  # of the bootstrap
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LikeStream:
    """tracks : the whole catalogue; likes : each listener's first of each track, as plays in the order of time."""

    tracks: list[Track]
    likes: list[ListeningEvent]


def read_likes(path: Path) -> LikeStream:
    """A folder of MovieLens; a rating of 4 or more is a like, all others are left out.

    Raises
    ------
    InputError
        where the folder or what it must hold is not there
    """
    if not path.exists():
        raise InputError(
            f"{path}: is not there, expected a folder with MovieLens's ratings.csv and movies.csv; say where it is with --data"
        )
    source = source_of(path, "movielens")
    known, likes = set[tuple[str, str]](), list[ListeningEvent]()
    for event in source.events(path):
        pair = (event.user_id, event.track_id)
        if event.kind == "play" and pair not in known:
            known.add(pair)
            likes.append(msgspec.structs.replace(event, event_id=f"{event.user_id}-{event.track_id}"))
    if not likes:
        raise InputError(f"{path}: holds no rating of 4 or more, expected a stream of them")
    return LikeStream(list(source.tracks(path)), likes)


@dataclass(slots=True)
class Guesses:
    """listeners : of each guess, numbered; ranks : by method, the place of what was liked in its list, -1 where it is not in the first LISTED."""

    listeners: list[int] = field(default_factory=list)
    ranks: dict[str, list[int]] = field(default_factory=dict)

    def add(self, listener: int, ranks: dict[str, int]) -> None:
        """What every method guessed before one like."""
        self.listeners.append(listener)
        for method, rank in ranks.items():
            self.ranks.setdefault(method, []).append(rank)

    def gains(self, method: str) -> dict[str, Doubles]:
        """What each guess counts in each measure, float64[n]."""
        ranks = np.array(self.ranks[method], np.int64)
        hit = (ranks >= 0) & (ranks < 10)
        return {
            "hr_at_10": hit.astype(np.float64),
            "recall_at_50": ((ranks >= 0) & (ranks < LISTED)).astype(np.float64),
            "ndcg_at_10": np.where(hit, 1.0 / np.log2(np.maximum(ranks, 0) + 2.0), 0.0),
        }


class Bootstrap:
    """Resamples listeners, not likes: those of one listener are alike.

    listeners : int[n], of each guess

    >>> low, high = Bootstrap([0, 0, 1, 2], seed=1).interval(np.array([1.0, 0.0, 1.0, 0.0]))
    >>> 0.0 <= low <= 0.5 <= high <= 1.0
    True
    """

    def __init__(self, listeners: Sequence[int], seed: int) -> None:
        self._places, self._drawn = resampled(listeners, SAMPLES, seed)

    def _sums(self, gains: Doubles) -> Doubles:
        sums: Doubles = self._drawn.astype(np.float64) @ np.bincount(self._places, gains, self._drawn.shape[1])
        return sums

    def interval(self, gains: Doubles) -> tuple[float, float]:
        """The 95 % interval of the mean of what each guess counts, float64[n]."""
        return _middle(self._sums(gains) / self._sums(np.ones(len(gains))))

    def interval_of_ratio(self, gains: Doubles, others: Doubles) -> tuple[float, float]:
        """The 95 % interval of one mean divided by another of the same guesses."""
        return _middle(self._sums(gains) / np.maximum(self._sums(others), 1e-12))


def _middle(values: Doubles) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
