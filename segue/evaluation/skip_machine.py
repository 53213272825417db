"""Our own models for skips outside of the processor: the ranker's, a factorisation machine on its features and on identities, the mean of both.

Identities are what is known when a play begins: whose it is, its track and artist, and those of the play before. Each play is predicted before
it is learnt; `knowing_the_end` alone is told what is not known then.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np

from online_models.dense_logistic import DenseLogisticRegressions, sigmoid
from online_models.factorisation_machine import FactorisationMachines, Slots, slot_of
from segue.evaluation.skip_log import Doubles, SkipLog
from segue.evaluation.skip_peers import PRIOR
from streams.messages import ListeningEvent, Track

LONG_MINUTES, TOLD_MINUTES = 3 * 24 * 60.0, 6  # of a pause: more is as much; fewer, each minute is a feature
FIELDS = ("listener", "track", "artist", "previous_track", "previous_artist")


class Learns(Protocol):
    """Predicts and learns examples in their order, as `DenseLogisticRegressions.learn_many` does."""

    def __call__(self, x: Doubles, y: Doubles, weights: Doubles) -> Doubles: ...


def identities_of(plays: Sequence[ListeningEvent], tracks: Sequence[Track]) -> Slots:
    """The slots of each play's identities, intp[n, len(FIELDS)].

    >>> plays = [ListeningEvent(f"e{n}", n, "ann", track_id, "play") for n, track_id in enumerate(("t1", "t2"))]
    >>> first, second = identities_of(plays, []).tolist()
    >>> second[3] == slot_of("previous_track", "t1"), first[3] == slot_of("previous_track", "")
    (True, True)
    """
    artists = {track.track_id: track.artist_id or "" for track in tracks}
    last: dict[str, tuple[str, str]] = {}
    rows = list[list[int]]()
    for play in plays:
        now = play.track_id, artists.get(play.track_id, "")
        values = (play.user_id, *now, *last.get(play.user_id, ("", "")))
        rows.append([slot_of(field, value) for field, value in zip(FIELDS, values, strict=True)])
        last[play.user_id] = now
    return np.array(rows, np.intp).reshape(-1, len(FIELDS))


def factorisation_machine(log: SkipLog, seed: int) -> Doubles:
    """Predicting and learning in its micro-batches."""
    machines = FactorisationMachines(log.x.shape[1], priors=[PRIOR], seed=seed)
    return _learn(partial(machines.learn_many, identities=log.identities), log)


def newton(log: SkipLog) -> Doubles:
    """Our ranker's skips alone, outside of its processor: what it costs on its own."""
    return _learn(DenseLogisticRegressions(log.x.shape[1], priors=[PRIOR]).learn_many, log)


def knowing_the_end(log: SkipLog) -> Doubles:
    """The same, told of each play how long after the last one it ended: no prediction, but what a log's times tell who takes them for beginnings."""
    pause = np.log1p(np.minimum(log.ended, LONG_MINUTES))[:, None] / 4.0
    minutes = log.ended[:, None] < np.arange(1.0, 1.0 + TOLD_MINUTES)
    return newton(dataclasses.replace(log, x=np.hstack([log.x, pause, minutes])))


def _learn(learn_many: Learns, log: SkipLog) -> Doubles:
    labels = log.skipped[:, None].astype(np.float64)
    predicted: Doubles = learn_many(log.x, labels, np.ones(labels.shape))[:, 0]
    return predicted


def mean_of(first: Doubles, second: Doubles) -> Doubles:
    """The chance of the mean of two chances' log odds.

    >>> mean_of(np.array([0.5, 0.9]), np.array([0.5, 0.1])).round(6).tolist()
    [0.5, 0.5]
    """
    chances = np.clip(np.stack([first, second]), 1e-9, 1.0 - 1e-9)
    return sigmoid(np.log(chances / (1.0 - chances)).mean(0))
