"""A log's plays as a learner met them, and what predictions of their skips are worth: AUC, log loss, calibration, over resampled listeners."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online_models.histograms import auc_of_histogram, calibration_of_histogram
from segue.evaluation.metrics import auc, calibration_error, log_loss, resampled

Doubles = NDArray[np.float64]
SAMPLES = 500  # of the bootstrap
BINS = 1000  # of predictions, in a resample
MEASURES = ("auc", "log_loss", "ece")


@dataclass(frozen=True, slots=True)
class SkipLog:
    """Plays in their order: features float64[n, k] as the ranker got them, who listened, whether it was skipped, the day (UTC) it began.

    ended : float64[n], minutes from the end of the listener's last play to the end of this one: what is not known when it begins
    identities : intp[n, fields], the slots of what a factorisation machine gets beside the features
    """

    x: Doubles
    listeners: NDArray[np.int64]
    skipped: NDArray[np.bool_]
    days: NDArray[np.int64]
    ended: Doubles
    identities: NDArray[np.intp]


def worth(predicted: Doubles, skipped: NDArray[np.bool_]) -> dict[str, float]:
    """Each measure of all predictions."""
    measured = auc(predicted, skipped), log_loss(predicted, skipped), calibration_error(predicted, skipped)
    return dict(zip(MEASURES, measured, strict=True))


class Resampled:
    """Resamples listeners, not plays: those of one listener are alike. Every method meets the same resamples.

    >>> log = SkipLog(np.zeros((4, 1)), np.array([0, 0, 1, 1]), np.array([True, False, True, False]), np.zeros(4, np.int64), np.zeros(4), np.zeros((4, 0), np.intp))
    >>> measured = Resampled(log, seed=1).measures(np.array([0.9, 0.1, 0.8, 0.2]))
    >>> interval(measured["auc"])
    (1.0, 1.0)
    """

    def __init__(self, log: SkipLog, seed: int) -> None:
        self._skipped = log.skipped
        self._places, self._drawn = resampled(log.listeners, SAMPLES, seed)

    def measures(self, predicted: Doubles) -> dict[str, Doubles]:
        """Each measure of each resample, float64[SAMPLES]; AUC and calibration by the bin of a prediction."""
        size = self._drawn.shape[1]
        bins = np.minimum((predicted * BINS).astype(np.int64), BINS - 1)
        places = (self._places * 2 + self._skipped) * BINS + bins
        histograms = np.bincount(places, minlength=size * 2 * BINS).reshape(size, 2 * BINS)
        chance = np.clip(np.where(self._skipped, predicted, 1.0 - predicted), 1e-9, 1.0)
        losses, plays = (np.bincount(self._places, each, size) for each in (-np.log(chance), np.ones(len(bins))))
        drawn = (self._drawn @ histograms).reshape(-1, 2, BINS)
        return {
            "auc": np.array([auc_of_histogram(each) for each in drawn]),
            "log_loss": self._drawn @ losses / (self._drawn @ plays),
            "ece": np.array([calibration_of_histogram(each) for each in drawn]),
        }


def interval(values: Doubles) -> tuple[float, float]:
    """The middle 95 % of the resamples; nan of those without both outcomes are left out."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
