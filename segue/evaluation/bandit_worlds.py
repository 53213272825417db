"""Seeded worlds for bandits: contexts, arms, and the reward of every arm in every round, so that all who play meet the same luck.

Made up, and simpler than listeners are: nothing drifts, and each world is one that some linear or logistic model can learn.
"""

from dataclasses import dataclass

import numpy as np

from online_models.track import Doubles

ARMS, DIMS = 100, 8
NOISE = 0.25  # standard deviation of a linear reward
KINDS = ("linear", "logistic", "disjoint")


@dataclass(frozen=True, slots=True)
class BanditWorld:
    """One run.

    contexts : float64[rounds, DIMS], the first 1
    features : float64[ARMS, DIMS] of the arms, the first 1; None where arms have nothing in common
    means : float64[rounds, ARMS], what each arm is worth there
    rewards : float64[rounds, ARMS], what it pays; 0 or 1 in the logistic world
    """

    kind: str
    contexts: Doubles
    features: Doubles | None
    means: Doubles
    rewards: Doubles

    @property
    def random_regret(self) -> float:
        """What choosing at random is expected to lose over all rounds."""
        return float((self.means.max(1) - self.means.mean(1)).sum())

    @property
    def fixed_regret(self) -> float:
        """What the one best arm loses, always chosen: no policy without context does better in the long run."""
        return float((self.means.max(1) - self.means[:, self.means.mean(0).argmax()]).sum())


def bandit_world(kind: str, seed: int, rounds: int) -> BanditWorld:
    """A world of one of KINDS.

    linear : mean = x W f, W normal(0, .25) around an intercept of .5; normal noise
    logistic : a success with log odds x W f, W normal(0, 1) around an intercept of -1
    disjoint : mean = x theta of the arm, normal(0, .2) around intercepts normal(.5, .1); normal noise
    """
    rng = np.random.default_rng([KINDS.index(kind), seed])
    contexts, features = _with_one(rng, rounds), _with_one(rng, ARMS)
    if kind == "disjoint":
        theta = rng.normal(size=(ARMS, DIMS)) * 0.2
        theta[:, 0] = rng.normal(0.5, 0.1, ARMS)
        means = contexts @ theta.T
    else:
        w = rng.normal(size=(DIMS, DIMS)) * (0.25 if kind == "linear" else 1.0)
        w[0, 0] = 0.5 if kind == "linear" else -1.0
        means = contexts @ w @ features.T
    if kind == "logistic":
        means = 1.0 / (1.0 + np.exp(-means))
        rewards = (rng.random(means.shape) < means).astype(np.float64)
    else:
        rewards = means + rng.normal(0.0, NOISE, means.shape)
    return BanditWorld(kind, contexts, None if kind == "disjoint" else features, means, rewards)


def _with_one(rng: np.random.Generator, n: int) -> Doubles:
    """Features float64[n, DIMS] of length about 1 beside a 1."""
    features = rng.normal(size=(n, DIMS)) / np.sqrt(DIMS)
    features[:, 0] = 1.0
    return np.asarray(features)
