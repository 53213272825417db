"""The examples of a log: features, labels and weights, as the real processors make them for a ranker. They do not depend on what it has learnt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online_models.listener_rows import KIND_CODE
from online_models.ranker import OBJECTIVES, Ranker
from online_models.track import Doubles
from segue.errors import InputError
from segue.evaluation.cluster import LocalCluster
from streams.lesson import EXAMPLES, Ranked
from streams.messages import ListeningEvent, Track

STEP = 16  # events learnt together, as a worker learns what came during a transaction
SKIP = OBJECTIVES.index("skip")


@dataclass(frozen=True, slots=True)
class Examples:
    """In order: features float64[n, k]; by objective, float64[n, objectives], labels, weights and what the processors' own ranker predicted.

    plays : bool[n], those that are a play or a skip
    at_ms : int64[n], when it happened; users : whose it is
    """

    x: Doubles
    labels: Doubles
    weights: Doubles
    predicted: Doubles
    plays: NDArray[np.bool_]
    at_ms: NDArray[np.int64]
    users: list[str]

    def __len__(self) -> int:
        return len(self.x)


def examples_of(
    events: Sequence[ListeningEvent],
    tracks: Sequence[Track],
    seed: int,
    told: Callable[[int], None],
    *,
    flush_every: int = 32,
) -> Examples:
    """Learn a log in its order; unlikes and blocks are learnt too, and are no examples.

    told : how many percent of the log are learnt; flush_every : of the `LocalCluster`

    Raises
    ------
    InputError
        for a log with an event that the learner drops, so that nobody could say whose the examples after it are
    """
    cluster, ranked = LocalCluster(seed=seed, flush_every=flush_every), list[Ranked]()
    cluster.list_tracks(tracks)
    for start in range(0, len(events), STEP):
        cluster.learn(events[start : start + STEP])
        if cluster.learner.lesson.ranked is not None:
            ranked.append(cluster.learner.lesson.ranked)
        told(100 * start // len(events))
    expected = [event for event in events if KIND_CODE[event.kind] in EXAMPLES]
    learnt = sum(len(each.x) for each in ranked)
    if not 0 < learnt == len(expected):
        raise InputError(
            f"{len(expected)} plays, skips, likes, saves and shares, of which {learnt} were learnt, expected all, and one at least: "
            "give every event an event_id of its own, and order them by at_ms"
        )
    x, labels, weights, predicted, plays, at_ms = (np.concatenate(each) for each in zip(*ranked, strict=True))
    return Examples(x, labels, weights, predicted, plays, at_ms, [event.user_id for event in expected])


def predict(examples: Examples, ranker: Ranker) -> tuple[Doubles, list[int]]:
    """What a ranker predicts of each example before it learns it, float64[n, objectives]; and at which examples its loss was seen to rise."""
    predicted, alarms = np.empty_like(examples.labels), list[int]()
    for start in range(0, len(examples), STEP):
        part = slice(start, start + STEP)
        predicted[part] = ranker.learn_many(examples.x[part], examples.labels[part], examples.weights[part])
        alarms += [start] * bool(ranker.alarms)
    return predicted, alarms


def skip_losses(examples: Examples, predicted: Doubles) -> Doubles:
    """The log loss of each play's skip, in nats."""
    chances = np.clip(predicted[examples.plays, SKIP], 1e-9, 1.0 - 1e-9)
    losses: Doubles = -np.log(np.where(examples.labels[examples.plays, SKIP] > 0.0, chances, 1.0 - chances))
    return losses
