"""Bandits in the scenario `listening`, and what is popular among those who named the same tag: strategies that start from nothing but the catalogue.

A bandit's arms are the tracks; the playlist is filled place by place by its own `choose`, and each listen that began teaches it. Its context is
the listener's rate of completing by tag, as `Content` keeps it, and its arms are like their tags: what is learnt of one holds for those like it.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from online_models.bandits.contextual_thompson import ContextualThompson
from online_models.bandits.linucb import LinUCB
from online_models.bandits.policy import Policy
from online_models.bandits.shared_regression import SharedRegression
from online_models.bandits.ucb import UCB1
from online_models.track import Doubles
from segue.evaluation.listening_strategies import Content, Listed
from segue.simulation.catalogue import TAGS
from segue.simulation.world import SIZE, Visit
from streams.messages import Profile

MakePolicy = Callable[[Doubles], Policy]  # of the features of all tracks, float64[tracks, 1 + TAGS]
EVERYBODY = 0.25  # of what everybody completed, beside those who named the same tag


def ucb(features: Doubles) -> Policy:
    """UCB1 of each track alone."""
    return UCB1(len(features), exploration=0.1)


def lin_ucb(features: Doubles) -> Policy:
    """One regression for all tracks, and its upper bounds."""
    return LinUCB(SharedRegression(features, features.shape[1]), alpha=0.5)


def thompson(features: Doubles) -> Policy:
    """One regression for all tracks, drawn from its posterior."""
    return ContextualThompson(SharedRegression(features, features.shape[1]), draws=8)


class Bandit(Content):
    """A policy over all tracks that may be played."""

    def __init__(self, listeners: int, tags: NDArray[np.bool_], seed: int, make: MakePolicy) -> None:
        super().__init__(listeners, tags)
        self.policy = make(np.concatenate([np.ones((len(tags), 1)), self._tags], axis=1))
        self._rng = np.random.default_rng([6, seed])
        self._context: Doubles = np.ones(1 + len(TAGS))

    def recommend(self, visit: Visit, request_id: str) -> list[int]:
        self._context[1:] = 2.0 * self._completed[visit.listener] / self._all[visit.listener] - 1.0
        left = np.array(self.list_by(self.counts, visit, len(self.counts)), np.int32)
        chosen = list[int]()
        for _ in range(min(SIZE, len(left))):
            track, _ = self.policy.choose(self._context, left, self._rng)
            chosen.append(track)
            left = left[left != track]
        return chosen

    def learn_one(self, visit: Visit, track: int, completed: bool) -> None:
        self.policy.learn_one(self._context, track, float(completed))
        super().learn_one(visit, track, completed)


class Demographic(Listed):
    """Completed listens less skips of those who named the same tag, and a part of everybody's."""

    def __init__(self, listeners: int, tracks: int) -> None:
        super().__init__(listeners, tracks)
        self._group = np.zeros(listeners, np.intp)
        self._counts: Doubles = np.zeros((len(TAGS), tracks))

    def introduce(self, profile: Profile) -> None:
        self._group[int(profile.user_id[1:])] = TAGS.index(profile.favourite_tags[0])

    def score(self, visit: Visit) -> Doubles:
        scores: Doubles = self._counts[self._group[visit.listener]] + EVERYBODY * self.counts
        return scores

    def learn_one(self, visit: Visit, track: int, completed: bool) -> None:
        self._counts[self._group[visit.listener], track] += 1.0 if completed else -1.0
