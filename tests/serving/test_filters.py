"""Each filter takes out what its sentence says, and can answer for any candidates."""

import numpy as np
import pytest

from serving.filters import FILTERS
from serving.slate import Candidates
from streams.topics import TRACKS
from tests.builders import NOW_MS, event, raw, request, track
from tests.serving.worlds import HERMIT, MINUTE_MS, candidates, names, query_of, world, world_of


def kept(name: str, cluster, some: Candidates, **fields) -> list[str]:  # type: ignore[no-untyped-def]
    """Track ids that a filter leaves."""
    mask = FILTERS[name](query_of(cluster, request(fields.pop("user", "ann"), **fields)), some)
    assert mask.dtype == np.bool_
    assert len(mask) == len(some)
    return names(cluster, some.rows[mask])


@pytest.mark.parametrize("user", ["u0", HERMIT, "nobody"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_answers_for_no_candidates_at_all(name: str, user: str) -> None:
    assert kept(name, world(), candidates(world()), user=user) == []


def test_unlisted_takes_out_what_left_the_catalogue_and_what_was_never_in_it() -> None:
    cluster = world_of(track("t1"), track("t2"), events=[event(track_id="ghost")])
    cluster._keep([raw(TRACKS.name, None, b"t2")])
    cluster.flush()

    assert kept("unlisted", cluster, candidates(cluster, "t1", "t2", "ghost", "never")) == ["t1"]


def test_blocked_takes_out_what_the_listener_blocked_and_nobody_else() -> None:
    cluster = world_of(track("t1"), track("t2"), events=[event("ann", "t1", "block"), event("bob", "t2", "block")])

    assert kept("blocked", cluster, candidates(cluster, "t1", "t2")) == ["t2"]


@pytest.mark.parametrize("heard", [1, 30], ids=["few-heard", "many-heard"])
def test_just_heard_takes_out_what_was_played_or_skipped_within_the_time_of_the_surface(heard: int) -> None:
    tracks = [track(f"t{n}") for n in range(40)]
    old = [event(track_id=f"t{n + 5}", at_ms=NOW_MS - 90 * MINUTE_MS + n) for n in range(heard)]
    new = [event(track_id="t1", at_ms=NOW_MS - MINUTE_MS), event(track_id="t2", kind="skip", at_ms=NOW_MS - MINUTE_MS)]
    cluster = world_of(*tracks, events=[*old, *new])

    assert kept("just-heard", cluster, candidates(cluster, "t1", "t2", "t3", "t5"), surface="radio") == ["t3", "t5"]


def test_just_heard_takes_out_nothing_where_the_surface_welcomes_repeats() -> None:
    cluster = world_of(track("t1"), events=[event(track_id="t1")])

    assert kept("just-heard", cluster, candidates(cluster, "t1"), surface="next-up") == ["t1"]


def test_same_song_keeps_the_best_of_several_editions() -> None:
    editions = ["Blue", "blue", "Blue (Live)", "Blue - Remastered 2011"]
    tracks = [track(f"t{n}", "a1", title=title) for n, title in enumerate(editions)]
    cluster = world_of(*tracks, track("t8", "a2", title="Blue"), track("t9", "a1", title="Green"))

    some = candidates(cluster, "t0", "t1", "t2", "t3", "t8", "t9", fused=[0.1, 0.2, 0.9, 0.3, 0.1, 0.1])

    assert kept("same-song", cluster, some) == ["t2", "t8", "t9"]


def test_songs_that_no_track_is_any_more_are_forgotten_and_the_others_stay() -> None:
    cluster = world_of(track("t1", title="Blue"), track("t2", title="Green"))
    for number in range(100):
        cluster.list_tracks([track("t2", title=f"Green {number}")])
    cluster.list_tracks([track("t3", title="Blue (Live)"), track("t4", title="Green 99")])
    replica = cluster.replica

    assert kept("same-song", cluster, candidates(cluster, "t1", "t2", "t3", "t4")) == ["t1", "t2"]
    assert len(replica._songs) <= 2 * len(replica.table)
