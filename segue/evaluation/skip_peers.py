"""Others' models for skips, on the features that our ranker gets: LightGBM refit on the past, Vowpal Wabbit online (extra `peers`).

Each answers the chance of a skip of every play of a log, predicted from plays before it alone.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from online_models.recollection import RATE
from segue.evaluation.skip_log import Doubles, SkipLog

Progress = Callable[[int, int], None]
PRIOR = RATE  # of skipping, as our own models begin with
_FIRST_FIT = 200  # plays before LightGBM is fitted; until then it answers the base rate

LIGHTGBM: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_data_in_leaf": 20,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.5,
    "max_bin": 63,
    "num_threads": 1,
    "verbose": -1,
}
TREES = 100
VOWPAL_WABBIT = "--quiet --loss_function logistic --link logistic"


def base_rate(log: SkipLog) -> Doubles:
    """The listener's rate until then, shrunk to a prior by five plays."""
    plays: dict[int, float] = {}
    skips: dict[int, float] = {}
    predicted = np.empty(len(log.skipped))
    for place, (listener, skipped) in enumerate(zip(log.listeners.tolist(), log.skipped.tolist(), strict=True)):
        predicted[place] = (skips.get(listener, 0.0) + 5.0 * PRIOR) / (plays.get(listener, 0.0) + 5.0)
        plays[listener] = plays.get(listener, 0.0) + 1.0
        skips[listener] = skips.get(listener, 0.0) + skipped
    return predicted


def light_gbm(log: SkipLog, seed: int, refit_days: int, progress: Progress) -> Doubles:
    """Fitted anew on all plays before, at the first play of every so-manieth day."""
    import lightgbm

    predicted = base_rate(log)
    periods = log.days // refit_days
    starts = [*(np.flatnonzero(np.diff(periods)) + 1).tolist(), len(periods)]
    for start, end in pairwise(starts):
        known = log.skipped[:start]
        if start < _FIRST_FIT or known.all() or not known.any():
            continue
        data = lightgbm.Dataset(log.x[:start], known.astype(np.float64))
        predicted[start:end] = lightgbm.train(LIGHTGBM | {"seed": seed}, data, TREES).predict(log.x[start:end])
        progress(start, len(predicted))
    return predicted


def vowpal_wabbit(log: SkipLog, seed: int) -> Doubles:
    """Its logistic regression as it comes (adaptive, normalised, invariant steps), predicting and learning play by play."""
    import vowpalwabbit

    model = vowpalwabbit.Workspace(f"{VOWPAL_WABBIT} --random_seed {seed}")
    predicted = np.empty(len(log.skipped))
    for place, (values, skipped) in enumerate(zip(log.x, log.skipped.tolist(), strict=True)):
        words = " ".join(f"{name}:{value:.5g}" for name, value in enumerate(values.tolist()) if value)
        predicted[place] = model.predict(f"| {words}")
        model.learn(f"{1 if skipped else -1} | {words}")
    model.finish()
    return predicted
