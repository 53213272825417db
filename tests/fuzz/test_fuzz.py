"""What anybody may send stops nobody and is accounted for: seeded showers of broken messages, and what hypothesis thinks of."""

import json
import warnings
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.messages import encode
from streams.topics import EXPERIMENTS, LISTENERS, LISTENING_EVENTS, PLAYLIST_REQUESTS, PLAYLISTS, TRACKS
from tests.builders import NOW_MS, event, playlist
from tests.fuzz.__main__ import main, run_round
from tests.fuzz.gauntlet import Broken, Gauntlet, shower
from tests.fuzz.hostile import KEYS, LARGE, TOPICS, Message, good

FIELDS = (
    *("event_id", "at_ms", "user_id", "track_id", "kind", "played_ms", "context", "title", "tags", "request_id"),
    *("size", "seed_tracks", "tracks", "name", "layer", "arms", "settings", "content", "deadline_ms", "after_event"),
    "unknown",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=130),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def broken(draw: st.DrawFn) -> Message:
    """A good message with fields of any JSON in it (NaN among it), or any bytes."""
    message = good(Random(draw(st.integers(0, 99))), draw(st.sampled_from(TOPICS)), NOW_MS)
    fields = json.loads(message.value or b"") | draw(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3))
    value = draw(st.just(json.dumps(fields).encode()) | st.binary(max_size=60) | st.none())
    key = draw(st.just(message.key) | st.none() | st.binary(max_size=20))
    return message._replace(key=key, value=value, how=("hypothesis",))


@pytest.fixture
def strict() -> Iterator[None]:
    """A number that is none is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("seed", range(4))
def test_hostile_messages_are_accounted_for(seed: int) -> None:
    gauntlet = Gauntlet()
    shower(Random(seed), gauntlet, 700)

    assert gauntlet.counts.total() > 700
    assert {topic for topic, _ in gauntlet.counts} == set(TOPICS)


@pytest.mark.usefixtures("strict")
@given(messages=st.lists(broken(), min_size=1, max_size=8))
@settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_whatever_hypothesis_thinks_of_is_accounted_for(messages: list[Message]) -> None:
    Gauntlet().feed(messages)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("seed", range(5))
def test_good_messages_are_taken(topic: str, seed: int) -> None:
    gauntlet = Gauntlet()
    gauntlet.feed([good(Random(f"{seed}-{number}"), topic, gauntlet.now_ms) for number in range(20)])

    assert not {fate for of, fate in gauntlet.counts if of == topic} & {"refused", "dead-lettered"}


@pytest.mark.parametrize("topic", TOPICS)
def test_as_much_as_a_topic_takes_is_accounted_for_as_key_and_as_value(topic: str) -> None:
    gauntlet = Gauntlet()
    for large in LARGE:
        gauntlet.feed([Message(topic, large[:2_000_000], b"", ("large key",))])
        gauntlet.feed([Message(topic, b"ann", large, ("large",))])
    gauntlet.flush()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: repr(key)[:20])
def test_a_tombstone_in_the_wrong_place_is_accounted_for(key: bytes | None) -> None:
    gauntlet = Gauntlet()
    gauntlet.feed([Message(topic, key, None, ("tombstone",)) for topic in TOPICS])
    counts = gauntlet.counts

    assert counts[LISTENING_EVENTS.name, "dead-lettered"] == counts[PLAYLISTS.name, "dead-lettered"] == 1
    assert counts[PLAYLIST_REQUESTS.name, "refused"] == 1
    names_nobody = int(not key or key == b"\xff\xfe")
    assert counts[TRACKS.name, "dead-lettered"] == counts[LISTENERS.name, "dead-lettered"] == names_nobody
    assert counts[EXPERIMENTS.name, "refused"] == int(not key)


def test_a_finding_is_found() -> None:
    gauntlet = Gauntlet()
    with pytest.raises(Broken, match="a good message was refused"):
        gauntlet.feed([Message(LISTENING_EVENTS.name, b"ann", b"junk")])
    gauntlet.learner.step = lambda records, _now_ms: gauntlet.keeper.step([], 0)  # type: ignore[method-assign]
    with pytest.raises(Broken, match="1 events were taken, 0 learnt"):
        gauntlet.feed([Message(LISTENING_EVENTS.name, b"ann", encode(event()))])


def test_a_round_is_repeated_by_its_seed() -> None:
    assert run_round(7, 300) == run_round(7, 300)


def test_the_big_run_prints_what_became_of_the_messages(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["fuzz", "--messages", "200", "--processes", "1"])

    assert main() == 0
    shown = capsys.readouterr().out
    assert all(topic in shown for topic in TOPICS)
    assert "0 findings, seed 1" in shown


def test_an_offer_with_a_longer_id_than_an_event_has_is_refused() -> None:
    gauntlet, long = Gauntlet(), playlist(explored=["x" * 129])
    gauntlet.feed([Message(PLAYLISTS.name, b"ann", encode(long), ("long",))])

    assert gauntlet.counts[PLAYLISTS.name, "dead-lettered"] == 1
