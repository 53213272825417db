"""Measures of prequential evaluation (Gama et al. 2013): each event is predicted before it is learnt."""

from collections.abc import Collection, Sequence

import numpy as np
import scipy.stats
from numpy.typing import NDArray


def auc(predicted: NDArray[np.float64], label: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, ties counted half; nan where there are not both outcomes.

    >>> auc(np.array([0.9, 0.1, 0.5]), np.array([True, False, False]))
    1.0
    """
    positives, negatives = int(label.sum()), int((~label).sum())
    if not positives or not negatives:
        return float("nan")
    ranks = scipy.stats.rankdata(predicted)
    return float((ranks[label].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(predicted: NDArray[np.float64], label: NDArray[np.bool_]) -> float:
    """Mean log loss in nats; nan for nothing."""
    if not len(label):
        return float("nan")
    chance = np.clip(np.where(label, predicted, 1.0 - predicted), 1e-9, 1.0)
    return float(-np.log(chance).mean())


def calibration_error(
    predicted: NDArray[np.float64], label: NDArray[np.bool_] | NDArray[np.float64], bins: int = 20
) -> float:
    """Expected calibration error: the mean distance between predicted and seen rate, or mean of what is a share, over bins of equal width."""
    if not len(label):
        return float("nan")
    place = np.minimum((predicted * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    distance = np.abs(np.bincount(place, predicted, bins) - np.bincount(place, label.astype(float), bins))
    return float(distance.sum() / count.sum())


def hit_rate(ranks: NDArray[np.int64], k: int) -> float:
    """Share of targets among the first k; rank 0 is the first, -1 not there. With one target a list this is Recall@k too."""
    return float(((ranks >= 0) & (ranks < k)).mean()) if len(ranks) else float("nan")


def ndcg(ranks: NDArray[np.int64], k: int) -> float:
    """Mean normalised discounted cumulative gain of one target a list.

    >>> ndcg(np.array([0, -1]), 10)
    0.5
    """
    if not len(ranks):
        return float("nan")
    hit = (ranks >= 0) & (ranks < k)
    return float(np.where(hit, 1.0 / np.log2(np.maximum(ranks, 0) + 2.0), 0.0).mean())


def percentile(values: Collection[float], percent: float) -> float:
    """A percentile, to two places; nan of nothing.

    >>> percentile([1.0, 2.0, 4.0], 50)
    2.0
    """
    return round(float(np.percentile(list(values), percent)), 2) if len(values) else float("nan")


def mean_interval(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of some independent runs, and the interval of Student's t; nan for the interval of a single one.

    >>> [round(each, 2) for each in mean_interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.48, 4.48]
    """
    n, mean = len(values), float(values.mean()) if len(values) else float("nan")
    if n < 2:
        return mean, float("nan"), float("nan")
    half = float(scipy.stats.t.ppf(0.5 + confidence / 2.0, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def resampled(
    listeners: Sequence[int] | NDArray[np.int64], samples: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Listeners drawn with replacement, each with all that is theirs, which is alike: the bootstrap of what comes in groups.

    Returns the place of each one's listener, int64[n], and how often each place was drawn, int64[samples, places].

    >>> places, drawn = resampled([7, 7, 3], samples=4, seed=1)
    >>> places.tolist(), drawn.sum(1).tolist()
    ([1, 1, 0], [2, 2, 2, 2])
    """
    places = np.unique(np.asarray(listeners, np.int64), return_inverse=True)[1]
    size = int(places.max(initial=-1)) + 1
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1.0 / max(1, size)), samples)
    return places.astype(np.int64), drawn
