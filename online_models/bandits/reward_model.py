"""What a reward depends on, as contextual bandits ask it: how good each arm is expected to be here, and how sure that is.

A model learns from (context, arm, reward) and says nothing about which arm to choose.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import scipy.linalg

from online_models.track import Doubles, Rows

_JITTER = 1e-12
_dger, _dpotrf = scipy.linalg.blas.dger, scipy.linalg.lapack.dpotrf
NORM_MAX = 1_000.0  # of an example's features: more would drown the rest in rounding


class RewardModel(Protocol):
    """A posterior over rewards. context float64[dims], contexts float64[m, dims], arms int32[n].

    independent : whether the scores of different arms are, given all that was learnt
    """

    @property
    def independent(self) -> bool: ...

    def posterior(self, context: Doubles, arms: Rows) -> tuple[Doubles, Doubles]:
        """Expected score of each arm and its standard deviation, float64[n] each, new arrays."""

    def posterior_many(self, contexts: Doubles, arms: Rows) -> tuple[Doubles, Doubles]:
        """The same, float64[m, n] each."""

    def draw(self, context: Doubles, arms: Rows, draws: int, rng: np.random.Generator) -> Doubles:
        """Scores of the arms in so many worlds drawn from the posterior, float64[draws, n]."""

    def draw_many(self, contexts: Doubles, arms: Rows, draws: int, rng: np.random.Generator) -> Doubles:
        """The same, float64[m, draws, n]."""

    def learn_one(self, context: Doubles, arm: int, reward: float) -> None:
        """One reward. ValueError where a number is not finite or the features are longer than NORM_MAX."""

    def learn_many(self, contexts: Doubles, arms: Rows, rewards: Doubles) -> None:
        """Rewards float64[m]; the same errors, and then nothing is learnt."""

    def state(self) -> Mapping[str, Doubles]:
        """Everything that was learnt, as arrays by name."""

    def restore(self, state: Mapping[str, Doubles]) -> None:
        """Become the one that wrote the state, to the bit."""


def add_outer(matrix: Doubles, scale: float, vector: Doubles) -> None:
    """matrix float64[n, n] += scale * vector float64[n] vector, in place: the update of Sherman and Morrison in one call of BLAS.

    The matrix is symmetric, so that its transpose, which BLAS writes to where it lies, is the matrix itself.
    """
    _dger(scale, vector, vector, a=matrix.T, overwrite_a=1)


def root_of(covariance: Doubles) -> Doubles:
    """The transposed root of a covariance float64[n, n], which is raised by a hair where rounding, or a context of zeros, left it flat."""
    root, failed = _dpotrf(covariance)
    if failed:
        hair = _JITTER * (_JITTER + float(covariance.trace()))
        root, failed = _dpotrf(covariance + hair * np.eye(len(covariance)))
    assert not failed, "a covariance is not one: expected its inversion from the sums to have kept it"
    upper: Doubles = root
    return upper


def checked(squared_norm: float, reward: float) -> None:
    """ValueError where an example cannot be learnt from.

    squared_norm : of its features, the greatest one of several
    reward : or the sum of several
    """
    if not squared_norm <= NORM_MAX * NORM_MAX:
        raise ValueError(
            f"features of length {math.sqrt(squared_norm) if squared_norm >= 0.0 else squared_norm}: expected at most {NORM_MAX:.0f}, best about 1; scale them"
        )
    if not math.isfinite(reward):
        raise ValueError(f"reward {reward}: expected a finite number")


class Noise:
    """How much rewards vary around what is expected, learnt from what was left over: the scale of an inverse-gamma posterior.

    deviation : standard deviation that is believed before the first reward
    strength : rewards that the belief is worth; infinity believes it for ever
    """

    def __init__(self, deviation: float, strength: float) -> None:
        if not deviation > 0.0 or not strength > 0.0:
            raise ValueError(f"noise={deviation}, noise_strength={strength}: expected both above 0")
        self.deviation, self.strength = deviation, strength
        self.seen, self.left_over = 0.0, 0.0  # rewards, and the sum of their squares without what was explained

    @property
    def variance(self) -> float:
        """Of a reward around what is expected."""
        if self.strength == float("inf"):
            return self.deviation**2
        return (self.strength * self.deviation**2 + max(0.0, self.left_over)) / (self.strength + self.seen)

    def learn_one(self, surprise: float, spread: float) -> None:
        """A reward that was so far from what was expected, which itself varies `spread` times as much as the noise."""
        self.seen += 1.0
        self.left_over += surprise * surprise / spread

    def learn_many(self, rewards: Doubles, explained: float) -> None:
        """Rewards, and how much more of all squares is explained since."""
        self.seen += len(rewards)
        self.left_over = max(0.0, self.left_over + float(rewards @ rewards) - explained)
