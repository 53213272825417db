"""Position bias: what stands low in a list is skipped for that, and must not be taken for a worse track."""

import numpy as np
import pytest

from online_models.features import features_of
from online_models.listener import Listener
from segue.evaluation.cluster import LocalCluster
from streams.messages import Context, ListeningEvent
from tests.builders import NOW_MS, track

SKIPPED = {0: 0.2, 9: 0.7}  # of either track, by where it stood
STEPS = 40


def skips_of(*, told: bool) -> "list[float]":
    """What is predicted of t1, which mostly stood first, and of t2, which mostly stood tenth, for somebody new."""
    rng, cluster = np.random.default_rng(5), LocalCluster(seed=1, flush_every=STEPS, dims=8)
    cluster.list_tracks([track("t1"), track("t2", "a2")])
    for step in range(STEPS):
        events = []
        for number in range(50):
            track_id = f"t{1 + number % 2}"
            position = 0 if (track_id == "t1") == (rng.random() < 0.8) else 9
            events.append(
                ListeningEvent(
                    event_id=f"e{step}-{number}",
                    at_ms=NOW_MS + step * 60_000,
                    user_id=f"u{step}-{number}",
                    track_id=track_id,
                    kind="skip" if rng.random() < SKIPPED[position] else "play",
                    position=position if told else None,
                    context=Context(surface="radio"),
                )
            )
        cluster.learn(events)
    table = cluster.replica.table
    x = features_of(Listener("new"), table, table.indices(["t1", "t2"]), NOW_MS + 3_600_000, surface="radio")
    return cluster.replica.ranker.score_many(x)["skip"].tolist()


def test_a_track_that_stood_low_is_not_taken_for_a_worse_one() -> None:
    (first, low), (first_untold, low_untold) = skips_of(told=True), skips_of(told=False)

    assert low_untold - first_untold > 0.1
    assert abs(low - first) < (low_untold - first_untold) / 2.0
    assert first == pytest.approx(SKIPPED[0], abs=0.1)
