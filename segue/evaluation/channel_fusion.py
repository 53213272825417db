"""What a list is worth when the weights of its channels are learnt, and from which negatives: what recall returned, or any tracks.

Every way ranks the same candidates, what all channels propose and the listener has not heard. A lesson is a softmax over what was taken and as
many negatives as there are other candidates; what no channel proposed teaches nothing, as no ranking of the candidates could have listed it.
"""

from dataclasses import dataclass, field

import numpy as np

from online_models.track import Doubles, Rows
from serving.candidates import CHANNELS
from serving.candidates.channel import propose
from serving.slate import Candidates, Query

FIXED, RANDOM, RECALLED = "fused-fixed", "fused-by-random", "fused-by-recalled"


@dataclass(slots=True)
class Weights:
    """Of each channel's scores, learnt by AdaGrad; at first 1 for each, so that only what is learnt differs.

    >>> weights = Weights(np.ones(2))
    >>> weights.learn_one(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> bool(weights.of[0] > weights.of[1])
    True
    """

    of: Doubles
    lr: float = 0.3
    squares: Doubles = field(init=False)

    def __post_init__(self) -> None:
        self.squares = np.zeros(len(self.of))

    def learn_one(self, scores: Doubles) -> None:
        """Scores float64[n, channels]: what was taken stands first, its negatives after it."""
        logits = scores @ self.of
        chances = np.exp(logits - logits.max())
        gradient = scores[0] - scores.T @ (chances / chances.sum())
        self.squares += gradient * gradient
        self.of = self.of + self.lr * gradient / np.sqrt(self.squares + 1e-12)


class Fusion:
    """The three ways; each guess is made before it is learnt."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.learnt: dict[str, Weights] = {}

    def lists(self, query: Query, seen: Rows, targets: Rows, size: int) -> dict[str, Rows]:
        """What each way lists, best first; then the targets that are among the candidates are learnt."""
        candidates, _ = propose(query, CHANNELS)
        candidates = candidates.take(~np.isin(candidates.rows, seen))
        rows, scores = candidates.rows, candidates.scores
        if not self.learnt:
            self.learnt = {name: Weights(np.ones(scores.shape[1])) for name in (RANDOM, RECALLED)}
        fused = {FIXED: candidates.fused} | {name: scores @ weights.of for name, weights in self.learnt.items()}
        lists = {name: rows[np.argsort(-values, kind="stable")[:size]] for name, values in fused.items()}
        taken = np.isin(rows, targets)
        for target in np.flatnonzero(taken).tolist():
            others = scores[~taken]
            self.learnt[RECALLED].learn_one(np.concatenate([scores[[target]], others]))
            drawn = self._drawn(query, candidates, len(others))
            self.learnt[RANDOM].learn_one(np.concatenate([scores[[target]], drawn]))
        return lists

    def _drawn(self, query: Query, candidates: Candidates, size: int) -> Doubles:
        """What the channels say of so many tracks of the catalogue; nothing of most."""
        rows, scores = candidates.rows, candidates.scores
        drawn = self._rng.choice(query.replica.table.listed_rows(), size)
        at = np.searchsorted(rows, drawn).clip(max=len(rows) - 1)
        values: Doubles = scores[at] * (rows[at] == drawn)[:, None]
        return values
