"""One Bayesian linear regression over context x arm features: what is learnt of one arm is known of those like it, new ones too.

The joint features of a context x and an arm f are their outer product, so a score is f . u with u = x W. Means, deviations and draws of all
arms are therefore found in the few dimensions of f, never in those of W. A 1 in both x and f adds both alone, and an intercept.
"""

from collections.abc import Mapping

import numpy as np

from online_models.bandits.reward_model import Noise, add_outer, checked, root_of
from online_models.track import Doubles, Rows


class SharedRegression:
    """One theta for all arms (LinUCB's shared part alone: Li et al. 2010; Agrawal & Goyal 2013).

    features : float64[arms, f], what arms are like; copied
    dims : of the context
    ridge : precision of the prior of every coefficient, mean 0
    noise, noise_strength : see `Noise`
    refresh_every : updates between two inversions from the sums; in between, Sherman-Morrison
    precision, inverse : float64[dims * f, dims * f]; moment, theta : float64[dims * f]

    >>> model = SharedRegression(np.array([[0.0], [1.0], [0.9]]), 1)
    >>> for _ in range(20):
    ...     model.learn_one(np.ones(1), 1, 1.0)
    >>> model.posterior(np.ones(1), np.arange(3, dtype=np.int32))[0].round(2).tolist()
    [0.0, 0.95, 0.86]
    """

    def __init__(
        self,
        features: Doubles,
        dims: int,
        *,
        ridge: float = 1.0,
        noise: float = 0.5,
        noise_strength: float = 10.0,
        refresh_every: int = 1024,
    ) -> None:
        self.features: Doubles = np.array(features, np.float64)
        self._all = np.arange(len(features), dtype=np.int32).tobytes()
        self._pairs: Doubles = (self.features[:, :, None] * self.features[:, None, :]).reshape(len(features), -1)
        self.dims, self.size = dims, self.features.shape[1]
        self.noise, self.refresh_every = Noise(noise, noise_strength), refresh_every
        joint = dims * self.size
        self.precision: Doubles = np.eye(joint) * ridge
        self.inverse: Doubles = np.eye(joint) / ridge
        self.moment: Doubles = np.zeros(joint)
        self.theta: Doubles = np.zeros(joint)
        self.since = 0.0

    def posterior(self, context: Doubles, arms: Rows) -> tuple[Doubles, Doubles]:
        mean, covariance = self._in_features(context)
        features, pairs = self._of(arms)
        spread = pairs.dot(covariance.ravel())
        return features.dot(mean), np.sqrt(np.maximum(spread, 0.0, out=spread), out=spread)

    def posterior_many(self, contexts: Doubles, arms: Rows) -> tuple[Doubles, Doubles]:
        mean, covariance = self._in_features_many(contexts)
        features, pairs = self._of(arms)
        spread = covariance.reshape(len(contexts), self.size * self.size) @ pairs.T
        return mean @ features.T, np.sqrt(np.maximum(spread, 0.0))

    def draw(self, context: Doubles, arms: Rows, draws: int, rng: np.random.Generator) -> Doubles:
        mean, covariance = self._in_features(context)
        drawn = rng.standard_normal((draws, self.size)).dot(root_of(covariance))
        drawn += mean
        scores: Doubles = drawn.dot(self._of(arms)[0].T)
        return scores

    def draw_many(self, contexts: Doubles, arms: Rows, draws: int, rng: np.random.Generator) -> Doubles:
        mean, covariance = self._in_features_many(contexts)
        drawn = rng.standard_normal((len(contexts), draws, self.size))
        for place, each in enumerate(covariance):
            drawn[place] = drawn[place].dot(root_of(each)) + mean[place]
        return drawn @ self._of(arms)[0].T

    @property
    def independent(self) -> bool:
        return False

    def learn_one(self, context: Doubles, arm: int, reward: float) -> None:
        joint = np.multiply.outer(context, self.features[arm]).ravel()
        checked(float(joint.dot(joint)), reward)
        gain = self.inverse.dot(joint)
        spread = 1.0 + float(joint.dot(gain))
        surprise = reward - float(joint.dot(self.theta))
        add_outer(self.precision, 1.0, joint)
        self.moment += reward * joint
        self.noise.learn_one(surprise, spread)
        self.since += 1.0
        if self.since >= self.refresh_every:
            self._refresh()
        else:
            add_outer(self.inverse, -1.0 / spread, gain)
            self.theta += gain * (surprise / spread)

    def learn_many(self, contexts: Doubles, arms: Rows, rewards: Doubles) -> None:
        if not len(rewards):
            return
        joint = (contexts[:, :, None] * self.features[arms][:, None, :]).reshape(len(rewards), -1)
        checked(float((joint * joint).sum(1).max()), float(rewards.sum()))
        before = float(self.moment @ self.theta)
        self.precision += joint.T @ joint
        self.moment += rewards @ joint
        self._refresh()
        explained = float(self.moment @ self.theta) - before
        self.noise.learn_many(rewards, explained)

    def _refresh(self) -> None:
        """Invert the sums by Cholesky, which ends what rounding added up to."""
        root = np.linalg.inv(np.linalg.cholesky(self.precision))
        self.inverse = root.T @ root
        self.theta = self.inverse @ self.moment
        self.since = 0.0

    def _in_features(self, context: Doubles) -> tuple[Doubles, Doubles]:
        """Mean float64[f] and covariance float64[f, f] of u = x W."""
        dims, size = self.dims, self.size
        half = context.dot(self.inverse.reshape(dims, -1)).reshape(size, dims, size)
        covariance: Doubles = context.dot(half)
        covariance *= self.noise.variance
        return context.dot(self.theta.reshape(dims, size)), covariance

    def _in_features_many(self, contexts: Doubles) -> tuple[Doubles, Doubles]:
        dims, size, m = self.dims, self.size, len(contexts)
        pairs = (contexts[:, :, None] * contexts[:, None, :]).reshape(m, dims * dims)
        by_pair = self.inverse.reshape(dims, size, dims, size).transpose(0, 2, 1, 3).reshape(dims * dims, size * size)
        covariance = (pairs @ by_pair).reshape(m, size, size) * self.noise.variance
        return contexts @ self.theta.reshape(dims, size), covariance

    def _of(self, arms: Rows) -> tuple[Doubles, Doubles]:
        """Features of the arms and their products."""
        if arms.tobytes() == self._all:
            return self.features, self._pairs
        return self.features[arms], self._pairs[arms]

    def state(self) -> Mapping[str, Doubles]:
        return {
            "precision": self.precision.copy(),
            "inverse": self.inverse.copy(),
            "moment": self.moment.copy(),
            "theta": self.theta.copy(),
            "counts": np.array([self.since, self.noise.seen, self.noise.left_over]),
        }

    def restore(self, state: Mapping[str, Doubles]) -> None:
        self.precision, self.inverse = state["precision"].copy(), state["inverse"].copy()
        self.moment, self.theta = state["moment"].copy(), state["theta"].copy()
        self.since, self.noise.seen, self.noise.left_over = state["counts"].tolist()
