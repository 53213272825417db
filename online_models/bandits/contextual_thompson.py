"""Thompson sampling with context: the best arm of a world drawn from a model's posterior.

Linear over `SharedRegression` or `DisjointRegression` (Agrawal & Goyal 2013), logistic over `DiagonalLogistic` (Chapelle & Li 2011).
"""

import math

import numpy as np
import scipy.special

from online_models.bandits.policy import drawn, drawn_many, proper_epsilon
from online_models.bandits.reward_model import RewardModel
from online_models.track import Doubles, Rows

_AT_ONCE = 64  # contexts of `choose_many` whose draws are held at a time
_LEAST = 1e-6  # propensity, and deviation


class ContextualThompson:
    """Takes the best arm of a world drawn from the posterior, and says how likely that was.

    Where the model's arms are independent, the propensity is integrated by quadrature over the quantiles of the chosen one's score, right to .001.
    Where they are not, more worlds are drawn, by the caller's generator, and the propensity is the share of them in which the chosen arm is the best,
    itself counted: a Monte Carlo estimate, exact given the worlds that were drawn. It is never under 1 / draws, and an arm that none of them
    prefers has no chance, given them: `epsilon` above 0 gives every arm one that can be divided by.

    draws : worlds of a choice, where arms are not independent
    nodes : of the quadrature, where they are
    epsilon : share of the choices that are random

    >>> from online_models.bandits.shared_regression import SharedRegression
    >>> policy = ContextualThompson(SharedRegression(np.eye(2), 1))
    >>> for _ in range(30):
    ...     policy.learn_one(np.ones(1), 0, 1.0)
    ...     policy.learn_one(np.ones(1), 1, 0.0)
    >>> policy.choose(np.ones(1), np.array([0, 1], np.int32), np.random.default_rng(1))
    (0, 1.0)
    """

    def __init__(self, model: RewardModel, *, draws: int = 32, nodes: int = 16, epsilon: float = 0.0) -> None:
        if draws < 1:
            raise ValueError(f"draws={draws}: expected 1 or more")
        self.model, self.draws, self.epsilon = model, draws, proper_epsilon(epsilon)
        places, weights = np.polynomial.legendre.leggauss(nodes)
        self._deviates, self._weights = scipy.special.ndtri((places + 1.0) / 2.0), weights / 2.0

    def choose(self, context: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[int, float]:
        if self.model.independent:
            place, propensity = self._choose_independent(*self.model.posterior(context, arms), rng)
        else:
            scores = self.model.draw(context, arms, self.draws, rng)
            winners = scores.argmax(1)
            _check(float(scores[0, winners[0]]))
            place, propensity = drawn(winners, len(arms), self.epsilon, rng)
        return int(arms[place]), propensity

    def choose_many(self, contexts: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[Rows, Doubles]:
        if self.model.independent:
            means, deviations = self.model.posterior_many(contexts, arms)
            chosen = [self._choose_independent(*pair, rng) for pair in zip(means, deviations, strict=True)]
            return arms[[place for place, _ in chosen]], np.array([propensity for _, propensity in chosen], np.float64)
        winners = [np.zeros((0, self.draws), np.int64)]
        for first in range(0, len(contexts), _AT_ONCE):
            scores = self.model.draw_many(contexts[first : first + _AT_ONCE], arms, self.draws, rng)
            winners.append(scores.argmax(2))
        places, propensities = drawn_many(np.concatenate(winners), len(arms), self.epsilon, rng)
        return arms[places], propensities

    def _choose_independent(self, mean: Doubles, deviation: Doubles, rng: np.random.Generator) -> tuple[int, float]:
        scores = rng.standard_normal(len(mean))
        scores *= deviation
        scores += mean
        place = int(scores.argmax())
        _check(float(scores[place]))
        n = len(mean)
        if self.epsilon and rng.random() < self.epsilon:
            place = int(rng.integers(n))
        best = self._best(mean, np.maximum(deviation, _LEAST), place)
        return place, (1.0 - self.epsilon) * best + self.epsilon / n

    def _best(self, mean: Doubles, deviation: Doubles, place: int) -> float:
        """How likely the score of one is the greatest: the others' chance to lie below it, over its quantiles."""
        at = mean[place] + deviation[place] * self._deviates
        rivals = mean + 6.0 * deviation > at[0]  # the others lie below every node but for 1e-9
        rivals[place] = False
        lengths = (at - mean[rivals, None]) / deviation[rivals, None]
        chance = float(scipy.special.ndtr(lengths).prod(0) @ self._weights)
        return min(1.0, max(_LEAST, chance))

    def learn_one(self, context: Doubles, arm: int, reward: float) -> None:
        self.model.learn_one(context, arm, reward)

    def learn_many(self, contexts: Doubles, arms: Rows, rewards: Doubles) -> None:
        self.model.learn_many(contexts, arms, rewards)


def _check(score: float) -> None:
    if not math.isfinite(score):
        raise ValueError(f"the best score drawn is {score}: expected a number; is the context finite?")
