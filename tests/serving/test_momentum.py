"""A list goes on as the last plays did, as far as the surface says."""

import numpy as np
import pytest

from online_models.listener import Listener
from online_models.listener_rows import LIKE, PLAY, SKIP, Heard
from serving.momentum import LEAST, TRUST, USUAL, follow, shares_of, ways_of
from serving.slate import Candidates, Query
from streams.messages import ListeningEvent
from tests.builders import NOW_MS, event, request, track
from tests.serving.worlds import MINUTE_MS, query_of, world_of

HOUR_MS = 60 * MINUTE_MS
CATALOGUE = [track(f"t{n}", f"a{n // 4}") for n in range(20)]
ARTIST, AGAIN, NEW = range(3)


def listener_of(*heard: tuple[str, str], minutes: int = 3, kind: int = PLAY) -> Listener:
    """Who heard (track, artist) one after the other."""
    listener = Listener("ann")
    for n, (track_id, artist) in enumerate(heard):
        listener.learn_one(Heard(track_id, artist, NOW_MS + n * minutes * MINUTE_MS, kind, 100_000, 100, n))
    return listener


def share(listener: Listener, way: int) -> float:
    return float(shares_of(listener)[way])


def query_after(*ids: str) -> Query:
    """Ann's request for what is next, after plays of the last minutes."""
    heard: list[ListeningEvent] = [
        event("ann", each, at_ms=NOW_MS - (len(ids) - n) * MINUTE_MS) for n, each in enumerate(ids)
    ]
    return query_of(world_of(*CATALOGUE, events=heard), request("ann", surface="next-up"))


def all_alike(query: Query) -> Candidates:
    rows = query.replica.table.indices([each.track_id for each in CATALOGUE])
    return Candidates(rows, np.ones((len(rows), 1)), np.ones(len(rows)))


def test_of_somebody_unknown_the_usual_is_expected() -> None:
    np.testing.assert_allclose(shares_of(Listener("nobody")), USUAL)


def test_who_stays_with_an_artist_will_stay() -> None:
    stays = listener_of(*((f"t{n}", "a1") for n in range(10)))
    changes = listener_of(*((f"t{n}", f"a{n}") for n in range(10)))

    assert share(stays, ARTIST) > 0.7
    assert share(changes, ARTIST) < 0.1


def test_again_is_within_two_hours() -> None:
    pairs = [("t1", "a1"), ("t2", "a2")] * 6

    assert share(listener_of(*pairs), AGAIN) > 0.8
    assert share(listener_of(*pairs, minutes=70), AGAIN) < 0.1


def test_new_is_what_was_never_heard_before_however_long_ago() -> None:
    known = [(f"t{n}", "a1") for n in range(10)]
    between = [(f"x{n}", "a1") for n in range(80)]

    assert share(listener_of(*known), NEW) > 0.9
    assert share(listener_of(*known, *between, *known), NEW) < 0.15


def test_the_newest_plays_count_most() -> None:
    apart, one = [(f"x{n}", f"b{n}") for n in range(10)], [(f"t{n}", "a1") for n in range(10)]

    assert share(listener_of(*apart, *one), ARTIST) > 0.7
    assert share(listener_of(*one, *apart), ARTIST) < 0.2


@pytest.mark.parametrize("kind", [SKIP, LIKE])
def test_what_was_not_played_is_no_way_to_go_on(kind: int) -> None:
    np.testing.assert_allclose(shares_of(listener_of(("t1", "a1"), ("t2", "a1"), kind=kind)), USUAL)


def test_a_candidate_has_the_ways_that_it_would_go_on() -> None:
    query = query_after("t0", "t4", "t1")
    ways = ways_of(query, all_alike(query))

    assert ways[ARTIST].tolist() == [n < 4 for n in range(20)]
    assert ways[AGAIN].tolist() == [n in (0, 1, 4) for n in range(20)]
    assert ways[NEW].tolist() == [n not in (0, 1, 4) for n in range(20)]


def test_candidates_meet_the_last_plays_as_far_as_the_surface_says() -> None:
    query = query_after("t0", "t1", "t2", "t1", "t2", "t0")
    before = all_alike(query)
    masses = []
    for strength in (0.0, 0.5, 1.0):
        surface = query.surface.changed_by({"momentum": strength})
        after = follow(
            Query(*(surface if name == "surface" else getattr(query, name) for name in Query.__slots__)), before
        )
        masses.append(float(after.fused[:4].sum() / after.fused.sum()))
        assert after.rows is before.rows

    assert masses[0] == 0.2
    assert masses[0] < masses[1] < masses[2] <= 1.0 - LEAST / 2.0


def test_channels_that_an_experiment_weighs_below_zero_are_left_alone() -> None:
    query = query_after("t0", "t1")
    candidates = all_alike(query)
    below = Candidates(candidates.rows, candidates.scores, np.linspace(-1.0, 2.0, len(candidates)))

    assert follow(query, below) is below


def test_nobody_and_nothing_are_answered() -> None:
    query = query_after()
    none = Candidates(np.zeros(0, np.int32), np.zeros((0, 1)), np.zeros(0))

    assert len(follow(query, none)) == 0
    assert np.isfinite(follow(query, all_alike(query)).fused).all()
    assert TRUST > 0.0
