"""A meta-learnt start in the scenario `listening`: each listener's own logistic regression, begun where those who have listened for long ended up.

Reptile (Nichol et al. 2018), online: whoever has heard `LEAST` tracks pulls the start towards what they became, so that few plays suffice after
it. How long a step is, is learnt too: every listener has weights for each of STEPS, and playlists are made by those whose chances were best for
all listeners' first `LEAST` tracks, each predicted before it was learnt. Not for serving: docs/decisions/0025.
"""

import numpy as np
from numpy.typing import NDArray

from online_models.dense_logistic import sigmoid
from online_models.track import Doubles
from segue.evaluation.listening_strategies import Listed
from segue.simulation.catalogue import TAGS
from segue.simulation.lives import Session
from segue.simulation.world import Visit
from streams.messages import Profile

LEAST = 20  # listens after which somebody's weights say what they like
STEPS = np.array([0.05, 0.1, 0.2, 0.4])


class MetaStart(Listed):
    """Weights of a listener over a track's rate, whether it has the tag that they named, its tags, and 1.

    meta : how far the start goes towards a listener's weights after each of their visits; 0 leaves it where it was guessed
    start : float64[STEPS, 3 + TAGS], where everybody's weights begin; losses : float64[STEPS], of the first listens
    """

    def __init__(self, listeners: int, tags: NDArray[np.bool_], *, meta: float = 0.15) -> None:
        super().__init__(listeners, len(tags))
        self.meta = meta
        self._tags = tags / np.maximum(tags.sum(1, keepdims=True), 1.0)
        self._named = np.zeros(listeners, np.intp)
        self.start: Doubles = np.zeros((len(STEPS), 3 + len(TAGS)))
        self.start[:, 1:3] = 1.0
        self.losses: Doubles = np.zeros(len(STEPS))
        self._weights: Doubles = np.zeros((listeners, *self.start.shape))
        self._listens = np.zeros(listeners, np.int64)
        self._plays, self._all = np.ones(len(tags)), np.full(len(tags), 2.0)

    def introduce(self, profile: Profile) -> None:
        listener = int(profile.user_id[1:])
        self._named[listener] = TAGS.index(profile.favourite_tags[0])
        self._weights[listener] = self.start

    def score(self, visit: Visit) -> Doubles:
        scores: Doubles = self._features(visit.listener) @ self._weights[visit.listener, self.losses.argmin()]
        return scores

    def _features(self, listener: int) -> Doubles:
        """Of every track, float64[tracks, 3 + TAGS]."""
        rates = self._plays / self._all
        columns = np.ones(len(rates)), np.log(rates / (1.0 - rates)), self._tags[:, self._named[listener]]
        return np.column_stack([*columns, self._tags])

    def learn_one(self, visit: Visit, track: int, completed: bool) -> None:
        listener, x = visit.listener, self._features(visit.listener)[track]
        chances = sigmoid(self._weights[listener] @ x)
        if self._listens[listener] < LEAST:
            self.losses -= np.log(np.maximum(chances if completed else 1.0 - chances, 1e-9))
        self._weights[listener] -= (STEPS * (chances - completed))[:, None] * x
        self._listens[listener] += 1
        self._plays[track] += completed
        self._all[track] += 1.0

    def learn(self, visit: Visit, session: Session) -> None:
        super().learn(visit, session)
        if self._listens[visit.listener] >= LEAST:
            self.start += self.meta * (self._weights[visit.listener] - self.start)
