"""What followed each track lately: of what co-listening recalls a sample that fits a learner, which holds no rows of neighbours.

No row holds it, so a worker that starts anew has none at first; and of several learners each knows what its own listeners heard.
"""

import numpy as np

from online_models.track import Doubles, Rows


class RecentFollowers:
    """`places` followers of each row of a table, which bounds it; a new one takes the place of any, so that the others fade.

    lags : tracks before a track that it follows, each `decay` times as likely to be told of as the one after it

    >>> followers, rng = RecentFollowers(places=4), np.random.default_rng(1)
    >>> for _ in range(20):
    ...     followers.add(np.array([[5]], np.int32), np.array([6], np.int32), rng)
    >>> drawn, recalled, chance = followers.draw(np.array([[5]], np.int32), 2, rng)
    >>> drawn.tolist(), bool((recalled == 6).any()), chance
    ([6, 6], True, 0.25)
    """

    def __init__(self, *, places: int = 16, lags: int = 6, decay: float = 0.8) -> None:
        self._followers = np.zeros((0, places), np.int32)
        self._kept: Doubles = decay ** np.arange(lags, dtype=np.float64)
        self._up_to = np.cumsum(self._kept) / self._kept.sum()

    def add(self, histories: Rows, targets: Rows, rng: np.random.Generator) -> None:
        """Histories int32[b, h], newest first, 0 for nothing, and what came after each, int32[b]."""
        recent = histories[:, : len(self._kept)]
        told = (recent > 0) & (rng.random(recent.shape) < self._kept[: recent.shape[1]])
        followed, listener = recent[told], np.nonzero(told)[0]
        self._fit(int(followed.max(initial=0)))
        self._followers[followed, rng.integers(0, self._followers.shape[1], len(followed))] = targets[listener]

    def draw(self, histories: Rows, size: int, rng: np.random.Generator) -> tuple[Rows, Rows, float]:
        """One follower of each of `size` recent tracks of listeners, fewer where little is known: (drawn, recalled, chance).

        recalled : int32[m], all that might have been drawn, each time at this `chance`; 0 for nothing
        """
        lag = np.searchsorted(self._up_to[: histories.shape[1]], rng.random(size)).clip(max=histories.shape[1] - 1)
        recent = histories[rng.integers(0, len(histories), size), lag]
        known = self._followers[recent[recent < len(self._followers)]]
        places = known.shape[1]
        drawn = known[np.arange(len(known)), rng.integers(0, places, len(known))]
        return drawn[drawn > 0], known.ravel(), 1.0 / places

    def _fit(self, row: int) -> None:
        if row >= len(self._followers):
            grown = np.zeros((max(256, row + 1 + row // 4), self._followers.shape[1]), np.int32)
            grown[: len(self._followers)] = self._followers
            self._followers = grown
