"""Off-policy evaluation: what a policy would have earned, from the log of another one that wrote down its propensities.

Inverse propensity scores (Horvitz & Thompson 1952), the same self-normalised (Swaminathan & Joachims 2015), doubly robust with a fitted reward
model (Dudik et al. 2011). An estimate comes with its interval and with what makes it doubtful. It cannot see what the log's policy
never did, nor rewards that change with what is shown before.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Fit = Callable[[Ints], Callable[[Ints], Doubles]]
FEW, FEW_SHARE = (
    100.0,
    0.05,
)  # effective samples, and their share of the rows, under which an interval is not to be trusted
_AT_ONCE = 50  # bootstrap samples held at a time


@dataclass(frozen=True, slots=True)
class Logged:
    """A log of choices, one row each.

    actions : int64[n], 0 to the number of actions - 1
    rewards : float64[n]
    propensities : float64[n], with what probability the action was chosen

    Raises
    ------
    ValueError
        where lengths differ, or a propensity is not in (0, 1]
    """

    actions: Ints
    rewards: Doubles
    propensities: Doubles

    def __post_init__(self) -> None:
        lengths = {len(self.actions), len(self.rewards), len(self.propensities)}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError(f"columns of {sorted(lengths)} rows: expected the same number, 1 or more")
        wrong = ~((self.propensities > 0.0) & (self.propensities <= 1.0))
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(f"row {row} has propensity {self.propensities[row]}: expected above 0, at most 1; drop it")

    def __len__(self) -> int:
        return len(self.rewards)


@dataclass(frozen=True, slots=True)
class Interval:
    """How an interval is made.

    bootstrap : samples of the rows, percentiles of which are taken; 0 for the normal approximation, which is quick, and too low at its upper
    end where few rows carry most of the value
    seed : of those samples
    """

    confidence: float = 0.95
    bootstrap: int = 1000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean reward of the policy that was asked about.

    effective_samples : (sum of weights) ** 2 / sum of their squares: how many rows of its own log these rows are worth
    weight_max : the greatest weight, before clipping; clipped : share of rows whose weight was cut
    warnings : sentences; none where nothing is doubtful
    """

    value: float
    low: float
    high: float
    effective_samples: float
    weight_max: float
    clipped: float
    warnings: tuple[str, ...]


BOOTSTRAP, NORMAL = Interval(), Interval(bootstrap=0)


def ips(log: Logged, target: Doubles, *, clip: float | None = None, interval: Interval = BOOTSTRAP) -> Estimate:
    """Weighted mean reward: unbiased, wide where weights are.

    target : float64[n], with what probability the policy that is asked about chooses each row's action
    clip : the greatest weight that is let through; cutting narrows the interval and biases the value towards 0

    >>> log = Logged(np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    >>> ips(log, np.array([1.0, 0.0])).value
    1.0
    """
    weights, raw = _weights(log, target, clip)
    terms = (weights * log.rewards)[:, None]
    return _estimate(raw, weights, terms, lambda means: means[..., 0], terms[:, 0], clip, interval)


def snips(log: Logged, target: Doubles, *, clip: float | None = None, interval: Interval = BOOTSTRAP) -> Estimate:
    """The same divided by the mean weight: a little biased, narrower, never outside the range of the rewards; nan where all weights are 0."""
    weights, raw = _weights(log, target, clip)
    terms = np.stack([weights * log.rewards, weights], 1)

    def ratio(means: Doubles) -> Doubles:
        above, below = means[..., 0], means[..., 1]
        return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0.0))

    value = float(ratio(terms.mean(0)))
    influence = value + weights * (log.rewards - value) / max(float(weights.mean()), 1e-300)
    return _estimate(raw, weights, terms, ratio, influence, clip, interval)


def doubly_robust(
    log: Logged, target: Doubles, predicted: Doubles, *, clip: float | None = None, interval: Interval = BOOTSTRAP
) -> Estimate:
    """What a reward model expects, corrected by the weighted rest: right where the model or the propensities are.

    target, predicted : float64[n, actions], the policy's probabilities and the expected rewards of every action in each row; the
    predictions of a row must not have learnt from it, see `cross_fitted`
    """
    rows = np.arange(len(log))
    weights, raw = _weights(log, target[rows, log.actions], clip)
    rest = log.rewards - predicted[rows, log.actions]
    terms = ((target * predicted).sum(1) + weights * rest)[:, None]
    return _estimate(raw, weights, terms, lambda means: means[..., 0], terms[:, 0], clip, interval)


def cross_fitted(log: Logged, fit: Fit, *, folds: int = 5, seed: int = 0) -> Doubles:
    """Predictions float64[n, actions], each by a model that was fitted without the row's fold.

    fit : rows int64[m] to learn from -> a function of rows int64[k] that predicts float64[k, actions]
    """
    order = np.random.default_rng(seed).permutation(len(log))
    parts = np.array_split(order, min(folds, len(log)))
    predicted: list[Doubles] = []
    for part in parts:
        learnt_from = np.setdiff1d(order, part, assume_unique=True)
        predicted.append(fit(learnt_from)(part))
    out = np.empty((len(log), predicted[0].shape[1]))
    out[np.concatenate(parts)] = np.concatenate(predicted)
    return out


def fit_rates(log: Logged, actions: int, groups: Ints, *, strength: float = 50.0) -> Fit:
    """A reward model for `cross_fitted`: each action's mean reward in each group, drawn to that of its action, and this to that of everything.

    groups : int64[n], of each row's context, 0 to the number of groups - 1
    strength : rows that what is drawn to is worth
    """
    cells, count = groups * actions + log.actions, (int(groups.max()) + 1) * actions

    def fit(rows: Ints) -> Callable[[Ints], Doubles]:
        rewards, chosen = log.rewards[rows], log.actions[rows]
        overall = float(rewards.mean()) if len(rows) else 0.0
        of_action = _shrunk(chosen, rewards, np.full(actions, overall), strength)
        of_cell = _shrunk(cells[rows], rewards, np.tile(of_action, count // actions), strength)
        table = of_cell.reshape(-1, actions)
        return lambda asked: table[groups[asked]]

    return fit


def _shrunk(places: Ints, rewards: Doubles, towards: Doubles, strength: float) -> Doubles:
    n = len(towards)
    sums, counts = np.bincount(places, rewards, n), np.bincount(places, minlength=n)
    return np.asarray((sums + strength * towards) / (counts + strength))


def _weights(log: Logged, target: Doubles, clip: float | None) -> tuple[Doubles, Doubles]:
    """Weights, clipped and as they are."""
    if target.shape != (len(log),) or not ((target >= 0.0) & (target <= 1.0 + 1e-9)).all():
        raise ValueError(f"target of shape {target.shape}: expected {len(log)} probabilities, one a row of the log")
    if clip is not None and not clip > 0.0:
        raise ValueError(f"clip={clip}: expected a weight above 0")
    raw = target / log.propensities
    return raw if clip is None else np.minimum(raw, clip), raw


def _estimate(
    raw: Doubles,
    weights: Doubles,
    terms: Doubles,
    statistic: Callable[[Doubles], Doubles],
    influence: Doubles,
    clip: float | None,
    interval: Interval,
) -> Estimate:
    """statistic : of the means of terms float64[..., k]; influence : float64[n], whose mean is the value and whose spread is the value's error."""
    value = float(statistic(terms.mean(0)))
    n, tail = len(raw), 0.5 - interval.confidence / 2.0
    if interval.bootstrap:
        values = _bootstrapped(terms, statistic, interval)
        there = values[~np.isnan(values)]
        low, high = np.quantile(there, [tail, 1.0 - tail]).tolist() if len(there) else (np.nan, np.nan)
    else:
        half = -float(scipy.special.ndtri(tail)) * float(influence.std(ddof=1) if n > 1 else np.nan) / np.sqrt(n)
        low, high = value - half, value + half
    squares = float((weights * weights).sum())
    effective = float(weights.sum()) ** 2 / squares if squares else 0.0
    clipped = float((raw > weights).mean())
    return Estimate(
        value, float(low), float(high), effective, float(raw.max()), clipped, _doubts(raw, effective, clipped, clip)
    )


def _bootstrapped(terms: Doubles, statistic: Callable[[Doubles], Doubles], interval: Interval) -> Doubles:
    rng, n = np.random.default_rng(interval.seed), len(terms)
    values = []
    for first in range(0, interval.bootstrap, _AT_ONCE):
        samples = min(_AT_ONCE, interval.bootstrap - first)
        values.append(statistic(terms[rng.integers(n, size=(samples, n))].mean(1)))
    return np.concatenate(values)


def _doubts(raw: Doubles, effective: float, clipped: float, clip: float | None) -> tuple[str, ...]:
    doubts, n = [], len(raw)
    wanted = max(FEW, FEW_SHARE * n)
    if effective < wanted:
        doubts.append(
            f"{effective:.0f} effective samples of {n} rows: expected {wanted:.0f}; the policies are far apart: log more, or clip"
        )
    if clipped:
        doubts.append(
            f"{clipped:.1%} of the weights, up to {raw.max():.3g}, were cut to {clip:.3g}: the value is biased towards what the log's policy does"
        )
    mean, error = float(raw.mean()), float(raw.std()) / np.sqrt(n)
    if abs(mean - 1.0) > 4.0 * error + 1e-9:
        doubts.append(
            f"weights average {mean:.3f}, expected 1: propensities are not those of the log, or actions were never chosen there"
        )
    return tuple(doubts)
