"""Who plays in a bandit world: Segue's policies, each with its defaults. Peers are in `bandit_peers`."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from online_models.bandits.bernoulli_thompson import BernoulliThompson
from online_models.bandits.contextual_thompson import ContextualThompson
from online_models.bandits.diagonal_logistic import DiagonalLogistic
from online_models.bandits.disjoint_regression import DisjointRegression
from online_models.bandits.linucb import LinUCB
from online_models.bandits.policy import Policy
from online_models.bandits.shared_regression import SharedRegression
from online_models.bandits.thompson import Thompson
from online_models.bandits.ucb import UCB1
from online_models.track import Doubles, Rows, TrackMeta, TrackTable
from segue.evaluation.bandit_worlds import ARMS, DIMS, BanditWorld


class Player(Protocol):
    """Plays the rounds of a world one after the other."""

    def choose(self, context: Doubles) -> int:
        """An arm for a context float64[DIMS]."""

    def learn(self, reward: float) -> None:
        """What the arm paid that was just chosen."""


class Ours:
    """One of Segue's policies. Arms are 0 to ARMS - 1, whatever the policy calls them."""

    def __init__(self, policy: Policy, arms: Rows, seed: int, *, low: float = -np.inf, high: float = np.inf) -> None:
        self.policy, self.arms, self.low, self.high = policy, arms, low, high
        self._first = int(arms[0])
        self._rng = np.random.default_rng(seed)
        self._context: Doubles = np.zeros(0)
        self._chosen = 0

    def choose(self, context: Doubles) -> int:
        self._context = context
        self._chosen, _ = self.policy.choose(context, self.arms, self._rng)
        return self._chosen - self._first

    def learn(self, reward: float) -> None:
        self.policy.learn_one(self._context, self._chosen, min(max(reward, self.low), self.high))


def our_players(world: BanditWorld, seed: int) -> dict[str, Callable[[], Player]]:
    """Makers of those that can play there, by name."""
    arms = np.arange(ARMS, dtype=np.int32)

    def ours(policy: Policy) -> Player:
        return Ours(policy, arms, seed)

    players: dict[str, Callable[[], Player]] = {
        "linucb-disjoint": lambda: ours(LinUCB(DisjointRegression(ARMS, DIMS))),
        "thompson-disjoint": lambda: ours(ContextualThompson(DisjointRegression(ARMS, DIMS))),
        "ucb1": lambda: ours(UCB1(ARMS)),
        "thompson-bernoulli": lambda: _bernoulli(seed),
    }
    features = world.features
    if features is not None:
        players = {
            "linucb-shared": lambda: ours(LinUCB(SharedRegression(features, DIMS))),
            "thompson-shared": lambda: ours(ContextualThompson(SharedRegression(features, DIMS))),
            "thompson-logistic": lambda: Ours(
                ContextualThompson(DiagonalLogistic(features, DIMS)), arms, seed, low=0.0, high=1.0
            ),
            **players,
        }
    return players


def _bernoulli(seed: int) -> Player:
    table = TrackTable(dims=1)
    rows = [table.list_track(TrackMeta(f"t{arm}", "")) for arm in range(ARMS)]
    return Ours(BernoulliThompson(Thompson(table)), np.array(rows, np.int32), seed, low=0.0, high=1.0)
