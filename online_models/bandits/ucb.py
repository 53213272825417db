"""UCB1 (Auer et al. 2002): the arm whose mean could be the highest; it looks at no context."""

import math
from collections.abc import Mapping

import numpy as np

from online_models.bandits.policy import greatest, greatest_many, proper_epsilon
from online_models.bandits.reward_model import checked
from online_models.track import Doubles, Rows


class UCB1:
    """Chooses by mean reward plus sqrt(exploration * ln(trials of all) / trials), what was never tried first.

    exploration : 2 is Auer's, for rewards between 0 and 1
    epsilon : share of the choices that are random; propensities are exact
    trials, rewards : float64[arms]

    >>> policy, arms, rng = UCB1(3, epsilon=0.0), np.arange(3, dtype=np.int32), np.random.default_rng(1)
    >>> for _ in range(60):
    ...     arm, _ = policy.choose(np.zeros(0), arms, rng)
    ...     policy.learn_one(np.zeros(0), arm, float(arm == 2))
    >>> int(policy.trials.argmax()), int(policy.trials.min()) > 0
    (2, True)
    """

    def __init__(self, arms: int, *, exploration: float = 2.0, epsilon: float = 0.005) -> None:
        self.exploration, self.epsilon = exploration, proper_epsilon(epsilon)
        self.trials: Doubles = np.zeros(arms)
        self.rewards: Doubles = np.zeros(arms)
        self.tried = 0.0

    def scores(self, arms: Rows) -> Doubles:
        """Upper bounds float64[n]; of what was never tried infinity."""
        trials = self.trials[arms]
        if not trials.all():
            return np.where(trials > 0.0, 0.0, np.inf)
        return self.rewards[arms] / trials + np.sqrt(self.exploration * math.log(max(self.tried, 1.0)) / trials)

    def choose(self, context: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[int, float]:
        place, propensity = greatest(self.scores(arms), self.epsilon, rng)
        return int(arms[place]), propensity

    def choose_many(self, contexts: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[Rows, Doubles]:
        scores = np.broadcast_to(self.scores(arms), (len(contexts), len(arms)))
        places, propensities = greatest_many(scores, self.epsilon, rng)
        return arms[places], propensities

    def learn_one(self, context: Doubles, arm: int, reward: float) -> None:
        checked(0.0, reward)
        self.trials[arm] += 1.0
        self.rewards[arm] += reward
        self.tried += 1.0

    def learn_many(self, contexts: Doubles, arms: Rows, rewards: Doubles) -> None:
        checked(0.0, float(rewards.sum()))
        np.add.at(self.trials, arms, 1.0)
        np.add.at(self.rewards, arms, rewards)
        self.tried += len(rewards)

    def state(self) -> Mapping[str, Doubles]:
        """Everything that was learnt, as arrays by name."""
        return {"trials": self.trials.copy(), "rewards": self.rewards.copy(), "tried": np.array([self.tried])}

    def restore(self, state: Mapping[str, Doubles]) -> None:
        """Become the one that wrote the state."""
        self.trials, self.rewards = state["trials"].copy(), state["rewards"].copy()
        self.tried = float(state["tried"][0])
