"""Thompson sampling with context: the best arm of a world drawn from a model's posterior.

Linear over `SharedRegression` or `DisjointRegression` (Agrawal & Goyal 2013), logistic over `DiagonalLogistic` (Chapelle & Li 2011).
"""

import math

import numpy as np

from online_models.bandits.policy import drawn, drawn_many, proper_epsilon
from online_models.bandits.reward_model import RewardModel
from online_models.track import Doubles, Rows

_AT_ONCE = 64  # contexts of `choose_many` whose draws are held at a time


class ContextualThompson:
    """Draws some worlds and takes the best arm of one of them; the share of the others that agree is its propensity.

    Choices are those of one draw. The propensity is a Monte Carlo estimate by the caller's generator, and exact given the worlds that were drawn;
    never under 1 / draws, so an arm that no world prefers has none: `epsilon` above 0 gives every arm a chance that can be divided by.

    draws : worlds of a choice
    epsilon : share of the choices that are random

    >>> from online_models.bandits.shared_regression import SharedRegression
    >>> policy = ContextualThompson(SharedRegression(np.eye(2), 1))
    >>> for _ in range(30):
    ...     policy.learn_one(np.ones(1), 0, 1.0)
    ...     policy.learn_one(np.ones(1), 1, 0.0)
    >>> policy.choose(np.ones(1), np.array([0, 1], np.int32), np.random.default_rng(1))
    (0, 1.0)
    """

    def __init__(self, model: RewardModel, *, draws: int = 64, epsilon: float = 0.0) -> None:
        if draws < 1:
            raise ValueError(f"draws={draws}: expected 1 or more")
        self.model, self.draws, self.epsilon = model, draws, proper_epsilon(epsilon)

    def choose(self, context: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[int, float]:
        scores = self.model.draw(context, arms, self.draws, rng)
        winners = scores.argmax(1)
        if not math.isfinite(scores[0, winners[0]]):
            raise ValueError("a score is not finite: is the context?")
        place, propensity = drawn(winners, len(arms), self.epsilon, rng)
        return int(arms[place]), propensity

    def choose_many(self, contexts: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[Rows, Doubles]:
        winners = [np.zeros((0, self.draws), np.int64)]
        for first in range(0, len(contexts), _AT_ONCE):
            scores = self.model.draw_many(contexts[first : first + _AT_ONCE], arms, self.draws, rng)
            winners.append(scores.argmax(2))
        places, propensities = drawn_many(np.concatenate(winners), len(arms), self.epsilon, rng)
        return arms[places], propensities

    def learn_one(self, context: Doubles, arm: int, reward: float) -> None:
        self.model.learn_one(context, arm, reward)

    def learn_many(self, contexts: Doubles, arms: Rows, rewards: Doubles) -> None:
        self.model.learn_many(contexts, arms, rewards)
