"""A Bayesian linear regression for each arm on the context alone (Li et al. 2010, algorithm 1), all around what is true of every arm.

Where arms have no features, the one thing known of an arm that was never tried is how the others do: that is the mean of its prior, found by one
more regression over everything learnt (empirical Bayes). Li's arms begin at 0, which is often a bet against them; `pooled=False` is that.
"""

import math
from collections.abc import Mapping

import numpy as np

from online_models.bandits.reward_model import Noise, add_outer, checked
from online_models.bandits.shared_regression import SharedRegression
from online_models.track import Doubles, Rows


class DisjointRegression:
    """`arms` regressions over `dims` features of the context. A context should hold a 1 where rewards do not centre on 0.

    ridge : precision of the prior of every coefficient
    pooled : whether the prior's mean is what all arms together say, else 0
    noise, noise_strength : see `Noise`; one for all arms
    refresh_every : updates of one arm between two inversions from its sums; in between, Sherman-Morrison
    precision, inverse : float64[arms, dims, dims]; moment, theta : float64[arms, dims], theta as if the prior's mean were 0

    >>> model = DisjointRegression(2, 1)
    >>> for _ in range(20):
    ...     model.learn_one(np.ones(1), 0, 1.0)
    >>> mean, deviation = model.posterior(np.ones(1), np.array([0, 1], np.int32))
    >>> mean.round(2).tolist(), bool(deviation[0] < deviation[1])
    ([1.0, 0.95], True)
    """

    def __init__(
        self,
        arms: int,
        dims: int,
        *,
        ridge: float = 1.0,
        pooled: bool = True,
        noise: float = 0.5,
        noise_strength: float = 10.0,
        refresh_every: int = 256,
    ) -> None:
        self.ridge, self.pool = ridge, SharedRegression(np.ones((1, 1)), dims, ridge=ridge) if pooled else None
        self._all = np.arange(arms, dtype=np.int32).tobytes()
        self.dims, self.noise, self.refresh_every = dims, Noise(noise, noise_strength), refresh_every
        self.precision: Doubles = np.tile(np.eye(dims) * ridge, (arms, 1, 1))
        self.inverse: Doubles = np.tile(np.eye(dims) / ridge, (arms, 1, 1))
        self.moment: Doubles = np.zeros((arms, dims))
        self.theta: Doubles = np.zeros((arms, dims))
        self.since: Doubles = np.zeros(arms)  # updates since the last inversion

    def posterior(self, context: Doubles, arms: Rows) -> tuple[Doubles, Doubles]:
        everything = arms.tobytes() == self._all
        theta, inverse = (self.theta, self.inverse) if everything else (self.theta[arms], self.inverse[arms])
        inverse = inverse.reshape(len(theta), -1)
        mean = theta.dot(context)
        if self.pool is not None:
            mean += inverse.dot(np.multiply.outer(context, self.ridge * self.pool.theta).ravel())
        spread = inverse.dot(np.multiply.outer(context, context).ravel())
        return mean, _deviation(spread, self.noise.variance)

    def posterior_many(self, contexts: Doubles, arms: Rows) -> tuple[Doubles, Doubles]:
        pairs = (contexts[:, :, None] * contexts[:, None, :]).reshape(len(contexts), self.dims * self.dims)
        inverse = self.inverse[arms].reshape(len(arms), -1)
        mean = contexts @ self.theta[arms].T
        if self.pool is not None:
            prior = contexts[:, :, None] * (self.ridge * self.pool.theta)
            mean += prior.reshape(len(contexts), self.dims * self.dims) @ inverse.T
        return mean, _deviation(pairs @ inverse.T, self.noise.variance)

    def draw(self, context: Doubles, arms: Rows, draws: int, rng: np.random.Generator) -> Doubles:
        mean, deviation = self.posterior(context, arms)
        return mean + deviation * rng.standard_normal((draws, len(arms)))

    def draw_many(self, contexts: Doubles, arms: Rows, draws: int, rng: np.random.Generator) -> Doubles:
        mean, deviation = self.posterior_many(contexts, arms)
        normal = rng.standard_normal((len(contexts), draws, len(arms)))
        return mean[:, None, :] + deviation[:, None, :] * normal

    @property
    def independent(self) -> bool:
        return True

    def learn_one(self, context: Doubles, arm: int, reward: float) -> None:
        checked(float(context @ context), reward)
        inverse = self.inverse[arm]
        gain = inverse.dot(context)
        spread = 1.0 + float(context.dot(gain))
        surprise = reward - float(context.dot(self.theta[arm]))
        add_outer(self.precision[arm], 1.0, context)
        self.moment[arm] += reward * context
        self.noise.learn_one(surprise, spread)
        self.since[arm] += 1.0
        if self.since[arm] >= self.refresh_every:
            self._refresh(np.array([arm]))
        else:
            add_outer(inverse, -1.0 / spread, gain)
            self.theta[arm] = inverse.dot(self.moment[arm])
        if self.pool is not None:
            self.pool.learn_one(context, 0, reward)

    def learn_many(self, contexts: Doubles, arms: Rows, rewards: Doubles) -> None:
        if not len(rewards):
            return
        checked(float((contexts * contexts).sum(1).max()), float(rewards.sum()))
        touched = np.unique(arms)
        before = float((self.moment[touched] * self.theta[touched]).sum())
        np.add.at(self.precision, arms, contexts[:, :, None] * contexts[:, None, :])
        np.add.at(self.moment, arms, rewards[:, None] * contexts)
        self._refresh(touched)
        explained = float((self.moment[touched] * self.theta[touched]).sum()) - before
        self.noise.learn_many(rewards, explained)
        if self.pool is not None:
            self.pool.learn_many(contexts, np.zeros(len(arms), np.int32), rewards)

    def _refresh(self, arms: Rows) -> None:
        """Invert the sums of some arms by Cholesky, which ends what rounding added up to."""
        root = np.linalg.inv(np.linalg.cholesky(self.precision[arms]))
        self.inverse[arms] = root.transpose(0, 2, 1) @ root
        self.theta[arms] = np.matmul(self.inverse[arms], self.moment[arms][:, :, None])[:, :, 0]
        self.since[arms] = 0.0

    def state(self) -> Mapping[str, Doubles]:
        return {
            "precision": self.precision.copy(),
            "inverse": self.inverse.copy(),
            "moment": self.moment.copy(),
            "theta": self.theta.copy(),
            "since": self.since.copy(),
            "noise": np.array([self.noise.seen, self.noise.left_over]),
        } | {f"pool_{name}": array for name, array in (self.pool.state() if self.pool is not None else {}).items()}

    def restore(self, state: Mapping[str, Doubles]) -> None:
        self.precision, self.inverse = state["precision"].copy(), state["inverse"].copy()
        self.moment, self.theta = state["moment"].copy(), state["theta"].copy()
        self.since = state["since"].copy()
        self.noise.seen, self.noise.left_over = state["noise"].tolist()
        if self.pool is not None:
            self.pool.restore({name.removeprefix("pool_"): array for name, array in state.items() if "pool_" in name})


def _deviation(spread: Doubles, variance: float) -> Doubles:
    """Standard deviations; rounding may leave a spread of nothing below 0."""
    deviation: Doubles = np.sqrt(np.maximum(spread, 0.0))
    deviation *= math.sqrt(variance)
    return deviation
