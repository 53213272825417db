"""What hostile messages once did, and no longer do."""

from typing import Any

import pytest
from aiokafka import TopicPartition

from serving.answer import fitted
from serving.replica import Replica
from serving.requests import request_of
from serving.runtime.worker import KEY_BYTES_MAX, ServingWorker
from streams.messages import VALUE_BYTES_MAX, Experiment, Playlist, Slot, encode
from streams.processor import LETTER_BYTES_MAX, LETTER_KEY_BYTES_MAX
from streams.topics import DEAD_LETTERS, EXPERIMENTS, LISTENERS, LISTENING_EVENTS, PLAYLISTS, TRACKS
from tests.builders import NOW_MS, dead_letters, keeper, learn, learner, playlist, raw, track
from tests.runtime.fakes import SETTINGS, Producer, Rec

WIRE_BYTES = 2_000_000  # what a topic of inputs takes
LETTER_BYTES = int(dict(DEAD_LETTERS.config)["max.message.bytes"])
EVENT = Experiment("x", "l", {"a": 1.0})


@pytest.mark.parametrize("size", [10, LETTER_KEY_BYTES_MAX, LETTER_KEY_BYTES_MAX + 1, WIRE_BYTES])
def test_a_letter_of_a_long_key_fits_its_topic_and_holds_the_key(size: int) -> None:
    key = b"k" * size
    step = learner().step([raw(LISTENING_EVENTS.name, b"", key)], NOW_MS)
    (output,) = (each for each in step.outputs if each.topic == DEAD_LETTERS.name)

    assert [key] == [each.key for each in dead_letters(step)]
    assert output.key == (key if size <= LETTER_KEY_BYTES_MAX else None)
    assert len(output.key or b"") + len(output.value or b"") < LETTER_BYTES


@pytest.mark.parametrize(("topic", "make"), [(LISTENING_EVENTS.name, learner), (TRACKS.name, keeper)])
@pytest.mark.parametrize("key", [b"ann", b"k" * 10_000_000])
def test_a_letter_of_what_was_compressed_fits_and_says_what_it_left_out(topic: str, make: Any, key: bytes) -> None:
    step = make().step([raw(topic, b"x" * 40_000_000, key)], NOW_MS)
    (output,) = (each for each in step.outputs if each.topic == DEAD_LETTERS.name)
    (letter,) = dead_letters(step)

    assert len(output.key or b"") + len(output.value or b"") < LETTER_BYTES
    assert len(letter.key or b"") + len(letter.value or b"") == LETTER_BYTES_MAX
    assert letter.left_out == len(key) + 40_000_000 - LETTER_BYTES_MAX
    assert key.startswith(letter.key or b"-")


async def test_a_request_with_a_long_key_is_refused_under_its_beginning() -> None:
    worker: Any = ServingWorker(SETTINGS, clock_ms=lambda: 0.0)
    worker._producer = Producer()
    record = Rec(0, b"k" * WIRE_BYTES, b"{}")
    await worker._send(
        TopicPartition("p-playlist-requests", 0), record, worker._answer(record, request_of(record.key, record.value))
    )

    assert worker._producer.sent == {0: [b"k" * KEY_BYTES_MAX]}
    assert worker.errors == 1


def test_a_playlist_of_very_long_titles_is_cut_to_what_a_message_may_hold() -> None:
    slots = [Slot(f"t{n}", n, 1.0, title="\0" * 512, artist="\0" * 512, reason="\0" * 540) for n in range(200)]
    long = Playlist("r1", "ann", tracks=slots)
    short = fitted(long)

    assert len(encode(long)) > VALUE_BYTES_MAX
    assert VALUE_BYTES_MAX * 0.8 < len(encode(short)) < VALUE_BYTES_MAX
    assert slots[: len(short.tracks)] == short.tracks


def test_a_playlist_that_fits_is_left_as_it_is() -> None:
    whole = Playlist("r1", "ann", tracks=[Slot(f"t{n}", n, 1.0, title="Song", artist="Ann") for n in range(200)])

    assert fitted(whole) is whole


@pytest.mark.parametrize("key", [b"", b"\xff\xfe", b"\xed\xa0\x80"])
def test_a_tombstone_that_names_nothing_is_refused(key: bytes) -> None:
    one = keeper(track("\ufffd\ufffd"))
    (letter,) = dead_letters(one.step([raw(TRACKS.name, None, key)], NOW_MS))

    assert (letter.key, letter.value) == (key, None)
    assert len(one.table.listed_rows()) == 1
    assert len(dead_letters(learner().step([raw(LISTENERS.name, None, key)], NOW_MS))) == 1


@pytest.mark.parametrize(
    "broken",
    [
        playlist(explored=["x" * 129]),
        playlist(explored=[""]),
        playlist(explored=["t1"], request_id="r" * 129),
        playlist("u" * 129, explored=["t1"]),
        playlist("", explored=["t1"]),
        playlist(explored=[f"t{n}" for n in range(201)]),
    ],
)
def test_a_playlist_that_no_worker_makes_is_not_learnt(broken: Playlist) -> None:
    processor = learner()
    step = learn(processor, broken)

    assert [PLAYLISTS.name] == [each.topic for each in dead_letters(step)]
    assert len(processor.listeners) == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, None),
        (None, encode(EVENT)),
        (b"", None),
        (b"", encode(EVENT)),
        (b"y", encode(EVENT)),
        (b"\xff", encode(EVENT)),
        (b"x", encode(Experiment("x", "l", {"a" * 65: 1.0}))),
        (b"x", encode(Experiment("x", "l", {f"a{n}": 0.01 for n in range(33)}))),
    ],
)
def test_an_experiment_that_is_no_good_changes_nothing(key: bytes | None, value: bytes | None) -> None:
    replica = Replica()
    replica.apply(EXPERIMENTS.name, 0, [(b"x", encode(EVENT)), (key, value)])  # type: ignore[list-item]

    assert (replica.experiments, replica.broken_experiments) == ({"x": EVENT}, 1)


def test_experiments_are_bounded_and_one_that_is_there_may_change() -> None:
    replica = Replica(experiments_max=1)
    changed = Experiment("x", "l", {"b": 1.0})
    others = [(name.encode(), encode(Experiment(name, "l", {"a": 1.0}))) for name in ("y", "z")]
    replica.apply(EXPERIMENTS.name, 0, [(b"x", encode(EVENT)), *others, (b"x", encode(changed))])
    assert ({"x": changed}, 2) == (replica.experiments, replica.broken_experiments)
    replica.apply(EXPERIMENTS.name, 0, [(b"x", None), others[0]])

    assert set(replica.experiments) == {"y"}
