"""Each channel proposes what its sentence says, at most as many as it is asked for, and nothing where it knows nothing."""

from collections.abc import Collection

import numpy as np
import pytest

from serving.candidates import CHANNELS
from serving.candidates.channel import best, propose
from serving.preranking import prerank
from serving.surfaces import SURFACES
from streams.messages import Context, ListeningEvent, Profile
from tests.builders import NOW_MS, event, request, track
from tests.serving.worlds import KNOWN, MINUTE_MS, UNKNOWN, candidates, names, query_of, world, world_of

HOUR_MS = 60 * MINUTE_MS


def proposed(channel: str, cluster=None, limit: int = 10, **fields) -> list[str]:  # type: ignore[no-untyped-def]
    """Track ids that a channel proposes to somebody, best first."""
    cluster = world() if cluster is None else cluster
    rows, scores = CHANNELS[channel](query_of(cluster, request(fields.pop("user", KNOWN), **fields)), limit)
    assert len(rows) == len(scores)
    return names(cluster, rows)


@pytest.mark.parametrize("limit", [1, 5, 100])
@pytest.mark.parametrize("user", [KNOWN, UNKNOWN])
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_channel_proposes_known_tracks_each_once_and_no_more_than_asked(channel: str, user: str, limit: int) -> None:
    asked = request(user, seed_tracks=["t1", "t2"], context=Context(country="SE"))

    rows, scores = CHANNELS[channel](query_of(world(), asked), limit)

    assert len(rows) == len(scores) == len(set(rows.tolist())) <= 2 * limit
    assert (rows > 0).all()
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "channel",
    [
        "own-followers",
        "two-tower",
        "long-term",
        "followers",
        "companions",
        "same-artist",
        "favourites",
        "taste",
        "seeds",
    ],
)
def test_a_channel_that_knows_nothing_of_somebody_proposes_nothing(channel: str) -> None:
    assert proposed(channel, user=UNKNOWN) == []


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_answers_an_empty_world(channel: str) -> None:
    assert proposed(channel, world_of(), user="ann") == []


def test_own_followers_are_what_this_listener_played_after_the_last_track() -> None:
    heard = ["t1", "t2", "t9", "t8", "t7", "t6", "t1"]
    mine = [event("ann", each, at_ms=NOW_MS - (10 - place) * MINUTE_MS) for place, each in enumerate(heard)]
    others = [event("bob", each, at_ms=NOW_MS - place) for place, each in enumerate(["t3", "t1"] * 5)]
    cluster = world_of(*(track(f"t{n}") for n in range(10)), events=[*mine, *others])

    assert proposed("own-followers", cluster, user="ann")[0] == "t2"


def heard_in_order(*ids: str, skipped: Collection[int] = (), end_ms: int = NOW_MS) -> list[ListeningEvent]:
    """Ann's plays, a minute each; those at some places were skipped."""
    return [
        event("ann", each, "skip" if place in skipped else "play", at_ms=end_ms - (len(ids) - place) * MINUTE_MS)
        for place, each in enumerate(ids)
    ]


ALBUM = [f"t{n}" for n in range(8)]
BETWEEN = [f"x{n}" for n in range(20)]


def own_followers_of(*earlier: list[ListeningEvent], now: list[ListeningEvent]) -> list[str]:
    """What is proposed after earlier times, twenty other tracks an hour ago, and the plays of now."""
    between = heard_in_order(*BETWEEN, end_ms=NOW_MS - HOUR_MS)
    events = [*(each for part in earlier for each in part), *between, *now]
    return proposed("own-followers", world_of(*map(track, [*ALBUM, *BETWEEN]), events=events), user="ann")


def test_own_followers_go_on_in_the_order_of_the_earlier_time() -> None:
    found = own_followers_of(heard_in_order(*ALBUM, end_ms=NOW_MS - 30 * HOUR_MS), now=heard_in_order(*ALBUM[:4]))

    assert found[0] == "t4"


def test_own_followers_go_on_from_what_was_skipped_too() -> None:
    now = heard_in_order("t0", "t1", "t2", "t3", "t4", skipped=(2, 3, 4))

    assert own_followers_of(heard_in_order(*ALBUM, end_ms=NOW_MS - 30 * HOUR_MS), now=now)[0] == "t5"


def test_own_followers_prefer_the_newer_time_and_what_was_not_skipped_then() -> None:
    old = heard_in_order("t0", "t1", end_ms=NOW_MS - 2000 * HOUR_MS)
    apart = heard_in_order(*(f"x{n}" for n in range(20)), end_ms=NOW_MS - 1000 * HOUR_MS)
    newer = heard_in_order("t0", "t3", end_ms=NOW_MS - 20 * HOUR_MS)
    skipped = heard_in_order("t0", "t4", skipped=(1,), end_ms=NOW_MS - 10 * HOUR_MS)

    found = own_followers_of(old, apart, newer, apart, skipped, now=heard_in_order("t0"))

    assert next(each for each in found if each in ("t1", "t3", "t4")) == "t3"


def test_own_followers_do_not_count_a_like_as_a_play() -> None:
    before = heard_in_order("t0", "t1", "t2", end_ms=NOW_MS - 30 * HOUR_MS)
    liked = event("ann", "t5", "like", at_ms=NOW_MS - 2 * HOUR_MS)
    cluster = world_of(*(track(f"t{n}") for n in range(6)), events=[*before, liked, *heard_in_order("t0")])

    assert set(proposed("own-followers", cluster, user="ann")) == {"t0", "t1", "t2"}


def test_companions_look_back_further_than_followers() -> None:
    pairs = [
        event(f"u{user}", each, at_ms=NOW_MS - HOUR_MS * (user + 1) + place * MINUTE_MS)
        for user in range(5)
        for place, each in enumerate(["t1", "t2"])
    ]
    heard = [
        event("ann", each, at_ms=NOW_MS - (20 - n) * 1000)
        for n, each in enumerate(["t1", *(f"x{n}" for n in range(9))])
    ]
    tracks = [track(f"t{n}") for n in range(4)] + [track(f"x{n}") for n in range(9)]
    cluster = world_of(*tracks, events=[*pairs, *heard])

    assert "t2" in proposed("companions", cluster, user="ann")
    assert "t2" not in proposed("followers", cluster, user="ann")


def test_long_term_does_not_forget_what_was_heard_before_the_last_tracks() -> None:
    folk, metal = ([track(f"{tag}{n}", f"{tag}{n}", [tag]) for n in range(30)] for tag in ("folk", "metal"))
    lovers = [
        event(f"{tag}-{user}", f"{tag}{(user + n) % 30}", at_ms=NOW_MS - HOUR_MS * (user + 1) + n * MINUTE_MS)
        for user in range(30)
        for n in range(10)
        for tag in ("folk", "metal")
    ]
    heard = [f"folk{n}" for n in range(25)] + [f"metal{n}" for n in range(20)]
    cluster = world_of(*folk, *metal, events=[*lovers, *heard_in_order(*heard)])
    cluster.learner.lesson.train_tower()
    cluster.flush()

    lately, long = (
        [each for each in proposed(name, cluster, user="ann", limit=60) if each not in heard]
        for name in ("two-tower", "long-term")
    )

    assert sum(map(long.index, ("folk25", "folk29"))) < sum(map(lately.index, ("folk25", "folk29")))
    assert set(heard).isdisjoint(proposed("long-term", cluster, user="ann", limit=60))


def test_neighbours_are_what_was_heard_after_and_more_so_before_too() -> None:
    heard = [["t1", "t2"], ["t1", "t4"], ["t4", "t1"], ["t2"]] * 3
    events = [
        event(f"u{user}", each, at_ms=NOW_MS - HOUR_MS * (user + 1) + place * MINUTE_MS)
        for user, ids in enumerate(heard)
        for place, each in enumerate(ids)
    ]
    cluster = world_of(*(track(f"t{n}") for n in range(5)), events=[*events, event("ann", "t1")])

    assert proposed("neighbours", cluster, user="ann") == ["t4", "t2"]


def test_same_artist_is_more_of_whom_was_heard_last_the_popular_first() -> None:
    tracks = [track("t1", "a1"), track("t2", "a1"), track("t3", "a1"), track("t4", "a2"), track("t5", "a3")]
    heard = [event("ann", "t4", at_ms=NOW_MS - HOUR_MS), event("ann", "t1"), event("bob", "t3")]

    found = proposed("same-artist", world_of(*tracks, events=heard), user="ann")

    assert found.index("t3") < found.index("t2")
    assert "t5" not in found


def test_followers_are_what_everybody_played_after_the_last_track() -> None:
    pairs = [
        event(f"u{user}", each, at_ms=NOW_MS - HOUR_MS * (user + 1) + place * MINUTE_MS)
        for user in range(5)
        for place, each in enumerate(["t1", "t2"])
    ]
    cluster = world_of(*(track(f"t{n}") for n in range(4)), events=[*pairs, event("ann", "t1")])

    assert proposed("followers", cluster, user="ann") == ["t2"]


def test_favourites_are_what_was_played_most_and_liked_and_not_what_was_skipped() -> None:
    plays = [event(track_id="t1", at_ms=NOW_MS - n * HOUR_MS) for n in range(1, 6)]
    one = event(track_id="t2", at_ms=NOW_MS - HOUR_MS)
    liked = [event(track_id="t3", at_ms=NOW_MS - HOUR_MS), event(track_id="t3", kind="like", at_ms=NOW_MS - HOUR_MS)]
    skipped = [event(track_id="t4", kind="skip", at_ms=NOW_MS - n * HOUR_MS) for n in range(1, 6)]
    cluster = world_of(*(track(f"t{n}") for n in range(6)), events=[*plays, one, *liked, *skipped])

    assert proposed("favourites", cluster, user="ann") == ["t1", "t3", "t2"]


def test_a_favourite_of_a_moment_ago_waits() -> None:
    heard = [event(track_id="t1", at_ms=NOW_MS - n) for n in range(5)] + [event(track_id="t2", at_ms=NOW_MS - HOUR_MS)]
    cluster = world_of(track("t1"), track("t2"), events=heard)

    assert proposed("favourites", cluster, user="ann")[0] == "t2"


def test_taste_finds_tracks_of_the_artists_and_tags_that_somebody_plays() -> None:
    tracks = [track("t1", "a1", ["folk"]), track("t2", "a1", ["folk"]), track("t3", "a3", ["metal"])]
    cluster = world_of(*tracks, events=[event("ann", "t1"), event("bob", "t3")])

    taste = proposed("taste", cluster, user="ann")

    assert "t2" in taste
    assert "t3" not in taste


def test_taste_finds_what_a_profile_names_before_anything_is_heard() -> None:
    tracks = [track("t1", "a1", ["folk"]), track("t2", "a2", ["metal"]), track("t3", "a3", ["jazz"])]
    profile = Profile(user_id="ann", favourite_tags=["metal"], favourite_artists=["a3"])

    taste = proposed("taste", world_of(*tracks, profiles=[profile]), user="ann")

    assert sorted(taste) == ["t2", "t3"]


def test_popular_is_what_is_played_most() -> None:
    heard = [event(f"u{user}", "t1", at_ms=NOW_MS - user) for user in range(3)] + [event("u9", "t2")]
    cluster = world_of(*(track(f"t{n}") for n in range(4)), events=heard)

    assert proposed("popular", cluster, limit=2, user="ann") == ["t1", "t2"]


def test_popular_forgets_what_was_played_long_ago() -> None:
    old = [event(f"u{user}", "t1", at_ms=NOW_MS - 100 * 24 * HOUR_MS) for user in range(20)]
    cluster = world_of(track("t1"), track("t2"), events=[*old, event("u9", "t2")])

    assert proposed("popular", cluster, user="ann")[0] == "t2"


def test_fresh_is_what_few_have_heard() -> None:
    heard = [event(f"u{user}", "t1", at_ms=NOW_MS - user) for user in range(60)]
    cluster = world_of(track("t1", "a1"), track("t2", "a2"), events=heard)

    assert proposed("fresh", cluster, user="ann") == ["t2"]


def test_two_tower_finds_what_stands_near_what_was_heard() -> None:
    rng = np.random.default_rng(1)
    sides = [["t0", "t1", "t2", "t3"], ["t4", "t5", "t6", "t7"]]
    heard = [
        event(f"u{user}", str(rng.choice(sides[user % 2])), at_ms=NOW_MS - HOUR_MS + (40 * user + place) * 1000)
        for user in range(20)
        for place in range(40)
    ]
    tracks = [track(f"t{n}", f"a{n}", [f"g{n}"]) for n in range(8)]
    cluster = world_of(*tracks, events=[*heard, event("ann", "t1", at_ms=NOW_MS - 1), event("ann", "t2")])

    assert sorted(proposed("two-tower", cluster, user="ann", limit=4)) == sides[0]


def test_seeds_propose_what_follows_them_before_what_is_near_them() -> None:
    pairs = [
        event(f"u{user}", each, at_ms=NOW_MS - HOUR_MS * (user + 1) + place * MINUTE_MS)
        for user in range(5)
        for place, each in enumerate(["t1", "t2"])
    ]
    cluster = world_of(*(track(f"t{n}", f"a{n}", [f"g{n}"]) for n in range(8)), events=pairs)

    assert proposed("seeds", cluster, user="new", seed_tracks=["t1"])[0] == "t2"


def test_without_seeds_radio_goes_on_from_what_was_heard_last() -> None:
    pairs = [
        event(f"u{user}", each, at_ms=NOW_MS - HOUR_MS * (user + 1) + place * MINUTE_MS)
        for user in range(5)
        for place, each in enumerate(["t1", "t2"])
    ]
    cluster = world_of(*(track(f"t{n}") for n in range(8)), events=[*pairs, event("ann", "t1")])

    assert proposed("seeds", cluster, user="ann")[0] == "t2"


# --- merging


def test_proposals_of_several_channels_become_one_list_of_unique_tracks() -> None:
    query = query_of(world(), request(KNOWN, surface="daily-mix"))

    merged, counts = propose(query, CHANNELS)

    assert len(merged) == len(set(merged.rows.tolist())) <= sum(counts.values())
    assert merged.scores.shape == (len(merged), len(query.surface.channels))
    assert ((merged.scores >= 0.0) & (merged.scores <= 1.0)).all()
    assert (merged.scores.max(0)[[n > 0 for n in counts.values()]] == 1.0).all()


def test_a_track_that_several_channels_propose_scores_more_than_with_one() -> None:
    query = query_of(world(), request(KNOWN, surface="daily-mix"))

    merged, _ = propose(query, CHANNELS)

    weights = np.array([query.surface.channel_weights[name] for name in query.surface.channels])
    assert np.allclose(merged.fused, merged.scores @ weights)


def test_every_surface_asks_channels_that_there_are_and_weighs_each() -> None:
    for surface in SURFACES.values():
        assert set(surface.channels) <= set(CHANNELS)
        assert set(surface.channel_weights) == set(surface.channels)


def test_best_keeps_the_best_in_order() -> None:
    rows, scores = best(np.arange(1, 6, dtype=np.int32), np.array([0.1, 0.9, 0.5, 0.9, 0.2]), 3)

    assert (rows.tolist(), scores.tolist()) == ([2, 4, 3], [0.9, 0.9, 0.5])


def test_pre_ranking_keeps_the_best_by_fused_score_best_first() -> None:
    some = candidates(world(), "t1", "t2", "t3", "t4", fused=[0.2, 0.9, 0.1, 0.5])

    kept = prerank(some, 2)

    assert names(world(), kept.rows) == ["t2", "t4"]
