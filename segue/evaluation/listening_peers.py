"""Others' software in the scenario `listening`: ItemKNN of `implicit`, refit every so many listens, and Vowpal Wabbit's SquareCB (extra `peers`)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from online_models.features import features_of
from online_models.track import Doubles
from segue.evaluation.like_peers import ItemNeighbours
from segue.evaluation.listening_strategies import Listed, Segue
from segue.evaluation.squarecb import draw, labelled
from segue.simulation.lives import Session
from segue.simulation.world import SIZE, Visit
from streams.messages import Profile, Track

REFIT_EVERY = 500  # listens
CANDIDATES = 50
LEAST = 1e-6  # of a feature: by the square of a smaller one Vowpal Wabbit divides, and answers nan from then on
SQUARECB = "--gamma_scale 1000 -l 0.5"  # did better than as it comes, on seed 2 of 20 listeners


class ItemKNN(Listed):
    """Likenesses to what somebody completed more often than they skipped it, and popularity where that says nothing."""

    def __init__(self, listeners: int, tracks: int) -> None:
        super().__init__(listeners, tracks)
        self._balance: Doubles = np.zeros((listeners, tracks))
        self._model, self._fitted, self._listens = ItemNeighbours(0), False, 0

    def introduce(self, profile: Profile) -> None: ...

    def score(self, visit: Visit) -> Doubles:
        popular: Doubles = 1e-3 * np.tanh(self.counts / 100.0)
        return self.alike(visit) + popular

    def alike(self, visit: Visit) -> Doubles:
        """The likenesses to what they liked until now, by the last fit; float64[tracks]."""
        liked = np.flatnonzero(self._balance[visit.listener] > 0.0).tolist()
        if not self._fitted or not liked:
            return np.zeros(len(self.released))
        return self._model.score(visit.listener, liked)

    def learn_one(self, visit: Visit, track: int, completed: bool) -> None:
        self._balance[visit.listener, track] += 1.0 if completed else -1.0
        self._listens += 1
        if self._listens % REFIT_EVERY == 0:
            self._model.fit(scipy.sparse.csr_matrix((self._balance > 0.0).astype(np.float32)))
            self._fitted = True


class VowpalWabbit(Segue):
    """`--cb_explore_adf --squarecb` (Foster & Rakhlin 2020), place by place, over the first CANDIDATES of popularity and of ItemKNN; a completed listen costs -1.

    It gets the features of Segue's ranker, kept by Segue's processors, and the scores of both proposers.
    """

    def __init__(self, listeners: int, tracks: int, seed: int, *, options: str = SQUARECB) -> None:
        from vowpalwabbit import Workspace

        super().__init__(seed, flush_every=8)
        self.neighbours = ItemKNN(listeners, tracks)
        self._vw: Any = Workspace(f"--cb_explore_adf --squarecb --quiet --random_seed {seed} {options}")
        self._rng = np.random.default_rng([5, seed])
        self._lines: list[str] = []
        self._chosen: list[tuple[int, float]] = []

    def release(self, tracks: Sequence[Track]) -> None:
        super().release(tracks)
        self.neighbours.release(tracks)

    def recommend(self, visit: Visit, request_id: str) -> list[int]:
        tracks = self._candidates(visit)
        lines = self._lines = self._describe(visit, tracks)
        left, self._chosen = list(range(len(tracks))), []
        for _ in range(min(SIZE, len(tracks))):
            at, chance = draw(self._vw.predict([lines[place] for place in left]), self._rng)
            self._chosen.append((left.pop(at), chance))
        return [tracks[place] for place, _ in self._chosen]

    def _candidates(self, visit: Visit) -> list[int]:
        """The first of both proposers in turn."""
        proposers = (self.neighbours.score(visit), self.neighbours.counts)
        lists = [self.neighbours.list_by(scores, visit, CANDIDATES) for scores in proposers]
        both = [track for pair in zip(*lists, strict=True) for track in pair]
        return list(dict.fromkeys(both))[:CANDIDATES]

    def _describe(self, visit: Visit, tracks: list[int]) -> list[str]:
        replica = self.cluster.replica
        listener = replica.listeners.get(f"u{visit.listener}")
        rows = replica.table.indices([f"t{track}" for track in tracks])
        scores = np.stack([self.neighbours.alike(visit)[tracks], np.tanh(self.neighbours.counts[tracks] / 20.0)])
        matrix = np.concatenate([features_of(listener, replica.table, rows, visit.at_ms), scores.T], axis=1)
        return [
            "|A " + " ".join(f"{place}:{value:.4g}" for place, value in enumerate(row) if abs(value) > LEAST)
            for row in matrix.tolist()
        ]

    def learn(self, visit: Visit, session: Session) -> None:
        left = list(range(len(self._lines)))
        for (place, chance), completed in zip(self._chosen, session.completed, strict=False):
            lines = [self._lines[other] for other in left]
            at = left.index(place)
            lines[at] = labelled(lines[at], -1.0 if completed else 0.0, chance)
            self._vw.learn(lines)
            left.remove(place)
        super().learn(visit, session)
        self.neighbours.learn(visit, session)
