"""Lists trust the order of the last plays where it is everybody's, and not where they came in any order."""

from collections.abc import Sequence

import numpy as np
import pytest

from segue.evaluation.cluster import LocalCluster
from serving.order import trust_in_order
from streams.messages import ListeningEvent
from tests.builders import NOW_MS, event, request, track
from tests.serving.worlds import MINUTE_MS, query_of, world_of

TRACKS, HEARD, LISTENERS = 40, 20, 30
IDS = [f"t{n}" for n in range(TRACKS)]


def world_where(*, ordered: bool) -> LocalCluster:
    """Everybody hears half of the catalogue: all in its order from some place on, or each in an order of their own."""
    return world_of(*map(track, IDS), events=everybodys(ordered=ordered))


def everybodys(*, ordered: bool) -> list[ListeningEvent]:
    rng, events = np.random.default_rng(1), list[ListeningEvent]()
    for user in range(LISTENERS):
        start = int(rng.integers(0, TRACKS))
        ids = [*IDS[start:], *IDS[:start]] if ordered else rng.permutation(IDS).tolist()
        events += [
            event(f"u{user}", each, at_ms=NOW_MS - (HEARD - n) * MINUTE_MS) for n, each in enumerate(ids[:HEARD])
        ]
    return events


def trusts(cluster: LocalCluster) -> list[float]:
    replica = cluster.replica
    return [trust_in_order(replica.listeners.get(f"u{user}"), replica.table) for user in range(LISTENERS)]


def test_an_order_is_trusted_where_it_is_everybodys() -> None:
    assert np.mean(trusts(world_where(ordered=True))) > 0.9
    assert np.mean(trusts(world_where(ordered=False))) < 0.3


def trust_after(*heard: str, others: Sequence[ListeningEvent] = ()) -> float:
    """How far the order is trusted of somebody who heard this."""
    plays = [event("ann", each, at_ms=NOW_MS - (len(heard) - n) * MINUTE_MS) for n, each in enumerate(heard)]
    replica = world_of(*map(track, IDS), events=[*others, *plays]).replica
    return trust_in_order(replica.listeners.get("ann"), replica.table)


@pytest.mark.parametrize("heard", [[], IDS[:7], IDS[:8], IDS, IDS[:10] * 5, IDS[:1] * 20])
def test_where_nobody_else_has_heard_anything_the_order_is_trusted(heard: list[str]) -> None:
    assert trust_after(*heard) == 1.0


def test_what_others_have_done_counts_beside_what_somebody_did_years_ago_and_does_again() -> None:
    year_ms = 365 * 86_400_000
    others = [event("bob", each, at_ms=NOW_MS - (20 - n) * MINUTE_MS) for n, each in enumerate(IDS[:10])]
    mine = [
        event("ann", each, at_ms=NOW_MS - ago * year_ms - (10 - n) * MINUTE_MS)
        for ago in (4, 3, 2, 1, 0)
        for n, each in enumerate(IDS[:10])
    ]
    replica = world_of(*map(track, IDS), events=[*others, *mine]).replica

    assert trust_in_order(replica.listeners.get("ann"), replica.table) < 0.9


def test_it_is_trusted_less_only_little_by_little() -> None:
    others = everybodys(ordered=False)
    heard = np.random.default_rng(2).permutation(IDS).tolist()
    trust = [trust_after(*heard[:plays], others=others) for plays in (7, 8, 9, 10, 12, 16, 20)]

    assert trust[0] == 1.0
    assert max(-np.diff(trust)) < 0.6
    assert trust[-1] < 0.3


@pytest.mark.parametrize(("ordered", "heavier"), [(True, "followers"), (False, "long-term")])
def test_discover_weekly_weighs_its_channels_by_it(ordered: bool, heavier: str) -> None:
    weights = query_of(world_where(ordered=ordered), request("u3", surface="discover-weekly")).surface.channel_weights

    assert max(weights["followers"], weights["long-term"]) == weights[heavier]
    assert min(weights.values()) >= 0.0
