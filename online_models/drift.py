"""Whether what was learnt holds no more: the log loss of each objective, predicted before it was learnt, watched for a rise.

ADWIN (Bifet & Gavalda 2007) by River, over means of a few examples, which is cheap. A fall is learning and no alarm. What follows an alarm is the
ranker's business. Bounded by ADWIN's own buckets, logarithmic in the examples. Not kept in a row: after a restart it begins anew, and knows what is
usual once some hundred examples have come.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from river.drift import ADWIN

from online_models.track import Doubles

_SCALE = 2.0  # ADWIN supposes values within 1; means of losses are mostly within a half of each other
_CLOCK = 4  # means between two of ADWIN's looks
_RECENT = 32  # means that an alarm tells of: ADWIN drops old ones only as far as it must
_LEAST = 1e-9  # chance, so that no loss is infinite


class Alarm(NamedTuple):
    """The place of an objective whose log loss rose, its mean over the examples of its group before and recently, in nats."""

    place: int
    before: float
    recently: float


class DriftWatch:
    """Watches objectives side by side; those of one group learn from the same examples, and begin anew together: they would say the same.

    groups : a number from 0 for each objective
    delta : of ADWIN: the chance of a false alarm at a look; batch : examples of a mean
    gathered : examples that are looked at together, at least: steps of a few would cost as much each

    >>> watch, ones = DriftWatch([0]), np.ones((400, 1))
    >>> watch.learn_many(0.9 * ones, ones, ones)  # as usual
    []
    >>> [each.place for each in watch.learn_many(0.2 * ones, ones, ones)]
    [0]
    """

    def __init__(self, groups: Sequence[int], *, delta: float = 0.0005, batch: int = 8, gathered: int = 128) -> None:
        self.delta, self.batch, self.gathered = delta, batch, gathered
        self._groups = [np.flatnonzero(np.array(groups) == group) for group in range(max(groups) + 1)]
        self._lessons, self._examples = list[tuple[Doubles, Doubles, Doubles]](), 0  # not looked at yet
        self._waiting: list[Doubles] = [
            np.zeros((0, len(places))) for places in self._groups
        ]  # losses that fill no mean yet
        self._watched = [self._begun() for _ in groups]

    def _begun(self) -> tuple[ADWIN, deque[float]]:
        return ADWIN(delta=self.delta, clock=_CLOCK), deque(maxlen=_RECENT)

    def learn_many(self, predicted: Doubles, labels: Doubles, weights: Doubles) -> list[Alarm]:
        """Take examples with what was predicted of them, float64[n, len(groups)] each; answers the alarms, one at most for an objective."""
        self._lessons.append((predicted, labels, weights))
        self._examples += len(predicted)
        if self._examples < self.gathered:
            return []
        predicted, labels, weights = (np.concatenate(each) for each in zip(*self._lessons, strict=True))
        self._lessons, self._examples = [], 0
        chances = np.clip(predicted, _LEAST, 1.0 - _LEAST)
        losses = -weights * (labels * np.log(chances) + (1.0 - labels) * np.log(1.0 - chances))
        alarms = list[Alarm]()
        for group, places in enumerate(self._groups):
            taught = losses[weights[:, places].any(1)][:, places]
            waiting = np.concatenate([self._waiting[group], taught])
            full = len(waiting) // self.batch * self.batch
            self._waiting[group] = waiting[full:]
            means = waiting[:full].reshape(-1, self.batch, len(places)).mean(1)
            found = [
                alarm
                for place, each in zip(places.tolist(), means.T.tolist(), strict=True)
                for alarm in self._watch(place, each)
            ]
            if found:
                for place in places.tolist():
                    self._watched[place] = self._begun()
            alarms += found
        return alarms

    def _watch(self, place: int, means: list[float]) -> list[Alarm]:
        """The first alarm of an objective's next means, if there is one."""
        watched, recent = self._watched[place]
        for mean in means:
            before = watched.estimation
            watched.update(_SCALE * mean)
            recent.append(mean)
            if watched.drift_detected and watched.estimation > before:
                return [Alarm(place, before / _SCALE, sum(recent) / len(recent))]
        return []
