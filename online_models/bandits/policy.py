"""The interface of bandits, and the two ways in which they choose: the greatest of some scores, or of one of many draws.

Both know exactly with what probability they chose, which is what off-policy evaluation divides by.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from online_models.track import Doubles, Rows


class Policy(Protocol):
    """Chooses one arm, is told the reward, learns.

    context : float64[dims] of who asks; contexts : float64[m, dims]. A policy without context takes it and looks away
    arms : int32[n], the arms on offer, n > 0, each once
    reward : finite; best between 0 and 1
    """

    def choose(self, context: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[int, float]:
        """One of the arms, and the probability with which it is chosen."""

    def choose_many(self, contexts: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[Rows, Doubles]:
        """One of the arms for each context, nothing learnt in between: int32[m] and the probabilities float64[m]."""

    def learn_one(self, context: Doubles, arm: int, reward: float) -> None:
        """What the arm was worth there. ValueError where a number cannot be used."""

    def learn_many(self, contexts: Doubles, arms: Rows, rewards: Doubles) -> None:
        """The same of contexts float64[m, dims], the arm of each int32[m] and its reward float64[m]."""


def greatest(scores: Doubles, epsilon: float, rng: np.random.Generator) -> tuple[int, float]:
    """The place of the greatest of scores float64[n], of any place in `epsilon` of the cases; ties are broken by chance.

    Exact: epsilon / n for each place, the rest shared by those that tie for the greatest.

    >>> greatest(np.array([0.1, 0.7]), 0.25, np.random.default_rng(1))
    (1, 0.875)
    """
    n = len(scores)
    place = int(scores.argmax())
    best = scores[place]
    ties = int(np.count_nonzero(scores == best))
    if not ties:
        raise ValueError(f"the score of arm {place} on offer is {best}: expected numbers; is the context finite?")
    if epsilon and rng.random() < epsilon:
        place = int(rng.integers(n))
    elif ties > 1:
        place = int(np.flatnonzero(scores == best)[int(rng.random() * ties)])
    greedy = (1.0 - epsilon) / ties if scores[place] == best else 0.0
    return place, greedy + epsilon / n


def greatest_many(scores: Doubles, epsilon: float, rng: np.random.Generator) -> tuple[Rows, Doubles]:
    """The same for each row of scores float64[m, n]: places int32[m], probabilities float64[m]."""
    m, n = scores.shape
    best = scores.max(1, initial=-np.inf)[:, None]
    at_best: NDArray[np.bool_] = np.asarray(scores == best)
    ties = at_best.sum(1)
    if not ties.all():
        raise ValueError("a score is nan: expected numbers; are the contexts finite?")
    nth = np.floor(rng.random(m) * ties).astype(np.int64) + 1  # which of those that tie
    places = (at_best.cumsum(1) == nth[:, None]).argmax(1) if (ties > 1).any() else scores.argmax(1)
    strayed = rng.random(m) < epsilon
    places[strayed] = rng.integers(n, size=int(np.count_nonzero(strayed)))
    greedy = np.where(at_best[np.arange(m), places], (1.0 - epsilon) / np.maximum(ties, 1), 0.0)
    return places.astype(np.int32), greedy + epsilon / n


def drawn(winners: Rows, n: int, epsilon: float, rng: np.random.Generator) -> tuple[int, float]:
    """The winner of one of some draws, int[draws], out of n places; of any place in `epsilon` of the cases.

    The first draw is as good as any, so that the choice is that of one draw, and its probability, given the draws, is the
    share of them that it wins. That is exact for the policy "draw so many, take one", and an estimate of the posterior's.
    """
    place = int(winners[0]) if not epsilon or rng.random() >= epsilon else int(rng.integers(n))
    share = int(np.count_nonzero(winners == place)) / len(winners)
    return place, (1.0 - epsilon) * share + epsilon / n


def drawn_many(winners: Rows, n: int, epsilon: float, rng: np.random.Generator) -> tuple[Rows, Doubles]:
    """The same for winners int[m, draws]: places int32[m], probabilities float64[m]."""
    places = winners[:, 0].copy()
    strayed = rng.random(len(winners)) < epsilon
    places[strayed] = rng.integers(n, size=int(np.count_nonzero(strayed)))
    share = (winners == places[:, None]).mean(1) if len(winners) else np.zeros(0)
    return places.astype(np.int32), (1.0 - epsilon) * share + epsilon / n


def proper_epsilon(epsilon: float) -> float:
    """A share of random choices; ValueError where it is none."""
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon={epsilon}: expected a share of the choices, 0 to 1")
    return epsilon
