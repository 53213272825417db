"""Lists trust the order of the last plays where it is everybody's, and not where they came in any order."""

import numpy as np
import pytest

from segue.evaluation.cluster import LocalCluster
from serving.order import FEWEST, trust_in_order
from streams.messages import ListeningEvent
from tests.builders import NOW_MS, event, request, track
from tests.serving.worlds import MINUTE_MS, query_of, world_of

TRACKS, HEARD, LISTENERS = 40, 20, 30
IDS = [f"t{n}" for n in range(TRACKS)]


def world_where(*, ordered: bool) -> LocalCluster:
    """Everybody hears half of the catalogue: all in its order from some place on, or each in an order of their own."""
    rng, events = np.random.default_rng(1), list[ListeningEvent]()
    for user in range(LISTENERS):
        start = int(rng.integers(0, TRACKS))
        ids = [*IDS[start:], *IDS[:start]] if ordered else rng.permutation(IDS).tolist()
        events += [
            event(f"u{user}", each, at_ms=NOW_MS - (HEARD - n) * MINUTE_MS) for n, each in enumerate(ids[:HEARD])
        ]
    return world_of(*map(track, IDS), events=events)


def trusts(cluster: LocalCluster) -> list[float]:
    replica = cluster.replica
    return [trust_in_order(replica.listeners.get(f"u{user}"), replica.table) for user in range(LISTENERS)]


def test_an_order_is_trusted_where_it_is_everybodys() -> None:
    assert np.mean(trusts(world_where(ordered=True))) > 0.9
    assert np.mean(trusts(world_where(ordered=False))) < 0.3


def test_of_few_plays_the_order_is_trusted() -> None:
    plays = [event("ann", each, at_ms=NOW_MS - n) for n, each in enumerate(IDS[: FEWEST - 1])]
    replica = world_of(*map(track, IDS), events=plays).replica

    assert trust_in_order(replica.listeners.get("ann"), replica.table) == 1.0
    assert trust_in_order(replica.listeners.get("nobody"), replica.table) == 1.0


@pytest.mark.parametrize(("ordered", "heavier"), [(True, "followers"), (False, "long-term")])
def test_discover_weekly_weighs_its_channels_by_it(ordered: bool, heavier: str) -> None:
    weights = query_of(world_where(ordered=ordered), request("u3", surface="discover-weekly")).surface.channel_weights

    assert max(weights["followers"], weights["long-term"]) == weights[heavier]
    assert min(weights.values()) >= 0.0
