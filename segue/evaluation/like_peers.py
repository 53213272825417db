"""Others' recommenders for likes, learnt anew every so many of them: ALS, BPR and item neighbours of `implicit` (extra `peers`).

Between two fits a listener is folded in: their scores are those of what they have liked until now, by the item factors or likenesses of
the last fit. One thread; sizes are those that did best of a few on `ml-latest-small` (`PEERS`).
"""

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

Scores = NDArray[np.float64]
NO_IMPLICIT = "implicit is not installed, so its ALS, BPR and ItemKNN did not play: pip install 'segue[peers]'"


class Peer(Protocol):
    """fit : on all likes so far, sparse [listeners, tracks]; score : every track for somebody who liked these."""

    def fit(self, likes: scipy.sparse.csr_matrix) -> None: ...

    def score(self, listener: int, liked: list[int]) -> Scores: ...


class Als:
    """Implicit ALS (Hu et al. 2008); fold-in solves the listener's factors anew."""

    def __init__(self, seed: int, *, factors: int = 64, regularization: float = 0.01, alpha: float = 1.0) -> None:
        from implicit.als import AlternatingLeastSquares

        self._model: Any = AlternatingLeastSquares(
            factors=factors,
            regularization=regularization,
            alpha=alpha,
            use_gpu=False,
            num_threads=1,
            random_state=seed,
        )

    def fit(self, likes: scipy.sparse.csr_matrix) -> None:
        self._model.fit(likes, show_progress=False)

    def score(self, listener: int, liked: list[int]) -> Scores:
        row = _row(liked, len(self._model.item_factors))
        scores: Scores = self._model.item_factors @ self._model.recalculate_user(0, row)
        return scores


class Bpr:
    """BPR (Rendle et al. 2009); fold-in is the mean of what was liked, as implicit has none, for those whom the last fit did not know."""

    def __init__(self, seed: int, *, factors: int = 64, regularization: float = 0.01, rate: float = 0.05) -> None:
        from implicit.bpr import BayesianPersonalizedRanking

        self._model: Any = BayesianPersonalizedRanking(
            factors=factors,
            regularization=regularization,
            learning_rate=rate,
            use_gpu=False,
            num_threads=1,
            random_state=seed,
        )
        self._known = np.zeros(0, np.bool_)

    def fit(self, likes: scipy.sparse.csr_matrix) -> None:
        self._known = np.diff(likes.indptr) > 0
        self._model.fit(likes, show_progress=False)

    def score(self, listener: int, liked: list[int]) -> Scores:
        items = self._model.item_factors
        if listener < len(self._known) and self._known[listener]:
            vector = self._model.user_factors[listener]
        else:
            vector = items[liked].mean(0)
            vector[-1] = 1.0  # the item's own bias
        scores: Scores = items @ vector
        return scores


class ItemNeighbours:
    """Item neighbours by cosine (Sarwar et al. 2001): the likenesses to all that was liked, summed."""

    def __init__(self, seed: int, *, neighbours: int = 100) -> None:
        from implicit.nearest_neighbours import CosineRecommender

        self._model: Any = CosineRecommender(K=neighbours, num_threads=1)

    def fit(self, likes: scipy.sparse.csr_matrix) -> None:
        with warnings.catch_warnings():  # implicit warns of a matrix that it has made itself
            warnings.simplefilter("ignore")
            self._model.fit(likes, show_progress=False)

    def score(self, listener: int, liked: list[int]) -> Scores:
        alike = self._model.similarity
        scores: Scores = np.asarray((_row(liked, alike.shape[0]) @ alike).todense(), np.float64)[0]
        return scores


PEERS: dict[str, Callable[[int], Peer]] = {"als": Als, "bpr": Bpr, "itemknn": ItemNeighbours}


def _row(liked: list[int], tracks: int) -> scipy.sparse.csr_matrix:
    ones = np.ones(len(liked), np.float32)
    return scipy.sparse.csr_matrix((ones, (np.zeros(len(liked), np.int32), liked)), (1, tracks))


class Refitting:
    """Peers that see the likes one by one, and learn them anew every `every`.

    tracks : how many there are; listeners : how many will come
    """

    def __init__(self, peers: dict[str, Peer], tracks: int, listeners: int, *, every: int = 2000) -> None:
        self.peers, self.every, self._shape = peers, every, (listeners, tracks)
        self.counts = np.zeros(tracks)
        self._rows: list[int] = []
        self._columns: list[int] = []
        self._liked: dict[int, list[int]] = {}
        self._fitted = False

    def ranks(self, listener: int, track: int) -> dict[str, int]:
        """The place of a track among all that the listener has not liked, by peer; popularity until there was a fit."""
        liked = self._liked.get(listener, [])
        ready = self._fitted and bool(liked)
        return {
            name: place_of(track, peer.score(listener, liked) if ready else self.counts, liked)
            for name, peer in self.peers.items()
        }

    def learn(self, listener: int, track: int) -> None:
        """A like; the fits happen here."""
        self.counts[track] += 1.0
        self._rows.append(listener)
        self._columns.append(track)
        self._liked.setdefault(listener, []).append(track)
        if len(self._rows) % self.every == 0 and self.peers:
            ones = np.ones(len(self._rows), np.float32)
            likes = scipy.sparse.csr_matrix((ones, (self._rows, self._columns)), self._shape)
            for peer in self.peers.values():
                peer.fit(likes)
            self._fitted = True


def place_of(track: int, scores: Scores, liked: list[int]) -> int:
    """How many unliked tracks stand before one: those that score more, and of equals those with a lower number.

    >>> place_of(2, np.array([3.0, 9.0, 1.0, 1.0]), [1])
    1
    """
    scores = np.array(scores, np.float64)
    scores[liked] = -np.inf
    return int((scores > scores[track]).sum() + (scores[:track] == scores[track]).sum())
