"""The read path as a whole: whoever asks, whatever happened, a list comes back that keeps its promises."""

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.evaluation.cluster import LocalCluster
from serving.filters import FILTERS
from serving.radio import LADDER
from serving.surfaces import SURFACES
from streams.messages import Context, Experiment, Playlist, Profile, decode, encode
from streams.topics import TRACKS as TRACKS_TOPIC
from tests.builders import NOW_MS, event, raw, request, track
from tests.serving.worlds import (
    HERMIT,
    KNOWN,
    MINUTE_MS,
    TRACKS,
    UNKNOWN,
    ask,
    experiment,
    ids,
    introduce,
    world,
    world_of,
)

EVERYBODY = {"known": KNOWN, "unknown": UNKNOWN, "hermit": HERMIT}


def promises_kept(cluster: LocalCluster, answer: Playlist, size: int) -> None:
    """What every slate keeps."""
    table, listener = cluster.replica.table, cluster.replica.listeners.get(answer.user_id)
    slate = ids(answer)
    assert len(slate) == len(set(slate)) <= size
    assert all(table.listed[table.index("t:" + each)] for each in slate)
    assert not set(slate) & set(listener.blocked)
    assert [slot.rank for slot in answer.tracks] == list(range(len(slate)))
    assert all(0.0 < slot.propensity <= 1.0 for slot in answer.tracks)
    assert all(slot.reason and slot.title and slot.channels for slot in answer.tracks)
    assert answer.error is None
    assert answer == decode(Playlist, encode(answer))


# --- whoever asks


@pytest.mark.parametrize("size", [1, 7, 20, 200])
@pytest.mark.parametrize("who", ["known", "unknown"])
@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_answers_everybody(surface: str, who: str, size: int) -> None:
    answer = ask(world(), request(EVERYBODY[who], surface=surface, size=size))

    promises_kept(world(), answer, size)
    assert len(answer.tracks) == min(size, len(answer.tracks)) > 0
    assert (answer.surface, answer.level) == (surface, "full")


@pytest.mark.parametrize("surface", SURFACES)
def test_a_short_list_is_full(surface: str) -> None:
    answers = [ask(world(), request(user, surface=surface, size=10)) for user in (KNOWN, UNKNOWN)]

    assert [len(answer.tracks) for answer in answers] == [10, 10]


@pytest.mark.parametrize("level", ["full", "no-rerank", "popular"])
@pytest.mark.parametrize("surface", SURFACES)
def test_who_blocked_everything_gets_an_empty_list_and_no_error(surface: str, level: str) -> None:
    passed = {"full": 0.0, "no-rerank": 125.0, "popular": 1000.0}[level]

    answer = ask(world(), request(HERMIT, surface=surface), [passed])

    assert (answer.tracks, answer.error, answer.level) == ([], None, level)


@pytest.mark.parametrize("surface", SURFACES)
def test_a_world_without_tracks_answers_with_an_empty_list(surface: str) -> None:
    answer = ask(world_of(), request(surface=surface, seed_tracks=["t1"]))

    assert (answer.tracks, answer.error) == ([], None)


@pytest.mark.parametrize("surface", SURFACES)
def test_a_world_of_one_track_that_nobody_heard_answers_with_it(surface: str) -> None:
    assert ids(ask(world_of(track("t1")), request(surface=surface, size=1))) == ["t1"]


def test_asking_makes_no_listener_and_no_track() -> None:
    replica = world().replica
    before = len(replica.table), len(replica.listeners), replica.table.counts.sum()

    for number in range(20):
        ask(world(), request(f"stranger-{number}", seed_tracks=[f"never-{number}"], surface="radio"))

    assert before == (len(replica.table), len(replica.listeners), replica.table.counts.sum())


@given(
    surface=st.sampled_from(sorted(SURFACES)),
    size=st.integers(1, 60),
    user=st.sampled_from([*(f"u{number}" for number in range(8)), UNKNOWN, HERMIT, "böse\0"]),
    request_id=st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
    seeds=st.lists(st.sampled_from(["t0", "t1", "t99", "t9999", "x"]), max_size=4),
    context=st.none() | st.builds(Context, country=st.sampled_from(["SE", "XX", None]), hour=st.integers(0, 23)),
    elapsed=st.lists(st.floats(0.0, 1e7), min_size=1, max_size=5).map(sorted),
    deadline_ms=st.integers(1, 60_000),
    days=st.integers(0, 20_000),
    explain=st.booleans(),
)
@settings(derandomize=True, deadline=None, max_examples=120, database=None)
def test_whatever_is_asked_the_slate_keeps_its_promises(
    surface: str,
    size: int,
    user: str,
    request_id: str,
    seeds: list[str],
    context: Context | None,
    elapsed: list[float],
    deadline_ms: int,
    days: int,
    explain: bool,
) -> None:
    fields = {"surface": surface, "size": size, "request_id": request_id, "seed_tracks": seeds, "context": context}
    asked = request(user, deadline_ms=deadline_ms, explain=explain, **fields)

    left = iter([*elapsed, *itertools.repeat(elapsed[-1], 10)])
    answer = world().radio.recommend(asked, days * 86_400_000, lambda: next(left))

    promises_kept(world(), answer, size)
    assert answer.request_id == request_id


@given(
    blocked=st.lists(st.integers(0, TRACKS - 1), max_size=TRACKS, unique=True),
    surface=st.sampled_from(sorted(SURFACES)),
)
@settings(derandomize=True, deadline=None, max_examples=25, database=None)
def test_whatever_is_blocked_is_never_in_a_slate(blocked: list[int], surface: str) -> None:
    cluster, user = world(), f"picky-{surface}-{hash(tuple(blocked))}"
    gone = [f"t{number}" for number in blocked]
    listener = cluster.replica.listeners.get(user)
    listener.blocked = dict.fromkeys(gone, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster.replica.listeners, "get", lambda _: listener)
        slates = [
            ids(ask(cluster, request(user, surface=surface, size=100), [passed])) for passed in (0.0, 125.0, 999.0)
        ]

    assert not set(gone) & {each for slate in slates for each in slate}


def test_a_block_holds_as_soon_as_it_is_learnt() -> None:
    cluster = world_of(*(track(f"t{n}", f"a{n}") for n in range(6)), events=[event(track_id="t1")])
    first = ids(ask(cluster, request("ann", size=6)))

    cluster.learn([event("ann", first[0], "block", at_ms=NOW_MS + 1)], now_ms=NOW_MS)

    assert first[0] not in ids(ask(cluster, request("ann", size=6)))


def test_a_track_that_left_the_catalogue_is_not_offered() -> None:
    cluster = world_of(track("t1"), track("t2", "a2"), events=[event(track_id="t1"), event(track_id="t2")])

    cluster._keep([raw(TRACKS_TOPIC.name, None, b"t1")])
    cluster.flush()

    for surface in SURFACES:
        assert "t1" not in ids(ask(cluster, request("bob", surface=surface)))


# --- the same again


@pytest.mark.parametrize("surface", SURFACES)
def test_the_same_request_twice_gives_the_same_slate(surface: str) -> None:
    asked = request(KNOWN, surface=surface, size=30, request_id="again")

    first, second = (ask(world(), asked) for _ in range(2))

    assert first == second


def test_another_request_may_explore_another_track() -> None:
    slates = {
        slot.track_id
        for number in range(30)
        for slot in ask(world(), request(KNOWN, surface="discover-weekly", request_id=f"r{number}", size=10)).tracks
        if slot.explored
    }

    assert len(slates) > 1


def test_what_was_just_heard_changes_the_next_list() -> None:
    rng, heard = random.Random(1), list[str]()
    for pair in rng.choices([("t0", "t1"), ("t2", "t3")], k=20):
        heard += [*pair, *rng.sample([f"t{n}" for n in range(4, 12)], 3)]
    start_ms = NOW_MS - 1000 * MINUTE_MS
    habits = [event("ann", each, at_ms=start_ms + 5 * MINUTE_MS * place) for place, each in enumerate(heard)]
    cluster = world_of(*(track(f"t{n}", f"a{n}") for n in range(12)), events=habits)

    cluster.learn([event("ann", "t0", at_ms=NOW_MS - 5 * MINUTE_MS)], now_ms=NOW_MS)
    after_t0 = ids(ask(cluster, request("ann")))
    later = [event("ann", each, at_ms=NOW_MS - 1000 + n) for n, each in enumerate(["t5", "t9", "t7", "t2"])]
    cluster.learn(later, now_ms=NOW_MS)
    after_t2 = ids(ask(cluster, request("ann")))

    assert after_t0.index("t1") < after_t0.index("t3")
    assert after_t2.index("t3") < after_t2.index("t1")


def test_an_answer_says_how_many_events_it_reflects() -> None:
    cluster = world_of(track("t1"), events=[event(at_ms=NOW_MS + n) for n in range(5)])

    assert [ask(cluster, request(user)).seen_events for user in ("ann", "bob")] == [5, 0]


# --- the deadline


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [
        ([0.0], "full"),
        ([0.4], "full"),
        ([0.41], "no-rerank"),
        ([0.7], "no-rerank"),
        ([0.71], "popular"),
        ([1.0], "popular"),
        ([1e6], "popular"),
        ([0.0, 0.5], "no-rerank"),
        ([0.0, 0.9], "popular"),
        ([0.5, 0.9], "popular"),
    ],
    ids=str,
)
@pytest.mark.parametrize("who", ["known", "unknown"])
def test_time_that_has_passed_goes_down_the_ladder_and_never_to_an_error(
    elapsed: list[float], expected: str, who: str
) -> None:
    asked = request(EVERYBODY[who], surface="daily-mix", deadline_ms=1000)

    answer = ask(world(), asked, [1000.0 * share for share in elapsed])

    promises_kept(world(), answer, 20)
    assert (answer.level, len(answer.tracks)) == (expected, 20)


def test_the_cheapest_level_leaves_nothing_to_chance_and_asks_no_other_channel() -> None:
    answer = ask(world(), request(KNOWN, surface="discover-weekly", explain=True), [1e6])

    assert {tuple(slot.channels) for slot in answer.tracks} == {("popular",)}
    assert {(slot.explored, slot.propensity) for slot in answer.tracks} == {(False, 1.0)}


def test_the_levels_of_the_ladder_are_those_that_an_answer_may_name() -> None:
    assert list(LADDER) == ["full", "no-rerank", "popular"]


def test_an_answer_says_how_long_it_took() -> None:
    assert ask(world(), request(KNOWN), [0.0, 1.0, 12.3456]).latency_ms == 12.346


# --- what a surface wants


def with_settings(cluster: LocalCluster, asked: str, **changed: float) -> Playlist:
    """The answer for u0 under settings that an experiment gives to everybody."""
    experiment(cluster, "x", Experiment("x", "l", {"a": 1.0}, {"a": changed}))  # type: ignore[dict-item]
    answer = ask(cluster, request(KNOWN, surface=asked, size=20))
    experiment(cluster, "x", None)
    return answer


@pytest.mark.parametrize("surface", ["daily-mix", "discover-weekly", "radio"])
def test_an_artist_comes_again_only_after_the_spacing(surface: str) -> None:
    answer = with_settings(world(), surface, explore_every=0)
    spacing = SURFACES[surface].spacing
    table = world().replica.table

    artists = [int(table.parts[table.index("t:" + each), 1]) for each in ids(answer)]

    assert all(artist not in artists[max(0, n - spacing) : n] for n, artist in enumerate(artists)), artists


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_a_list_holds_the_share_of_familiar_tracks_that_its_surface_wants(share: float) -> None:
    answer = with_settings(world(), "daily-mix", familiar=share, spacing=0, explore_every=0)
    heard = world().replica.listeners.get(KNOWN).tracks

    familiar = [each in heard for each in ids(answer)[:10]]

    assert sum(familiar) == round(10 * share)


def test_discover_weekly_holds_nothing_that_was_ever_heard() -> None:
    answer = ask(world(), request(KNOWN, surface="discover-weekly", size=50))

    assert not set(ids(answer)) & set(world().replica.listeners.get(KNOWN).tracks)


@pytest.mark.parametrize("surface", SURFACES)
def test_explored_places_stand_where_the_surface_says_with_their_propensity(surface: str) -> None:
    every = SURFACES[surface].explore_every

    answer = ask(world(), request(KNOWN, surface=surface, size=20))

    explored = [slot for slot in answer.tracks if slot.explored]
    assert [slot.rank for slot in explored] == list(range(every - 1, 20, every))
    assert all(0.0 < slot.propensity <= 1.0 and slot.channels == ["exploration"] for slot in explored)
    assert all(slot.propensity == 1.0 for slot in answer.tracks if not slot.explored)


def test_the_propensities_of_a_choice_say_how_often_it_is_made() -> None:
    chosen: dict[str, list[float]] = {}
    for number in range(60):
        answer = ask(world(), request(KNOWN, surface="discover-weekly", request_id=f"p{number}", size=10))
        for slot in answer.tracks:
            if slot.explored:
                chosen.setdefault(slot.track_id, []).append(slot.propensity)

    often = max(chosen, key=lambda each: len(chosen[each]))

    assert len(chosen[often]) / 60 == pytest.approx(sum(chosen[often]) / len(chosen[often]), abs=0.15)


def test_a_list_shorter_than_the_distance_explores_nothing() -> None:
    answer = ask(world(), request(KNOWN, surface="daily-mix", size=9))

    assert not any(slot.explored for slot in answer.tracks)


def test_what_was_played_in_a_country_comes_first_there() -> None:
    tracks = [track(f"t{n}", f"a{n}") for n in range(8)]
    profiles = [Profile(user_id="ann", country="SE"), Profile(user_id="bo", country="BR")]
    heard = [event("ann", "t1", at_ms=NOW_MS - n) for n in range(3)] + [
        event("bo", "t2", at_ms=NOW_MS - n) for n in range(4)
    ]
    cluster = world_of(*tracks, events=heard, profiles=profiles)

    first = {
        country: ask(cluster, request("new", size=3, context=Context(country=country))).tracks[0]
        for country in ("SE", "BR", None)
    }

    assert {country: slot.track_id for country, slot in first.items()} == {"SE": "t1", "BR": "t2", None: "t2"}
    assert [slot.reason for slot in first.values()] == ["popular in SE", "popular in BR", "popular now"]


def test_the_country_of_the_profile_counts_where_the_request_says_none() -> None:
    tracks = [track(f"t{n}", f"a{n}") for n in range(4)]
    heard = [event("ann", "t1"), *(event("bo", "t2", at_ms=NOW_MS - n) for n in range(4))]
    cluster = world_of(*tracks, events=heard, profiles=[Profile(user_id="ann", country="SE")])

    introduce(cluster, Profile(user_id="new", country="SE"))

    assert ids(ask(cluster, request("new", size=2)))[0] == "t1"


def test_radio_plays_what_goes_with_its_seeds() -> None:
    tracks = [track(f"t{n}", f"a{n}", [f"g{n}"]) for n in range(10)]
    heard = [
        event(f"u{user}", each, at_ms=NOW_MS - (200 - 10 * user - place) * MINUTE_MS)
        for user in range(10)
        for place, each in enumerate(["t1", "t2"] if user % 2 else ["t3", "t4"])
    ]
    cluster = world_of(*tracks, events=heard)

    first = [ids(ask(cluster, request("new", surface="radio", seed_tracks=[seed], size=5)))[0] for seed in ("t1", "t3")]

    assert first == ["t2", "t4"]


@pytest.mark.parametrize("seeds", [["unknown"], ["unknown"] * 16, ["t1", "unknown", "t1"]])
def test_seeds_that_nobody_knows_do_no_harm(seeds: list[str]) -> None:
    answer = ask(world(), request(KNOWN, surface="radio", seed_tracks=seeds))

    promises_kept(world(), answer, 20)
    assert len(answer.tracks) == 20


# --- what an answer explains


@pytest.mark.parametrize(("seeds", "reason"), [(["t1"], "chose"), (["unknown"], "heard last"), ([], "heard last")])
def test_what_goes_with_the_seeds_is_said_to_be_chosen_where_it_was(seeds: list[str], reason: str) -> None:
    answer = ask(world(), request(KNOWN, surface="radio", seed_tracks=seeds))
    reasons = {slot.reason for slot in answer.tracks if slot.channels[:1] == ["seeds"]}

    assert len(reasons) == 1
    assert reason in reasons.pop()


def test_what_is_new_is_not_close_to_the_taste_of_who_heard_nothing() -> None:
    answer = ask(world(), request("stranger", surface="radio"))

    assert {slot.reason for slot in answer.tracks if slot.channels[:1] == ["fresh"]} == {"new here"}


@pytest.mark.parametrize("surface", SURFACES)
def test_with_explain_an_answer_says_what_each_channel_gave_and_each_filter_took(surface: str) -> None:
    answer = ask(world(), request(KNOWN, surface=surface, explain=True))

    assert list(answer.removed) == list(FILTERS)
    assert list(answer.channels) == list(SURFACES[surface].channels)
    assert sum(answer.channels.values()) > 20
    assert ask(world(), request(KNOWN, surface=surface)).removed == {}


def test_with_explain_what_was_taken_out_is_counted_under_its_filter() -> None:
    answer = ask(world(), request(HERMIT, explain=True))

    assert answer.removed["blocked"] > 20
    assert answer.removed["unlisted"] == answer.removed["just-heard"] == answer.removed["same-song"] == 0


def test_objectives_and_scores_come_with_a_ranked_place() -> None:
    answer = ask(world(), request(KNOWN, size=10))

    for slot in answer.tracks:
        assert set(slot.objectives) == {"complete", "skip", "like", "save", "late_skip", "share_heard"}
        assert all(0.0 <= chance <= 1.0 for chance in slot.objectives.values())


# --- experiments


LISTENERS = 2000


def arms_of(cluster: LocalCluster) -> list[dict[str, str]]:
    """The arms of many listeners, who are not answered."""
    return [cluster.radio._surface(request(f"x{number}"))[1] for number in range(LISTENERS)]


@pytest.fixture(scope="module", name="small_world")
def _small_world() -> LocalCluster:
    return world_of(*(track(f"t{n}", f"a{n % 2}") for n in range(12)), events=[event(KNOWN, "t1"), event(KNOWN, "t3")])


@pytest.fixture(name="small")
def _small(small_world: LocalCluster) -> Iterator[LocalCluster]:
    """A world of few tracks, whose experiments end with the test."""
    yield small_world
    for name in list(small_world.replica.experiments):
        experiment(small_world, name, None)


def test_an_arm_changes_the_settings_of_its_listeners(small: LocalCluster) -> None:
    before = ids(ask(small, request(KNOWN, surface="daily-mix", size=4)))
    experiment(small, "x", Experiment("x", "l", {"a": 1.0}, {"a": {"explore_every": 1.0}}))

    answer = ask(small, request(KNOWN, surface="daily-mix", size=4))

    assert answer.arms == {"x": "a"}
    assert [slot.explored for slot in answer.tracks] == [True] * 4
    assert before != ids(answer)


def test_a_listener_keeps_the_arm(small: LocalCluster) -> None:
    experiment(small, "x", Experiment("x", "l", {"a": 0.5, "b": 0.5}))

    first, again = ([ask(small, request(f"x{n}", size=1)).arms for n in range(30)] for _ in range(2))

    assert first == again == arms_of(small)[:30]
    assert {each["x"] for each in first} == {"a", "b"}


def test_arms_get_their_share_of_the_listeners(small: LocalCluster) -> None:
    experiment(small, "x", Experiment("x", "l", {"a": 0.25, "b": 0.5}))

    arms = [each.get("x") for each in arms_of(small)]

    shares = {arm: arms.count(arm) / LISTENERS for arm in ("a", "b", None)}
    assert shares == {
        "a": pytest.approx(0.25, abs=0.03),
        "b": pytest.approx(0.5, abs=0.03),
        None: pytest.approx(0.25, abs=0.03),
    }


def test_layers_cut_the_listeners_independently(small: LocalCluster) -> None:
    experiment(small, "x", Experiment("x", "one", {"a": 0.5}))
    experiment(small, "y", Experiment("y", "two", {"a": 0.5}))

    both = sum(len(each) == 2 for each in arms_of(small))
    assert both / LISTENERS == pytest.approx(0.25, abs=0.03)


def test_a_listener_is_in_one_experiment_of_a_layer_at_most(small: LocalCluster) -> None:
    experiment(small, "x", Experiment("x", "l", {"a": 0.3, "b": 0.2}))
    experiment(small, "y", Experiment("y", "l", {"a": 0.4}))

    arms = arms_of(small)

    assert max(len(each) for each in arms) == 1
    places = (("x", "a"), ("x", "b"), ("y", "a"))
    shares = [sum(each.get(name) == arm for each in arms) / LISTENERS for name, arm in places]
    assert shares == pytest.approx([0.3, 0.2, 0.4], abs=0.03)


def test_an_experiment_that_ended_changes_nothing_any_more(small: LocalCluster) -> None:
    experiment(small, "x", Experiment("x", "l", {"a": 1.0}))
    experiment(small, "x", None)

    assert ask(small, request(KNOWN)).arms == {}


@pytest.mark.parametrize("broken", [b"junk", b"{}", b"\xff", b'{"name":"x","layer":"l","arms":{"a":2}}'])
def test_a_broken_experiment_leaves_the_last_good_one(small: LocalCluster, broken: bytes) -> None:
    experiment(small, "x", Experiment("x", "l", {"a": 1.0}))
    experiment(small, "x", broken)

    assert ask(small, request(KNOWN)).arms == {"x": "a"}


@pytest.mark.parametrize("value", [-1e300, -1.0, 0.0, 0.5, 1e300, True, "text"], ids=str)
@pytest.mark.parametrize(
    "setting",
    ["weights.skip", "channel_weights.popular", "diversity", "familiar", "spacing", "explore_every", "x.y", ""],
)
def test_no_setting_of_an_experiment_stops_an_answer(small: LocalCluster, setting: str, value: float | str) -> None:
    experiment(small, "x", Experiment("x", "l", {"a": 1.0}, {"a": {setting: value}}))

    for surface in SURFACES:
        promises_kept(small, ask(small, request(KNOWN, surface=surface, size=5)), 5)


def test_a_request_is_not_changed_by_being_answered() -> None:
    asked = request(KNOWN, surface="radio", seed_tracks=["t1"])
    before = encode(asked)

    ask(world(), asked)

    assert before == encode(asked)
