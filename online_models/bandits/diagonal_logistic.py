"""Bayesian logistic regression over context x arm features, with a diagonal Laplace posterior (Chapelle & Li 2011, algorithm 3).

For rewards that happen or do not. One example at a time its step is exact: the new mean lies on a line, and Newton finds the place on it.
"""

import math
from collections.abc import Mapping

import numpy as np

from online_models.bandits.reward_model import checked
from online_models.track import Doubles, Rows

_NEWTON_STEPS = 60


class DiagonalLogistic:
    """A weight and its precision for each product of a context's and an arm's features. Scores are log odds.

    features : float64[arms, f], what arms are like; copied
    dims : of the context; a 1 in both gives an intercept
    ridge : precision of the prior of every weight, mean 0
    weights, precision : float64[dims, f]

    >>> model = DiagonalLogistic(np.eye(2), 1)
    >>> for _ in range(20):
    ...     model.learn_one(np.ones(1), 0, 1.0)
    >>> mean, deviation = model.posterior(np.ones(1), np.array([0, 1], np.int32))
    >>> bool(mean[0] > 1.5), float(mean[1]), bool(deviation[0] < deviation[1])
    (True, 0.0, True)
    """

    def __init__(self, features: Doubles, dims: int, *, ridge: float = 1.0) -> None:
        self.features: Doubles = np.array(features, np.float64)
        self._all = np.arange(len(features), dtype=np.int32).tobytes()
        self._squares: Doubles = self.features * self.features
        self.dims, self.size = dims, self.features.shape[1]
        self.weights: Doubles = np.zeros((dims, self.size))
        self.precision: Doubles = np.full((dims, self.size), float(ridge))
        self._variance: Doubles = 1.0 / self.precision

    @property
    def independent(self) -> bool:
        return False

    def posterior(self, context: Doubles, arms: Rows) -> tuple[Doubles, Doubles]:
        features, squares = self._of(arms)
        spread = (context * context) @ self._variance
        return features @ (context @ self.weights), np.sqrt(squares @ spread)

    def posterior_many(self, contexts: Doubles, arms: Rows) -> tuple[Doubles, Doubles]:
        features, squares = self._of(arms)
        spread = (contexts * contexts) @ self._variance
        return (contexts @ self.weights) @ features.T, np.sqrt(spread @ squares.T)

    def draw(self, context: Doubles, arms: Rows, draws: int, rng: np.random.Generator) -> Doubles:
        drawn = rng.standard_normal((draws, self.size))
        drawn *= np.sqrt((context * context).dot(self._variance))
        drawn += context.dot(self.weights)
        scores: Doubles = drawn.dot(self._of(arms)[0].T)
        return scores

    def draw_many(self, contexts: Doubles, arms: Rows, draws: int, rng: np.random.Generator) -> Doubles:
        deviation = np.sqrt((contexts * contexts) @ self._variance)
        drawn = rng.standard_normal((len(contexts), draws, self.size)) * deviation[:, None, :]
        return (drawn + (contexts @ self.weights)[:, None, :]) @ self._of(arms)[0].T

    def learn_one(self, context: Doubles, arm: int, reward: float) -> None:
        """A reward of 0 to 1: the share of a success. ValueError where it is another."""
        joint = np.multiply.outer(context, self.features[arm])
        squares = joint * joint
        checked(float(squares.sum()), reward)
        if not 0.0 <= reward <= 1.0:
            raise ValueError(f"reward {reward}: expected 0 to 1; a linear model takes others")
        before = float(np.vdot(joint, self.weights))
        score = settled(before, float(np.vdot(squares, self._variance)), reward)
        chance = _chance(score)
        self.weights += (reward - chance) * joint * self._variance
        self.precision += chance * (1.0 - chance) * squares
        np.divide(1.0, self.precision, out=self._variance)

    def learn_many(self, contexts: Doubles, arms: Rows, rewards: Doubles) -> None:
        """One after the other: each step starts where the last one led."""
        if not len(rewards):
            return
        norms = (contexts * contexts).sum(1) * self._squares[arms].sum(1)
        checked(float(norms.max()), float(rewards.sum()))
        if not 0.0 <= rewards.min() <= rewards.max() <= 1.0:
            raise ValueError(f"rewards from {rewards.min()} to {rewards.max()}: expected 0 to 1")
        for context, arm, reward in zip(contexts, arms.tolist(), rewards.tolist(), strict=True):
            self.learn_one(context, arm, reward)

    def _of(self, arms: Rows) -> tuple[Doubles, Doubles]:
        if arms.tobytes() == self._all:
            return self.features, self._squares
        return self.features[arms], self._squares[arms]

    def state(self) -> Mapping[str, Doubles]:
        return {"weights": self.weights.copy(), "precision": self.precision.copy()}

    def restore(self, state: Mapping[str, Doubles]) -> None:
        self.weights, self.precision = state["weights"].copy(), state["precision"].copy()
        self._variance = 1.0 / self.precision


def _chance(score: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(score, -700.0), 700.0)))


def settled(before: float, spread: float, reward: float) -> float:
    """The score s at which s = before + spread * (reward - chance(s)): Newton, and a bisection wherever that did not halve what is wrong.

    The difference only grows with s, so there is one such score, and the bracket holds it.
    """
    low, high = before + spread * (reward - 1.0), before + spread * reward
    score, wrong_before = before, math.inf
    for _ in range(_NEWTON_STEPS):
        chance = _chance(score)
        wrong = score - before - spread * (reward - chance)
        if abs(wrong) <= 1e-12 * (1.0 + abs(score)):
            break
        low, high = (low, score) if wrong > 0.0 else (score, high)
        score -= wrong / (1.0 + spread * chance * (1.0 - chance))
        if not low < score < high or abs(wrong) > 0.5 * wrong_before:
            score = (low + high) / 2.0
        wrong_before = abs(wrong)
    return score
