"""A replay predicts, reveals, learns, in this order; and it is the same to the bit for the same seed."""

from functools import cache
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from online_models.listener_rows import Heard
from segue.evaluation.comparison import REPLAY, WATCHED
from segue.evaluation.metrics import auc
from segue.evaluation.replay import METHODS, Replay, replay
from segue.simulation.catalogue import make_catalogue
from segue.simulation.listener import SimulatedListener
from streams.messages import ListeningEvent, Track
from tests.builders import NOW_MS, event, track

MINUTE_MS = 60_000


@cache
def made_up_log() -> tuple[list[ListeningEvent], list[Track]]:
    """About 190 events of six listeners."""
    catalogue = make_catalogue(3, tracks=60, artists=12)
    listeners = [SimulatedListener(f"u{number}", catalogue, seed=3) for number in range(6)]
    events = list[ListeningEvent]()
    for turn in range(30):
        for number, listener in enumerate(listeners):
            at_ms = NOW_MS - 30 * 86_400_000 + (6 * turn + number) * 4 * MINUTE_MS
            events += listener.hear(listener.pick(), at_ms)
    return events, catalogue.tracks


@cache
def replayed(seed: int = 0, ask_every: int = 5) -> Replay:
    return replay(*made_up_log(), seed=seed, ask_every=ask_every)


def test_the_same_seed_gives_the_same_hash_and_the_same_figures() -> None:
    again = replay(*made_up_log(), seed=0, ask_every=5)

    assert replayed().state_hash == again.state_hash
    assert replayed().summary() == again.summary()
    assert {each.name for each in WATCHED[REPLAY]} <= again.summary().keys()
    assert replayed().predicted == again.predicted


def test_another_order_of_the_events_gives_another_hash() -> None:
    events, tracks = made_up_log()
    swapped = [*events[:30], events[31], events[30], *events[32:40]]

    assert replay(events[:40], tracks, ask_every=0).state_hash != replay(swapped, tracks, ask_every=0).state_hash


def test_another_seed_gives_another_hash() -> None:
    events, tracks = made_up_log()
    one, other = (replay(events[:40], tracks, seed=seed, ask_every=0) for seed in (0, 1))

    assert one.state_hash != other.state_hash


def test_asking_changes_nothing_that_is_learnt() -> None:
    assert replayed().state_hash == replay(*made_up_log(), seed=0, ask_every=0).state_hash


def test_events_of_a_step_are_predicted_before_any_of_them_is_learnt() -> None:
    events, tracks = made_up_log()
    one, eight = replay(events[:8], tracks, ask_every=0), replay(events[:8], tracks, ask_every=0, step=8)

    assert one.predicted[0] == eight.predicted[0] == eight.predicted[1] != one.predicted[1]
    assert (one.skipped, one.events) == (eight.skipped, eight.events)


def test_the_last_step_may_be_short() -> None:
    events, tracks = made_up_log()
    seen = replay(events[:10], tracks, ask_every=0, step=4)

    assert (seen.events, len(seen.predicted)) == (10, len(seen.skipped))


def test_every_event_is_seen_and_every_play_or_skip_is_predicted() -> None:
    events, tracks = made_up_log()

    assert replayed().events == len(events) > 170
    assert replayed().skipped == [each.kind == "skip" for each in events if each.kind in ("play", "skip")]
    assert len(replayed().predicted) == len(replayed().skipped)
    assert (replayed().catalogue, replayed().dead_letters) == (len(tracks), 0)


def test_every_method_names_a_place_for_every_target() -> None:
    plays = [number for number, each in enumerate(made_up_log()[0]) if each.kind == "play"]

    assert replayed().at == plays[4::5]
    for method in METHODS:
        assert len(replayed().ranks[method]) == len(replayed().at)
        assert all(-1 <= rank < 20 for rank in replayed().ranks[method])


def test_a_prediction_depends_on_nothing_that_comes_after_it() -> None:
    events, tracks = made_up_log()
    heard = [number for number, each in enumerate(events) if each.kind in ("play", "skip")]
    cut = heard[100]
    changed = msgspec.structs.replace(events[cut], kind="play" if events[cut].kind == "skip" else "skip")

    other = replay([*events[:cut], changed, *events[cut + 1 :]], tracks, ask_every=0)

    assert replayed().predicted[:101] == other.predicted[:101]
    assert replayed().predicted[101:] != other.predicted[101:]


def test_a_list_depends_on_nothing_that_comes_after_the_question() -> None:
    events, tracks = made_up_log()
    cut = replayed().at[10]

    other = replay(events[: cut + 1], tracks, ask_every=5)

    for method in METHODS:
        assert replayed().ranks[method][:11] == other.ranks[method]


def chances(seed: int, skips: list[bool], tracks: list[str], played_ms: list[int]) -> float:
    """The skip AUC of the last three quarters of some made-up lives; when a track begins does not tell how it ends."""
    events = [
        event(
            f"u{number % 4}",
            each,
            "skip" if skipped else "play",
            at_ms=NOW_MS - (len(skips) - number) * MINUTE_MS + played,
            played_ms=played,
        )
        for number, (each, skipped, played) in enumerate(zip(tracks, skips, played_ms, strict=True))
    ]
    seen = replay(events, [track(f"t{n}", f"a{n % 5}") for n in range(20)], seed=seed, ask_every=0)
    start = len(events) // 4
    return auc(np.array(seen.predicted[start:]), np.array(seen.skipped[start:]))


def random_chances(seed: int) -> float:
    """The skip AUC in a world of coins, where how long was heard tells the outcome to whoever looks at it."""
    rng = np.random.default_rng(seed)
    skips = (rng.random(900) < 0.4).tolist()
    tracks = [f"t{n}" for n in rng.integers(0, 20, 900).tolist()]
    return chances(seed, skips, tracks, [5_000 if skipped else 190_000 for skipped in skips])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2), ids="seed-{}".format)
def test_where_skips_are_random_nothing_can_be_predicted(seed: int) -> None:
    assert random_chances(seed) == pytest.approx(0.5, abs=0.06)


@pytest.mark.slow
def test_a_prediction_that_knew_when_the_track_ended_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Heard, "start_ms", property(lambda heard: heard.at_ms))

    assert random_chances(0) > 0.6


def test_where_skips_follow_the_track_they_are_predicted() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 20, 400).tolist()
    skips = [number < 8 for number in numbers]

    assert chances(1, skips, [f"t{n}" for n in numbers], [60_000] * 400) > 0.85


def test_events_of_a_log_are_not_changed_by_its_replay() -> None:
    events, tracks = made_up_log()
    before = list(events)

    replay(events[:30], tracks, ask_every=3)

    assert before == events
    assert all(one.at_ms <= other.at_ms + MINUTE_MS for one, other in pairwise(events))
