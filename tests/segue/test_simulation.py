"""Simulated listeners: the same seed lives the same life; what they do follows from what they like."""

from collections import Counter

import numpy as np
import pytest

from segue.simulation.catalogue import TAGS, Catalogue, make_catalogue
from segue.simulation.listener import SimulatedListener
from streams.messages import ListeningEvent, Profile, Track, decode, encode
from tests.builders import NOW_MS, playlist, track

CATALOGUE = make_catalogue(1, tracks=200, artists=30)


def life(user_id: str = "ann", seed: int = 1, days: int = 60) -> list[ListeningEvent]:
    listener = SimulatedListener(user_id, CATALOGUE, seed=seed)
    events = list[ListeningEvent]()
    for day in range(days):
        events += listener.hear(listener.pick(), NOW_MS + day * 86_400_000)
    return events


def test_the_same_seed_lives_the_same_life() -> None:
    assert life() == life()


@pytest.mark.parametrize(("user_id", "seed"), [("bob", 1), ("ann", 2)])
def test_somebody_else_and_another_seed_live_another_life(user_id: str, seed: int) -> None:
    one, other = [(each.track_id, each.kind) for each in life()], [(e.track_id, e.kind) for e in life(user_id, seed)]

    assert one != other


def test_the_same_seed_makes_the_same_catalogue() -> None:
    again = make_catalogue(1, tracks=200, artists=30)

    assert CATALOGUE.tracks == again.tracks
    assert np.array_equal(CATALOGUE.attraction, again.attraction)
    assert CATALOGUE.tracks != make_catalogue(2, tracks=200, artists=30).tracks


def test_everything_that_is_made_up_is_a_message_that_is_taken() -> None:
    listener = SimulatedListener("ann", CATALOGUE, seed=1)

    for message in (*life(), *CATALOGUE.tracks, listener.profile()):
        assert message == decode(type(message), encode(message))


def test_event_ids_are_unique() -> None:
    made = [each.event_id for each in life(days=300)]

    assert len(made) == len(set(made))


def test_a_skip_is_left_early_and_a_play_is_heard_to_its_end() -> None:
    for each in life(days=200):
        heard = CATALOGUE.track(each.track_id)
        assert heard is not None
        if each.kind == "skip":
            assert each.played_ms is not None
            assert each.played_ms < 30_000
        elif each.kind == "play":
            assert each.played_ms == heard.duration_ms
        else:
            assert each.played_ms is None


def of_tags(tags: list[str]) -> Catalogue:
    tracks = [track(f"t{number}", f"a{number}", tags, title="x") for number in range(300)]
    return Catalogue(tracks, np.full(300, 1 / 300))


def skip_rate(loved: bool) -> float:
    """The skip rate over tracks of the tag that a listener loves most, or of one that they do not."""
    counts: Counter[str] = Counter()
    for number in range(10):
        user_id = f"u{number}"
        taste = SimulatedListener(user_id, CATALOGUE, seed=1).taste
        tag = (max if loved else min)(TAGS, key=lambda each, taste=taste: taste[each])  # type: ignore[misc]
        listener = SimulatedListener(user_id, of_tags([tag]), seed=1)
        counts.update(listener.hear(f"t{place}", NOW_MS)[0].kind for place in range(30))
    return counts["skip"] / counts.total()


def test_what_they_love_is_skipped_less() -> None:
    assert skip_rate(loved=True) < 0.2 < 0.6 < skip_rate(loved=False)


def test_what_is_heard_too_often_bores() -> None:
    listener = SimulatedListener("ann", CATALOGUE, seed=1)
    one = CATALOGUE.tracks[0]
    before = listener.liking(one)

    for _ in range(30):
        listener.hear(one.track_id, NOW_MS)

    assert listener.liking(one) < before


def test_a_profile_names_the_tag_that_is_loved_most() -> None:
    listener = SimulatedListener("ann", CATALOGUE, seed=1)

    profile = listener.profile()

    assert isinstance(profile, Profile)
    assert listener.taste[profile.favourite_tags[0]] == max(listener.taste.values())


def test_what_was_heard_from_a_list_says_which_and_where() -> None:
    listener = SimulatedListener("ann", CATALOGUE, seed=1)

    heard = listener.hear("t3", NOW_MS, playlist(plain=["t9", "t3"], request_id="r7"), 1)[0]

    assert (heard.request_id, heard.position) == ("r7", 1)


@pytest.mark.parametrize("track_id", ["t200", "t-1", "x5", ""])
def test_a_track_that_is_not_in_the_catalogue_is_heard_all_the_same(track_id: str) -> None:
    listener = SimulatedListener("ann", CATALOGUE, seed=1)

    assert listener.hear(track_id, NOW_MS)[0].kind in ("play", "skip")


def test_well_known_tracks_are_come_across_more_often() -> None:
    listener = SimulatedListener("ann", CATALOGUE, seed=1)
    picked = Counter(listener.pick() for _ in range(2000))
    order = np.argsort(-CATALOGUE.attraction)

    first, last = (sum(picked[f"t{number}"] for number in part) for part in (order[:50], order[-50:]))

    assert first > 3 * last
    assert isinstance(CATALOGUE.tracks[0], Track)
