"""What predictions are worth, from how often each was made by what came of it: int64[2, bins], [outcome, bin of the predicted probability]."""

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]


def auc_of_histogram(histogram: Whole) -> float:
    """Area under the ROC curve from counts by predicted probability; ties within a bin count half."""
    negatives, positives = histogram.astype(np.float64)
    pairs = positives.sum() * negatives.sum()
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2.0)).sum() / pairs) if pairs else float("nan")


def calibration_of_histogram(histogram: Whole) -> float:
    """Expected calibration error over 20 bins of equal width, of counts by predicted probability; each was predicted the middle of its bin."""
    count, size = histogram.sum(0), histogram.shape[1]
    predicted = count * (np.arange(size) + 0.5) / size
    distance = np.abs((predicted - histogram[1]).reshape(20, -1).sum(1))
    return float(distance.sum() / count.sum()) if count.any() else float("nan")
