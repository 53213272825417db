"""LinUCB (Li et al. 2010): the arm that could be the best, as far as a linear model knows.

Disjoint over `DisjointRegression`, shared over `SharedRegression`; over any other `RewardModel` just as well.
"""

import numpy as np

from online_models.bandits.policy import greatest, greatest_many, proper_epsilon
from online_models.bandits.reward_model import RewardModel
from online_models.track import Doubles, Rows


class LinUCB:
    """Chooses by expected reward plus `alpha` of its standard deviations.

    epsilon : share of the choices that are random, so that each arm has a chance that can be divided by; propensities are exact

    >>> from online_models.bandits.disjoint_regression import DisjointRegression
    >>> policy = LinUCB(DisjointRegression(2, 1), epsilon=0.5)
    >>> for _ in range(30):
    ...     policy.learn_one(np.ones(1), 0, 1.0)
    ...     policy.learn_one(np.ones(1), 1, 0.0)
    >>> policy.choose(np.ones(1), np.array([0, 1], np.int32), np.random.default_rng(1))
    (0, 0.75)
    """

    def __init__(self, model: RewardModel, *, alpha: float = 1.0, epsilon: float = 0.005) -> None:
        self.model, self.alpha, self.epsilon = model, alpha, proper_epsilon(epsilon)

    def choose(self, context: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[int, float]:
        scores, deviation = self.model.posterior(context, arms)  # both are ours to write to
        deviation *= self.alpha
        scores += deviation
        place, propensity = greatest(scores, self.epsilon, rng)
        return int(arms[place]), propensity

    def choose_many(self, contexts: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[Rows, Doubles]:
        mean, deviation = self.model.posterior_many(contexts, arms)
        places, propensities = greatest_many(mean + self.alpha * deviation, self.epsilon, rng)
        return arms[places], propensities

    def learn_one(self, context: Doubles, arm: int, reward: float) -> None:
        self.model.learn_one(context, arm, reward)

    def learn_many(self, contexts: Doubles, arms: Rows, rewards: Doubles) -> None:
        self.model.learn_many(contexts, arms, rewards)
